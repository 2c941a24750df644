//! The classic protocol's requests: find the group, let it decide.

use super::{Call, Group, Shard};
use crate::group::classic::{
    self, HeartbeatRequest, JoinReply, JoinRequest, LeaveRequest, Left, SyncReply, SyncRequest,
};
use crate::group::consumer;
use crate::group::turn::{Completion, Outcome};
use ottla_types::ErrorCode;
use std::sync::Arc;

impl Shard {
    /// JoinGroup. A reply of `None` comes later as an effect with the request's token.
    pub fn join(&mut self, call: Call<'_>, request: &JoinRequest<'_>) -> Outcome<Option<JoinReply>> {
        if let Err(error) = self.validate_join(request) {
            return Outcome::without_records(Some(JoinReply::refused(error, request.member_id)));
        }
        let (mut parts, mut turn) = self.turn(call);
        if let Some(Group::Consumer(group)) = parts.groups.get(request.group_id) {
            if !group.members().is_empty() {
                let reply = parts.join_consumer(&mut turn, request);
                return turn.outcome(Some(reply));
            }
            // An empty group may change its protocol at any time.
            if request.member_id.is_empty() {
                turn.records = group.tombstones();
                parts.groups.remove(request.group_id);
            }
        }
        let known = matches!(parts.groups.get(request.group_id), Some(Group::Classic(_)));
        if !known && !request.member_id.is_empty() {
            let refused = JoinReply::refused(ErrorCode::UnknownMemberId, request.member_id);
            return Outcome::without_records(Some(refused));
        }
        if !known {
            let id: Arc<str> = Arc::from(request.group_id);
            let group = classic::Group::new(Arc::clone(&id), turn.at.wall_ms);
            parts.groups.insert(id, Group::Classic(Box::new(group)));
        }
        let Some(Group::Classic(group)) = parts.groups.get_mut(request.group_id) else {
            return turn.outcome(Some(JoinReply::refused(ErrorCode::UnknownMemberId, request.member_id)));
        };
        let reply = group.join(&mut turn, request);
        if !known {
            // So that the log knows of the group before anything else is said about it.
            turn.records.push(group.to_empty_record());
            if reply.is_none() {
                turn.on_stored(Completion::ClassicJoin(Arc::from(request.group_id), request.token));
            }
        }
        turn.outcome(reply)
    }

    fn validate_join(&self, request: &JoinRequest<'_>) -> Result<(), ErrorCode> {
        self.check_active()?;
        if request.group_id.is_empty() {
            return Err(ErrorCode::InvalidGroupId);
        }
        let settings = &self.settings.broker;
        let bounds = settings.group_min_session_timeout_ms..=settings.group_max_session_timeout_ms;
        if bounds.contains(&request.session_timeout_ms) {
            Ok(())
        } else {
            Err(ErrorCode::InvalidSessionTimeout)
        }
    }

    /// SyncGroup. A reply of `None` comes later as an effect with the request's token.
    pub fn sync(&mut self, call: Call<'_>, request: &SyncRequest<'_>) -> Outcome<Option<SyncReply>> {
        if let Err(error) = self.validate_named(request.group_id) {
            return Outcome::without_records(Some(SyncReply::refused(error)));
        }
        let (parts, mut turn) = self.turn(call);
        let reply = match parts.groups.get_mut(request.group_id) {
            Some(Group::Classic(group)) => group.sync(&mut turn, request),
            Some(Group::Consumer(group)) => {
                Some(consumer::classic_sync(group, &mut turn, request).unwrap_or_else(SyncReply::refused))
            }
            None => Some(SyncReply::refused(ErrorCode::UnknownMemberId)),
        };
        turn.outcome(reply)
    }

    pub(super) fn validate_named(&self, group_id: &str) -> Result<(), ErrorCode> {
        self.check_active()?;
        if group_id.is_empty() { Err(ErrorCode::InvalidGroupId) } else { Ok(()) }
    }

    /// Heartbeat.
    ///
    /// # Errors
    /// `REBALANCE_IN_PROGRESS` asks the member to rejoin, `UNKNOWN_MEMBER_ID`, `ILLEGAL_GENERATION` and
    /// `FENCED_INSTANCE_ID` tell it that it is out. While loading every heartbeat is good.
    pub fn heartbeat(
        &mut self,
        call: Call<'_>,
        request: &HeartbeatRequest<'_>,
    ) -> Result<Outcome<()>, ErrorCode> {
        if !self.active {
            return Ok(Outcome::without_records(()));
        }
        self.validate_named(request.group_id)?;
        let (parts, mut turn) = self.turn(call);
        match parts.groups.get_mut(request.group_id) {
            Some(Group::Classic(group)) => group.heartbeat(&mut turn, request)?,
            Some(Group::Consumer(group)) => consumer::classic_heartbeat(group, &mut turn, request)?,
            None => return Err(ErrorCode::UnknownMemberId),
        }
        Ok(turn.outcome(()))
    }

    /// LeaveGroup.
    ///
    /// # Errors
    /// For the whole request while loading or without a group id; each member has its own verdict.
    pub fn leave(
        &mut self,
        call: Call<'_>,
        request: &LeaveRequest<'_>,
    ) -> Result<Outcome<Vec<Left>>, ErrorCode> {
        self.validate_named(request.group_id)?;
        let (parts, mut turn) = self.turn(call);
        let reply = match parts.groups.get_mut(request.group_id) {
            Some(Group::Classic(group)) => group.leave(&mut turn, &request.members),
            Some(Group::Consumer(group)) => {
                let mut draft = consumer::Draft::of(group);
                let left = consumer::classic_leave(&mut draft, &mut turn, &request.members);
                turn.records = draft.records;
                left
            }
            None => request.members.iter().map(|leaver| leaver.answer(ErrorCode::UnknownMemberId)).collect(),
        };
        Ok(turn.outcome(reply))
    }
}
