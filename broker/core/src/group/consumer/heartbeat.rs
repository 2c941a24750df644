//! ConsumerGroupHeartbeat: join, tell, reconcile.

use super::draft::Draft;
use super::member::{Member, MemberState};
use super::reconcile::Reconciliation;
use super::request::{HeartbeatReply, HeartbeatRequest, JOIN_EPOCH, LEAVE_STATIC_EPOCH, Partitions, plain};
use super::state::Group;
use super::subscription::{metadata_hash, refresh_regexes};
use super::target::{subscribed_ids, update_target};
use crate::group::records::{GroupValue, Record};
use crate::group::settings::AssignorName;
use crate::group::timers::{Key, Purpose};
use crate::group::turn::{Refusal, Turn};
use ottla_types::{ErrorCode, base64_uuid};
use std::sync::Arc;

/// Is the request well formed?
///
/// # Errors
/// `INVALID_REQUEST` or `UNSUPPORTED_ASSIGNOR`, in words.
pub(in crate::group) fn validate(
    request: &HeartbeatRequest<'_>,
    known: &[AssignorName],
) -> Result<(), Refusal> {
    let invalid = |why: &'static str| Err(Refusal::new(ErrorCode::InvalidRequest, why));
    let empty = |text: Option<&str>| text.is_some_and(|text| text.trim().is_empty());
    if request.group_id.trim().is_empty() {
        return invalid("GroupId can't be empty.");
    }
    if empty(request.instance_id) {
        return invalid("InstanceId can't be empty.");
    }
    if empty(request.rack_id) {
        return invalid("RackId can't be empty.");
    }
    match request.member_epoch {
        JOIN_EPOCH => {
            if request.rebalance_timeout_ms < 0 {
                return invalid("RebalanceTimeoutMs must be provided in first request.");
            }
            if request.owned.as_ref().is_none_or(|owned| !owned.is_empty()) {
                return invalid("TopicPartitions must be empty when (re-)joining.");
            }
            if request.subscribed_topics.is_none() && request.subscribed_regex.is_none() {
                return invalid(
                    "Either SubscribedTopicNames or SubscribedTopicRegex must be set in first request.",
                );
            }
        }
        LEAVE_STATIC_EPOCH if request.instance_id.is_none() => return invalid("InstanceId can't be null."),
        _ if request.member_id.is_empty() => return invalid("MemberId can't be empty."),
        epoch if epoch < LEAVE_STATIC_EPOCH => return invalid("MemberEpoch is invalid."),
        _ => {}
    }
    match request.server_assignor.map(AssignorName::from_name) {
        Some(assignor) if !assignor.is_some_and(|assignor| known.contains(&assignor)) => {
            let names: Vec<_> = known.iter().map(|assignor| assignor.name()).collect();
            let asked = request.server_assignor.unwrap_or_default();
            let why = format!(
                "ServerAssignor {asked} is not supported. Supported assignors: {}.",
                names.join(", ")
            );
            Err(Refusal::new(ErrorCode::UnsupportedAssignor, why))
        }
        _ => Ok(()),
    }
}

/// Handles a heartbeat that does not leave. The second value says that the group is up to date with the topics'
/// version.
///
/// # Errors
/// `UNKNOWN_MEMBER_ID`, `FENCED_MEMBER_EPOCH`, `FENCED_INSTANCE_ID`, `UNRELEASED_INSTANCE_ID`,
/// `GROUP_MAX_SIZE_REACHED`, `INVALID_REGULAR_EXPRESSION`.
pub(in crate::group) fn heartbeat(
    draft: &mut Draft<'_>,
    turn: &mut Turn<'_>,
    request: &HeartbeatRequest<'_>,
) -> Result<(HeartbeatReply, bool), Refusal> {
    let member_id: Arc<str> = match request.member_id {
        "" => Arc::from(base64_uuid(request.fresh_id)),
        id => Arc::from(id),
    };
    check_room(draft.group(), turn, &member_id, request.instance_id)?;
    let (before, is_new) = find_member(draft, request, &member_id)?;
    let mut about = before.about.clone();
    update_about(&mut about, request);
    let resubscribed = about.subscribed_topics != before.about.subscribed_topics
        || about.subscribed_regex != before.about.subscribed_regex;
    if is_new || about != before.about {
        draft.push(Member { about, ..before.clone() }.about_record(&Arc::clone(&draft.group().id)));
    }
    let current = bump_epoch(draft, turn, is_new || resubscribed)?;
    let member = reconcile(draft, turn, before.clone(), request.owned.as_ref())?;
    set_session_timer(turn, &draft.group().id, &member);
    let assignment = plain(&member.assigned);
    let told = request.is_full() || assignment != plain(&before.assigned);
    let reply = HeartbeatReply {
        member_id: Arc::clone(&member.id),
        member_epoch: member.epoch,
        heartbeat_interval_ms: turn.settings.consumer_heartbeat_interval_ms(request.group_id),
        assignment: told.then_some(assignment),
    };
    Ok((reply, current))
}

