//! When a produce request may be answered: a condition as data, checked whenever the high watermark or the ISR moves.

use super::Leader;
use crate::planted::{self, Bug};
use ottla_types::{ErrorCode, LeaderEpoch, Offset};

/// What a produce request with `acks=all` waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ack {
    /// The leader epoch in which the unbroken leadership began that appended the records. After another leader has
    /// been in between, the same offsets may hold other records.
    pub since_epoch: LeaderEpoch,
    /// The high watermark that commits the records: the offset after the last of them.
    pub required_offset: Offset,
}

/// Where an [`Ack`] stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AckState {
    /// Not committed yet: look again when the high watermark advances.
    Waiting,
    /// Committed by enough replicas.
    Done,
    /// Answer with this error. The records may or may not survive.
    Failed(ErrorCode),
}

/// An append is refused before anything was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{in_sync} replicas are in sync and {required} are required")]
pub struct AppendRefused {
    /// The size of the committed ISR.
    pub in_sync: usize,
    /// `min.insync.replicas`, at most the number of replicas.
    pub required: usize,
}

impl AppendRefused {
    /// Kafka's error code.
    #[must_use]
    pub fn code(self) -> ErrorCode {
        ErrorCode::NotEnoughReplicas
    }
}

impl Leader {
    /// May records that want `acks` be appended? Only `acks=all` (-1) asks for enough replicas in sync.
    ///
    /// # Errors
    /// If the ISR is smaller than `min.insync.replicas`.
    #[inline]
    pub fn check_append(&self, acks: i16) -> Result<(), AppendRefused> {
        if acks == -1 && self.is_under_min_isr() {
            return Err(AppendRefused { in_sync: self.isr.len(), required: self.required_in_sync() });
        }
        Ok(())
    }

    /// The condition for answering `acks=all` after an append whose last record has `last_offset`.
    #[inline]
    #[must_use]
    pub fn ack(&self, last_offset: Offset) -> Ack {
        Ack { since_epoch: self.since_epoch, required_offset: last_offset + 1 }
    }

    /// Where `ack` stands now.
    #[inline]
    #[must_use]
    pub fn check_ack(&self, ack: Ack) -> AckState {
        if planted::is(Bug::AckBeforeReplication) {
            return AckState::Done;
        }
        if ack.since_epoch != self.since_epoch {
            return AckState::Failed(ErrorCode::NotLeaderOrFollower);
        }
        let is_committed = self.high_watermark >= ack.required_offset;
        if !is_committed && !self.is_under_min_isr() {
            return AckState::Waiting;
        }
        // Below the minimum the high watermark stands still (KIP-966).
        if !is_committed || self.maximal_isr_len() < self.required_in_sync() {
            return AckState::Failed(ErrorCode::NotEnoughReplicasAfterAppend);
        }
        AckState::Done
    }
}
