//! Finding offsets by time (`ListOffsets`).

use super::Log;
use crate::error::ReadError;
use crate::segment::Found;
use ottla_records::{RecordBatch, TimestampType};
use ottla_types::{LeaderEpoch, Offset, TimestampMs};

/// A batch that decompresses to more is not looked into: its first offset is answered.
const MAX_DECOMPRESSED_BYTES: usize = 64 << 20;

/// A record found by its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimestampOffset {
    /// The record's timestamp.
    pub timestamp: TimestampMs,
    /// Its offset.
    pub offset: Offset,
    /// The epoch of the leader that appended it.
    pub leader_epoch: LeaderEpoch,
}

impl Log {
    /// The first record at or behind the log's start whose timestamp is at least `target`.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn offset_for_timestamp(
        &mut self,
        target: TimestampMs,
    ) -> Result<Option<TimestampOffset>, ReadError> {
        self.check_readable()?;
        let interval_bytes = self.config.index_interval_bytes;
        for index in self.segment_index(self.log_start_offset).unwrap_or(0)..self.segments.len() {
            let found = self.timestamp_in_segment(index, target, interval_bytes);
            if let Some(found) = self.judged(found)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn timestamp_in_segment(
        &mut self,
        index: usize,
        target: TimestampMs,
        interval_bytes: u32,
    ) -> Result<Option<TimestampOffset>, ReadError> {
        let mut from = self.log_start_offset;
        let (place, segment) = self.segment(index);
        if segment.max_timestamp(place, interval_bytes)?.0 < target {
            return Ok(None);
        }
        while let Some(found) = segment.find_timestamp(place, target, from, interval_bytes)? {
            let batch = segment.read_batch(place, found.position, &found.header)?;
            if let Some((timestamp, offset)) = first_record(batch, &found, target, from) {
                return Ok(Some(TimestampOffset {
                    timestamp,
                    offset,
                    leader_epoch: found.header.leader_epoch.into(),
                }));
            }
            // Its matching records lie below the log's start, or compaction took them.
            from = from.max(found.header.next_offset());
        }
        Ok(None)
    }

    /// When the batch that holds `offset`, or the first one behind it, was begun: the time of its first record, or
    /// its append time. Looks at one header. `None` if there is no such batch.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn batch_time_at(&mut self, offset: Offset) -> Result<Option<TimestampMs>, ReadError> {
        self.check_readable()?;
        let offset = offset.max(self.log_start_offset);
        let interval_bytes = self.config.index_interval_bytes;
        for index in self.segment_index(offset).unwrap_or(0)..self.segments.len() {
            let (place, segment) = self.segment(index);
            let found = segment.find(place, offset, interval_bytes);
            if let Some(Found { header, .. }) = self.judged(found)? {
                let is_base = header.timestamp_type() == TimestampType::CreateTime
                    && header.delete_horizon_ms().is_none();
                return Ok(Some(if is_base { header.base_timestamp } else { header.max_timestamp }));
            }
        }
        Ok(None)
    }

    /// The first record with the largest timestamp (`ListOffsets` with -3).
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn max_timestamp_offset(&mut self) -> Result<Option<TimestampOffset>, ReadError> {
        self.check_readable()?;
        let interval_bytes = self.config.index_interval_bytes;
        let mut largest = -1;
        for index in self.segment_index(self.log_start_offset).unwrap_or(0)..self.segments.len() {
            let (place, segment) = self.segment(index);
            let max = segment.max_timestamp(place, interval_bytes);
            largest = largest.max(self.judged(max)?.0);
        }
        if largest < 0 { Ok(None) } else { self.offset_for_timestamp(largest) }
    }
}

fn first_record(
    batch: Option<RecordBatch>,
    found: &Found,
    target: TimestampMs,
    from: Offset,
) -> Option<(TimestampMs, Offset)> {
    let fallback = Some((found.header.max_timestamp, found.header.base_offset.max(from)));
    let Ok(records) = batch?.records(MAX_DECOMPRESSED_BYTES) else { return fallback };
    for record in records {
        let Ok(record) = record else { return fallback };
        if record.timestamp >= target && record.offset >= from {
            return Some((record.timestamp, record.offset));
        }
    }
    None
}
