//! How many brokers there are to be: up, down, none for a while.
//!
//! The StatefulSet only ever loses its last broker, one at a time, and only after the brokers have said that nothing
//! of the cluster is on it. Putting the number back at any point turns everything round.

use super::{Disruption, Plan, Step, Wait, Work, WorkKind};
use crate::observed::{BrokerView, Observed};

/// What was decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Size {
    /// Pods that the StatefulSet is to have now.
    pub replicas: i32,
    /// Brokers that there are.
    pub current: i32,
    /// Brokers on their way out.
    pub leaving: Vec<i32>,
    /// There is not to be any pod.
    pub is_hibernating: bool,
}

pub(super) fn decide(observed: &Observed<'_>) -> Size {
    let spec = &observed.cluster.spec;
    let set = observed.set.as_ref().map_or(0, |set| set.replicas);
    // Without pods, what the status remembers: nobody is left behind by a sleep or a StatefulSet that was deleted.
    let current = if set > 0 { set } else { known(observed) };
    // Registered brokers without a pod leave too: their place in the quorum would never be free.
    let registered = observed.brokers.as_ref().ok().and_then(|view| view.brokers.keys().next_back().copied());
    let highest = current.max(registered.map_or(0, |id| id + 1));
    let leaving: Vec<i32> = (spec.replicas..highest).collect();
    let replicas = if spec.hibernate {
        0
    } else if set == 0 || current <= spec.replicas {
        spec.replicas.max(current)
    } else if may_lose_last(observed, current) {
        current - 1
    } else {
        current
    };
    Size { replicas, current, leaving, is_hibernating: spec.hibernate }
}

/// One more than the highest id of a broker that has been seen.
fn known(observed: &Observed<'_>) -> i32 {
    let noted = observed.cluster.status.iter().flat_map(|status| &status.brokers).map(|broker| broker.id);
    let pods = observed.pods.keys().copied();
    noted.chain(pods).max().map_or(0, |highest| highest + 1)
}

/// The proof that nothing is left on the last broker, and nobody else on the way down or up.
fn may_lose_last(observed: &Observed<'_>, current: i32) -> bool {
    let (Ok(brokers), last) = (&observed.brokers, current - 1) else { return false };
    let is_in_the_way =
        |(id, broker): (&i32, &BrokerView)| broker.is_voter || !broker.is_active && brokers.is_empty(*id);
    if brokers.brokers.range(current..).any(is_in_the_way) {
        // Those without a pod are unregistered first: who is away must not outvote who is left.
        return false;
    }
    let is_open = brokers.brokers.get(&last).is_some_and(|broker| !broker.is_cordoned);
    let someone_stops = observed.pods.values().any(|pod| pod.is_deleting);
    !is_open && !someone_stops && brokers.is_empty(last) && too_many_replicas(observed).is_none()
}

/// A topic that has more replicas than there would be brokers.
fn too_many_replicas(observed: &Observed<'_>) -> Option<(usize, String)> {
    let wanted = usize::try_from(observed.cluster.spec.replicas).unwrap_or(0);
    let (largest, topic) = observed.brokers.as_ref().ok()?.largest_replication_factor()?;
    (largest > wanted).then(|| (largest, topic.to_owned()))
}

pub(super) fn plan(observed: &Observed<'_>, size: &Size, plan: &mut Plan) {
    if size.is_hibernating {
        hibernate(observed, plan);
        return;
    }
    if let Ok(brokers) = &observed.brokers {
        if let Some((largest, topic)) = too_many_replicas(observed).filter(|_| !size.leaving.is_empty()) {
            let wanted = observed.cluster.spec.replicas;
            let message = format!(
                "topic {topic} has {largest} replicas, which {wanted} brokers cannot hold: give it fewer first"
            );
            plan.work(work(
                WorkKind::ScaleDown,
                None,
                Some(Wait::ReplicationFactor),
                message,
                size.leaving.len(),
            ));
            stay(observed, &[], plan);
        } else {
            leave(observed, &size.leaving, plan);
            stay(observed, &size.leaving, plan);
        }
        if size.replicas < size.current && observed.set.as_ref().is_some_and(|set| set.replicas > 0) {
            plan.disruption = Some(Disruption::Remove { broker: size.current - 1 });
        }
        let set =
            observed.set.as_ref().map_or(i32::MAX, |set| set.replicas.max(observed.cluster.spec.replicas));
        for (&broker, view) in brokers.brokers.range(set..) {
            if !observed.pods.contains_key(&broker) && !view.is_active && brokers.is_empty(broker) {
                plan.steps.push(Step::Unregister { broker });
            }
        }
    } else if !size.leaving.is_empty() {
        let message = "the brokers must say that nothing is left on those that leave".to_owned();
        let wait = Some(Wait::BrokersUnreachable);
        plan.work(work(WorkKind::ScaleDown, None, wait, message, size.leaving.len()));
    }
    arrive(observed, size, plan);
    label_racks(observed, plan);
}

