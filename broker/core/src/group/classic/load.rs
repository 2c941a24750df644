//! A classic group to and from its record.

use super::member::Member;
use super::request::{JoinReply, SyncReply};
use super::state::{Group, State};
use crate::group::records::{ClassicGroupValue, Record};
use crate::group::turn::Turn;
use bytes::Bytes;
use ottla_types::ErrorCode;
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

    /// This broker no longer coordinates the group: whoever waits is sent to look for the new coordinator.
    pub(in crate::group) fn unloaded(&mut self, turn: &mut Turn<'_>) {
        for member in self.members.values_mut() {
            if let Some(token) = member.awaiting_join.take() {
                turn.join_reply(token, JoinReply::refused(ErrorCode::NotCoordinator, Arc::clone(&member.id)));
            }
            if let Some(token) = member.awaiting_sync.take() {
                turn.sync_reply(token, SyncReply::refused(ErrorCode::NotCoordinator));
            }
        }
        self.joining = 0;
    }
}
