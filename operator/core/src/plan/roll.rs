//! Restarts: one broker at a time, and only while all others are there.
//!
//! Whether a broker may go is for the brokers to say; here it is decided whom to ask for. A broker in whose pod nothing
//! runs disturbs nobody, so it is made anew at once: a mistake in the settings is repaired by the next settings.

use super::size::Size;
use super::{Disruption, Plan, Restart, Step, Wait, Work, WorkKind};
use crate::observed::{BrokersView, Observed, PodView};
use std::collections::BTreeMap;

/// Brokers that have to restart, and why.
pub(super) fn restarts(observed: &Observed<'_>, hash: &str) -> Vec<(i32, String)> {
    let asked = observed.set.as_ref().and_then(|set| set.restarted_at.clone());
    let reason = |pod: &PodView| {
        if pod.hash.as_deref() != Some(hash) {
            Some("its settings, image or pod template have changed".to_owned())
        } else if asked.is_some() && pod.restarted_at != asked {
            Some("kubectl rollout restart".to_owned())
        } else {
            None
        }
    };
    observed.pods.iter().filter_map(|(&broker, pod)| Some((broker, reason(pod)?))).collect()
}

pub(super) fn plan(observed: &Observed<'_>, size: &Size, plan: &mut Plan) {
    if size.is_hibernating || plan.disruption.is_some() {
        return;
    }
    let due: BTreeMap<i32, String> = plan.restarts.iter().cloned().collect();
    let leaders =
        observed.brokers.as_ref().map(|view| without_their_leader(observed, view)).unwrap_or_default();
    if !leaders.is_empty() {
        plan.steps.push(Step::ElectPreferred(leaders.clone()));
    }
    if due.is_empty() {
        return;
    }
    let remaining = i32::try_from(due.len()).unwrap_or(i32::MAX);
    let work = |broker: Option<i32>, wait: Option<Wait>, message: String| Work {
        kind: WorkKind::Roll,
        broker,
        wait,
        message,
        remaining,
    };
    if observed.cluster.spec.rollout.paused {
        let message = format!("{remaining} brokers are to restart, and restarts are paused");
        plan.work(work(None, Some(Wait::Paused), message));
        return;
    }
    if !is_settled(observed, plan) {
        let message = "Kubernetes has not taken over the new pod template yet".to_owned();
        plan.work(work(None, Some(Wait::PodMissing), message));
        return;
    }
    if let Some(dead) = dead(observed, &due) {
        let message = format!("broker {} does not run and is made anew", dead.broker);
        plan.work(work(Some(dead.broker), None, message));
        plan.disruption = Some(Disruption::Restart(vec![dead]));
        return;
    }
    if let Some((broker, wait, message)) = obstacle(observed, &due, size, &leaders) {
        plan.work(work(broker, Some(wait), message));
        return;
    }
    let Ok(view) = &observed.brokers else { return };
    let choices = choices(observed, view, &due, size);
    if let Some(first) = choices.first() {
        plan.work(work(
            Some(first.broker),
            None,
            format!("broker {} restarts: {}", first.broker, first.reason),
        ));
        plan.disruption = Some(Disruption::Restart(choices));
    }
}

/// A pod that goes now comes back as it is wanted.
fn is_settled(observed: &Observed<'_>, plan: &Plan) -> bool {
    let wanted = plan.shape.as_ref().map(|shape| shape.hash.as_str());
    observed.set.as_ref().is_some_and(|set| set.is_settled && Some(set.hash.as_str()) == wanted)
}

/// A broker that is due and in whose pod nothing runs.
fn dead(observed: &Observed<'_>, due: &BTreeMap<i32, String>) -> Option<Restart> {
    due.iter().find_map(|(&broker, reason)| {
        let pod = observed.pods.get(&broker)?;
        (!pod.is_running && !pod.is_deleting).then(|| restart(broker, pod, None, reason))
    })
}

