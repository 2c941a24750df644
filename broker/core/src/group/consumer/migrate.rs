//! A group changes its protocol while it has members (KIP-848, online migration).

use super::classic::assignment_of;
use super::draft::Draft;
use super::member::{Member, MemberState, Owned};
use super::state::Group;
use super::subscription::metadata_hash;
use crate::group::classic;
use crate::group::consumer_protocol::{Assignment, Subscription, decode_assignment};
use crate::group::records::{ClassicMetadata, GroupValue, MemberValue, Record, TargetValue};
use crate::group::turn::{Refusal, Turn};
use ottla_types::{ErrorCode, TopicId};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The consumer group that a classic group becomes when the first consumer member joins; its records begin with
/// the classic group's tombstone.
///
/// # Errors
/// `GROUP_ID_NOT_FOUND` where the settings or the group's size forbid it or its metadata cannot be read,
/// `UNSUPPORTED_VERSION` where a client's assignor keeps its own data.
pub(in crate::group) fn upgrade(from: &classic::Group, turn: &Turn<'_>) -> Result<Draft<'static>, Refusal> {
    let settings = &turn.settings.broker;
    let allowed = settings.group_consumer_migration_policy.upgrades()
        && from.uses_consumer_protocol()
        && from.members().len() <= settings.group_consumer_max_size;
    let id = from.id();
    if !allowed {
        return Err(Refusal::new(ErrorCode::GroupIdNotFound, format!("Group {id} is not a consumer group.")));
    }
    let mut draft = Draft::of_new(Group::new(Arc::clone(id)));
    draft.push(Record::ClassicGroup(Arc::clone(id), None));
    let epoch = from.generation_id();
    let mut taken = BTreeSet::new();
    let members = from.members().values().map(|member| convert(from, member, turn, &mut taken));
    let mut members = members.collect::<Result<Vec<Member>, Refusal>>()?;
    keep_claims(from, &mut members, turn, &mut taken);
    members.iter().for_each(|member| draft.push(member.about_record(id)));
    let metadata_hash = metadata_hash(draft.group(), turn.topics);
    draft.push(Record::ConsumerGroup(Arc::clone(id), Some(GroupValue { epoch, metadata_hash })));
    for member in &members {
        draft.push(member.target_record(id, &super::request::plain(&member.assigned)));
    }
    let target = TargetValue { assignment_epoch: epoch, assignment_timestamp_ms: 0 };
    draft.push(Record::Target(Arc::clone(id), Some(target)));
    members.iter().for_each(|member| draft.push(member.current_record(id)));
    Ok(draft)
}

fn convert(
    from: &classic::Group,
    member: &classic::Member,
    turn: &Turn<'_>,
    taken: &mut BTreeSet<(TopicId, i32)>,
) -> Result<Member, Refusal> {
    let malformed = |_| {
        let why = format!(
            "Cannot upgrade the classic group {} to consumer group because the embedded consumer protocol is malformed.",
            from.id()
        );
        Refusal::new(ErrorCode::GroupIdNotFound, why)
    };
    let subscription = Subscription::decode(&from.metadata_of(member)).map_err(malformed)?;
    let (assignment, user_data) = match member.assignment.is_empty() {
        true => (Assignment::new(), false),
        false => decode_assignment(&member.assignment).map_err(malformed)?,
    };
    if user_data {
        let why = format!(
            "Cannot upgrade classic group {} to consumer group because an unsupported custom assignor is in use. \
             Switch to a default assignor before re-attempting the upgrade.",
            from.id()
        );
        return Err(Refusal::new(ErrorCode::UnsupportedVersion, why));
    }
    let epoch = from.generation_id();
    let assigned = take(&assignment, epoch, turn, taken);
    let mut subscribed_topics = subscription.topics;
    subscribed_topics.sort_unstable();
    subscribed_topics.dedup();
    let about = MemberValue {
        instance_id: member.instance_id.clone(),
        rack_id: subscription.rack_id,
        client_id: Arc::clone(&member.client_id),
        client_host: Arc::clone(&member.client_host),
        subscribed_topics,
        subscribed_regex: None,
        rebalance_timeout_ms: member.rebalance_timeout_ms,
        server_assignor: None,
        classic: Some(ClassicMetadata {
            session_timeout_ms: member.session_timeout_ms,
            protocols: member.protocols.clone(),
        }),
    };
    let id = Arc::clone(&member.id);
    let pending_revocation = Owned::new();
    Ok(Member {
        id,
        about,
        epoch,
        previous_epoch: epoch,
        state: MemberState::Stable,
        assigned,
        pending_revocation,
    })
}

/// A cooperative member owns what it said as it joined until it joins again without it: before the leader's assignment
/// came, and while it gives up what that took away. Of two that claim a partition the one has it that joined with the
/// later generation.
fn keep_claims(
    from: &classic::Group,
    members: &mut [Member],
    turn: &Turn<'_>,
    taken: &mut BTreeSet<(TopicId, i32)>,
) {
    let known = from.members().values().zip(members);
    let mut claims: Vec<_> = known
        .filter_map(|(known, member)| Some((Subscription::decode(&from.metadata_of(known)).ok()?, member)))
        .collect();
    claims.sort_by_key(|(subscription, _)| std::cmp::Reverse(subscription.generation_id));
    for (subscription, member) in claims {
        for (topic, partitions) in take(&subscription.owned_partitions, member.epoch, turn, taken) {
            member.assigned.entry(topic).or_default().extend(partitions);
        }
    }
}

/// What of these partitions nobody had; a client's assignor that gave one twice must not break the one-owner rule.
fn take(partitions: &Assignment, epoch: i32, turn: &Turn<'_>, taken: &mut BTreeSet<(TopicId, i32)>) -> Owned {
    let mut owned = Owned::new();
    for (name, partitions) in partitions {
        let Some(topic) = turn.topics.by_name(name) else { continue };
        for partition in partitions.iter().filter(|partition| taken.insert((topic.id, **partition))) {
            owned.entry(topic.id).or_default().insert(*partition, epoch);
        }
    }
    owned
}

/// Would the group without this member (which is gone, or replaced by a classic one) be a classic group?
pub(in crate::group) fn may_downgrade(group: &Group, turn: &Turn<'_>, without: &str, replaced: bool) -> bool {
    let mut others = group.members.values().filter(|member| *member.id != *without);
    let count = group.members.len() - usize::from(!replaced);
    let settings = &turn.settings.broker;
    count > 0
        && others.all(|member| member.is_classic())
        && settings.group_consumer_migration_policy.downgrades()
        && count <= settings.group_max_size
}

/// The classic group that a consumer group becomes, all of whose members speak the classic protocol.
pub(in crate::group) fn downgrade(group: &Group, turn: &Turn<'_>) -> classic::Group {
    let mut to = classic::Group::new(Arc::clone(&group.id), turn.at.wall_ms);
    for member in group.members.values() {
        let Some(metadata) = &member.about.classic else { continue };
        // What it was to give up it may still own; should the group become a consumer group again before the member
        // has joined, nobody else may have it.
        let mut held = Member::clone(member);
        for (topic, partitions) in &member.pending_revocation {
            held.assigned.entry(*topic).or_default().extend(partitions);
        }
        let assignment = assignment_of(&held, turn.topics);
        to.adopt(classic::Member::adopted(&member.id, &member.about, metadata, assignment));
    }
    to.adopted(group.epoch, turn.at.wall_ms);
    to
}