/// Is there room for the member?
pub(super) fn check_room(
    group: &Group,
    turn: &Turn<'_>,
    member_id: &str,
    instance_id: Option<&str>,
) -> Result<(), Refusal> {
    let max = turn.settings.broker.group_consumer_max_size;
    let known = group.members.contains_key(member_id)
        || instance_id.is_some_and(|instance_id| group.static_members.contains_key(instance_id));
    if !known && group.members.len() >= max {
        let why = format!("The consumer group has reached its maximum capacity of {max} members.");
        return Err(Refusal::new(ErrorCode::GroupMaxSizeReached, why));
    }
    Ok(())
}

fn unknown(what: &str) -> Refusal {
    Refusal::new(ErrorCode::UnknownMemberId, format!("{what} is not a member of the group."))
}

/// The member as it was, and whether the group must rebalance for it. A static member that comes back takes the
/// place of its former self in the draft.
fn find_member(
    draft: &mut Draft<'_>,
    request: &HeartbeatRequest<'_>,
    member_id: &Arc<str>,
) -> Result<(Member, bool), Refusal> {
    let joins = request.member_epoch == JOIN_EPOCH;
    let Some(instance_id) = request.instance_id else {
        return match draft.group().members.get(member_id) {
            Some(member) => {
                check_epoch(member, request)?;
                Ok((Member::clone(member), false))
            }
            None if joins => Ok((Member::new(Arc::clone(member_id)), true)),
            None => Err(unknown(member_id)),
        };
    };
    let existing = draft.group().static_member(instance_id).cloned();
    match existing {
        Some(existing) if existing.id == *member_id => {
            check_epoch(&existing, request)?;
            Ok((existing, false))
        }
        Some(existing) if joins => {
            if !existing.is_classic() && existing.epoch != LEAVE_STATIC_EPOCH {
                let why = format!(
                    "Static member {member_id} with instance id {instance_id} cannot join the group because the \
                     instance id is owned by {} member.",
                    existing.id
                );
                return Err(Refusal::new(ErrorCode::UnreleasedInstanceId, why));
            }
            Ok((replace_static(draft, &existing, member_id), false))
        }
        Some(existing) => {
            let why = format!(
                "Static member {member_id} with instance id {instance_id} was fenced by member {}.",
                existing.id
            );
            Err(Refusal::new(ErrorCode::FencedInstanceId, why))
        }
        None if joins => match draft.group().members.get(member_id) {
            Some(member) => Ok((Member::clone(member), false)),
            None => Ok((Member::new(Arc::clone(member_id)), true)),
        },
        None => Err(unknown(instance_id)),
    }
}

/// The member is at its epoch, or lost the answer that raised it; one that joins anew owns nothing and may always.
fn check_epoch(member: &Member, request: &HeartbeatRequest<'_>) -> Result<(), Refusal> {
    let received = request.member_epoch;
    if received == JOIN_EPOCH || received == member.epoch {
        return Ok(());
    }
    let subset = |owned: &Partitions| {
        owned.iter().all(|(topic, partitions)| {
            let assigned = member.assigned.get(topic);
            partitions.iter().all(|partition| assigned.is_some_and(|known| known.contains_key(partition)))
        })
    };
    if received == member.previous_epoch
        && received < member.epoch
        && request.owned.as_ref().is_some_and(subset)
    {
        return Ok(());
    }
    let relation = if received > member.epoch { "greater" } else { "smaller" };
    let why = format!(
        "The consumer group member has a {relation} member epoch ({received}) than the one known by the group \
         coordinator ({}). The member must abandon all its partitions and rejoin.",
        member.epoch
    );
    Err(Refusal::new(ErrorCode::FencedMemberEpoch, why))
}

/// The new incarnation has what the old one had, and starts at epoch 0.
pub(super) fn replace_static(draft: &mut Draft<'_>, old: &Member, new_id: &Arc<str>) -> Member {
    let group = Arc::clone(&draft.group().id);
    let target = draft.group().target(&old.id);
    push_removal(draft, &old.id);
    let new = Member { id: Arc::clone(new_id), epoch: 0, previous_epoch: 0, ..old.clone() };
    draft.push(new.about_record(&group));
    draft.push(new.target_record(&group, &target));
    draft.push(new.current_record(&group));
    new
}

/// Plans the removal of a member alone.
pub(super) fn push_removal(draft: &mut Draft<'_>, member_id: &Arc<str>) {
    let key = draft.group().member_key(member_id);
    draft.push(Record::Current(key.clone(), None));
    draft.push(Record::TargetMember(key.clone(), None));
    draft.push(Record::Member(key, None));
}

