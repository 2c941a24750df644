//! The consumer protocol's requests and time-outs: find or make the group, plan, migrate where due.

use super::{Call, Group, Parts, Shard};
use crate::group::classic::{JoinReply, JoinRequest};
use crate::group::consumer::{
    self, Draft, HeartbeatReply, HeartbeatRequest, JOIN_EPOCH, LEAVE_STATIC_EPOCH, classic_join,
    compute_target,
};
use crate::group::timers::{Key, Purpose};
use crate::group::turn::{Completion, Outcome, Refusal, Turn};
use ottla_types::ErrorCode;
use std::sync::Arc;

impl Shard {
    /// ConsumerGroupHeartbeat: join, heartbeat and leave.
    ///
    /// # Errors
    /// Kafka's error codes, with a message for the client.
    pub fn consumer_heartbeat(
        &mut self,
        call: Call<'_>,
        request: &HeartbeatRequest<'_>,
    ) -> Result<Outcome<HeartbeatReply>, Refusal> {
        self.check_active().map_err(|code| Refusal::new(code, "The coordinator is loading its groups."))?;
        consumer::validate(request, &self.settings.broker.group_consumer_assignors)?;
        let (mut parts, mut turn) = self.turn(call);
        let reply = if request.member_epoch < JOIN_EPOCH {
            parts.leave_consumer(&mut turn, request)?
        } else {
            parts.heartbeat_consumer(&mut turn, request)?
        };
        Ok(turn.outcome(reply))
    }
}

fn not_found(group_id: &str) -> Refusal {
    Refusal::new(ErrorCode::GroupIdNotFound, format!("Consumer group {group_id} not found."))
}

