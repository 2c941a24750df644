//! Time-outs of a classic group: sessions, joins and syncs.

use super::state::{Group, State};
use crate::group::turn::Turn;
use std::sync::Arc;

impl Group {
    /// A member was silent for too long, or a pending one did not come back.
    pub(in crate::group) fn session_expired(&mut self, turn: &mut Turn<'_>, member_id: &str) {
        let alive = self.members.get(member_id).is_none_or(super::member::Member::satisfies_heartbeat);
        if alive && !self.pending_join.contains(member_id) {
            return;
        }
        turn.counters.expired_members += u64::from(!alive);
        self.remove(turn, member_id);
        match self.state {
            State::Stable | State::CompletingRebalance if !alive => self.rebalance_or_complete_join(turn),
            State::PreparingRebalance if self.has_all_members_joined() => {
                // Not maybe_complete_join: nobody may be left to wait out the initial delay for.
                self.complete_join(turn);
            }
            _ => {}
        }
    }

    /// The rebalance time-out passed: go on without those who are missing.
    pub(in crate::group) fn join_expired(&mut self, turn: &mut Turn<'_>) {
        if self.state == State::PreparingRebalance {
            self.complete_join(turn);
        }
    }

    /// One step of a new group's delay passed.
    pub(in crate::group) fn initial_delay_expired(
        &mut self,
        turn: &mut Turn<'_>,
        delay_ms: u64,
        left_ms: u64,
    ) {
        if self.state == State::PreparingRebalance {
            self.initial_delay_passed(turn, delay_ms, left_ms);
        }
    }

    /// Members that joined but never asked for their assignment are out (the leader may be among them).
    pub(in crate::group) fn sync_expired(&mut self, turn: &mut Turn<'_>, generation_id: i32) {
        let waits = matches!(self.state, State::CompletingRebalance | State::Stable);
        if !waits || generation_id != self.generation_id || self.pending_sync.is_empty() {
            return;
        }
        for member_id in self.pending_sync.iter().cloned().collect::<Vec<Arc<str>>>() {
            turn.timers.cancel(&self.session_key(&member_id));
            self.remove(turn, &member_id);
        }
        self.prepare_rebalance(turn);
    }
}
