//! What is to happen to one topic.

use super::status::{self, Reason};
use super::{Action, ClusterState, allowed};
use crate::config::Settings;
use crate::observed::{BrokersView, PartitionView};
use crate::plan::Move;
use crate::topic::{AdoptionPolicy, ConfigPolicy, DeletionPolicy, Topic, TopicStatus};
use crate::validate;
use ottla_core::placement;
use ottla_types::BrokerId;
use std::collections::BTreeMap;

/// A resource and what was seen of its topic.
pub(super) struct View<'a> {
    pub topic: &'a Topic,
    /// The resource that has the topic, if that is another one.
    pub older: Option<String>,
    pub partitions: &'a [&'a PartitionView],
}

type Outcome = (Vec<Action>, TopicStatus);

impl View<'_> {
    fn say(&self, actions: Vec<Action>, reason: Reason, message: impl AsRef<str>) -> Outcome {
        let before = self.topic.status.clone().unwrap_or_default();
        (actions, status::with(self, before, reason, message.as_ref()))
    }

    fn noted_id(&self) -> Option<&str> {
        self.topic.status.as_ref().and_then(|status| status.topic_id.as_deref())
    }
}

pub(super) fn plan(view: &View<'_>, cluster: ClusterState<'_>) -> Outcome {
    if view.topic.metadata.deletion_timestamp.is_some() {
        return delete(view, cluster);
    }
    let cluster_name = &view.topic.spec.cluster_ref.name;
    let (brokers, ids, configs) = match cluster {
        ClusterState::Up { brokers, ids, configs } => (brokers, ids, configs),
        ClusterState::Missing => {
            let message = format!("there is no Cluster {cluster_name} in this namespace");
            return view.say(release(view), Reason::ClusterMissing, message);
        }
        ClusterState::Going => {
            return view.say(
                release(view),
                Reason::ClusterMissing,
                format!("Cluster {cluster_name} is going"),
            );
        }
        ClusterState::Unreachable(why) => return view.say(vec![], Reason::ClusterUnreachable, why),
        ClusterState::Paused(why) => return view.say(vec![], Reason::Paused, why),
    };
    if let Some(older) = &view.older {
        let message = format!("Topic {older} is older and has the topic {:?}", view.topic.topic_name());
        return view.say(vec![], Reason::Conflict, message);
    }
    let invalid = validate::topic_config(&view.topic.spec.config);
    if !invalid.is_empty() {
        let reasons: Vec<String> = invalid.iter().map(ToString::to_string).collect();
        return view.say(vec![], Reason::InvalidConfig, reasons.join("; "));
    }
    let held = hold(view);
    match (ids.get(view.topic.topic_name()), view.noted_id()) {
        (None, None) => create(view, brokers, held),
        (None, Some(_)) => {
            let message = "the topic was deleted, and not by this resource; nothing is created in its place, \
                since its records are gone: delete this resource and apply it again for a new topic";
            view.say(vec![], Reason::Missing, message)
        }
        (Some(id), Some(noted)) if id != noted => {
            let message = format!(
                "another topic of this name (id {id}) has taken the place of the one of this resource (id {noted}): \
                 delete this resource and apply it again to take that one over"
            );
            view.say(vec![], Reason::Replaced, message)
        }
        (Some(_), None) if must_not_adopt(view) => {
            let message = "the topic exists already, and adoptionPolicy is Refuse";
            view.say(vec![], Reason::Exists, message)
        }
        (Some(id), _) => change(view, brokers, configs.get(view.topic.topic_name()), held, id),
    }
}

fn must_not_adopt(view: &View<'_>) -> bool {
    let is_creating = view.topic.status.as_ref().is_some_and(|status| status.creating);
    view.topic.spec.adoption_policy == AdoptionPolicy::Refuse && !is_creating
}

/// The finalizer is there exactly where the topic is to go with the resource.
fn hold(view: &View<'_>) -> Vec<Action> {
    match (view.topic.spec.deletion_policy, view.topic.has_finalizer()) {
        (DeletionPolicy::Delete, false) => vec![Action::AddFinalizer],
        (DeletionPolicy::Retain, true) => vec![Action::RemoveFinalizer],
        _ => vec![],
    }
}