fn hibernate(observed: &Observed<'_>, plan: &mut Plan) {
    if observed.set.as_ref().is_some_and(|set| set.replicas > 0) {
        plan.disruption = Some(Disruption::Hibernate);
    }
    let waits = |id: &i32| {
        let broker = observed.brokers.as_ref().ok().and_then(|view| view.brokers.get(id));
        broker.is_some_and(|broker| broker.is_active && broker.permit.is_none())
    };
    if observed.pods.keys().any(waits) {
        plan.steps.push(Step::PermitAll);
    }
    if !observed.pods.is_empty() {
        let message = "all brokers stop; their volumes stay".to_owned();
        plan.work(work(WorkKind::Hibernate, None, Some(Wait::PodStopping), message, observed.pods.len()));
    }
}

/// Brokers on their way out get nothing new.
fn leave(observed: &Observed<'_>, leaving: &[i32], plan: &mut Plan) {
    let noted = observed.cluster.status.as_ref().map(|status| status.leaving.as_slice()).unwrap_or_default();
    let registered = observed.brokers.as_ref().map(|view| &view.brokers).ok();
    let mut all: Vec<i32> = noted.iter().chain(leaving).copied().collect();
    all.sort_unstable();
    all.dedup();
    if all != noted {
        // Noted first: whoever is cordoned by the operator is opened by the operator.
        plan.steps.push(Step::NoteLeaving(all));
    }
    for &broker in leaving {
        if registered.and_then(|brokers| brokers.get(&broker)).is_some_and(|view| !view.is_cordoned) {
            plan.steps.push(Step::Cordon { broker, cordoned: true });
        }
    }
}

/// Brokers that were on their way out and are not any more are opened again.
fn stay(observed: &Observed<'_>, leaving: &[i32], plan: &mut Plan) {
    let (Some(status), Ok(view)) = (&observed.cluster.status, &observed.brokers) else { return };
    let returning = status.leaving.iter().filter(|broker| !leaving.contains(broker));
    let mut is_done = true;
    for &broker in returning.filter(|broker| **broker < observed.cluster.spec.replicas) {
        if view.brokers.get(&broker).is_some_and(|view| view.is_cordoned) {
            plan.steps.push(Step::Cordon { broker, cordoned: false });
            is_done = false;
        }
    }
    if is_done && status.leaving.iter().any(|broker| !leaving.contains(broker)) {
        plan.steps.push(Step::NoteLeaving(leaving.to_vec()));
    }
}

/// Brokers that are still to come.
fn arrive(observed: &Observed<'_>, size: &Size, plan: &mut Plan) {
    let set = observed.set.as_ref().map_or(0, |set| set.replicas);
    let is_new = observed.cluster.status.as_ref().is_none_or(|status| status.cluster_id.is_none());
    let missing =
        (0..size.replicas).filter(|id| !observed.pods.get(id).is_some_and(|pod| pod.is_ready)).count();
    let kind = match set {
        _ if is_new => WorkKind::Create,
        0 => WorkKind::Wake,
        set if set < size.replicas => WorkKind::ScaleUp,
        // Fewer pods than a moment ago are somebody's restart and not ours to tell.
        _ => return,
    };
    if missing > 0 {
        let problem = observed.pods.values().find_map(|pod| pod.problem.clone());
        let message =
            problem.unwrap_or_else(|| format!("{missing} of {} brokers are not ready yet", size.replicas));
        plan.work(work(kind, None, Some(Wait::PodMissing), message, missing));
    }
}

fn label_racks(observed: &Observed<'_>, plan: &mut Plan) {
    if observed.cluster.spec.rack.is_none() {
        return;
    }
    for pod in observed.pods.values().filter(|pod| pod.rack.is_none()) {
        if let Some(node) = &pod.node {
            plan.steps.push(Step::LabelRack { pod: pod.name.clone(), node: node.clone() });
        }
    }
}

fn work(kind: WorkKind, broker: Option<i32>, wait: Option<Wait>, message: String, remaining: usize) -> Work {
    Work { kind, broker, wait, message, remaining: i32::try_from(remaining).unwrap_or(i32::MAX) }
}
