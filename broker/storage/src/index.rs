//! The entries of Kafka's indexes (`OffsetIndex`, `TimeIndex`, `TransactionIndex`). Offsets in the first two are
//! relative to the segment's base offset.

use crate::entry_file::Entry;
use bytes::{Buf, BufMut};
use ottla_types::{Offset, ProducerId, TimestampMs};

/// `.index`: the batch that ends at an offset begins at a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct OffsetEntry {
    /// The batch's last offset less the segment's base offset.
    pub(crate) relative_offset: u32,
    /// Where the batch begins in the segment.
    pub(crate) position: u32,
}

/// `.timeindex`: no record up to an offset has a larger timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TimeEntry {
    /// The largest timestamp so far.
    pub(crate) timestamp: TimestampMs,
    /// Last offset of the batch that has it, less the segment's base offset.
    pub(crate) relative_offset: u32,
}

/// `.txnindex`: an aborted transaction whose marker is in the segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AbortedEntry {
    pub(crate) producer_id: ProducerId,
    pub(crate) first_offset: Offset,
    /// The marker's.
    pub(crate) last_offset: Offset,
    /// The last stable offset once this transaction had ended.
    pub(crate) last_stable_offset: Offset,
}

impl Entry for OffsetEntry {
    const BYTES: usize = 8;

    fn encode(&self, out: &mut [u8]) {
        out[..4].copy_from_slice(&self.relative_offset.to_be_bytes());
        out[4..8].copy_from_slice(&self.position.to_be_bytes());
    }

    fn decode(bytes: &[u8]) -> Self {
        let (offset, position) = bytes.split_at(4);
        Self { relative_offset: be_u32(offset), position: be_u32(position) }
    }
}

impl Entry for TimeEntry {
    const BYTES: usize = 12;

    fn encode(&self, out: &mut [u8]) {
        out[..8].copy_from_slice(&self.timestamp.to_be_bytes());
        out[8..12].copy_from_slice(&self.relative_offset.to_be_bytes());
    }

    fn decode(bytes: &[u8]) -> Self {
        let (timestamp, offset) = bytes.split_at(8);
        let mut eight = [0; 8];
        eight.copy_from_slice(timestamp);
        Self { timestamp: i64::from_be_bytes(eight), relative_offset: be_u32(offset) }
    }
}

impl Entry for AbortedEntry {
    const BYTES: usize = 34;

    fn encode(&self, mut out: &mut [u8]) {
        // Version 0 of the format comes first.
        out.put_i16(0);
        for number in [self.producer_id.0, self.first_offset, self.last_offset, self.last_stable_offset] {
            out.put_i64(number);
        }
    }

    fn decode(bytes: &[u8]) -> Self {
        let mut rest = &bytes[2..];
        Self {
            producer_id: ProducerId(rest.get_i64()),
            first_offset: rest.get_i64(),
            last_offset: rest.get_i64(),
            last_stable_offset: rest.get_i64(),
        }
    }
}

fn be_u32(bytes: &[u8]) -> u32 {
    let mut four = [0; 4];
    four.copy_from_slice(&bytes[..4]);
    u32::from_be_bytes(four)
}
