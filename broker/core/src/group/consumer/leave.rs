//! Members go: they leave, are silent for too long, or do not give partitions up.

use super::draft::Draft;
use super::heartbeat::push_removal;
use super::member::Member;
use super::request::{HeartbeatReply, HeartbeatRequest, LEAVE_STATIC_EPOCH};
use super::subscription::{metadata_hash, refresh_regexes};
use crate::group::records::{GroupValue, Record};
use crate::group::turn::{Refusal, Turn};
use ottla_types::ErrorCode;
use std::sync::Arc;

/// The member that wants to leave.
///
/// # Errors
/// `UNKNOWN_MEMBER_ID`, `FENCED_INSTANCE_ID`.
pub(in crate::group) fn find_leaver(
    draft: &Draft<'_>,
    request: &HeartbeatRequest<'_>,
) -> Result<Arc<Member>, Refusal> {
    let unknown = |what: &str| {
        Refusal::new(
            ErrorCode::UnknownMemberId,
            format!("{what} is not a member of group {}.", request.group_id),
        )
    };
    let group = draft.group();
    let Some(instance_id) = request.instance_id else {
        return group.members.get(request.member_id).cloned().ok_or_else(|| unknown(request.member_id));
    };
    let member = group.static_members.get(instance_id).and_then(|id| group.members.get(id));
    let member = member.ok_or_else(|| unknown(instance_id))?;
    if *member.id != *request.member_id {
        let why = format!("Instance id {instance_id} is owned by member {}.", member.id);
        return Err(Refusal::new(ErrorCode::FencedInstanceId, why));
    }
    Ok(Arc::clone(member))
}

/// A static member goes to come back: it keeps its partitions until its session ends.
pub(in crate::group) fn leave_static(draft: &mut Draft<'_>, member: &Member) -> HeartbeatReply {
    let mut gone = member.clone();
    gone.epoch = LEAVE_STATIC_EPOCH;
    gone.pending_revocation.clear();
    // Its next incarnation starts at epoch 0 and may commit what it is given at once.
    gone.assigned.values_mut().flat_map(|partitions| partitions.values_mut()).for_each(|epoch| *epoch = 0);
    let record = gone.current_record(&Arc::clone(&draft.group().id));
    draft.push(record);
    reply(member, LEAVE_STATIC_EPOCH)
}

pub(in crate::group) fn reply(member: &Member, member_epoch: i32) -> HeartbeatReply {
    HeartbeatReply {
        member_id: Arc::clone(&member.id),
        member_epoch,
        heartbeat_interval_ms: 0,
        assignment: None,
    }
}

/// Plans the removal of members and one new group epoch; the others get the partitions with the next target.
pub(in crate::group) fn remove_members(draft: &mut Draft<'_>, turn: &mut Turn<'_>, ids: &[Arc<str>]) {
    let group = Arc::clone(&draft.group().id);
    // Their timers stay, in case this cannot be stored; for members that are gone they mean nothing.
    ids.iter().for_each(|id| push_removal(draft, id));
    if ids.is_empty() {
        return;
    }
    // Only expressions that compiled once are in use; what cannot be matched now stays as it was.
    let _ = refresh_regexes(draft, turn);
    turn.counters.consumer_rebalances += 1;
    let metadata_hash = metadata_hash(draft.group(), turn.topics);
    let value = GroupValue { epoch: draft.group().epoch + 1, metadata_hash };
    draft.push(Record::ConsumerGroup(group, Some(value)));
}
