//! The end of a cluster: its brokers are told that all of them stop, so that none waits for another's return.
//!
//! Only Kubernetes ends a cluster. The word is given when its pods are on their way out together with what would bring
//! them back: the cluster's StatefulSet, or the whole namespace.

use super::observe::pod_view;
use crate::context::{Context, LookError, key};
use crate::topics::apply::release;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::ResourceExt;
use kube::api::{Api, ListParams};
use ottla_operator_core::cluster::Cluster;
use ottla_operator_core::names;
use ottla_operator_core::topic::Topic;
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// True if a namespace goes with everything in it; false if that cannot be told.
pub(crate) async fn namespace_is_going(context: &Context, namespace: &str) -> bool {
    let namespaces: Api<Namespace> = Api::all(context.client.clone());
    let found = namespaces.get(namespace).await;
    found.is_ok_and(|found| found.metadata.deletion_timestamp.is_some())
}

/// The namespaces of these that go.
pub(crate) async fn going(context: &Context, namespaces: BTreeSet<String>) -> BTreeSet<String> {
    let mut going = BTreeSet::new();
    for namespace in namespaces {
        if namespace_is_going(context, &namespace).await {
            going.insert(namespace);
        }
    }
    going
}

/// Tells the brokers of a cluster that does not exist any more, if they are being stopped, that all are.
///
/// # Errors
/// If Kubernetes or the brokers could not be asked.
pub async fn gone(context: &Context, namespace: &str, name: &str) -> Result<(), LookError> {
    let sets: Api<StatefulSet> = Api::namespaced(context.client.clone(), namespace);
    let set = sets.get_opt(&names::stateful_set(name)).await?;
    if set.is_some_and(|set| set.metadata.deletion_timestamp.is_none()) {
        return Ok(());
    }
    let pods = pods(context, namespace, name).await?;
    if pods.iter().any(|pod| pod.metadata.deletion_timestamp.is_some()) {
        permit_all(context, namespace, name, &pods, "the cluster is deleted").await?;
    }
    Ok(())
}

/// Tells the brokers of a cluster in a namespace that goes that all of them stop. Topics are let go at once: with the pods
/// gone the rest follows, and with it the right to do so.
///
/// # Errors
/// If Kubernetes or the brokers could not be asked.
pub(super) async fn with_namespace(context: &Context, namespace: &str, name: &str) -> Result<(), LookError> {
    let pods = pods(context, namespace, name).await?;
    let topics: Api<Topic> = Api::namespaced(context.client.clone(), namespace);
    let held = topics.list(&ListParams::default()).await?.items;
    let held: Vec<&Topic> = held.iter().filter(|topic| topic.has_finalizer()).collect();
    let released = release(context, &held).await;
    permit_all(context, namespace, name, &pods, "the namespace is deleted").await?;
    released
}

/// The last thing that an operator does that is stopped, perhaps with everything it looks after.
pub async fn farewell(context: &Context, clusters: Vec<Arc<Cluster>>) {
    let namespaces = clusters.iter().filter_map(|cluster| cluster.namespace()).collect();
    let going = going(context, namespaces).await;
    for cluster in clusters {
        let namespace = cluster.namespace().filter(|namespace| going.contains(namespace));
        let Some(namespace) = namespace else { continue };
        if let Err(error) = with_namespace(context, &namespace, &cluster.name_any()).await {
            tracing::warn!(%error, namespace, cluster = cluster.name_any(), "its brokers wait for one another");
        }
    }
}

async fn pods(context: &Context, namespace: &str, name: &str) -> Result<Vec<Pod>, LookError> {
    let pods: Api<Pod> = Api::namespaced(context.client.clone(), namespace);
    Ok(pods.list(&ListParams::default().labels(&names::selector_text(name))).await?.items)
}

/// The names of the brokers go with their Service, so they are asked at their pods' addresses. Said again with each change
/// of a pod: a broker that has just come would wait for the others.
async fn permit_all(
    context: &Context,
    namespace: &str,
    name: &str,
    pods: &[Pod],
    reason: &str,
) -> Result<(), LookError> {
    let running = pods.iter().filter(|pod| pod_view(pod, None).is_running);
    let addresses: Vec<String> = running.filter_map(address).collect();
    if addresses.is_empty() {
        return Ok(());
    }
    let key = format!("{}/gone", key(namespace, name));
    let way = context.connect.connect(&key, addresses).await?;
    let told = context.write("permit all", way.permit_all(reason.to_owned())).await;
    if told.is_err() {
        context.connect.forget(&key);
    }
    told?;
    tracing::info!(namespace, cluster = name, reason, "all brokers may stop at once");
    Ok(())
}

fn address(pod: &Pod) -> Option<String> {
    let address: IpAddr = pod.status.as_ref()?.pod_ip.as_ref()?.parse().ok()?;
    u16::try_from(names::KAFKA_PORT).ok().map(|port| SocketAddr::new(address, port).to_string())
}
