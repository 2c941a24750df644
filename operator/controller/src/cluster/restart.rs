//! Restarts one broker: its permit, then an uncached read of its pod, then a deletion that holds for just that pod in
//! just that state. No answer, an error or a time-out is never a yes.

use super::observe::{Seen, pod_view};
use crate::brokers::{AskPermit, Permit};
use crate::context::{Context, LookError};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, Preconditions};
use ottla_operator_core::cluster::Cluster;
use ottla_operator_core::plan::{Restart, Wait};

/// Restarts the first of `choices` that is permitted. Otherwise says why the first was not.
pub(super) async fn first_of(
    context: &Context,
    cluster: &Cluster,
    seen: &Seen,
    choices: &[Restart],
) -> Result<Option<(Wait, String)>, LookError> {
    let mut reason = None;
    for choice in choices {
        match permit(context, cluster, seen, choice).await? {
            Ok(epoch) => return delete(context, cluster, seen, choice, epoch).await,
            Err(refused) => {
                reason.get_or_insert(refused);
            }
        }
    }
    Ok(reason)
}

/// The permit's epoch, if one was needed; or why there is none.
async fn permit(
    context: &Context,
    cluster: &Cluster,
    seen: &Seen,
    choice: &Restart,
) -> Result<Result<Option<i64>, (Wait, String)>, LookError> {
    let Some(broker_epoch) = choice.broker_epoch else { return Ok(Ok(None)) };
    let Some(way) = &seen.way else {
        return Ok(Err((Wait::BrokersUnreachable, "the brokers gave no answer".to_owned())));
    };
    let ask = AskPermit {
        broker: choice.broker,
        broker_epoch,
        single_replica: cluster.spec.rollout.single_replica,
        reason: choice.reason.clone(),
    };
    Ok(match context.write("permit", way.ask_permit(ask)).await {
        Ok(Permit::Granted { epoch }) => Ok(Some(epoch)),
        Ok(Permit::NotNeeded) => Ok(None),
        Ok(Permit::Refused { wait, message }) => Err((wait, format!("broker {}: {message}", choice.broker))),
        Err(error @ LookError::NotLeading) => return Err(error),
        Err(error) => Err((Wait::BrokersUnreachable, error.to_string())),
    })
}

async fn delete(
    context: &Context,
    cluster: &Cluster,
    seen: &Seen,
    choice: &Restart,
    permit: Option<i64>,
) -> Result<Option<(Wait, String)>, LookError> {
    let namespace = cluster.namespace().unwrap_or_default();
    let pods: Api<Pod> = Api::namespaced(context.client.clone(), &namespace);
    let deleted = match pods.get_opt(&choice.pod).await? {
        Some(pod) if is_still(&pod, choice) => {
            let only = Preconditions { uid: pod.uid(), resource_version: pod.resource_version() };
            let params = DeleteParams::default().preconditions(only);
            context.write("restart", pods.delete(&choice.pod, &params)).await.map(|_| ())
        }
        _ => Err(LookError::Brokers(format!("{} is not the pod any more that was seen", choice.pod))),
    };
    match deleted {
        Ok(()) => {
            let note = format!("broker {} restarts: {}", choice.broker, choice.reason);
            tracing::info!(
                cluster = cluster.name_any(),
                namespace,
                broker = choice.broker,
                ?permit,
                choice.reason,
                "restart"
            );
            context.metrics.restarts.with_label_values(&[&namespace, &cluster.name_any()]).inc();
            context.events.normal(cluster, "BrokerRestart", &note).await;
            Ok(None)
        }
        Err(error @ LookError::NotLeading) => Err(error),
        Err(error) => {
            if let (Some(epoch), Some(way)) = (permit, &seen.way) {
                // If this fails too, the permit ends by itself.
                let released = context.write("release", way.release_permit(choice.broker, epoch)).await;
                tracing::info!(broker = choice.broker, epoch, ok = released.is_ok(), "permit given back");
            }
            Ok(Some((Wait::Refused, error.to_string())))
        }
    }
}

/// The pod is the one that was seen, and what was true of it is true.
fn is_still(pod: &Pod, choice: &Restart) -> bool {
    let now = pod_view(pod, None);
    let is_same = now.uid == choice.uid && !now.is_deleting;
    // Without a permit only what serves nobody may be taken away: nothing may have happened to it since.
    is_same && (choice.broker_epoch.is_some() || now.resource_version == choice.resource_version)
}
