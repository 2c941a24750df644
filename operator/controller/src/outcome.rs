//! What becomes of looks: those that failed are told and repeated, clusters that are gone are seen off.

use crate::context::LookError;
use futures::{Stream, StreamExt};
use kube::runtime::controller::{Action, Error as ControllerError};
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher;
use ottla_operator_core::cluster::Cluster;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// After a look that failed.
const RETRY: Duration = Duration::from_secs(5);
/// After a farewell that failed: brokers wait for it.
const AGAIN: Duration = Duration::from_secs(1);
/// So many times it is tried; brokers then end by themselves, one after the other.
const TRIES: u32 = 100;

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
    let (gone, stop, under_way) = (&gone, &stop, &UnderWay::default());
    // There are no more of them at a time than clusters.
    let each = looks.for_each_concurrent(None, |look| async move {
        match look {
            Ok(_) => {}
            Err(ControllerError::ObjectNotFound(cluster)) => {
                let key = (cluster.namespace.clone().unwrap_or_default(), cluster.name.clone());
                if under_way.begin(&key) {
                    see_off(&key, under_way, stop, gone).await;
                    under_way.end(&key);
                }
            }
            Err(error) => tell(&error),
        }
    });
    each.await;
}

/// Nothing may happen to a cluster that is gone, so that nobody would look again: it is tried until it is done.
async fn see_off<F>(
    key: &Key,
    under_way: &UnderWay,
    stop: &(impl Future<Output = ()> + Clone),
    gone: &impl Fn(String, String) -> F,
) where
    F: Future<Output = Result<(), LookError>>,
{
    let (namespace, cluster) = key;
    for _ in 0..TRIES {
        match gone(namespace.clone(), cluster.clone()).await {
            Ok(()) if under_way.has_changed(key) => continue,
            Ok(()) | Err(LookError::NotLeading) => return,
            Err(error) => tracing::warn!(%error, namespace, cluster, "a cluster that is gone"),
        }
        tokio::select! {
            () = tokio::time::sleep(AGAIN) => {}
            () = stop.clone() => return,
        }
    }
}

/// Namespace and name.
type Key = (String, String);

/// The clusters that are being seen off, and whether something has happened to them since the last try began.
#[derive(Default)]
struct UnderWay(Mutex<HashMap<Key, bool>>);

impl UnderWay {
    fn clusters(&self) -> MutexGuard<'_, HashMap<Key, bool>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True if nobody does it yet; whoever does is told that something has happened.
    fn begin(&self, key: &Key) -> bool {
        let mut clusters = self.clusters();
        let is_new = !clusters.contains_key(key);
        clusters.insert(key.clone(), !is_new);
        is_new
    }

    /// True once for what has happened.
    fn has_changed(&self, key: &Key) -> bool {
        self.clusters().get_mut(key).is_some_and(std::mem::take)
    }

    fn end(&self, key: &Key) {
        self.clusters().remove(key);
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
    async fn what_happens_meanwhile_is_one_more_farewell_and_not_one_beside_it() {
        let (at_once, tries) = (AtomicU32::new(0), AtomicU32::new(0));
        let each = |_, _| async {
            assert_eq!(at_once.fetch_add(1, Ordering::Relaxed), 0);
            tries.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(AGAIN).await;
            at_once.fetch_sub(1, Ordering::Relaxed);
            Ok(())
        };
        follow(futures::stream::iter([gone("prod"), gone("prod"), gone("prod")]), pending(), each).await;
        assert_eq!(tries.load(Ordering::Relaxed), 2);
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
