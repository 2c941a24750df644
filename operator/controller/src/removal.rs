//! `ottla-operator remove`: deletes the resources that a ConfigMap owns, and waits until they are gone.
//!
//! Helm deletes a release's parts at once, and the operator with them. What was made from the values goes before that, while
//! somebody is there who lets Topics go and tells brokers that all of them stop. Nothing of this may hold up a removal for
//! ever: what the operator does not let go in time is let go here.

use crate::context::{LookError, if_there};
use crate::topics::apply::finalizers_patch;
use crate::values::{Values, is_owned_by};
use anyhow::Context;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{Api, DeleteParams, ListParams, PatchParams};
use kube::{Client, Resource, ResourceExt};
use ottla_operator_core::cluster::Cluster;
use ottla_operator_core::names;
use ottla_operator_core::topic::Topic;
use std::time::Duration;
use tokio::time::Instant;

/// So long it is waited for the operator to let Topics go.
const OPERATOR: Duration = Duration::from_secs(15);
/// So long it is waited for brokers to end; what is left then goes in its own time.
const ALL: Duration = Duration::from_secs(90);
const PAUSE: Duration = Duration::from_millis(500);

/// Deletes all of them, clusters first: Topics of a cluster that is gone take no records along.
///
/// # Errors
/// If Kubernetes cannot be reached or refuses.
pub async fn remove(values: &Values) -> anyhow::Result<()> {
    remove_with(Client::try_default().await.context("no way to Kubernetes")?, values).await
}

/// As [`remove`], with this way to Kubernetes.
///
/// # Errors
/// As [`remove`].
pub async fn remove_with(client: Client, values: &Values) -> anyhow::Result<()> {
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), &values.namespace);
    let Some(map) = maps.get_opt(&values.configmap).await? else {
        println!("there is no ConfigMap {}, so nothing was made of it", values.configmap);
        return Ok(());
    };
    let owner = map.uid().unwrap_or_default();
    let clusters: Api<Cluster> = Api::namespaced(client.clone(), &values.namespace);
    let topics: Api<Topic> = Api::namespaced(client.clone(), &values.namespace);
    let pods: Api<Pod> = Api::namespaced(client, &values.namespace);
    let names = delete(&clusters, &owner).await.context("clusters")?;
    delete(&topics, &owner).await.context("topics")?;
    let begun = Instant::now();
    loop {
        let held = owned(&topics, &owner).await.context("topics")?;
        if begun.elapsed() > OPERATOR {
            let_go(&topics, &clusters, &held).await?;
        }
        let mut running = 0;
        for name in &names {
            running +=
                pods.list(&ListParams::default().labels(&names::selector_text(name))).await?.items.len();
        }
        if held.is_empty() && running == 0 || begun.elapsed() > ALL {
            println!("{} topics and {running} brokers left after {:.1?}", held.len(), begun.elapsed());
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn owned<K>(api: &Api<K>, owner: &str) -> Result<Vec<K>, LookError>
where
    K: Resource + Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    let all = api.list(&ListParams::default()).await?;
    Ok(all.items.into_iter().filter(|resource| is_owned_by(resource, owner)).collect())
}

/// The names of what is deleted.
async fn delete<K>(api: &Api<K>, owner: &str) -> Result<Vec<String>, LookError>
where
    K: Resource + Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    let mut names = Vec::new();
    for resource in owned(api, owner).await? {
        let name = resource.name_any();
        if if_there(api.delete(&name, &DeleteParams::default()).await.map_err(LookError::from))?.is_some() {
            println!("{name} deleted");
        }
        names.push(name);
    }
    Ok(names)
}

/// Takes our finalizer off Topics whose cluster is gone, as the operator would.
async fn let_go(topics: &Api<Topic>, clusters: &Api<Cluster>, held: &[Topic]) -> anyhow::Result<()> {
    for topic in held.iter().filter(|topic| topic.has_finalizer()) {
        if clusters.get_opt(&topic.spec.cluster_ref.name).await?.is_some() {
            continue;
        }
        let name = topic.name_any();
        let patch = finalizers_patch(topic, false);
        match topics.patch(&name, &PatchParams::default(), &patch).await.map_err(LookError::from) {
            Ok(_) => println!("{name} let go: its cluster is gone, and no operator did it"),
            Err(error) if error.is_missing() || error.is_conflict() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
