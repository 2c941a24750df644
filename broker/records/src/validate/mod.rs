//! May a leader append what a producer sent? (`org.apache.kafka.storage.internals.log.LogValidator`, `UnifiedLog`.)
//!
//! A compressed batch that needs no change is judged by its header and CRC. Its records are decoded only if
//! - the topic's codec is another one than the batch's,
//! - the topic is compacted, where every record needs a key,
//! - the topic bounds how old a record may be (`message.timestamp.before.max.ms`), or
//! - the header's newest timestamp is beyond `message.timestamp.after.max.ms`, to name the records that are.
//!
//! Records that are not compressed are walked always: that costs little, and what no consumer could read is refused.
//!
//! Kafka decodes always, so it also corrects a `max_timestamp` or offset deltas that the producer got wrong; here that
//! happens whenever records are decoded. Offsets, leader epoch and append time are put in later, by [`crate::patch`].

mod error;
mod records;
#[cfg(test)]
mod tests;

pub use error::{MAX_RECORD_ERRORS, ProduceError, RecordError};

use crate::batch::RecordBatch;
use crate::compression::Compression;
use crate::error::BatchError;
use crate::header::{BatchHeader, HEADER_BYTES, TIMESTAMP_TYPE_BIT, TimestampType};
use crate::patch;
use bytes::{Bytes, BytesMut};
use ottla_types::TimestampMs;

/// The codec in which a topic keeps its records, `compression.type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TargetCompression {
    /// As the producer sent them.
    #[default]
    Producer,
    /// Always this one; a batch of the same codec is kept as it is, whatever its level.
    Codec {
        /// [`Compression::None`] for `uncompressed`.
        codec: Compression,
        /// `compression.<codec>.level`; `None` is the codec's default.
        level: Option<i32>,
    },
}

/// What a topic asks of a produced batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProduceRules {
    /// `max.message.bytes`: a whole batch as it came and as it is kept.
    pub max_message_bytes: usize,
    /// `message.timestamp.type`.
    pub timestamp_type: TimestampType,
    /// `message.timestamp.before.max.ms`; `i64::MAX` is no bound.
    pub before_max_ms: i64,
    /// `message.timestamp.after.max.ms`; `i64::MAX` is no bound.
    pub after_max_ms: i64,
    /// `compression.type` and its level.
    pub compression: TargetCompression,
    /// `cleanup.policy` has `compact`: every record needs a key.
    pub compacted: bool,
    /// Memory that one batch's decompressed records may take.
    pub max_decompressed_bytes: usize,
    /// Wall clock.
    pub now: TimestampMs,
}

impl ProduceRules {
    /// Kafka's defaults for a topic, and 64 MiB for decompressed records.
    #[must_use]
    pub const fn defaults(now: TimestampMs) -> Self {
        Self {
            max_message_bytes: 1_048_588,
            timestamp_type: TimestampType::CreateTime,
            before_max_ms: i64::MAX,
            after_max_ms: 3_600_000,
            compression: TargetCompression::Producer,
            compacted: false,
            max_decompressed_bytes: 64 << 20,
            now,
        }
    }

    fn timestamp_is_in_bounds(&self, timestamp: TimestampMs) -> bool {
        let age = self.now.saturating_sub(timestamp);
        age <= self.before_max_ms && age.saturating_neg() <= self.after_max_ms
    }

    /// `Some` if the batch must be kept in another codec than it has.
    fn recompress_to(&self, header: &BatchHeader) -> Option<(Compression, Option<i32>)> {
        match self.compression {
            TargetCompression::Codec { codec, level } if codec != header.compression() => {
                Some((codec, level))
            }
            _ => None,
        }
    }
}

/// A batch that may be appended. Only this module and those who made the batch themselves make one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Validated {
    batch: RecordBatch,
    rewritten: bool,
}

impl Validated {
    /// A batch that this broker built itself (markers, coordinators, metadata), which nobody needs to check.
    #[must_use]
    pub const fn internal(batch: RecordBatch) -> Self {
        Self { batch, rewritten: false }
    }

    /// The batch: as it came, or as it was rewritten.
    #[must_use]
    pub const fn batch(&self) -> &RecordBatch {
        &self.batch
    }

    /// True if the batch is not the producer's bytes any more (counted as a message conversion).
    #[must_use]
    pub const fn was_rewritten(&self) -> bool {
        self.rewritten
    }

    /// The batch, given away.
    #[must_use]
    pub fn into_batch(self) -> RecordBatch {
        self.batch
    }
}

