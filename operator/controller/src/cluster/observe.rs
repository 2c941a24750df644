//! How a cluster is: everything is read anew, past every cache.

use crate::brokers::Brokers;
use crate::context::{Context, LookError, key};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ContainerStatus, PersistentVolumeClaim, Pod};
use kube::ResourceExt;
use kube::api::{Api, ListParams};
use ottla_operator_core::cluster::Cluster;
use ottla_operator_core::names;
use ottla_operator_core::objects;
use ottla_operator_core::observed::{BrokersView, ClaimView, PodView, SetView};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Longest time for brokers to say how they are.
const PATIENCE: Duration = Duration::from_secs(20);

/// What was seen.
pub(super) struct Seen {
    pub set: Option<SetView>,
    pub set_uid: Option<String>,
    pub pods: BTreeMap<i32, PodView>,
    pub claims: BTreeMap<i32, ClaimView>,
    pub brokers: Result<BrokersView, String>,
    /// The way to them, if they answered.
    pub way: Option<Arc<dyn Brokers>>,
}

pub(super) async fn see(context: &Context, cluster: &Cluster) -> Result<Seen, LookError> {
    let (name, namespace) = (cluster.name_any(), cluster.namespace().unwrap_or_default());
    let client = || context.client.clone();
    let sets: Api<StatefulSet> = Api::namespaced(client(), &namespace);
    let pods: Api<Pod> = Api::namespaced(client(), &namespace);
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(client(), &namespace);
    let set_name = names::stateful_set(&name);
    let ours = ListParams::default().labels(&names::selector_text(&name));
    let (set, pods, claims) =
        futures::try_join!(sets.get_opt(&set_name), pods.list(&ours), claims.list(&ours))?;
    let topology = cluster.spec.rack.as_ref().map(|rack| rack.topology_key.as_str());
    let pods: BTreeMap<i32, PodView> = pods
        .items
        .iter()
        .filter_map(|pod| Some((names::broker_of(&pod.name_any())?, pod_view(pod, topology))))
        .collect();
    let claims = claims
        .items
        .iter()
        .filter_map(|claim| Some((names::broker_of(&claim.name_any())?, claim_view(claim, cluster))));
    let (brokers, way) = ask(context, cluster, &pods).await;
    Ok(Seen {
        set_uid: set.as_ref().and_then(ResourceExt::uid),
        set: set.as_ref().map(set_view),
        pods,
        claims: claims.collect(),
        brokers,
        way,
    })
}

/// Asks the brokers that run.
async fn ask(
    context: &Context,
    cluster: &Cluster,
    pods: &BTreeMap<i32, PodView>,
) -> (Result<BrokersView, String>, Option<Arc<dyn Brokers>>) {
    let (name, namespace) = (cluster.name_any(), cluster.namespace().unwrap_or_default());
    let mut running: Vec<(&i32, &PodView)> = pods.iter().filter(|(_, pod)| pod.is_running).collect();
    running.sort_by_key(|(id, pod)| (!pod.is_ready, **id));
    if running.is_empty() {
        return (Err("no broker runs".to_owned()), None);
    }
    let addresses = running.iter().map(|(id, _)| names::broker_address(&name, &namespace, **id)).collect();
    let key = key(&namespace, &name);
    let leaving = cluster.spec.replicas;
    let asked = async {
        let way = context.connect.connect(&key, addresses).await?;
        let mut view = way.look().await?.view;
        for (&id, broker) in view.brokers.range_mut(leaving..) {
            // What is left to move is worth knowing, and no reason to wait.
            broker.bytes = way.bytes_on(id).await.ok();
        }
        Ok::<_, String>((view, way))
    };
    match tokio::time::timeout(PATIENCE, asked).await {
        Ok(Ok((view, way))) => (Ok(view), Some(way)),
        Ok(Err(error)) => {
            context.connect.forget(&key);
            (Err(error), None)
        }
        Err(_) => {
            context.connect.forget(&key);
            (Err(format!("the brokers gave no answer within {PATIENCE:?}")), None)
        }
    }
}