fn release(view: &View<'_>) -> Vec<Action> {
    if view.topic.has_finalizer() { vec![Action::RemoveFinalizer] } else { vec![] }
}

/// Nothing of the resource is left but its finalizer. Only the very topic that was its own is deleted.
fn delete(view: &View<'_>, cluster: ClusterState<'_>) -> Outcome {
    if !view.topic.has_finalizer() {
        return view.say(vec![], Reason::Deleting, "");
    }
    let (ids, noted) = match (cluster, view.noted_id()) {
        (ClusterState::Up { ids, .. }, Some(noted)) => (ids, noted),
        (ClusterState::Unreachable(why) | ClusterState::Paused(why), Some(_)) => {
            return view.say(vec![], Reason::Deleting, format!("the topic cannot be deleted yet: {why}"));
        }
        _ => return view.say(release(view), Reason::Deleting, ""),
    };
    let is_there = ids.get(view.topic.topic_name()).is_some_and(|id| id == noted);
    if is_there && view.topic.spec.deletion_policy == DeletionPolicy::Delete {
        return view.say(vec![Action::Delete], Reason::Deleting, "the topic is being deleted");
    }
    view.say(release(view), Reason::Deleting, "")
}

fn create(view: &View<'_>, brokers: &BrokersView, mut actions: Vec<Action>) -> Outcome {
    let spec = &view.topic.spec;
    let mut assignments = Vec::new();
    if spec.placement.is_some() {
        let copies = usize::try_from(spec.replication_factor.unwrap_or(1)).unwrap_or(1);
        match place(view, brokers, spec.partitions, copies) {
            Ok(placed) => assignments = placed,
            Err(message) => return view.say(vec![], Reason::NoPlacement, message),
        }
    }
    let is_noted = view.topic.status.as_ref().is_some_and(|status| status.creating);
    if spec.adoption_policy == AdoptionPolicy::Refuse && !is_noted {
        actions.push(Action::NoteCreating);
    }
    actions.push(Action::Create {
        partitions: spec.partitions,
        replication_factor: spec.replication_factor,
        assignments,
        config: spec.config.clone(),
    });
    let (actions, mut status) = view.say(actions, Reason::Creating, "the topic is being created");
    status.config_keys = spec.config.keys().cloned().collect();
    (actions, status)
}

fn place(
    view: &View<'_>,
    brokers: &BrokersView,
    partitions: i32,
    copies: usize,
) -> Result<Vec<Vec<i32>>, String> {
    let partitions = usize::try_from(partitions).unwrap_or(0);
    let fleet = allowed(brokers, view.topic);
    let placed = placement::place(&fleet, partitions, copies, seed(view.topic));
    let placed = placed.map_err(|error| format!("in the racks that placement names: {error}"))?;
    Ok(placed.into_iter().map(|set| set.into_iter().map(|id| id.0).collect()).collect())
}

fn seed(topic: &Topic) -> u64 {
    topic.topic_name().bytes().fold(0, |seed, byte| placement::mix(seed ^ u64::from(byte)))
}

/// The topic is there: whatever differs is changed, all of it at once.
fn change(
    view: &View<'_>,
    brokers: &BrokersView,
    config: Option<&Settings>,
    mut actions: Vec<Action>,
    id: &str,
) -> Outcome {
    let spec = &view.topic.spec;
    let mut problem = None;
    let count = i32::try_from(view.partitions.len()).unwrap_or(i32::MAX);
    if count < spec.partitions {
        match grow(view, brokers, count) {
            Ok(grow) => actions.push(grow),
            Err(message) => problem = Some((Reason::NoPlacement, message)),
        }
    } else if count > spec.partitions {
        let message = format!("the topic has {count} partitions, which cannot become {}", spec.partitions);
        problem = Some((Reason::PartitionsCannotShrink, message));
    }
    actions.extend(config.and_then(|now| alter(view, now)));
    match replicate(view, brokers) {
        Ok(moves) if moves.is_empty() => {}
        Ok(moves) => actions.push(Action::Move(moves)),
        Err(message) => problem = problem.or(Some((Reason::NoPlacement, message))),
    }
    let (reason, message) = problem.unwrap_or_else(|| how(view, &actions));
    let (actions, mut status) = view.say(actions, reason, message);
    status.topic_id = Some(id.to_owned());
    status.creating = false;
    if config.is_some() || spec.config.is_empty() && status.config_keys.is_empty() {
        status.config_keys = spec.config.keys().cloned().collect();
    } else {
        // Not looked at this time: remember both what was set and what is to be.
        let both = status.config_keys.iter().chain(spec.config.keys()).cloned();
        status.config_keys = both.collect::<std::collections::BTreeSet<_>>().into_iter().collect();
    }
    (actions, status)
}

