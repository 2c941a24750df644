//! Heartbeat: the member lives, and learns whether it must rejoin.

use super::request::HeartbeatRequest;
use super::state::{Group, State};
use crate::group::turn::Turn;
use ottla_types::ErrorCode;

impl Group {
    /// Handles a Heartbeat.
    pub(in crate::group) fn heartbeat(
        &mut self,
        turn: &mut Turn<'_>,
        request: &HeartbeatRequest<'_>,
    ) -> Result<(), ErrorCode> {
        self.validate_member(request.member_id, request.group_instance_id)?;
        if request.generation_id != self.generation_id {
            return Err(ErrorCode::IllegalGeneration);
        }
        match self.state {
            State::Empty => Err(ErrorCode::UnknownMemberId),
            State::PreparingRebalance => {
                self.extend_session(turn, request.member_id);
                Err(ErrorCode::RebalanceInProgress)
            }
            State::CompletingRebalance | State::Stable => {
                self.extend_session(turn, request.member_id);
                Ok(())
            }
        }
    }
}
