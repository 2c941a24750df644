//! Carries a plan out: what takes nobody away first, then the one step that does.
//!
//! A step that fails is told and does not stop those after it, but for the one that takes a broker away: that comes
//! only after everything before it has come off.

use super::observe::Seen;
use super::{objects, restart, write_status};
use crate::brokers::{Alteration, Brokers};
use crate::context::{Context, LookError, if_there};
use k8s_openapi::api::core::v1::{Node, PersistentVolumeClaim, Pod};
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, Patch, PatchParams, Preconditions};
use ottla_operator_core::cluster::{Cluster, ClusterStatus};
use ottla_operator_core::names;
use ottla_operator_core::objects::owner;
use ottla_operator_core::plan::{Disruption, Plan, Step};
use ottla_operator_core::status::Outcome;
use serde_json::json;
use std::sync::Arc;

pub(super) async fn apply(
    context: &Context,
    cluster: &mut Cluster,
    seen: &Seen,
    plan: &Plan,
) -> Result<Outcome, LookError> {
    let mut outcome = Outcome::default();
    if plan.steps.contains(&Step::OrphanSet) {
        objects::orphan_set(context, cluster, seen.set_uid.clone()).await?;
        return Ok(outcome);
    }
    objects::surroundings(context, cluster, plan).await?;
    for step in &plan.steps {
        match one(context, cluster, seen.way.as_ref(), step).await {
            Ok(()) => {}
            Err(error @ LookError::NotLeading) => return Err(error),
            Err(error) if error.is_conflict() => return Err(error),
            Err(error) => {
                tracing::warn!(cluster = cluster.name_any(), ?step, %error, "a step failed");
                if matches!(step, Step::AlterSettings { .. }) {
                    outcome.refused_settings = Some(error.to_string());
                } else {
                    outcome.errors.push(error.to_string());
                }
            }
        }
    }
    match &plan.disruption {
        Some(Disruption::Restart(choices)) => {
            objects::stateful_set(context, cluster, plan).await?;
            outcome.wait = restart::first_of(context, cluster, seen, choices).await?;
        }
        Some(_) if !outcome.errors.is_empty() => {}
        Some(Disruption::Remove { broker }) => {
            objects::stateful_set(context, cluster, plan).await?;
            let note = format!("broker {broker} leaves: nothing is left on it");
            context.events.normal(cluster, "BrokerRemoved", &note).await;
        }
        Some(Disruption::Hibernate) => {
            objects::stateful_set(context, cluster, plan).await?;
            context.events.normal(cluster, "Hibernating", "all brokers stop; their volumes stay").await;
        }
        None => objects::stateful_set(context, cluster, plan).await?,
    }
    Ok(outcome)
}

async fn one(
    context: &Context,
    cluster: &mut Cluster,
    way: Option<&Arc<dyn Brokers>>,
    step: &Step,
) -> Result<(), LookError> {
    let way = || way.ok_or_else(|| LookError::Brokers("the brokers gave no answer".to_owned()));
    match step {
        Step::OrphanSet => Ok(()),
        Step::OwnClaim { name, owned } => own_claim(context, cluster, name, *owned).await,
        Step::GrowClaim { name, size } => grow_claim(context, cluster, name, size).await,
        Step::DeleteClaim { name, uid } => delete_claim(context, cluster, name, uid).await,
        Step::LabelRack { pod, node } => label_rack(context, cluster, pod, node).await,
        Step::NoteLeaving(brokers) => {
            note(context, cluster, |status| status.leaving.clone_from(brokers)).await
        }
        Step::NoteSpreading(brokers) => {
            note(context, cluster, |status| status.spreading.clone_from(brokers)).await
        }
        Step::AlterSettings { set, delete, keys } => {
            let change = Alteration { set: set.clone(), delete: delete.clone() };
            settings(context, cluster, way()?, change, keys).await
        }
        Step::Cordon { broker, cordoned } => {
            context.write("cordon", way()?.cordon(*broker, *cordoned)).await?;
            let (reason, what) = if *cordoned { ("Cordoned", "no") } else { ("Uncordoned", "again") };
            context
                .events
                .normal(cluster, reason, &format!("broker {broker} gets {what} new replicas"))
                .await;
            Ok(())
        }
        Step::PermitAll => context.write("permit all", way()?.permit_all("hibernation".to_owned())).await,
        Step::Move(moves) => {
            let refused = context.write("move", way()?.reassign(moves.clone())).await?;
            told(refused)
        }
        Step::ElectPreferred(partitions) => {
            context.write("elect leaders", way()?.elect_preferred(partitions.clone())).await
        }
        Step::Unregister { broker } => {
            context.write("unregister", way()?.unregister(*broker)).await?;
            context
                .events
                .normal(cluster, "Unregistered", &format!("broker {broker} has left the cluster"))
                .await;
            Ok(())
        }
    }
}

