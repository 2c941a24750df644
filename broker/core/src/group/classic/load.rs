//! A classic group to and from its record.

use super::member::Member;
use super::request::{JoinReply, SyncReply};
use super::state::{Group, State};
use crate::group::consumer_protocol;
use crate::group::records::{ClassicGroupValue, Record};
use crate::group::turn::Turn;
use bytes::Bytes;
use ottla_types::{ErrorCode, TimestampMs};
use std::sync::Arc;

impl Group {
    /// The group as its record says: stable, or empty.
    #[must_use]
    pub(in crate::group) fn from_record(id: Arc<str>, value: &ClassicGroupValue) -> Self {
        let mut group = Self::new(id, value.state_timestamp_ms);
        group.state_timestamp_ms = Some(value.state_timestamp_ms).filter(|at| *at != -1);
        group.generation_id = value.generation_id;
        let protocol = value.protocol.clone().unwrap_or_default();
        for member in &value.members {
            group.add(Member::from_record(member, &protocol), &value.protocol_type);
        }
        group.protocol_type = Some(Arc::clone(&value.protocol_type)).filter(|kind| !kind.is_empty());
        group.protocol_name.clone_from(&value.protocol);
        let leader = value.leader.clone().filter(|leader| group.members.contains_key(leader));
        group.leader = leader.or(group.leader);
        if !group.members.is_empty() {
            group.state = State::Stable;
            group.previous_state = State::Stable;
        }
        group.read_subscriptions();
        group
    }

    /// The group as it is stored, with these assignments.
    pub(in crate::group) fn to_record(&self, assignment: impl Fn(&Member) -> Bytes) -> Record {
        let protocol = self.protocol_name.as_deref().unwrap_or_default();
        let members = self.members.values().map(|member| member.to_record(protocol, assignment(member)));
        let value = ClassicGroupValue {
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            generation_id: self.generation_id,
            protocol: self.protocol_name.clone(),
            leader: self.leader.clone(),
            state_timestamp_ms: self.state_timestamp_ms.unwrap_or(-1),
            members: members.collect(),
        };
        Record::ClassicGroup(Arc::clone(&self.id), Some(value))
    }

    /// The group as it is stored before its first member is in.
    pub(in crate::group) fn to_empty_record(&self) -> Record {
        let value = ClassicGroupValue {
            protocol_type: Arc::from(""),
            generation_id: 0,
            protocol: None,
            leader: None,
            state_timestamp_ms: self.state_timestamp_ms.unwrap_or(-1),
            members: Vec::new(),
        };
        Record::ClassicGroup(Arc::clone(&self.id), Some(value))
    }

    /// This broker now coordinates the group: sessions begin, and a group that has become too large rebalances.
    pub(in crate::group) fn loaded(&mut self, turn: &mut Turn<'_>) {
        for member_id in self.members.keys().cloned().collect::<Vec<_>>() {
            self.extend_session(turn, &member_id);
        }
        if self.members.len() > turn.settings.broker.group_max_size {
            self.prepare_rebalance(turn);
        }
    }

    /// Whoever waits is answered with the error: the coordinator moves, or the group changes its protocol.
    pub(in crate::group) fn dismiss_all(&mut self, turn: &mut Turn<'_>, error: ErrorCode) {
        for member in self.members.values_mut() {
            if let Some(token) = member.awaiting_join.take() {
                turn.join_reply(token, JoinReply::refused(error, Arc::clone(&member.id)));
            }
            if let Some(token) = member.awaiting_sync.take() {
                turn.sync_reply(token, SyncReply::refused(error));
            }
        }
        self.joining = 0;
    }

    /// A member's metadata for the protocol in use, or for its first one before there is any.
    pub(in crate::group) fn metadata_of(&self, member: &Member) -> Bytes {
        let first = member.protocols.first().map(|(name, _)| Arc::clone(name));
        let protocol = self.protocol_name.clone().or(first).unwrap_or_default();
        member.metadata(&protocol)
    }

    /// Takes a member over from a consumer group.
    pub(in crate::group) fn adopt(&mut self, member: Member) {
        self.add(member, consumer_protocol::PROTOCOL_TYPE);
    }

    /// All members were taken over: the group is stable, at the consumer group's epoch.
    pub(in crate::group) fn adopted(&mut self, generation_id: i32, at: TimestampMs) {
        self.generation_id = generation_id;
        self.protocol_name = self.select_protocol();
        self.enter(State::Stable, at);
        self.read_subscriptions();
    }

    /// The group goes: nothing of it may fire any more.
    pub(in crate::group) fn cancel_timers(&self, turn: &mut Turn<'_>) {
        turn.timers.cancel(&self.join_key());
        turn.timers.cancel(&self.sync_key());
        for member_id in self.members.keys().chain(&self.pending_join) {
            turn.timers.cancel(&self.session_key(member_id));
        }
    }
}
