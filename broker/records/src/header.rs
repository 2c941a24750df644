//! The 61 bytes in front of every v2 batch (`org.apache.kafka.common.record.DefaultRecordBatch`).

use crate::compression::Compression;
use crate::error::BatchError;
use ottla_types::{Offset, TimestampMs};

/// Bytes of a batch before its records.
pub const HEADER_BYTES: usize = 61;
/// Bytes that the length field does not count: base offset and the field itself.
pub const LOG_OVERHEAD_BYTES: usize = 12;
/// Where the CRC's range begins: the attributes.
pub(crate) const CRC_START: usize = 21;

pub(crate) const COMPRESSION_MASK: i16 = 0x07;
pub(crate) const TIMESTAMP_TYPE_BIT: i16 = 0x08;
pub(crate) const TRANSACTIONAL_BIT: i16 = 0x10;
pub(crate) const CONTROL_BIT: i16 = 0x20;
pub(crate) const DELETE_HORIZON_BIT: i16 = 0x40;

const MAGIC_V2: i8 = 2;
/// Position of the magic byte, the same in all formats.
const MAGIC_AT: usize = 16;

/// Who stamped the records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum TimestampType {
    /// The producer (`message.timestamp.type=CreateTime`).
    #[default]
    CreateTime,
    /// The leader, when it appended the batch (`LogAppendTime`); all records carry the header's `max_timestamp`.
    LogAppendTime,
}

/// A batch's header, field by field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchHeader {
    /// Offset of the first record (kept by compaction even when that record is gone).
    pub base_offset: Offset,
    /// Bytes after this field; [`total_bytes`](Self::total_bytes) is 12 more.
    pub batch_length: i32,
    /// Epoch of the leader that appended the batch; not covered by the CRC.
    pub leader_epoch: i32,
    /// Always 2.
    pub magic: i8,
    /// CRC-32C from the attributes to the end of the batch.
    pub crc: u32,
    /// Bits 0-2 codec, 3 timestamp type, 4 transactional, 5 control, 6 delete horizon.
    pub attributes: i16,
    /// Last record's offset less the base offset (kept by compaction).
    pub last_offset_delta: i32,
    /// What the records' timestamps are relative to; the delete horizon if that bit is set.
    pub base_timestamp: TimestampMs,
    /// Largest timestamp, or the append time.
    pub max_timestamp: TimestampMs,
    /// -1 without idempotence.
    pub producer_id: i64,
    /// -1 without idempotence.
    pub producer_epoch: i16,
    /// Sequence of the first record; -1 without idempotence.
    pub base_sequence: i32,
    /// Records that are there; fewer than the offsets the batch covers once it was compacted.
    pub record_count: i32,
}

impl BatchHeader {
    /// Reads the header at the start of `bytes`; the records need not be there yet.
    ///
    /// # Errors
    /// [`BatchError`] if this is no v2 header: too short, an old or unknown format, an impossible length, no such codec.
    pub fn parse(bytes: &[u8]) -> Result<Self, BatchError> {
        if let Some(&magic) = bytes.get(MAGIC_AT) {
            // Looked at first: a message of the old formats may be shorter than a v2 header.
            check_magic(magic.cast_signed())?;
        }
        let Some(head) = bytes.first_chunk::<HEADER_BYTES>() else {
            return Err(BatchError::Truncated { needed: HEADER_BYTES, available: bytes.len() });
        };
        let header = Self {
            base_offset: i64::from_be_bytes(field(head, 0)),
            batch_length: i32::from_be_bytes(field(head, 8)),
            leader_epoch: i32::from_be_bytes(field(head, 12)),
            magic: i8::from_be_bytes(field(head, MAGIC_AT)),
            crc: u32::from_be_bytes(field(head, 17)),
            attributes: i16::from_be_bytes(field(head, 21)),
            last_offset_delta: i32::from_be_bytes(field(head, 23)),
            base_timestamp: i64::from_be_bytes(field(head, 27)),
            max_timestamp: i64::from_be_bytes(field(head, 35)),
            producer_id: i64::from_be_bytes(field(head, 43)),
            producer_epoch: i16::from_be_bytes(field(head, 51)),
            base_sequence: i32::from_be_bytes(field(head, 53)),
            record_count: i32::from_be_bytes(field(head, 57)),
        };
        if header.batch_length < (HEADER_BYTES - LOG_OVERHEAD_BYTES) as i32 {
            return Err(BatchError::InvalidLength { batch_length: header.batch_length });
        }
        let codec = (header.attributes & COMPRESSION_MASK) as u8;
        if Compression::from_id(codec).is_none() {
            return Err(BatchError::UnknownCompression { id: codec });
        }
        Ok(header)
    }

