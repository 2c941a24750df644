//! Members of a consumer group that still speak the classic protocol, while the group moves from one to the other.
//!
//! The group's assignor serves them: a JoinGroup reports what they subscribe to and own and takes a step towards
//! the target, a SyncGroup fetches it, a Heartbeat tells them when the next step waits. Nobody leads.

use super::draft::Draft;
use super::heartbeat::{bump_epoch, check_room, reconcile, replace_static, set_session_timer};
use super::leave::remove_members;
use super::member::{Member, MemberState};
use super::request::Partitions;
use super::state::Group;
use crate::group::classic::{HeartbeatRequest, JoinReply, JoinRequest, Leaver, Left, SyncReply, SyncRequest};
use crate::group::consumer_protocol::{PROTOCOL_TYPE, Subscription, encode_assignment};
use crate::group::records::ClassicMetadata;
use crate::group::timers::{Key, Purpose};
use crate::group::topics::Topics;
use crate::group::turn::Turn;
use bytes::Bytes;
use ottla_types::{ErrorCode, base64_uuid};
use std::sync::Arc;

/// Handles a JoinGroup to a consumer group that has members.
///
/// # Errors
/// Kafka's error codes for the member.
pub(in crate::group) fn join(
    draft: &mut Draft<'_>,
    turn: &mut Turn<'_>,
    request: &JoinRequest<'_>,
) -> Result<JoinReply, ErrorCode> {
    let unknown = request.member_id.is_empty();
    let member_id: Arc<str> = match request.member_id {
        "" => Arc::from(base64_uuid(request.fresh_id)),
        id => Arc::from(id),
    };
    check_room(draft.group(), turn, &member_id, request.group_instance_id)?;
    if !draft.group().supports_classic(request.protocol_type, &request.protocols) {
        return Err(ErrorCode::InconsistentGroupProtocol);
    }
    if unknown && request.requires_known_member_id && request.group_instance_id.is_none() {
        return Ok(JoinReply::refused(ErrorCode::MemberIdRequired, member_id));
    }
    let metadata = request.protocols.first().map(|(_, metadata)| metadata.clone()).unwrap_or_default();
    let subscription = Subscription::decode(&metadata).map_err(|_| ErrorCode::InconsistentGroupProtocol)?;
    let (before, is_new) = find_joining(draft, request, &member_id)?;
    if is_new && !subscription.owned_partitions.iter().all(|(_, partitions)| partitions.is_empty()) {
        // It was a member once, and others may own by now what it believes to own: it must start over.
        return Err(ErrorCode::UnknownMemberId);
    }
    let about = describe(&before, request, &subscription);
    let resubscribed = about.subscribed_topics != before.about.subscribed_topics
        || about.subscribed_regex != before.about.subscribed_regex;
    if is_new || about != before.about {
        let record = Member { about, ..before.clone() }.about_record(&Arc::clone(&draft.group().id));
        draft.push(record);
    }
    bump_epoch(draft, turn, is_new || resubscribed)?;
    let owned = owned_ids(&subscription, turn.topics);
    let member = reconcile(draft, turn, before, Some(&owned))?;
    let key = |of: fn(Arc<str>, Arc<str>) -> Key| of(Arc::clone(&draft.group().id), Arc::clone(&member.id));
    turn.timers.cancel(&key(Key::ConsumerJoin));
    set_session_timer(turn, &draft.group().id, &member);
    turn.set_timer(key(Key::ConsumerSync), request.rebalance_timeout_ms(), Purpose::Plain);
    Ok(JoinReply {
        error: ErrorCode::None,
        member_id: Arc::clone(&member.id),
        generation_id: member.epoch,
        protocol_type: Some(Arc::from(PROTOCOL_TYPE)),
        protocol_name: protocol_name(&member),
        leader: Arc::from(""),
        skip_assignment: false,
        members: Vec::new(),
    })
}

