//! SyncGroup: the leader's assignment is stored, then everyone gets their part.

use super::request::{SyncReply, SyncRequest};
use super::state::{Group, State};
use crate::group::turn::{Completion, Turn};
use bytes::Bytes;
use ottla_types::ErrorCode;
use std::collections::BTreeMap;
use std::sync::Arc;

/// An assignment on its way into the log.
#[derive(Debug)]
pub struct StoredAssignment {
    group: Arc<str>,
    generation_id: i32,
    assignments: BTreeMap<Arc<str>, Bytes>,
}

impl StoredAssignment {
    pub(in crate::group) const fn group(&self) -> &Arc<str> {
        &self.group
    }
}

impl Group {
    /// Handles a SyncGroup. `None`: the reply comes later.
    pub(in crate::group) fn sync(
        &mut self,
        turn: &mut Turn<'_>,
        request: &SyncRequest<'_>,
    ) -> Option<SyncReply> {
        if let Err(error) = self.validate_sync(request) {
            return Some(SyncReply::refused(error));
        }
        match self.state {
            State::Empty => Some(SyncReply::refused(ErrorCode::UnknownMemberId)),
            State::PreparingRebalance => Some(SyncReply::refused(ErrorCode::RebalanceInProgress)),
            State::CompletingRebalance => {
                self.await_assignment(turn, request);
                None
            }
            State::Stable => {
                self.synced(turn, request.member_id);
                Some(self.sync_reply(request.member_id))
            }
        }
    }

    fn validate_sync(&self, request: &SyncRequest<'_>) -> Result<(), ErrorCode> {
        self.validate_member(request.member_id, request.group_instance_id)?;
        if request.generation_id != self.generation_id {
            return Err(ErrorCode::IllegalGeneration);
        }
        let differs = |asked: Option<&str>, own: &Option<Arc<str>>| matches!((asked, own), (Some(asked), Some(own)) if *asked != **own);
        let differs = differs(request.protocol_type, &self.protocol_type)
            || differs(request.protocol_name, &self.protocol_name);
        if differs { Err(ErrorCode::InconsistentGroupProtocol) } else { Ok(()) }
    }

    fn synced(&mut self, turn: &mut Turn<'_>, member_id: &str) {
        self.pending_sync.remove(member_id);
        if self.pending_sync.is_empty() {
            turn.timers.cancel(&self.sync_key());
        }
    }

    fn await_assignment(&mut self, turn: &mut Turn<'_>, request: &SyncRequest<'_>) {
        if let Some(member) = self.members.get_mut(request.member_id)
            && let Some(earlier) = member.awaiting_sync.replace(request.token)
        {
            // The client asked again without waiting: the earlier request must not hang.
            turn.sync_reply(earlier, SyncReply::refused(ErrorCode::RebalanceInProgress));
        }
        self.synced(turn, request.member_id);
        if !self.is_leader(request.member_id) {
            return;
        }
        // Members the leader forgot get nothing; assignments to strangers are dropped.
        let mut assignments: BTreeMap<Arc<str>, Bytes> =
            self.members.keys().map(|id| (Arc::clone(id), Bytes::new())).collect();
        for (member_id, assignment) in &request.assignments {
            if let Some(known) = assignments.get_mut(*member_id) {
                *known = Bytes::copy_from_slice(assignment);
            }
        }
        turn.records.push(self.to_record(|member| assignments.get(&member.id).cloned().unwrap_or_default()));
        turn.on_stored(Completion::ClassicSync(StoredAssignment {
            group: Arc::clone(&self.id),
            generation_id: self.generation_id,
            assignments,
        }));
    }

    /// The assignment is in the log, or could not be put there. Ignored if the group has moved on since.
    pub(in crate::group) fn assignment_stored(
        &mut self,
        turn: &mut Turn<'_>,
        mut assignment: StoredAssignment,
        stored: Result<(), ErrorCode>,
    ) {
        if self.state != State::CompletingRebalance || assignment.generation_id != self.generation_id {
            return;
        }
        match stored {
            Ok(()) => {
                for member in self.members.values_mut() {
                    member.assignment = assignment.assignments.remove(&member.id).unwrap_or_default();
                }
                self.propagate_assignments(turn, Ok(()));
                self.enter(State::Stable, turn.at.wall_ms);
                turn.counters.classic_rebalances += 1;
            }
            Err(error) => {
                self.propagate_assignments(turn, Err(error));
                self.rebalance_or_complete_join(turn);
            }
        }
    }
}