fn update_about(about: &mut crate::group::records::MemberValue, request: &HeartbeatRequest<'_>) {
    let set = |field: &mut Option<Arc<str>>, value: Option<&str>| {
        if let Some(value) = value {
            *field = Some(Arc::from(value)).filter(|text: &Arc<str>| !text.is_empty());
        }
    };
    set(&mut about.instance_id, request.instance_id);
    set(&mut about.rack_id, request.rack_id);
    set(&mut about.server_assignor, request.server_assignor);
    set(&mut about.subscribed_regex, request.subscribed_regex);
    if request.rebalance_timeout_ms >= 0 {
        about.rebalance_timeout_ms = request.rebalance_timeout_ms;
    }
    if let Some(topics) = &request.subscribed_topics {
        about.subscribed_topics = topics.iter().map(|topic| Arc::from(*topic)).collect();
        about.subscribed_topics.sort_unstable();
        about.subscribed_topics.dedup();
    }
    if *about.client_id != *request.client.id {
        about.client_id = Arc::from(request.client.id);
    }
    if *about.client_host != *request.client.host {
        about.client_host = Arc::from(request.client.host);
    }
    about.classic = None;
}

/// Brings expressions and the digest of topics up to date; a change raises the group's epoch. True if nothing more
/// is to do for the topics' version.
pub(super) fn bump_epoch(
    draft: &mut Draft<'_>,
    turn: &mut Turn<'_>,
    mut bump: bool,
) -> Result<bool, Refusal> {
    if !bump && draft.group().checked_version == Some(turn.topics.version()) {
        return Ok(true);
    }
    let current = refresh_regexes(draft, turn)?;
    let metadata_hash = metadata_hash(draft.group(), turn.topics);
    bump |= metadata_hash != draft.group().metadata_hash;
    if bump {
        turn.counters.consumer_rebalances += 1;
        let epoch = draft.group().epoch + 1;
        let value = GroupValue { epoch, metadata_hash };
        draft.push(Record::ConsumerGroup(Arc::clone(&draft.group().id), Some(value)));
    }
    Ok(current && !bump)
}

/// Brings the target up to date and takes the member's next step towards it.
pub(super) fn reconcile(
    draft: &mut Draft<'_>,
    turn: &mut Turn<'_>,
    before: Member,
    owned: Option<&Partitions>,
) -> Result<Member, Refusal> {
    let up_to_date = update_target(draft, turn);
    let subscribed = (!up_to_date).then(|| subscribed_ids(draft, turn, &before.id));
    let group = draft.group();
    let mut member = before.clone();
    if let Some(known) = group.members.get(&before.id) {
        member.about.clone_from(&known.about);
    }
    if subscribed.is_none() && member.is_reconciled_to(group.assignment_epoch) {
        return Ok(member);
    }
    let unchanged = |member: &Member| {
        member.is_reconciled_to(group.assignment_epoch)
            && subscribed
                .as_ref()
                .is_none_or(|topics| member.assigned.keys().all(|topic| topics.contains(topic)))
    };
    if unchanged(&member) {
        return Ok(member);
    }
    let target = group.target(&before.id);
    let step = Reconciliation {
        target_epoch: group.assignment_epoch,
        target: &target,
        subscribed: subscribed.as_ref(),
        owned,
        is_held: &|topic, partition| group.owner(topic, partition).is_some_and(|owner| *owner != before.id),
    };
    step.step(&mut member)?;
    let moved = (member.epoch, member.state) != (before.epoch, before.state)
        || member.assigned != before.assigned
        || member.pending_revocation != before.pending_revocation;
    if moved {
        let record = member.current_record(&group.id);
        set_rebalance_timer(turn, &group.id, &member);
        draft.push(record);
    }
    Ok(member)
}

fn set_rebalance_timer(turn: &mut Turn<'_>, group: &Arc<str>, member: &Member) {
    let key = Key::ConsumerRebalance(Arc::clone(group), Arc::clone(&member.id));
    if member.state == MemberState::UnrevokedPartitions && !member.is_classic() {
        turn.set_timer(key, member.about.rebalance_timeout_ms, Purpose::AtEpoch(member.epoch));
    } else {
        turn.timers.cancel(&key);
    }
}

pub(super) fn set_session_timer(turn: &mut Turn<'_>, group: &Arc<str>, member: &Member) {
    let timeout_ms = member.classic_session_timeout_ms();
    let timeout_ms = timeout_ms.unwrap_or_else(|| turn.settings.consumer_session_timeout_ms(group));
    let key = Key::ConsumerSession(Arc::clone(group), Arc::clone(&member.id));
    turn.set_timer(key, timeout_ms, Purpose::Plain);
}

impl Group {
    /// This broker now coordinates the group, or it became a consumer group: sessions begin, and revocations must end.
    pub(in crate::group) fn loaded(&self, turn: &mut Turn<'_>) {
        for member in self.members.values() {
            // From a time before it was a classic group.
            for of in [Key::ConsumerJoin, Key::ConsumerSync] {
                turn.timers.cancel(&of(Arc::clone(&self.id), Arc::clone(&member.id)));
            }
            set_session_timer(turn, &self.id, member);
            set_rebalance_timer(turn, &self.id, member);
        }
    }
}