/// How a topic is that is there.
fn how(view: &View<'_>, actions: &[Action]) -> (Reason, String) {
    let is_changing = |action: &Action| !matches!(action, Action::AddFinalizer | Action::RemoveFinalizer);
    let moving = view.partitions.iter().filter(|at| at.is_moving).count();
    let offline = view.partitions.iter().filter(|at| at.leader < 0).count();
    if actions.iter().any(is_changing) {
        (Reason::Changing, "the topic is being changed".to_owned())
    } else if moving > 0 {
        (Reason::Moving, format!("{moving} partitions are moving"))
    } else if offline > 0 {
        (Reason::Offline, format!("{offline} partitions have no leader"))
    } else {
        (Reason::Ready, String::new())
    }
}

fn grow(view: &View<'_>, brokers: &BrokersView, count: i32) -> Result<Action, String> {
    let spec = &view.topic.spec;
    let mut assignments = None;
    if spec.placement.is_some() {
        let copies = view.partitions.iter().map(|at| at.replicas.len()).max().unwrap_or(1);
        assignments = Some(place(view, brokers, spec.partitions - count, copies)?);
    }
    Ok(Action::Grow { count: spec.partitions, assignments })
}

fn alter(view: &View<'_>, now: &Settings) -> Option<Action> {
    let spec = &view.topic.spec;
    let differs = |(key, value): &(&String, &String)| now.get(*key) != Some(*value);
    let set: Settings =
        spec.config.iter().filter(differs).map(|(key, value)| (key.clone(), value.clone())).collect();
    let noted = view.topic.status.as_ref().map(|status| status.config_keys.as_slice()).unwrap_or_default();
    let is_ours = |key: &String| spec.config_policy == ConfigPolicy::Exact || noted.contains(key);
    let delete: Vec<String> =
        now.keys().filter(|key| !spec.config.contains_key(*key) && is_ours(key)).cloned().collect();
    (!set.is_empty() || !delete.is_empty()).then_some(Action::Alter { set, delete })
}

/// Moves after which every partition has as many replicas as it should.
fn replicate(view: &View<'_>, brokers: &BrokersView) -> Result<Vec<Move>, String> {
    let Some(wanted) = view.topic.spec.replication_factor.and_then(|factor| usize::try_from(factor).ok())
    else {
        return Ok(vec![]);
    };
    let due: Vec<&&PartitionView> =
        view.partitions.iter().filter(|at| at.replicas.len() != wanted && !at.is_moving).collect();
    if due.is_empty() {
        return Ok(vec![]);
    }
    let sets: Vec<Vec<BrokerId>> =
        due.iter().map(|at| at.replicas.iter().copied().map(BrokerId).collect()).collect();
    let fleet = allowed(brokers, view.topic);
    let moves = placement::change_replication_factor(&fleet, &sets, wanted, seed(view.topic))
        .map_err(|error| error.to_string())?;
    let places: BTreeMap<usize, &&PartitionView> = due.into_iter().enumerate().collect();
    let each = moves.into_iter().filter_map(|planned| {
        let at = places.get(&planned.partition)?;
        let replicas = planned.replicas.iter().map(|id| id.0).collect();
        Some(Move { topic: at.topic.clone(), partition: at.partition, replicas })
    });
    Ok(each.collect())
}