fn told(refused: crate::brokers::Refusals) -> Result<(), LookError> {
    match refused.into_iter().next() {
        None => Ok(()),
        Some((at, reason)) => Err(LookError::Brokers(format!("{at}: {reason}"))),
    }
}

async fn note(
    context: &Context,
    cluster: &mut Cluster,
    change: impl FnOnce(&mut ClusterStatus),
) -> Result<(), LookError> {
    let mut status = cluster.status.clone().unwrap_or_default();
    change(&mut status);
    let namespace = cluster.namespace().unwrap_or_default();
    write_status(context, &Api::namespaced(context.client.clone(), &namespace), cluster, status).await
}

/// The keys are noted before the settings are made: what was set can always be taken back.
async fn settings(
    context: &Context,
    cluster: &mut Cluster,
    way: &Arc<dyn Brokers>,
    change: Alteration,
    keys: &[String],
) -> Result<(), LookError> {
    let noted = cluster.status.as_ref().map(|status| status.dynamic_config_keys.clone()).unwrap_or_default();
    let mut both: Vec<String> = noted.iter().chain(keys).cloned().collect();
    both.sort();
    both.dedup();
    note(context, cluster, |status| status.dynamic_config_keys = both).await?;
    if change != Alteration::default() {
        let keys: Vec<&String> = change.set.keys().chain(&change.delete).collect();
        let note = format!("settings {keys:?} change without a restart");
        context.write("settings", way.alter_defaults(change)).await?;
        context.events.normal(cluster, "SettingsChanged", &note).await;
    }
    note(context, cluster, |status| status.dynamic_config_keys = keys.to_vec()).await
}

fn claims(context: &Context, cluster: &Cluster) -> Api<PersistentVolumeClaim> {
    Api::namespaced(context.client.clone(), &cluster.namespace().unwrap_or_default())
}

async fn own_claim(context: &Context, cluster: &Cluster, name: &str, owned: bool) -> Result<(), LookError> {
    let api = claims(context, cluster);
    let Some(claim) = api.get_opt(name).await? else { return Ok(()) };
    let uid = cluster.uid();
    let mut owners = claim.metadata.owner_references.clone().unwrap_or_default();
    owners.retain(|owner| Some(&owner.uid) != uid.as_ref());
    if owned {
        let mut us = owner(cluster);
        us.controller = None;
        us.block_owner_deletion = None;
        owners.push(us);
    }
    let version = claim.resource_version();
    let patch = json!({"metadata": {"ownerReferences": owners, "resourceVersion": version}});
    let params = PatchParams { field_manager: Some(names::MANAGER.to_owned()), ..PatchParams::default() };
    context.write("claim", api.patch(name, &params, &Patch::Merge(patch))).await?;
    Ok(())
}

async fn grow_claim(context: &Context, cluster: &Cluster, name: &str, size: &str) -> Result<(), LookError> {
    let patch = json!({"spec": {"resources": {"requests": {"storage": size}}}});
    let params = PatchParams { field_manager: Some(names::MANAGER.to_owned()), ..PatchParams::default() };
    let api = claims(context, cluster);
    context.write("claim", api.patch(name, &params, &Patch::Merge(patch))).await?;
    context.events.normal(cluster, "VolumeGrows", &format!("{name} grows to {size}")).await;
    Ok(())
}

async fn delete_claim(context: &Context, cluster: &Cluster, name: &str, uid: &str) -> Result<(), LookError> {
    let only = Preconditions { uid: Some(uid.to_owned()), resource_version: None };
    let params = DeleteParams::default().preconditions(only);
    let deleted = context.write("claim", claims(context, cluster).delete(name, &params)).await;
    if if_there(deleted)?.is_some() {
        let note = format!("{name} goes: its broker has left with nothing on it");
        context.events.normal(cluster, "VolumeDeleted", &note).await;
    }
    Ok(())
}

async fn label_rack(context: &Context, cluster: &Cluster, pod: &str, node: &str) -> Result<(), LookError> {
    let Some(rack) = cluster.spec.rack.as_ref().filter(|_| context.read_nodes) else { return Ok(()) };
    let nodes: Api<Node> = Api::all(context.client.clone());
    let Some(node) = nodes.get_opt(node).await? else { return Ok(()) };
    let Some(zone) = node.labels().get(&rack.topology_key) else { return Ok(()) };
    let pods: Api<Pod> = Api::namespaced(context.client.clone(), &cluster.namespace().unwrap_or_default());
    let patch = json!({"metadata": {"labels": {&rack.topology_key: zone}}});
    let params = PatchParams { field_manager: Some(names::MANAGER.to_owned()), ..PatchParams::default() };
    context.write("pod label", pods.patch(pod, &params, &Patch::Merge(patch))).await?;
    Ok(())
}
