//! The target assignment: when it is computed, and what of it is written.

use super::assignor::{MemberSpec, TopicSpec, TopicSpecs, assign};
use super::draft::Draft;
use crate::group::records::{Record, TargetValue};
use crate::group::timers::{Key, Purpose};
use crate::group::turn::Turn;
use ottla_types::{TimestampMs, TopicId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Computes a new target if the group has changed since the last one and enough time has passed (KIP-1263). False
/// if it must wait; a timer is set then.
pub(super) fn update_target(draft: &mut Draft<'_>, turn: &mut Turn<'_>) -> bool {
    let group = draft.group();
    if group.epoch <= group.assignment_epoch {
        return true;
    }
    let interval_ms = turn.settings.consumer_assignment_interval_ms(&group.id);
    let last = group.assignment_timestamp_ms;
    let left_ms = last.saturating_add(TimestampMs::from(interval_ms)).saturating_sub(turn.at.wall_ms);
    // A clock that went back must not delay by more than the interval.
    if last > 0 && left_ms > 0 && last <= turn.at.wall_ms {
        let left_ms = i32::try_from(left_ms).unwrap_or(interval_ms);
        turn.set_timer(Key::ConsumerAssign(Arc::clone(&group.id)), left_ms, Purpose::Plain);
        return false;
    }
    compute_target(draft, turn);
    true
}

/// Computes the target and plans what changed of it.
pub(in crate::group) fn compute_target(draft: &mut Draft<'_>, turn: &Turn<'_>) {
    let group = draft.group();
    let (topics, ids) = topic_specs(draft, turn);
    let members: Vec<MemberSpec> = group
        .members
        .values()
        .map(|member| {
            let subscribed = group.topics_of(&member.about).filter_map(|name| ids.get(name).copied());
            MemberSpec {
                id: Arc::clone(&member.id),
                instance_id: member.about.instance_id.clone(),
                rack_id: member.about.rack_id.clone(),
                topics: subscribed.collect(),
                current: group.target(&member.id),
            }
        })
        .collect();
    let assignor = group.preferred_assignor(&turn.settings.broker.group_consumer_assignors);
    let targets = assign(assignor, &members, &topics);
    let id = Arc::clone(&group.id);
    let epoch = group.epoch;
    let mut records = Vec::new();
    for (member, target) in group.members.values().zip(targets) {
        if group.targets.get(&member.id).is_none_or(|known| **known != target) {
            records.push(member.target_record(&id, &target));
        }
    }
    records.into_iter().for_each(|record| draft.push(record));
    let value = TargetValue { assignment_epoch: epoch, assignment_timestamp_ms: turn.at.wall_ms };
    draft.push(Record::Target(id, Some(value)));
}

fn topic_specs(draft: &Draft<'_>, turn: &Turn<'_>) -> (TopicSpecs, BTreeMap<Arc<str>, TopicId>) {
    let mut specs = TopicSpecs::new();
    let mut ids = BTreeMap::new();
    for topic in draft.group().subscribed_topics().into_iter().filter_map(|name| turn.topics.by_name(name)) {
        ids.insert(topic.name, topic.id);
        specs.insert(topic.id, TopicSpec { partitions: topic.partitions, racks: topic.racks });
    }
    (specs, ids)
}

/// The ids of the topics that a member subscribes to.
pub(super) fn subscribed_ids(draft: &Draft<'_>, turn: &Turn<'_>, member_id: &str) -> BTreeSet<TopicId> {
    let group = draft.group();
    let Some(member) = group.members.get(member_id) else { return BTreeSet::new() };
    let known = group.topics_of(&member.about).filter_map(|name| turn.topics.by_name(name));
    known.map(|topic| topic.id).collect()
}