/// What has to come to pass before the next broker may go.
fn obstacle(
    observed: &Observed<'_>,
    due: &BTreeMap<i32, String>,
    size: &Size,
    leaders: &[(String, i32)],
) -> Option<(Option<i32>, Wait, String)> {
    if let Some((&broker, pod)) = observed.pods.iter().find(|(_, pod)| pod.is_deleting) {
        return Some((Some(broker), Wait::PodStopping, format!("{} is being stopped", pod.name)));
    }
    if let Some(broker) = (0..size.replicas).find(|id| !observed.pods.contains_key(id)) {
        return Some((Some(broker), Wait::PodMissing, format!("broker {broker} has no pod")));
    }
    let view = match &observed.brokers {
        Ok(view) => view,
        Err(error) => return Some((None, Wait::BrokersUnreachable, error.clone())),
    };
    let done = observed.pods.iter().filter(|(broker, _)| !due.contains_key(broker));
    for (&broker, pod) in done {
        if !pod.is_ready {
            let problem = pod.problem.as_deref().unwrap_or("it is not ready");
            return Some((Some(broker), Wait::BrokerNotBack, format!("broker {broker}: {problem}")));
        }
        if !view.brokers.get(&broker).is_some_and(|view| view.is_active && view.is_caught_up) {
            let message = format!("broker {broker} is not in sync with every replica on it");
            return Some((Some(broker), Wait::BrokerNotBack, message));
        }
    }
    let held = view.brokers.iter().find(|(broker, view)| view.permit.is_some() && !due.contains_key(broker));
    if let Some((&broker, _)) = held {
        let message = format!("broker {broker} has the permit to be away");
        return Some((Some(broker), Wait::OtherPermit, message));
    }
    if let Some((topic, partition)) = leaders.first() {
        let message = format!("{topic}-{partition} is not led by its preferred leader again");
        return Some((None, Wait::LeadersNotBack, message));
    }
    None
}

/// Whom to ask for, in order: who has a permit already, who is not ready anyway, the others; the controller last, so
/// that it moves once.
fn choices(
    observed: &Observed<'_>,
    view: &BrokersView,
    due: &BTreeMap<i32, String>,
    size: &Size,
) -> Vec<Restart> {
    let mut ordered: Vec<(&i32, &String)> =
        due.iter().filter(|(broker, _)| !size.leaving.contains(broker)).collect();
    ordered.sort_by_key(|(broker, _)| {
        let has_permit = view.brokers.get(broker).is_some_and(|view| view.permit.is_some());
        let is_ready = observed.pods.get(broker).is_some_and(|pod| pod.is_ready);
        (!has_permit, is_ready, **broker == view.controller, **broker)
    });
    let each = ordered.into_iter().filter_map(|(broker, reason)| {
        let pod = observed.pods.get(broker)?;
        let epoch = view.brokers.get(broker).map(|view| view.epoch);
        // A broker that runs, is ready and is unknown to the others is something else: leave it alone.
        (epoch.is_some() || !pod.is_ready).then(|| restart(*broker, pod, epoch, reason))
    });
    each.collect()
}

fn restart(broker: i32, pod: &PodView, broker_epoch: Option<i64>, reason: &str) -> Restart {
    Restart {
        broker,
        pod: pod.name.clone(),
        uid: pod.uid.clone(),
        resource_version: pod.resource_version.clone(),
        broker_epoch,
        reason: reason.to_owned(),
    }
}

/// Partitions whose preferred leader is there and in sync, and that somebody else leads.
fn without_their_leader(observed: &Observed<'_>, view: &BrokersView) -> Vec<(String, i32)> {
    let is_off =
        observed.cluster.spec.config.get("auto.leader.rebalance.enable").is_some_and(|is| is == "false");
    let someone_goes = observed.pods.values().any(|pod| pod.is_deleting)
        || view.brokers.values().any(|broker| broker.permit.is_some());
    if is_off || someone_goes {
        return Vec::new();
    }
    let elsewhere = view.partitions.iter().filter(|at| {
        let Some(preferred) = at.replicas.first() else { return false };
        let can_lead =
            view.brokers.get(preferred).is_some_and(|broker| broker.is_active && broker.is_caught_up);
        can_lead && at.leader != *preferred && at.isr.contains(preferred) && !at.is_moving
    });
    elsewhere.map(|at| (at.topic.clone(), at.partition)).collect()
}
