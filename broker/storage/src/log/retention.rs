//! Rolling to new segments and letting old ones go.

use super::Log;
use crate::error::{DiskError, LogError};
use crate::segment::Segment;
use ottla_types::{Offset, TimestampMs};

impl Log {
    /// Starts a new segment at the log's end, unless the active one is empty.
    ///
    /// # Errors
    /// The disk's.
    pub fn roll(&mut self, now: TimestampMs) -> Result<(), LogError> {
        self.check_online()?;
        if self.active().size_bytes > 0 {
            let rolled = self.roll_to(self.log_end_offset, now);
            self.noted(rolled)?;
        }
        Ok(())
    }

    /// Starts a new segment at `base_offset`, which is not below the log's end. Replaces an empty active segment.
    pub(super) fn roll_to(&mut self, base_offset: Offset, now: TimestampMs) -> Result<(), DiskError> {
        let (place, active) = self.active_mut();
        if active.size_bytes == 0 && active.base_offset == base_offset {
            return Ok(());
        }
        if active.size_bytes > 0 {
            active.seal(place)?;
            active.release_indexes();
        }
        let segment = Segment::create(self.place(), base_offset, now)?;
        self.segments.push(segment);
        self.dir_changes += 1;
        let before = self.segments.len() - 2;
        if self.segments[before].size_bytes == 0 {
            let empty = self.segments.remove(before);
            self.remove_segment_files(&empty)?;
        }
        self.take_snapshot()
    }

    /// Lets segments go that are too old, too many bytes, or wholly below the log's start. Only what is below
    /// `high_watermark` goes. Removes files whose time has come. Returns true if the log start offset moved.
    ///
    /// # Errors
    /// [`LogError`].
    pub fn apply_retention(&mut self, high_watermark: Offset, now: TimestampMs) -> Result<bool, LogError> {
        self.check_online()?;
        self.remove_deleted_files(now);
        let below_start = self.segments_below_start();
        let mut count = below_start;
        if self.config.delete {
            count = count.max(self.expired_segments(now)?).max(self.surplus_segments());
        }
        let deletable = |log: &Self, count: &usize| log.segment_end(*count - 1) <= high_watermark;
        while count > 0 && !deletable(self, &count) {
            count -= 1;
        }
        if count == 0 {
            return Ok(false);
        }
        let before = self.log_start_offset;
        let deleted = self.delete_first_segments(count, now);
        self.noted(deleted)?;
        Ok(self.log_start_offset != before)
    }

    /// Raises the log's start (`DeleteRecords`); whole segments below go at the next retention. Returns the new start.
    ///
    /// # Errors
    /// [`LogError`]; out of range if `offset` is above the high watermark's place, the log's end.
    pub fn delete_records_before(&mut self, offset: Offset) -> Result<Offset, LogError> {
        self.check_online()?;
        if offset > self.log_end_offset {
            return Err(self.out_of_range(offset).into());
        }
        self.raise_log_start(offset);
        Ok(self.log_start_offset)
    }

    pub(super) fn raise_log_start(&mut self, offset: Offset) {
        if offset > self.log_start_offset {
            self.log_start_offset = offset;
            self.epochs_dirty |= self.epochs.truncate_from_start(offset);
        }
    }

    /// Offset that follows the segment at `index`.
    pub(super) fn segment_end(&self, index: usize) -> Offset {
        self.segments.get(index + 1).map_or(self.log_end_offset, |next| next.base_offset)
    }

    fn segments_below_start(&self) -> usize {
        let last = self.segments.len() - 1;
        (0..last).take_while(|&index| self.segment_end(index) <= self.log_start_offset).count()
    }

    fn expired_segments(&mut self, now: TimestampMs) -> Result<usize, LogError> {
        if self.config.retention_ms < 0 {
            return Ok(0);
        }
        let interval_bytes = self.config.index_interval_bytes;
        for index in 0..self.segments.len() {
            let (place, segment) = self.segment(index);
            if segment.size_bytes == 0 {
                return Ok(index);
            }
            let timestamp = segment.max_timestamp(place, interval_bytes);
            let modified_ms = segment.modified_ms;
            let (timestamp, _) = self.judged(timestamp)?;
            let timestamp = if timestamp >= 0 { timestamp } else { modified_ms };
            if now.saturating_sub(timestamp) <= self.config.retention_ms {
                return Ok(index);
            }
        }
        Ok(self.segments.len())
    }

    fn surplus_segments(&self) -> usize {
        let Ok(limit) = u64::try_from(self.config.retention_bytes) else { return 0 };
        let mut surplus = self.size_bytes().saturating_sub(limit);
        let mut count = 0;
        for segment in &self.segments[..self.segments.len() - 1] {
            if surplus < segment.size_bytes || surplus == 0 {
                break;
            }
            surplus -= segment.size_bytes;
            count += 1;
        }
        count
    }

    fn delete_first_segments(&mut self, count: usize, now: TimestampMs) -> Result<(), DiskError> {
        if count == self.segments.len() {
            // The active one too: what comes next goes to a new segment.
            self.roll_to(self.log_end_offset, now)?;
        }
        let start = self.segments[count].base_offset;
        self.log_start_offset = self.log_start_offset.max(start);
        let gone: Vec<Segment> = self.segments.drain(..count).collect();
        for segment in &gone {
            tracing::info!(
                partition = %self.partition, base_offset = segment.base_offset, bytes = segment.size_bytes,
                "deleting a segment"
            );
            self.delete_segment_later(segment, now)?;
        }
        self.epochs_dirty |= self.epochs.truncate_from_start(self.log_start_offset);
        if self.epochs_dirty {
            // Not worth failing for: what is behind the start is cut off again when the log is opened.
            let _ = self.save_epochs();
        }
        self.retain_snapshots(|offset| offset >= start);
        Ok(())
    }
}
