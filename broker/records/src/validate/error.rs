//! Why a produced batch is refused.

use crate::compression::CompressionError;
use crate::error::BatchError;
use ottla_types::{ErrorCode, Offset};

/// Records named in one refusal; the rest of a batch may be at fault too.
pub const MAX_RECORD_ERRORS: usize = 100;

/// A record at fault, `RecordErrors` of the produce response (KIP-467).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordError {
    /// Its place in the batch, from 0.
    pub index: i32,
    /// What is wrong with it, for the producer to read.
    pub message: String,
}

/// Why a batch may not be appended; nothing of it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProduceError {
    /// The request has no whole batch for the partition.
    #[error("a produce request must have one record batch for each partition, and here is none")]
    NoBatch,
    /// It has more than one.
    #[error("a produce request must have one record batch for each partition, and here are several")]
    SeveralBatches,
    /// The bytes are no usable batch.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// A producer's batch begins at 0; the leader assigns the offsets.
    #[error("the base offset of a produced batch must be 0, not {base_offset}")]
    BaseOffset {
        /// The header's base offset.
        base_offset: Offset,
    },
    /// Larger than `max.message.bytes`, as it came or as it would be kept.
    #[error("the batch has {batch_bytes} bytes, max.message.bytes is {max_message_bytes}")]
    TooLarge {
        /// Bytes of the whole batch.
        batch_bytes: usize,
        /// The topic's limit.
        max_message_bytes: usize,
    },
    /// Offsets and records are not one for one.
    #[error("a batch with last offset delta {last_offset_delta} cannot have {record_count} records")]
    Count {
        /// The header's field.
        last_offset_delta: i32,
        /// The header's field.
        record_count: i32,
    },
    /// Control records are the broker's.
    #[error("clients may not write control records")]
    Control,
    /// An idempotent batch counts from a sequence.
    #[error("base sequence {base_sequence} of producer {producer_id} is invalid")]
    Sequence {
        /// The header's field.
        producer_id: i64,
        /// The header's field.
        base_sequence: i32,
    },
    /// Records too old or too new for the topic, or stamped with append time.
    #[error("one or more records have been rejected due to invalid timestamp")]
    Timestamps {
        /// The first [`MAX_RECORD_ERRORS`] of them, of whatever fault.
        errors: Vec<RecordError>,
    },
    /// Records without a key in a compacted topic.
    #[error("one or more records have been rejected, the first at index {}", errors.first().map_or(0, |e| e.index))]
    Records {
        /// The first [`MAX_RECORD_ERRORS`] of them.
        errors: Vec<RecordError>,
    },
}

impl ProduceError {
    /// Kafka's error code for the producer. An old message format is an invalid record here, since every produce
    /// version that is left (3 and above) is for v2 alone.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Batch(BatchError::OldFormat { .. }) => ErrorCode::InvalidRecord,
            Self::Batch(error) => error.code(),
            Self::TooLarge { .. } => ErrorCode::MessageTooLarge,
            Self::Timestamps { .. } => ErrorCode::InvalidTimestamp,
            Self::NoBatch
            | Self::SeveralBatches
            | Self::BaseOffset { .. }
            | Self::Count { .. }
            | Self::Control
            | Self::Sequence { .. }
            | Self::Records { .. } => ErrorCode::InvalidRecord,
        }
    }

    /// The records at fault, for the response.
    #[must_use]
    pub fn record_errors(&self) -> &[RecordError] {
        match self {
            Self::Timestamps { errors } | Self::Records { errors } => errors,
            _ => &[],
        }
    }
}

impl From<CompressionError> for ProduceError {
    fn from(error: CompressionError) -> Self {
        Self::Batch(error.into())
    }
}