/// The one batch that a produce request may carry for a partition. A cut-off tail behind it is left out, as Kafka does.
///
/// # Errors
/// [`ProduceError::NoBatch`], [`ProduceError::SeveralBatches`], or [`ProduceError::Batch`] if the header is none of a v2 batch.
pub fn sole_batch(records: &Bytes) -> Result<RecordBatch, ProduceError> {
    let batch = match RecordBatch::new(records) {
        Ok(batch) => batch,
        Err(BatchError::Truncated { .. }) => return Err(ProduceError::NoBatch),
        Err(error) => return Err(error.into()),
    };
    let rest = &records[batch.bytes.len()..];
    let cut_off = rest.len() < HEADER_BYTES
        || BatchHeader::parse(rest).is_ok_and(|following| following.total_bytes() > rest.len());
    if cut_off { Ok(batch) } else { Err(ProduceError::SeveralBatches) }
}

/// Checks a producer's batch against its topic's rules; recompresses it if they ask for that.
/// Whether the request's version may carry the codec is the caller's to know (zstd: from version 7).
///
/// # Errors
/// [`ProduceError`], with its code for the client and the records at fault where it is records.
pub fn for_produce(batch: &RecordBatch, rules: &ProduceRules) -> Result<Validated, ProduceError> {
    check_header(batch, rules)?;
    let header = &batch.header;
    check_timestamp_type(header, rules)?;
    let beyond_bounds = rules.timestamp_type == TimestampType::CreateTime
        && header.max_timestamp != NO_TIMESTAMP
        && !rules.timestamp_is_in_bounds(header.max_timestamp);
    let must_decode = header.compression() == Compression::None
        || rules.compacted
        || beyond_bounds
        || (rules.before_max_ms != i64::MAX && rules.timestamp_type == TimestampType::CreateTime)
        || rules.recompress_to(header).is_some();
    if must_decode {
        return records::check(batch, rules);
    }
    if header.timestamp_type() == TimestampType::LogAppendTime {
        let corrected = BatchHeader { attributes: header.attributes & !TIMESTAMP_TYPE_BIT, ..*header };
        return Ok(Validated { batch: with_header(corrected, batch.body()), rewritten: true });
    }
    Ok(Validated { batch: batch.clone(), rewritten: false })
}

/// The timestamp of a record whose producer gave none.
const NO_TIMESTAMP: TimestampMs = -1;

/// In Kafka's order: the first of several faults decides the code.
fn check_header(batch: &RecordBatch, rules: &ProduceRules) -> Result<(), ProduceError> {
    let header = &batch.header;
    if header.base_offset != 0 {
        return Err(ProduceError::BaseOffset { base_offset: header.base_offset });
    }
    check_size(batch.bytes.len(), rules)?;
    batch.verify_crc()?;
    let offsets = i64::from(header.last_offset_delta) + 1;
    if offsets <= 0 || header.record_count <= 0 || offsets != i64::from(header.record_count) {
        return Err(ProduceError::Count {
            last_offset_delta: header.last_offset_delta,
            record_count: header.record_count,
        });
    }
    if header.is_control() {
        return Err(ProduceError::Control);
    }
    if header.has_producer() && header.base_sequence < 0 {
        return Err(ProduceError::Sequence {
            producer_id: header.producer_id,
            base_sequence: header.base_sequence,
        });
    }
    Ok(())
}

fn check_size(batch_bytes: usize, rules: &ProduceRules) -> Result<(), ProduceError> {
    if batch_bytes > rules.max_message_bytes {
        return Err(ProduceError::TooLarge { batch_bytes, max_message_bytes: rules.max_message_bytes });
    }
    Ok(())
}

/// A producer has no business to stamp append time. With `CreateTime` and a timestamp Kafka lets it pass and corrects it.
fn check_timestamp_type(header: &BatchHeader, rules: &ProduceRules) -> Result<(), ProduceError> {
    let tolerated = rules.timestamp_type == TimestampType::CreateTime && header.max_timestamp != NO_TIMESTAMP;
    if header.timestamp_type() == TimestampType::CreateTime || tolerated {
        return Ok(());
    }
    let errors = (0..header.record_count.min(MAX_RECORD_ERRORS as i32))
        .map(|index| RecordError {
            index,
            message: "the producer must not set the timestamp type LogAppendTime".into(),
        })
        .collect();
    Err(ProduceError::Timestamps { errors })
}

/// A batch of `header` and `body`, with length and CRC made to fit.
fn with_header(mut header: BatchHeader, body: &[u8]) -> RecordBatch {
    header.batch_length = (HEADER_BYTES - crate::header::LOG_OVERHEAD_BYTES + body.len()) as i32;
    let head = patch::seal(header, body);
    let mut bytes = BytesMut::with_capacity(head.len() + body.len());
    bytes.extend_from_slice(&head);
    bytes.extend_from_slice(body);
    header.crc = u32::from_be_bytes([head[17], head[18], head[19], head[20]]);
    RecordBatch { header, bytes: bytes.freeze() }
}