    /// The header as bytes, every field as it stands.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut out = [0; HEADER_BYTES];
        out[0..8].copy_from_slice(&self.base_offset.to_be_bytes());
        out[8..12].copy_from_slice(&self.batch_length.to_be_bytes());
        out[12..16].copy_from_slice(&self.leader_epoch.to_be_bytes());
        out[16..17].copy_from_slice(&self.magic.to_be_bytes());
        out[17..21].copy_from_slice(&self.crc.to_be_bytes());
        out[21..23].copy_from_slice(&self.attributes.to_be_bytes());
        out[23..27].copy_from_slice(&self.last_offset_delta.to_be_bytes());
        out[27..35].copy_from_slice(&self.base_timestamp.to_be_bytes());
        out[35..43].copy_from_slice(&self.max_timestamp.to_be_bytes());
        out[43..51].copy_from_slice(&self.producer_id.to_be_bytes());
        out[51..53].copy_from_slice(&self.producer_epoch.to_be_bytes());
        out[53..57].copy_from_slice(&self.base_sequence.to_be_bytes());
        out[57..61].copy_from_slice(&self.record_count.to_be_bytes());
        out
    }

    /// Bytes of the whole batch, at least [`HEADER_BYTES`] for a parsed header.
    #[must_use]
    pub const fn total_bytes(&self) -> usize {
        // A parsed length is at least 49; a negative one can only be made by hand.
        (if self.batch_length < 0 { 0 } else { self.batch_length as usize }) + LOG_OVERHEAD_BYTES
    }

    /// Offset of the last record.
    #[must_use]
    pub const fn last_offset(&self) -> Offset {
        self.base_offset.saturating_add(self.last_offset_delta as i64)
    }

    /// Offset that follows the batch.
    #[must_use]
    pub const fn next_offset(&self) -> Offset {
        self.last_offset().saturating_add(1)
    }

    /// The records' codec ([`Compression::None`] should a header made by hand name no codec; a parsed one does).
    #[must_use]
    pub fn compression(&self) -> Compression {
        Compression::from_id((self.attributes & COMPRESSION_MASK) as u8).unwrap_or(Compression::None)
    }

    /// Who stamped the records.
    #[must_use]
    pub const fn timestamp_type(&self) -> TimestampType {
        if self.attributes & TIMESTAMP_TYPE_BIT == 0 {
            TimestampType::CreateTime
        } else {
            TimestampType::LogAppendTime
        }
    }

    /// True for a batch within a transaction, its markers included.
    #[must_use]
    pub const fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL_BIT != 0
    }

    /// True for a batch of control records, which no consumer sees.
    #[must_use]
    pub const fn is_control(&self) -> bool {
        self.attributes & CONTROL_BIT != 0
    }

    /// When compaction may drop the batch's tombstones and markers (KIP-534); set by the first compaction that keeps them.
    #[must_use]
    pub const fn delete_horizon_ms(&self) -> Option<TimestampMs> {
        if self.attributes & DELETE_HORIZON_BIT == 0 { None } else { Some(self.base_timestamp) }
    }

    /// True if an idempotent or transactional producer wrote the batch.
    #[must_use]
    pub const fn has_producer(&self) -> bool {
        self.producer_id >= 0
    }

    /// Sequence of the last record: they wrap from `i32::MAX` to 0; -1 without a sequence.
    #[must_use]
    pub const fn last_sequence(&self) -> i32 {
        if self.base_sequence < 0 {
            return self.base_sequence;
        }
        self.base_sequence.wrapping_add(self.last_offset_delta) & i32::MAX
    }
}

const fn check_magic(magic: i8) -> Result<(), BatchError> {
    match magic {
        MAGIC_V2 => Ok(()),
        0 | 1 => Err(BatchError::OldFormat { magic }),
        _ => Err(BatchError::UnknownMagic { magic }),
    }
}

fn field<const N: usize>(head: &[u8; HEADER_BYTES], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&head[at..at + N]);
    out
}

#[cfg(test)]
mod tests;
