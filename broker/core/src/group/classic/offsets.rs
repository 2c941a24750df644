//! Whether a member of a classic group may commit or delete offsets.

use super::state::{Group, State};
use crate::group::offsets::{Committer, ExpiryBase};
use crate::group::turn::Turn;
use crate::planted::{self, Bug};
use ottla_types::ErrorCode;

impl Group {
    /// May these offsets be committed? Commits without member and generation are for groups without members.
    pub(in crate::group) fn validate_commit(&self, from: &Committer<'_>) -> Result<(), ErrorCode> {
        if from.generation_id_or_member_epoch < 0 && self.state == State::Empty {
            return Ok(());
        }
        let anonymous = from.generation_id_or_member_epoch < 0
            && from.member_id.is_empty()
            && from.group_instance_id.is_none();
        if !anonymous {
            self.validate_member(from.member_id, from.group_instance_id)?;
            if from.generation_id_or_member_epoch != self.generation_id && !planted::is(Bug::ForgetGeneration)
            {
                return Err(ErrorCode::IllegalGeneration);
            }
        } else if !from.transactional {
            return Err(ErrorCode::UnknownMemberId);
        }
        if !from.transactional && self.state == State::CompletingRebalance {
            // Its partitions may already be someone else's.
            return Err(ErrorCode::RebalanceInProgress);
        }
        Ok(())
    }

    /// A commit counts as a heartbeat.
    pub(in crate::group) fn committed(&self, turn: &mut Turn<'_>, member_id: &str) {
        if matches!(self.state, State::Stable | State::PreparingRebalance) {
            self.extend_session(turn, member_id);
        }
    }

    /// May offsets be deleted? In a live group only where subscriptions can be read.
    pub(in crate::group) fn validate_offset_delete(&self) -> Result<(), ErrorCode> {
        if self.state == State::Empty || self.uses_consumer_protocol() {
            Ok(())
        } else {
            Err(ErrorCode::NonEmptyGroup)
        }
    }

    /// Since when its offsets age (KIP-211): since the group is empty, or, for topics that a live group does not
    /// consume and for groups that only commit, since the commit.
    pub(in crate::group) fn expiry_base(&self) -> Option<ExpiryBase> {
        if self.protocol_type.is_none() {
            return Some(ExpiryBase::Commit);
        }
        match self.state {
            State::Empty => Some(self.state_timestamp_ms.map_or(ExpiryBase::Commit, ExpiryBase::Since)),
            State::Stable if self.subscribed_topics.is_some() => Some(ExpiryBase::Commit),
            _ => None,
        }
    }

    /// Empty, and nobody is about to join.
    pub(in crate::group) fn is_abandoned(&self) -> bool {
        self.state == State::Empty && self.pending_join.is_empty()
    }
}
