//! Applies the objects of a cluster, server-side, as their own field manager.

use super::is_owned;
use crate::context::{Context, LookError, key};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use kube::{Resource, ResourceExt};
use ottla_operator_core::cluster::Cluster;
use ottla_operator_core::plan::Plan;
use ottla_operator_core::{fnv, names, objects};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::time::Instant;

/// Applies everything but the StatefulSet; skipped while it was applied a short time ago.
pub(super) async fn surroundings(context: &Context, cluster: &Cluster, plan: &Plan) -> Result<(), LookError> {
    let key = key(&cluster.namespace().unwrap_or_default(), &cluster.name_any());
    let config = objects::config_map(cluster, &plan.config);
    let [headless, bootstrap] = objects::services(cluster);
    let policy = objects::network_policy(cluster);
    let is_guarded = cluster.spec.network_policy.enabled;
    let everything =
        serde_json::json!([config, headless, bootstrap, is_guarded.then_some(&policy), cluster.uid()]);
    let hash = fnv::hash(everything.to_string().as_bytes());
    let applied = context.remember(&key, |memory| memory.applied.clone());
    if applied.is_some_and(|(known, at)| known == hash && at.elapsed() < context.resync) {
        return Ok(());
    }
    one(context, cluster, &objects::service_account(cluster)).await?;
    one(context, cluster, &config).await?;
    one(context, cluster, &headless).await?;
    one(context, cluster, &bootstrap).await?;
    one(context, cluster, &objects::disruption_budget(cluster)).await?;
    if is_guarded {
        one(context, cluster, &policy).await?;
    } else {
        remove_policy(context, cluster).await?;
    }
    context.remember(&key, |memory| memory.applied = Some((hash, Instant::now())));
    Ok(())
}

/// Applies the StatefulSet.
pub(super) async fn stateful_set(context: &Context, cluster: &Cluster, plan: &Plan) -> Result<(), LookError> {
    match &plan.shape {
        Some(shape) => one(context, cluster, &objects::stateful_set(cluster, shape)).await,
        None => Ok(()),
    }
}

async fn one<K>(context: &Context, cluster: &Cluster, object: &K) -> Result<(), LookError>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Serialize
        + DeserializeOwned
        + Clone
        + Debug,
{
    let namespace = cluster.namespace().unwrap_or_default();
    let api: Api<K> = Api::namespaced(context.client.clone(), &namespace);
    let params = PatchParams::apply(names::MANAGER).force();
    let what = K::kind(&());
    context.write(&what, api.patch(&object.name_any(), &params, &Patch::Apply(object))).await?;
    Ok(())
}

async fn remove_policy(context: &Context, cluster: &Cluster) -> Result<(), LookError> {
    let namespace = cluster.namespace().unwrap_or_default();
    let api: Api<NetworkPolicy> = Api::namespaced(context.client.clone(), &namespace);
    let name = names::stateful_set(&cluster.name_any());
    match api.get_opt(&name).await? {
        Some(policy) if is_owned(&policy, cluster) => {
            context.write("NetworkPolicy", api.delete(&name, &DeleteParams::default())).await?;
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Deletes the StatefulSet and leaves its pods running; the next look makes it anew.
pub(super) async fn orphan_set(
    context: &Context,
    cluster: &Cluster,
    uid: Option<String>,
) -> Result<(), LookError> {
    let namespace = cluster.namespace().unwrap_or_default();
    let api: Api<StatefulSet> = Api::namespaced(context.client.clone(), &namespace);
    let params =
        DeleteParams::orphan().preconditions(kube::api::Preconditions { uid, resource_version: None });
    let name = names::stateful_set(&cluster.name_any());
    context.write("StatefulSet", api.delete(&name, &params)).await?;
    Ok(())
}
