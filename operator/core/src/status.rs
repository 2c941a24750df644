//! What is said of a cluster: a pure function of what was seen, planned, and came of it.

use crate::cluster::{BrokerStatus, ClusterStatus, PartitionCounts, StepStatus};
use crate::conditions;
use crate::names;
use crate::observed::{BrokersView, Observed, PodView};
use crate::plan::{Plan, Wait, Work};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;

/// What came of a plan.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Why the step that takes a broker away was not taken, in place of what the plan says.
    pub wait: Option<(Wait, String)>,
    /// What went wrong, in words.
    pub errors: Vec<String>,
    /// Settings that the brokers refused.
    pub refused_settings: Option<String>,
}

/// The status of a cluster.
#[must_use]
pub fn of(observed: &Observed<'_>, plan: &Plan, outcome: &Outcome, now: Timestamp) -> ClusterStatus {
    let cluster = observed.cluster;
    let before = cluster.status.clone().unwrap_or_default();
    let (name, namespace) = (cluster.name_any(), cluster.namespace().unwrap_or_default());
    let view = observed.brokers.as_ref().ok();
    let image = plan.shape.as_ref().map(|shape| shape.image.clone()).or_else(|| before.image.clone());
    let ready = observed.pods.values().filter(|pod| pod.is_ready).count();
    let work = plan.work.as_ref().map(|work| with_outcome(work, outcome));
    let mut status = ClusterStatus {
        observed_generation: cluster.metadata.generation,
        replicas: count(observed.pods.len()),
        selector: names::selector_text(&name),
        ready_brokers: format!("{ready}/{}", plan.replicas),
        version: image.as_deref().and_then(tag),
        image,
        default_image: before.default_image.or_else(|| Some(observed.default_image.to_owned())),
        cluster_id: view.map(|view| view.cluster_id.clone()).or(before.cluster_id),
        bootstrap: Some(names::bootstrap_address(&name, &namespace)),
        controller: view.map(|view| view.controller).filter(|id| *id >= 0),
        voters: view.map_or(before.voters, voters),
        brokers: brokers(observed, plan, &before.brokers),
        partitions: view.map(partitions),
        step: work.as_ref().map(|work| step(work, observed, before.step.as_ref(), now)),
        spreading: before.spreading,
        leaving: before.leaving,
        dynamic_config_keys: before.dynamic_config_keys,
        conditions: before.conditions,
    };
    let mut said = Said { conditions: &mut status.conditions, generation: cluster.metadata.generation };
    said.ready(observed, plan);
    said.healthy(observed, outcome);
    said.progressing(plan, work.as_ref());
    said.configured(plan, outcome);
    said.quiesced(observed);
    conditions::stamp(&mut status.conditions, now);
    status
}

fn with_outcome(work: &Work, outcome: &Outcome) -> Work {
    let mut work = work.clone();
    if let Some((wait, message)) = &outcome.wait {
        work.wait = Some(*wait);
        work.message.clone_from(message);
    }
    work
}

