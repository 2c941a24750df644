//! The header a leader writes in front of a client's records.
//!
//! Offset and leader epoch lie outside of the CRC's range, so a batch is normally appended with the producer's CRC.

use crate::crc::crc32c_parts;
use crate::header::{BatchHeader, CRC_START, HEADER_BYTES, TIMESTAMP_TYPE_BIT};
use ottla_types::{Offset, TimestampMs};

/// The header of the batch at its place in the log, to be written in front of `body` (the batch's bytes after its header).
/// `log_append_time` stamps all records with one time. The CRC is computed anew only if what it covers changes.
#[must_use]
pub fn assign(
    header: &BatchHeader,
    base_offset: Offset,
    leader_epoch: i32,
    log_append_time: Option<TimestampMs>,
    body: &[u8],
) -> [u8; HEADER_BYTES] {
    let mut header = BatchHeader { base_offset, leader_epoch, ..*header };
    let Some(now) = log_append_time else { return header.encode() };
    header.attributes |= TIMESTAMP_TYPE_BIT;
    header.max_timestamp = now;
    seal(header, body)
}

/// Encodes `header` with the CRC of itself and `body`.
pub(crate) fn seal(mut header: BatchHeader, body: &[u8]) -> [u8; HEADER_BYTES] {
    let mut out = header.encode();
    header.crc = crc32c_parts(&[&out[CRC_START..], body]);
    out[17..CRC_START].copy_from_slice(&header.crc.to_be_bytes());
    out
}
