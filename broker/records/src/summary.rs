//! What the decision makers see of a batch: its header's facts, never its payload.

use crate::header::BatchHeader;
use ottla_types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, TimestampMs};

/// A batch in brief.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchSummary {
    /// Offset of the first record.
    pub base_offset: Offset,
    /// Offset of the last record.
    pub last_offset: Offset,
    /// Epoch of the leader that appended it.
    pub leader_epoch: LeaderEpoch,
    /// Largest timestamp, or the append time.
    pub max_timestamp: TimestampMs,
    /// `NONE` without idempotence.
    pub producer_id: ProducerId,
    /// `NONE` without idempotence.
    pub producer_epoch: ProducerEpoch,
    /// Sequence of the first record, -1 without idempotence.
    pub base_sequence: i32,
    /// Sequence of the last record, -1 without idempotence.
    pub last_sequence: i32,
    /// Within a transaction, its markers included.
    pub is_transactional: bool,
    /// Control records: transaction markers and the like.
    pub is_control: bool,
    /// Records that are there.
    pub record_count: i32,
    /// Bytes of the whole batch.
    pub total_bytes: usize,
}

impl BatchSummary {
    /// True if an idempotent or transactional producer wrote the batch.
    #[must_use]
    pub const fn has_producer(&self) -> bool {
        self.producer_id.0 >= 0
    }

    /// Offset that follows the batch.
    #[must_use]
    pub const fn next_offset(&self) -> Offset {
        self.last_offset.saturating_add(1)
    }
}

impl From<&BatchHeader> for BatchSummary {
    fn from(header: &BatchHeader) -> Self {
        Self {
            base_offset: header.base_offset,
            last_offset: header.last_offset(),
            leader_epoch: LeaderEpoch(header.leader_epoch),
            max_timestamp: header.max_timestamp,
            producer_id: ProducerId(header.producer_id),
            producer_epoch: ProducerEpoch(header.producer_epoch),
            base_sequence: header.base_sequence,
            last_sequence: header.last_sequence(),
            is_transactional: header.is_transactional(),
            is_control: header.is_control(),
            record_count: header.record_count,
            total_bytes: header.total_bytes(),
        }
    }
}