impl Parts<'_> {
    fn heartbeat_consumer(
        &mut self,
        turn: &mut Turn<'_>,
        request: &HeartbeatRequest<'_>,
    ) -> Result<HeartbeatReply, Refusal> {
        let joins = request.member_epoch == JOIN_EPOCH;
        let mut upgraded = false;
        let mut draft = match self.groups.get(request.group_id) {
            Some(Group::Consumer(group)) => Draft::of(group),
            None if joins => Draft::of_new(consumer::Group::new(Arc::from(request.group_id))),
            Some(Group::Classic(group)) if joins && group.members().is_empty() => {
                let mut draft = Draft::of_new(consumer::Group::new(Arc::clone(group.id())));
                draft.push(crate::group::records::Record::ClassicGroup(Arc::clone(group.id()), None));
                draft
            }
            Some(Group::Classic(group)) if joins => {
                upgraded = true;
                consumer::upgrade(group, turn)?
            }
            Some(Group::Classic(_)) | None => return Err(not_found(request.group_id)),
        };
        let (reply, current) = consumer::heartbeat(&mut draft, turn, request)?;
        if upgraded {
            draft.group().loaded(turn);
        }
        turn.records = draft.records;
        match self.groups.get_mut(request.group_id) {
            Some(Group::Classic(group)) if upgraded => {
                group.dismiss_all(turn, ErrorCode::RebalanceInProgress);
                group.cancel_timers(turn);
            }
            Some(Group::Consumer(group)) if current => {
                group.topics_checked(turn.topics.version(), turn.at.wall_ms);
            }
            _ => {}
        }
        Ok(reply)
    }

    fn leave_consumer(
        &mut self,
        turn: &mut Turn<'_>,
        request: &HeartbeatRequest<'_>,
    ) -> Result<HeartbeatReply, Refusal> {
        let Some(Group::Consumer(group)) = self.groups.get(request.group_id) else {
            return Err(not_found(request.group_id));
        };
        let mut draft = Draft::of(group);
        let member = consumer::find_leaver(&draft, request)?;
        if request.member_epoch == LEAVE_STATIC_EPOCH {
            let reply = consumer::leave_static(&mut draft, &member);
            turn.records = draft.records;
            return Ok(reply);
        }
        self.remove_consumer(turn, request.group_id, &member.id, None);
        Ok(consumer::leave_reply(&member, request.member_epoch))
    }

    /// Removes a member; a group all of whose other members speak the classic protocol becomes a classic one.
    fn remove_consumer(
        &mut self,
        turn: &mut Turn<'_>,
        group_id: &str,
        member_id: &Arc<str>,
        retry: Option<(Key, Purpose)>,
    ) {
        let Some(Group::Consumer(group)) = self.groups.get(group_id) else { return };
        let mut draft = Draft::of(group);
        consumer::remove_members(&mut draft, turn, std::slice::from_ref(member_id));
        if !consumer::may_downgrade(group, turn, member_id, false) {
            turn.records = draft.records;
            return;
        }
        // The tombstones of the group cover the member.
        let mut classic = consumer::downgrade(draft.group(), turn);
        turn.records = group.tombstones();
        turn.records.push(classic.to_record(|member| member.assignment.clone()));
        classic.loaded(turn);
        classic.prepare_rebalance(turn);
        self.prepare(turn, classic, retry);
    }

    fn prepare(
        &mut self,
        turn: &mut Turn<'_>,
        classic: crate::group::classic::Group,
        retry: Option<(Key, Purpose)>,
    ) {
        let id = Arc::clone(classic.id());
        self.prepared.insert(Arc::clone(&id), classic);
        turn.on_stored(Completion::Downgrade(id, retry));
    }

    /// A member was silent, or did not do what it was asked to in time.
    pub(super) fn member_expired(
        &mut self,
        turn: &mut Turn<'_>,
        (group_id, member_id): (&Arc<str>, &Arc<str>),
        timer: (Key, Purpose),
    ) {
        let Some(Group::Consumer(group)) = self.groups.get(group_id) else { return };
        let Some(member) = group.members().get(member_id) else { return };
        if matches!(timer.1, Purpose::AtEpoch(epoch) if epoch != member.epoch) {
            return;
        }
        turn.counters.expired_members += 1;
        self.remove_consumer(turn, group_id, member_id, Some(timer));
    }

    /// The time between two target assignments has passed.
    pub(super) fn assign(&mut self, turn: &mut Turn<'_>, group_id: &Arc<str>) {
        let Some(Group::Consumer(group)) = self.groups.get(group_id) else { return };
        if group.needs_target() {
            let mut draft = Draft::of(group);
            compute_target(&mut draft, turn);
            turn.records = draft.records;
        }
    }

    /// A classic client joins a consumer group that has members.
    pub(super) fn join_consumer(&mut self, turn: &mut Turn<'_>, request: &JoinRequest<'_>) -> JoinReply {
        let Some(Group::Consumer(group)) = self.groups.get(request.group_id) else {
            return JoinReply::refused(ErrorCode::UnknownMemberId, request.member_id);
        };
        let mut draft = Draft::of(group);
        let (id, member_id) = (Arc::from(request.group_id), Arc::from(request.member_id));
        let before =
            [Key::ConsumerJoin(Arc::clone(&id), Arc::clone(&member_id)), Key::ConsumerSync(id, member_id)];
        let before = before.map(|key| (turn.timers.get(&key), key));
        let reply = match classic_join(&mut draft, turn, request) {
            Ok(reply) => reply,
            Err(error) => return JoinReply::refused(error, request.member_id),
        };
        // It may have taken the place of the last member of the consumer protocol.
        let replaces =
            request.group_instance_id.is_some() && draft.group().members().len() == group.members().len();
        let was_mixed = group.members().values().any(|member| !member.is_classic());
        if replaces && was_mixed && consumer::may_downgrade(draft.group(), turn, "", true) {
            let mut classic = consumer::downgrade(draft.group(), turn);
            turn.records = group.tombstones();
            turn.records.push(classic.to_record(|member| member.assignment.clone()));
            classic.loaded(turn);
            self.prepare(turn, classic, None);
        } else {
            turn.records = draft.records;
            if !turn.records.is_empty() {
                turn.on_stored(Completion::ConsumerJoin(before));
            }
        }
        reply
    }
}
