//! LeaveGroup: members go, the rest rebalances once.

use super::request::{Leaver, Left};
use super::state::{Group, State};
use crate::group::turn::Turn;
use ottla_types::ErrorCode;
use std::sync::Arc;

impl Group {
    /// Handles a LeaveGroup; each member has its own verdict.
    pub(in crate::group) fn leave(&mut self, turn: &mut Turn<'_>, leavers: &[Leaver<'_>]) -> Vec<Left> {
        let mut replies = Vec::with_capacity(leavers.len());
        for leaver in leavers {
            let verdict = self.find_leaver(leaver);
            if let Ok(member_id) = &verdict {
                turn.timers.cancel(&self.session_key(member_id));
                self.remove(turn, member_id);
            }
            replies.push(leaver.answer(verdict.err().unwrap_or(ErrorCode::None)));
        }
        if replies.iter().any(|left| left.error == ErrorCode::None) {
            match self.state {
                State::Stable | State::CompletingRebalance => self.rebalance_or_complete_join(turn),
                State::PreparingRebalance => self.maybe_complete_join(turn),
                State::Empty => {}
            }
        }
        replies
    }

    /// The id of the member or pending member meant.
    fn find_leaver(&self, leaver: &Leaver<'_>) -> Result<Arc<str>, ErrorCode> {
        if leaver.member_id.is_empty() {
            let named = leaver.group_instance_id.and_then(|name| self.static_member_id(name));
            return named.ok_or(ErrorCode::UnknownMemberId);
        }
        if !self.pending_join.contains(leaver.member_id) {
            self.validate_member(leaver.member_id, leaver.group_instance_id)?;
        }
        Ok(Arc::from(leaver.member_id))
    }
}
