//! From one generation to the next: who is waited for, for how long, and what ends the waiting.

use super::request::SyncReply;
use super::state::{Group, State};
use crate::group::timers::{Key, Purpose};
use crate::group::turn::Turn;
use bytes::Bytes;
use ottla_types::ErrorCode;
use std::sync::Arc;

impl Group {
    pub(super) fn join_key(&self) -> Key {
        Key::ClassicJoin(Arc::clone(&self.id))
    }

    pub(super) fn sync_key(&self) -> Key {
        Key::ClassicSync(Arc::clone(&self.id))
    }

    pub(super) fn session_key(&self, member_id: &Arc<str>) -> Key {
        Key::ClassicSession(Arc::clone(&self.id), Arc::clone(member_id))
    }

    /// The member was heard of: its session begins anew.
    pub(super) fn extend_session(&self, turn: &mut Turn<'_>, member_id: &str) {
        if let Some(member) = self.members.get(member_id) {
            turn.set_timer(self.session_key(&member.id), member.session_timeout_ms, Purpose::Plain);
        }
    }

    /// Something changed that needs a new generation; while one is being made, it may just have become complete.
    pub(super) fn rebalance_or_complete_join(&mut self, turn: &mut Turn<'_>) {
        match self.state {
            State::PreparingRebalance => self.maybe_complete_join(turn),
            State::Empty | State::CompletingRebalance | State::Stable => self.prepare_rebalance(turn),
        }
    }

    /// Starts to wait for all members to join. A new group first waits for more of them to appear.
    pub(in crate::group) fn prepare_rebalance(&mut self, turn: &mut Turn<'_>) {
        if self.state == State::CompletingRebalance {
            self.propagate_assignments(turn, Err(ErrorCode::RebalanceInProgress));
        }
        self.pending_sync.clear();
        turn.timers.cancel(&self.sync_key());
        let initial = self.state == State::Empty;
        self.enter(State::PreparingRebalance, turn.at.wall_ms);
        if initial {
            let delay_ms = turn.settings.broker.group_initial_rebalance_delay_ms.max(0);
            let remaining_ms = self.rebalance_timeout_ms().saturating_sub(delay_ms).max(0);
            let purpose = Purpose::InitialRebalance {
                delay_ms: delay_ms.unsigned_abs().into(),
                remaining_ms: remaining_ms.unsigned_abs().into(),
            };
            turn.set_timer(self.join_key(), delay_ms, purpose);
        } else if self.has_all_members_joined() {
            self.complete_join(turn);
        } else {
            turn.set_timer(self.join_key(), self.rebalance_timeout_ms(), Purpose::Plain);
        }
    }

    /// Ends the waiting if nobody is missing. The initial delay is always waited for.
    pub(super) fn maybe_complete_join(&mut self, turn: &mut Turn<'_>) {
        let initial = self.previous_state == State::Empty;
        if self.state == State::PreparingRebalance && !initial && self.has_all_members_joined() {
            self.complete_join(turn);
        }
    }

    /// One step of the initial delay passed: as long as members keep appearing, another one is taken, up to the
    /// rebalance time-out in all.
    pub(super) fn initial_delay_passed(&mut self, turn: &mut Turn<'_>, delay_ms: u64, remaining_ms: u64) {
        if !self.new_member_added || remaining_ms == 0 {
            return self.complete_join(turn);
        }
        self.new_member_added = false;
        let step_ms = turn.settings.broker.group_initial_rebalance_delay_ms.max(0).unsigned_abs();
        let step_ms = u64::from(step_ms).min(remaining_ms);
        let purpose = Purpose::InitialRebalance {
            delay_ms: step_ms,
            remaining_ms: remaining_ms.saturating_sub(delay_ms),
        };
        turn.timers.set(self.join_key(), turn.at.now_ms.saturating_add(step_ms), purpose);
    }

    /// The next generation begins with those who joined. Dynamic members that did not are out; static ones keep
    /// their place until their session ends.
    pub(super) fn complete_join(&mut self, turn: &mut Turn<'_>) {
        turn.timers.cancel(&self.join_key());
        let late = self.members.values().filter(|member| member.awaiting_join.is_none());
        let late: Vec<_> =
            late.filter(|member| member.instance_id.is_none()).map(|m| Arc::clone(&m.id)).collect();
        for member_id in late {
            turn.timers.cancel(&self.session_key(&member_id));
            self.remove(turn, &member_id);
        }
        if self.members.is_empty() {
            self.become_empty(turn);
        } else if self.elect_joined_leader() {
            self.begin_generation(turn);
        } else {
            // Only static members that are away are left: wait for one of them, or for their sessions to end.
            turn.set_timer(self.join_key(), self.rebalance_timeout_ms(), Purpose::Plain);
        }
    }

    fn become_empty(&mut self, turn: &mut Turn<'_>) {
        self.generation_id = self.generation_id.wrapping_add(1).max(0);
        self.protocol_name = None;
        self.leader = None;
        self.pending_sync.clear();
        self.enter(State::Empty, turn.at.wall_ms);
        self.read_subscriptions();
        turn.records.push(self.to_record(|_| Bytes::new()));
    }

    fn begin_generation(&mut self, turn: &mut Turn<'_>) {
        self.generation_id = self.generation_id.wrapping_add(1).max(0);
        self.protocol_name = self.select_protocol();
        self.enter(State::CompletingRebalance, turn.at.wall_ms);
        self.read_subscriptions();
        self.pending_sync = self.members.keys().cloned().collect();
        for member_id in self.members.keys().cloned().collect::<Vec<_>>() {
            if let Some(token) = self.take_join(&member_id) {
                let reply = self.join_reply(&member_id, self.is_leader(&member_id));
                turn.join_reply(token, reply);
            }
            self.extend_session(turn, &member_id);
            if let Some(member) = self.members.get_mut(&member_id) {
                member.is_new = false;
            }
        }
        let purpose = Purpose::AtEpoch(self.generation_id);
        turn.set_timer(self.sync_key(), self.rebalance_timeout_ms(), purpose);
    }

    /// The leader must be someone who is here. False if nobody is.
    fn elect_joined_leader(&mut self) -> bool {
        let joined =
            |id: &Arc<str>| self.members.get(id).is_some_and(|member| member.awaiting_join.is_some());
        if self.leader.as_ref().is_some_and(joined) {
            return true;
        }
        let first = self.members.values().find(|member| member.awaiting_join.is_some());
        match first.map(|member| Arc::clone(&member.id)) {
            Some(member_id) => {
                self.leader = Some(member_id);
                true
            }
            None => false,
        }
    }

    /// Answers every waiting SyncGroup: with the member's assignment, or with an error that voids all of them.
    pub(super) fn propagate_assignments(&mut self, turn: &mut Turn<'_>, verdict: Result<(), ErrorCode>) {
        for member_id in self.members.keys().cloned().collect::<Vec<_>>() {
            let Some(member) = self.members.get_mut(&member_id) else { continue };
            if verdict.is_err() {
                member.assignment = Bytes::new();
            }
            let Some(token) = member.awaiting_sync.take() else { continue };
            let reply = match verdict {
                Ok(()) => self.sync_reply(&member_id),
                Err(error) => SyncReply::refused(error),
            };
            turn.sync_reply(token, reply);
            self.extend_session(turn, &member_id);
        }
    }

    pub(super) fn sync_reply(&self, member_id: &str) -> SyncReply {
        SyncReply {
            error: ErrorCode::None,
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol_name.clone(),
            assignment: self.members.get(member_id).map(|m| m.assignment.clone()).unwrap_or_default(),
        }
    }
}