fn set_view(set: &StatefulSet) -> SetView {
    let spec = set.spec.as_ref();
    let template = spec.map(|spec| &spec.template);
    let pod = template.and_then(|template| template.spec.as_ref());
    let annotation = |key: &str| {
        let annotations = template.and_then(|template| template.metadata.as_ref()?.annotations.as_ref());
        annotations.and_then(|annotations| annotations.get(key).cloned())
    };
    let image = pod.and_then(|pod| pod.containers.first()?.image.clone());
    let claim = spec.and_then(|spec| spec.volume_claim_templates.as_ref()?.first());
    let seen = set.status.as_ref().and_then(|status| status.observed_generation);
    SetView {
        replicas: spec.and_then(|spec| spec.replicas).unwrap_or(1),
        image: image.unwrap_or_default(),
        hash: annotation(names::RESTART_HASH).unwrap_or_default(),
        restarted_at: annotation(names::RESTARTED_AT),
        is_settled: seen.is_some() && seen == set.metadata.generation,
        claim_size: claim.and_then(size),
        is_deleting: set.metadata.deletion_timestamp.is_some(),
    }
}

fn size(claim: &PersistentVolumeClaim) -> Option<String> {
    let requests = claim.spec.as_ref()?.resources.as_ref()?.requests.as_ref()?;
    requests.get("storage").map(|size| size.0.clone())
}

fn claim_view(claim: &PersistentVolumeClaim, cluster: &Cluster) -> ClaimView {
    ClaimView {
        name: claim.name_any(),
        uid: claim.uid().unwrap_or_default(),
        resource_version: claim.resource_version().unwrap_or_default(),
        size: size(claim),
        is_owned: objects::is_owned(&claim.metadata, cluster),
        is_deleting: claim.metadata.deletion_timestamp.is_some(),
    }
}

pub(super) fn pod_view(pod: &Pod, topology: Option<&str>) -> PodView {
    let status = pod.status.as_ref();
    let is = |kind: &str| {
        let conditions = status.iter().flat_map(|status| status.conditions.iter().flatten());
        conditions.filter(|condition| condition.type_ == kind).any(|condition| condition.status == "True")
    };
    let broker = broker_container(pod);
    let running = broker.and_then(|container| container.state.as_ref()?.running.as_ref());
    let annotations = pod.metadata.annotations.as_ref();
    let annotation = |key: &str| annotations.and_then(|annotations| annotations.get(key).cloned());
    let is_deleting = pod.metadata.deletion_timestamp.is_some();
    PodView {
        name: pod.name_any(),
        uid: pod.uid().unwrap_or_default(),
        resource_version: pod.resource_version().unwrap_or_default(),
        hash: annotation(names::RESTART_HASH),
        restarted_at: annotation(names::RESTARTED_AT),
        image: pod.spec.as_ref().and_then(|spec| spec.containers.first()?.image.clone()).unwrap_or_default(),
        is_ready: is("Ready") && !is_deleting,
        is_running: running.is_some(),
        is_deleting,
        problem: problem(pod, broker),
        node: pod.spec.as_ref().and_then(|spec| spec.node_name.clone()),
        rack: topology.and_then(|key| pod.metadata.labels.as_ref()?.get(key).cloned()),
    }
}

fn broker_container(pod: &Pod) -> Option<&ContainerStatus> {
    let containers = pod.status.as_ref()?.container_statuses.as_ref()?;
    containers.iter().find(|container| container.name == names::CONTAINER)
}

/// What is wrong with a pod, for people.
fn problem(pod: &Pod, broker: Option<&ContainerStatus>) -> Option<String> {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let mut unscheduled = conditions.filter(|is| is.type_ == "PodScheduled" && is.status == "False");
    if let Some(condition) = unscheduled.next() {
        let message = condition.message.clone().unwrap_or_default();
        return Some(format!("no node takes its pod: {message}"));
    }
    let broker = broker?;
    let state = broker.state.as_ref()?;
    let ended = broker.last_state.as_ref().and_then(|state| state.terminated.as_ref());
    let ended = state.terminated.as_ref().or(ended).map(|ended| {
        let reason = ended.reason.clone().unwrap_or_default();
        format!(" (it ended with code {}, {reason})", ended.exit_code)
    });
    if let Some(waiting) = &state.waiting {
        let reason = waiting.reason.clone().unwrap_or_default();
        if reason == "ContainerCreating" || reason == "PodInitializing" {
            return None;
        }
        let message = waiting.message.clone().unwrap_or_default();
        return Some(format!("{reason}: {message}{}", ended.unwrap_or_default()));
    }
    if state.terminated.is_some() && pod.metadata.deletion_timestamp.is_none() {
        return Some(format!("its process has ended{}", ended.unwrap_or_default()));
    }
    None
}