fn find_joining(
    draft: &mut Draft<'_>,
    request: &JoinRequest<'_>,
    member_id: &Arc<str>,
) -> Result<(Member, bool), ErrorCode> {
    let known = || draft.group().members.get(member_id).map(|member| Member::clone(member));
    let or_new = |known: Option<Member>| {
        let is_new = known.is_none();
        (known.unwrap_or_else(|| Member::new(Arc::clone(member_id))), is_new)
    };
    let Some(instance_id) = request.group_instance_id else { return Ok(or_new(known())) };
    match (draft.group().static_member(instance_id).cloned(), request.member_id.is_empty()) {
        (None, true) => Ok(or_new(known())),
        (None, false) => Err(ErrorCode::UnknownMemberId),
        (Some(existing), true) => Ok((replace_static(draft, &existing, member_id), false)),
        (Some(existing), false) if existing.id == *member_id => Ok((existing, false)),
        (Some(_), false) => Err(ErrorCode::FencedInstanceId),
    }
}

fn describe(
    before: &Member,
    request: &JoinRequest<'_>,
    subscription: &Subscription,
) -> crate::group::records::MemberValue {
    let mut about = before.about.clone();
    let protocols = request.protocols.iter();
    about.classic = Some(ClassicMetadata {
        session_timeout_ms: request.session_timeout_ms,
        protocols: protocols.map(|(name, bytes)| (Arc::from(*name), Bytes::copy_from_slice(bytes))).collect(),
    });
    about.instance_id = request.group_instance_id.map(Arc::from).or(about.instance_id);
    about.rack_id = subscription.rack_id.clone().or(about.rack_id);
    about.rebalance_timeout_ms = request.rebalance_timeout_ms();
    about.client_id = Arc::from(request.client.id);
    about.client_host = Arc::from(request.client.host);
    about.subscribed_regex = None;
    about.subscribed_topics = subscription.topics.clone();
    about.subscribed_topics.sort_unstable();
    about.subscribed_topics.dedup();
    about
}

fn owned_ids(subscription: &Subscription, topics: &dyn Topics) -> Partitions {
    let mut owned = Partitions::new();
    for (name, partitions) in &subscription.owned_partitions {
        if let Some(topic) = topics.by_name(name) {
            owned.entry(topic.id).or_default().extend(partitions);
        }
    }
    owned
}

fn protocol_name(member: &Member) -> Option<Arc<str>> {
    member.about.classic.as_ref()?.protocols.first().map(|(name, _)| Arc::clone(name))
}

/// What the member owns, in the version of its own metadata.
pub(super) fn assignment_of(member: &Member, topics: &dyn Topics) -> Bytes {
    let metadata = member.about.classic.as_ref().and_then(|classic| classic.protocols.first());
    let version =
        metadata.and_then(|(_, bytes)| Subscription::decode(bytes).ok()).map_or(0, |known| known.version);
    let assigned = member.assigned.iter().filter_map(|(id, partitions)| {
        Some((topics.by_id(*id)?.name, partitions.keys().copied().collect::<Vec<_>>()))
    });
    encode_assignment(version, &assigned.collect::<Vec<_>>())
}

/// Handles a SyncGroup of a classic member.
///
/// # Errors
/// Kafka's error codes for the member.
pub(in crate::group) fn sync(
    group: &Group,
    turn: &mut Turn<'_>,
    request: &SyncRequest<'_>,
) -> Result<SyncReply, ErrorCode> {
    let member = group.classic_member(request.member_id, request.group_instance_id)?;
    if request.generation_id != member.epoch {
        return Err(ErrorCode::IllegalGeneration);
    }
    let name = protocol_name(member);
    let other_type = request.protocol_type.is_some_and(|kind| kind != PROTOCOL_TYPE);
    if other_type || request.protocol_name.is_some_and(|asked| name.as_deref() != Some(asked)) {
        return Err(ErrorCode::InconsistentGroupProtocol);
    }
    if group.epoch > member.epoch && member.state != MemberState::UnrevokedPartitions {
        group.expect_join(turn, member);
        return Err(ErrorCode::RebalanceInProgress);
    }
    turn.timers.cancel(&Key::ConsumerSync(Arc::clone(&group.id), Arc::clone(&member.id)));
    set_session_timer(turn, &group.id, member);
    Ok(SyncReply {
        error: ErrorCode::None,
        protocol_type: Some(Arc::from(PROTOCOL_TYPE)),
        protocol_name: name,
        assignment: assignment_of(member, turn.topics),
    })
}

