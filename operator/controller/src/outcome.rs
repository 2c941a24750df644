//! What becomes of looks: those that failed are told and repeated, clusters that are gone are seen off.

use crate::context::LookError;
use futures::{Stream, StreamExt};
use kube::runtime::controller::{Action, Error as ControllerError};
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher;
use ottla_operator_core::cluster::Cluster;
use std::time::Duration;

/// After a look that failed.
const RETRY: Duration = Duration::from_secs(5);
/// After a farewell that failed: brokers wait for it.
const AGAIN: Duration = Duration::from_secs(1);
/// So many times it is tried; brokers then end by themselves, one after the other.
const TRIES: u32 = 100;
/// Clusters seen off at a time.
const AT_ONCE: usize = 16;

/// A look that failed.
pub(crate) type Failed = ControllerError<LookError, watcher::Error>;

/// When a look that failed is repeated; `soon`, if somebody else was faster.
pub(crate) fn retry(error: &LookError, soon: Duration) -> Action {
    if error.is_conflict() { Action::requeue(soon) } else { Action::requeue(RETRY) }
}

/// Says which looks failed, and does what is to be done with a cluster that was to be looked at and is gone, given its
/// namespace and name. Other looks go on meanwhile. After `stop` nothing is tried again.
pub(crate) async fn follow<F>(
    looks: impl Stream<Item = Result<(ObjectRef<Cluster>, Action), Failed>>,
    stop: impl Future<Output = ()> + Clone,
    gone: impl Fn(String, String) -> F,
) where
    F: Future<Output = Result<(), LookError>>,
{
    let (gone, stop) = (&gone, &stop);
    let each = looks.for_each_concurrent(AT_ONCE, |look| async move {
        match look {
            Ok(_) => {}
            Err(ControllerError::ObjectNotFound(cluster)) => {
                let namespace = cluster.namespace.as_deref().unwrap_or_default();
                see_off(namespace, &cluster.name, stop, gone).await;
            }
            Err(error) => tell(&error),
        }
    });
    each.await;
}

/// Nothing may happen to a cluster that is gone, so that nobody would look again: it is tried until it is done.
async fn see_off<F>(
    namespace: &str,
    cluster: &str,
    stop: &(impl Future<Output = ()> + Clone),
    gone: &impl Fn(String, String) -> F,
) where
    F: Future<Output = Result<(), LookError>>,
{
    for _ in 0..TRIES {
        match gone(namespace.to_owned(), cluster.to_owned()).await {
            Ok(()) | Err(LookError::NotLeading) => return,
            Err(error) => tracing::warn!(%error, namespace, cluster, "a cluster that is gone"),
        }
        tokio::select! {
            () = tokio::time::sleep(AGAIN) => {}
            () = stop.clone() => return,
        }
    }
}

fn tell(error: &Failed) {
    match error {
        ControllerError::ReconcilerFailed(cause, _) if cause.is_conflict() => {
            tracing::debug!(%error, "changed by somebody else meanwhile, looking again");
        }
        _ => tracing::warn!(%error, "a look failed, trying again"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;
    use futures::future::pending;
    use std::sync::atomic::{AtomicU32, Ordering};
    use tokio::sync::Notify;

    fn gone(name: &str) -> Result<(ObjectRef<Cluster>, Action), Failed> {
        Err(ControllerError::ObjectNotFound(Box::new(ObjectRef::<Cluster>::new(name).within("shop").erase())))
    }

    #[tokio::test(start_paused = true)]
    async fn a_farewell_that_fails_is_repeated_until_it_is_done() {
        let tries = AtomicU32::new(0);
        let looks = futures::stream::iter([gone("prod")]);
        let once = |namespace: String, name: String| {
            assert_eq!((namespace.as_str(), name.as_str()), ("shop", "prod"));
            let number = tries.fetch_add(1, Ordering::Relaxed);
            async move { if number < 2 { Err(LookError::Brokers("no answer".to_owned())) } else { Ok(()) } }
        };
        follow(looks, pending(), once).await;
        assert_eq!(tries.load(Ordering::Relaxed), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_farewell_that_takes_long_holds_up_nobody() {
        let other = Notify::new();
        let looks = futures::stream::iter([gone("slow"), gone("other")]);
        let each = |_: String, name: String| {
            let other = &other;
            async move {
                if name == "slow" {
                    other.notified().await
                } else {
                    other.notify_one()
                }
                Ok(())
            }
        };
        assert!(follow(looks, pending(), each).now_or_never().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_hold_the_lease_any_more_leaves_it_to_another() {
        let tries = AtomicU32::new(0);
        let never = |_, _| {
            tries.fetch_add(1, Ordering::Relaxed);
            async { Err(LookError::NotLeading) }
        };
        follow(futures::stream::iter([gone("prod")]), pending(), never).await;
        assert_eq!(tries.load(Ordering::Relaxed), 1);
    }
}