fn count(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// The tag of an image's name.
fn tag(image: &str) -> Option<String> {
    let name = image.rsplit('/').next()?.split('@').next()?;
    name.split_once(':').map(|(_, tag)| tag.to_owned())
}

fn voters(view: &BrokersView) -> Vec<i32> {
    view.brokers.iter().filter(|(_, broker)| broker.is_voter).map(|(id, _)| *id).collect()
}

fn brokers(observed: &Observed<'_>, plan: &Plan, before: &[BrokerStatus]) -> Vec<BrokerStatus> {
    let mut all: Vec<_> = observed.pods.iter().map(|(&id, pod)| broker(observed, plan, id, pod)).collect();
    if observed.pods.is_empty() || observed.cluster.spec.hibernate {
        // Asleep, or on the way: who was there is who comes back.
        let gone = before.iter().filter(|broker| !observed.pods.contains_key(&broker.id));
        all.extend(gone.map(|broker| BrokerStatus {
            ready: false,
            in_sync: false,
            leaders: 0,
            restart_reason: None,
            problem: None,
            ..broker.clone()
        }));
        all.sort_unstable_by_key(|broker| broker.id);
    }
    all
}

fn broker(observed: &Observed<'_>, plan: &Plan, id: i32, pod: &PodView) -> BrokerStatus {
    let view = observed.brokers.as_ref().ok().and_then(|view| view.brokers.get(&id));
    let reason = plan.restarts.iter().find(|(broker, _)| *broker == id).map(|(_, reason)| reason.clone());
    BrokerStatus {
        id,
        pod: pod.name.clone(),
        directory_id: view.map(|view| view.directory_id.clone()),
        version: view
            .map(|view| view.version.clone())
            .filter(|version| !version.is_empty())
            .or_else(|| tag(&pod.image)),
        ready: pod.is_ready,
        in_sync: view.is_some_and(|view| view.is_active && view.is_caught_up),
        leaders: view.map_or(0, |view| view.leaders),
        replicas: view.map_or(0, |view| view.replicas),
        cordoned: view.is_some_and(|view| view.is_cordoned),
        restart_reason: reason,
        problem: pod.problem.clone(),
    }
}

fn partitions(view: &BrokersView) -> PartitionCounts {
    let number = |is: &dyn Fn(&crate::observed::PartitionView) -> bool| {
        count(view.partitions.iter().filter(|at| is(at)).count())
    };
    PartitionCounts {
        total: count(view.partitions.len()),
        under_replicated: number(&|at| !at.is_moving && at.isr.len() < at.replicas.len()),
        under_min_isr: view.under_min_isr,
        offline: number(&|at| at.leader < 0),
        single_replica: number(&|at| at.replicas.len() == 1),
    }
}

fn step(work: &Work, observed: &Observed<'_>, before: Option<&StepStatus>, now: Timestamp) -> StepStatus {
    let kind = work.kind.word();
    let same = before.filter(|before| before.kind == kind);
    let since = same.and_then(|before| before.since.clone()).unwrap_or(Time(now));
    let total = same.map_or(work.remaining, |before| before.total.max(work.remaining));
    let leaving = observed.brokers.iter().flat_map(|view| view.brokers.values());
    let bytes: Vec<i64> = leaving.filter_map(|broker| broker.bytes).collect();
    let done = total - work.remaining;
    let estimated_end = (done > 0 && work.remaining > 0)
        .then(|| {
            let elapsed = now.duration_since(since.0).as_secs();
            let left = elapsed.saturating_mul(i64::from(work.remaining)) / i64::from(done);
            now.checked_add(SignedDuration::from_secs(left)).ok().map(Time)
        })
        .flatten();
    StepStatus {
        kind: kind.to_owned(),
        broker: work.broker,
        waiting_for: work.wait.map(|wait| wait.word().to_owned()),
        message: work.message.clone(),
        since: Some(since),
        remaining: work.remaining,
        total,
        remaining_bytes: (!bytes.is_empty()).then(|| bytes.iter().sum()),
        estimated_end,
    }
}

struct Said<'a> {
    conditions: &'a mut Vec<Condition>,
    generation: Option<i64>,
}

