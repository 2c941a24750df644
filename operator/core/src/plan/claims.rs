//! Volumes: they grow, they go with the cluster if the policy says so, and they go after a broker that has left.

use super::{Plan, Step, Wait, Work, WorkKind};
use crate::cluster::Keep;
use crate::observed::Observed;
use crate::quantity::is_larger;

/// Notes the steps; returns the size of volumes that the StatefulSet is to be applied with.
pub(super) fn plan(observed: &Observed<'_>, plan: &mut Plan) -> String {
    let storage = &observed.cluster.spec.storage;
    let made = observed.set.as_ref().and_then(|set| set.claim_size.clone());
    if storage.ephemeral {
        return storage.size.clone();
    }
    let owned = storage.retention.when_deleted == Keep::Delete;
    for claim in observed.claims.values().filter(|claim| !claim.is_deleting && claim.is_owned != owned) {
        plan.steps.push(Step::OwnClaim { name: claim.name.clone(), owned });
    }
    let small: Vec<_> = observed
        .claims
        .values()
        .filter(|claim| claim.size.as_ref().is_some_and(|size| is_larger(&storage.size, size)))
        .collect();
    for claim in &small {
        plan.steps.push(Step::GrowClaim { name: claim.name.clone(), size: storage.size.clone() });
    }
    if !small.is_empty() {
        let remaining = i32::try_from(small.len()).unwrap_or(i32::MAX);
        let message = format!("{remaining} volumes are to grow to {}", storage.size);
        plan.work(Work {
            kind: WorkKind::StorageResize,
            broker: None,
            wait: Some(Wait::Refused),
            message,
            remaining,
        });
    }
    delete_left(observed, plan);
    match made {
        // Kubernetes does not let a StatefulSet's volumes change; another one takes the pods over.
        Some(made) if small.is_empty() && is_larger(&storage.size, &made) => {
            plan.steps.push(Step::OrphanSet);
            made
        }
        Some(made) => made,
        None => storage.size.clone(),
    }
}

/// Claims of brokers that have left, empty and unregistered.
fn delete_left(observed: &Observed<'_>, plan: &mut Plan) {
    let spec = &observed.cluster.spec;
    let (Ok(brokers), Some(set)) = (&observed.brokers, &observed.set) else { return };
    if spec.storage.retention.when_scaled != Keep::Delete || spec.hibernate || set.replicas == 0 {
        return;
    }
    for (&broker, claim) in observed.claims.range(spec.replicas.max(set.replicas)..) {
        let is_known = brokers.brokers.contains_key(&broker) || observed.pods.contains_key(&broker);
        if !is_known && !claim.is_deleting && brokers.is_empty(broker) {
            plan.steps.push(Step::DeleteClaim { name: claim.name.clone(), uid: claim.uid.clone() });
        }
    }
}