/// Handles a Heartbeat of a classic member.
///
/// # Errors
/// `REBALANCE_IN_PROGRESS` while a step waits for it; Kafka's error codes for strangers.
pub(in crate::group) fn heartbeat(
    group: &Group,
    turn: &mut Turn<'_>,
    request: &HeartbeatRequest<'_>,
) -> Result<(), ErrorCode> {
    let member = group.classic_member(request.member_id, request.group_instance_id)?;
    if request.generation_id != member.epoch {
        return Err(ErrorCode::IllegalGeneration);
    }
    set_session_timer(turn, &group.id, member);
    let next_step = match member.state {
        MemberState::UnrevokedPartitions => true,
        MemberState::UnreleasedPartitions => !group.waits_for_others(member),
        MemberState::Stable | MemberState::Unknown => false,
    };
    if member.epoch < group.epoch || next_step {
        group.expect_join(turn, member);
        return Err(ErrorCode::RebalanceInProgress);
    }
    Ok(())
}

/// Handles a LeaveGroup; each member has its own verdict.
pub(in crate::group) fn leave(
    draft: &mut Draft<'_>,
    turn: &mut Turn<'_>,
    leavers: &[Leaver<'_>],
) -> Vec<Left> {
    let mut left = Vec::with_capacity(leavers.len());
    let mut ids: Vec<Arc<str>> = Vec::new();
    for leaver in leavers {
        match find_leaver(draft.group(), leaver) {
            Ok(id) => {
                left.push(Left { member_id: Arc::clone(&id), ..leaver.answer(ErrorCode::None) });
                if !ids.contains(&id) {
                    ids.push(id);
                }
            }
            Err(error) => left.push(leaver.answer(error)),
        }
    }
    remove_members(draft, turn, &ids);
    left
}

fn find_leaver(group: &Group, leaver: &Leaver<'_>) -> Result<Arc<str>, ErrorCode> {
    let member = match (leaver.group_instance_id, leaver.member_id) {
        (Some(instance_id), "") => group.static_member(instance_id).ok_or(ErrorCode::UnknownMemberId)?,
        (instance_id, member_id) => group.classic_member(member_id, instance_id)?,
    };
    if member.is_classic() { Ok(Arc::clone(&member.id)) } else { Err(ErrorCode::UnknownMemberId) }
}

impl Group {
    /// The member that the request claims to come from, if it speaks the classic protocol.
    fn classic_member(&self, member_id: &str, instance_id: Option<&str>) -> Result<&Member, ErrorCode> {
        let member = match instance_id {
            None => self.members.get(member_id).map(AsRef::as_ref),
            Some(instance_id) => {
                let member = self.static_member(instance_id);
                if member.is_some_and(|member| *member.id != *member_id) {
                    return Err(ErrorCode::FencedInstanceId);
                }
                member
            }
        };
        member.filter(|member| member.is_classic()).ok_or(ErrorCode::UnknownMemberId)
    }

    fn expect_join(&self, turn: &mut Turn<'_>, member: &Member) {
        let key = Key::ConsumerJoin(Arc::clone(&self.id), Arc::clone(&member.id));
        if !turn.timers.contains(&key) {
            turn.set_timer(key, member.about.rebalance_timeout_ms, Purpose::Plain);
        }
    }

    /// Is something of its target still held by others?
    fn waits_for_others(&self, member: &Member) -> bool {
        let target = self.target(&member.id);
        let mut missing =
            target.iter().flat_map(|(topic, partitions)| partitions.iter().map(|p| (*topic, *p)));
        missing.any(|(topic, partition)| {
            let has = member.assigned.get(&topic).is_some_and(|known| known.contains_key(&partition));
            !has && self.owner(topic, partition).is_some()
        })
    }

    /// Could a classic member with these protocols live in the group?
    fn supports_classic(&self, protocol_type: &str, protocols: &[(&str, Bytes)]) -> bool {
        let mut classic = self.members.values().filter_map(|member| member.about.classic.as_ref());
        protocol_type == PROTOCOL_TYPE
            && protocols
                .iter()
                .any(|(name, _)| classic.all(|known| known.protocols.iter().any(|(own, _)| **own == **name)))
    }
}