impl Said<'_> {
    fn set(&mut self, kind: &str, is_true: bool, reason: &str, message: &str) {
        conditions::set(self.conditions, kind, is_true, reason, message, self.generation);
    }

    /// Clients are served: as many brokers as there should be, but for one that is away with its permit.
    fn ready(&mut self, observed: &Observed<'_>, plan: &Plan) {
        if observed.cluster.spec.hibernate {
            return self.set("Ready", false, "Hibernating", "all brokers are stopped");
        }
        let view = match &observed.brokers {
            Ok(view) => view,
            Err(error) if observed.pods.is_empty() => {
                return self.set("Ready", false, "Creating", &format!("no broker is there yet: {error}"));
            }
            Err(error) => return self.set("Ready", false, "BrokersUnreachable", error),
        };
        let offline = view.partitions.iter().filter(|at| at.leader < 0).count();
        if offline > 0 {
            return self.set("Ready", false, "Offline", &format!("{offline} partitions have no leader"));
        }
        // What the brokers say of each other is known before Kubernetes has asked them.
        let serves =
            |id: &i32| view.brokers.get(id).is_some_and(|broker| broker.is_active && broker.is_caught_up);
        let ready = observed.pods.iter().filter(|(id, pod)| pod.is_ready || serves(id)).count();
        let away = view.brokers.values().filter(|broker| broker.permit.is_some()).count();
        let stopping = observed.pods.values().filter(|pod| pod.is_deleting).count();
        let spared = away.max(stopping).min(1);
        let was_ready = conditions::is_true(self.conditions, "Ready");
        let spared = if was_ready { spared } else { 0 };
        if count(ready + spared) >= plan.replicas {
            return self.set("Ready", true, "Ready", "");
        }
        let problem = observed.pods.values().find_map(|pod| pod.problem.clone()).unwrap_or_default();
        let message = format!("{ready} of {} brokers are ready {problem}", plan.replicas);
        self.set("Ready", false, "BrokersNotReady", message.trim_end());
    }

    /// Nothing needs a person.
    fn healthy(&mut self, observed: &Observed<'_>, outcome: &Outcome) {
        let mut wrong: Vec<String> = outcome.errors.clone();
        for (broker, pod) in &observed.pods {
            wrong.extend(pod.problem.as_ref().map(|problem| format!("broker {broker}: {problem}")));
        }
        let reason = match &observed.brokers {
            Err(error) if !observed.cluster.spec.hibernate => {
                wrong.push(error.clone());
                "BrokersUnreachable"
            }
            Ok(view) => {
                let counts = partitions(view);
                for (number, what) in [
                    (counts.offline, "without a leader"),
                    (counts.under_min_isr, "with fewer replicas in sync than min.insync.replicas"),
                    (counts.under_replicated, "under-replicated"),
                ] {
                    if number > 0 {
                        wrong.push(format!("{number} partitions {what}"));
                    }
                }
                if counts.offline + counts.under_replicated > 0 { "UnderReplicated" } else { "Problems" }
            }
            Err(_) => "Problems",
        };
        match wrong.is_empty() {
            true => self.set("Healthy", true, "Healthy", ""),
            false => self.set("Healthy", false, reason, &wrong.join("; ")),
        }
    }

    fn progressing(&mut self, plan: &Plan, work: Option<&Work>) {
        match work {
            Some(work) => self.set("Progressing", true, work.kind.word(), &work.message),
            None if plan.disruption.is_some() || !plan.steps.is_empty() => {
                self.set("Progressing", true, "Changing", "");
            }
            None => self.set("Progressing", false, "Done", ""),
        }
    }

    fn configured(&mut self, plan: &Plan, outcome: &Outcome) {
        if !plan.invalid.is_empty() {
            let reasons: Vec<String> = plan.invalid.iter().map(ToString::to_string).collect();
            return self.set("ConfigurationApplied", false, "InvalidSpec", &reasons.join("; "));
        }
        if let Some(refused) = &outcome.refused_settings {
            return self.set("ConfigurationApplied", false, "SettingsRefused", refused);
        }
        if !plan.restarts.is_empty() {
            let who: Vec<String> = plan.restarts.iter().map(|(broker, _)| broker.to_string()).collect();
            let message = format!("brokers {} are still to restart", who.join(", "));
            return self.set("ConfigurationApplied", false, "RestartPending", &message);
        }
        self.set("ConfigurationApplied", true, "Applied", "");
    }

    /// Nothing moves, because somebody wanted it so.
    fn quiesced(&mut self, observed: &Observed<'_>) {
        let spec = &observed.cluster.spec;
        match (spec.hibernate, observed.pods.len()) {
            (true, 0) => self.set("Quiesced", true, "Hibernating", "all brokers are stopped, volumes stay"),
            (true, left) => self.set("Quiesced", false, "Stopping", &format!("{left} brokers still stop")),
            (false, _) if spec.paused => {
                self.set("Quiesced", true, "Paused", "the operator changes nothing while paused is set");
            }
            (false, _) => self.set("Quiesced", false, "Working", ""),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_images_tag_is_told_from_a_registrys_port_and_a_digest() {
        assert_eq!(tag("ottla:1.2").as_deref(), Some("1.2"));
        assert_eq!(tag("host:5000/a/ottla:1.2@sha256:00").as_deref(), Some("1.2"));
        assert_eq!(tag("host:5000/ottla"), None);
    }
}
