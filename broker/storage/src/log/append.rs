//! Appending: offsets assigned, one write, then the books.

use super::Log;
use crate::error::{AppendError, DiskError};
use crate::producer_state::Verdict;
use crate::segment::Segment;
use bytes::Bytes;
use ottla_records::{BatchHeader, BatchSummary, RecordBatch, TimestampType, patch, split};
use ottla_types::{ErrorCode, LeaderEpoch, Offset, TimestampMs};
use std::io::IoSlice;

/// What an append did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Offset of the first record.
    pub base_offset: Offset,
    /// Offset of the last record.
    pub last_offset: Offset,
    /// The time the records were stamped with, if the log stamps them.
    pub log_append_time: Option<TimestampMs>,
    /// True if the batch was in the log already and nothing was written.
    pub duplicate: bool,
}

/// Bytes to write and what they are. Offsets are final.
struct Write<'a, 'b> {
    slices: &'a [IoSlice<'b>],
    bytes: u64,
    batches: &'a [BatchHeader],
}

impl Log {
    /// Appends batches that were validated, giving them their offsets and the leader's epoch. One write for all of
    /// them, so they must fit into one segment together. Bodies are not read unless the log stamps its own time.
    ///
    /// A single batch that is in the log already is answered with its old offsets (`duplicate`). If there is no room for
    /// one, those of its producer that come behind it are refused like it until it is taken.
    ///
    /// # Errors
    /// [`AppendError`]; the log is as it was.
    pub fn append_as_leader(
        &mut self,
        batches: &[RecordBatch],
        leader_epoch: LeaderEpoch,
        now: TimestampMs,
    ) -> Result<Appended, AppendError> {
        let appended = self.append_in_order(batches, leader_epoch, now);
        match &appended {
            Ok(_) if self.refused.is_empty() => {}
            Ok(_) => batches.iter().for_each(|batch| self.refused.taken(&batch.summary())),
            Err(error @ AppendError::DiskFull { .. }) => {
                batches.iter().for_each(|batch| self.note_refused(&batch.header, error.code(), now));
            }
            Err(_) => {}
        }
        appended
    }

    /// A batch was refused before it came to the log, and its producer is told to send it again: those behind it are
    /// refused like it until it is taken.
    pub fn note_refused(&mut self, header: &BatchHeader, code: ErrorCode, now: TimestampMs) {
        if header.has_producer() && !header.is_control() {
            self.refused.note(&BatchSummary::from(header), code, now);
        }
    }

    fn append_in_order(
        &mut self,
        batches: &[RecordBatch],
        leader_epoch: LeaderEpoch,
        now: TimestampMs,
    ) -> Result<Appended, AppendError> {
        self.check_not_offline()?;
        if let Some(latest) = self.epochs.latest()
            && leader_epoch < latest
        {
            return Err(AppendError::StaleEpoch { epoch: leader_epoch, latest });
        }
        for batch in batches {
            if let Some(duplicate) = self.check_batch(batch, now)? {
                return Ok(duplicate);
            }
        }
        self.check_room()?;
        let log_append_time = (self.config.timestamp_type == TimestampType::LogAppendTime).then_some(now);
        let base_offset = self.log_end_offset;
        let mut heads = Vec::with_capacity(batches.len());
        let mut headers = Vec::with_capacity(batches.len());
        let mut next_offset = base_offset;
        for batch in batches {
            let head =
                patch::assign(&batch.header, next_offset, leader_epoch.0, log_append_time, batch.body());
            let header = BatchHeader::parse(&head)?;
            next_offset = header.next_offset();
            heads.push(head);
            headers.push(header);
        }
        let mut slices = Vec::with_capacity(batches.len() * 2);
        for (head, batch) in heads.iter().zip(batches) {
            slices.push(IoSlice::new(head));
            slices.push(IoSlice::new(batch.body()));
        }
        let bytes = headers.iter().map(|header| header.total_bytes() as u64).sum();
        if bytes > self.config.segment_bytes {
            return Err(AppendError::TooLarge { bytes, segment_bytes: self.config.segment_bytes });
        }
        self.write(Write { slices: &slices, bytes, batches: &headers }, now)?;
        self.keep_books(batches, &headers, now);
        Ok(Appended { base_offset, last_offset: next_offset - 1, log_append_time, duplicate: false })
    }

    /// Appends batches copied from the leader as they are. Their offsets must rise from the log's end; gaps (left by
    /// compaction) are kept. A batch cut off at the end of `bytes` is left out.
    ///
    /// # Errors
    /// [`AppendError`]; batches before the failing one may have been appended, as the log end offset tells.
    pub fn append_as_follower(
        &mut self,
        bytes: Bytes,
        now: TimestampMs,
    ) -> Result<Option<Appended>, AppendError> {
        self.check_not_offline()?;
        self.check_room()?;
        let mut batches = Vec::new();
        let mut next_offset = self.log_end_offset;
        for batch in split(bytes) {
            let batch = match batch {
                Ok(batch) => batch,
                Err(ottla_records::BatchError::Truncated { .. }) if !batches.is_empty() => break,
                Err(error) => return Err(error.into()),
            };
            if batches.is_empty() && self.begins_within(&batch.header) {
                next_offset = batch.header.base_offset;
            }
            if batch.header.base_offset < next_offset || batch.header.last_offset_delta < 0 {
                let (base_offset, log_end_offset) = (batch.header.base_offset, next_offset);
                return Err(AppendError::OutOfOrder { base_offset, log_end_offset });
            }
            let epoch = LeaderEpoch(batch.header.leader_epoch);
            if let Some(latest) = self.epochs.latest().filter(|latest| epoch < *latest) {
                return Err(AppendError::StaleEpoch { epoch, latest });
            }
            batch.verify_crc()?;
            next_offset = batch.header.next_offset();
            batches.push(batch);
        }
        let (Some(first), Some(last)) = (batches.first(), batches.last()) else { return Ok(None) };
        let (base_offset, last_offset) = (first.header.base_offset, last.header.last_offset());
        let log_start_offset = self.log_start_offset;
        if base_offset < self.log_end_offset {
            let restarted = self.restart_at(base_offset, now);
            self.noted(restarted).map_err(|error| self.append_error(error))?;
        }
        let mut rest = &batches[..];
        while !rest.is_empty() {
            let (group, behind) = rest.split_at(self.fitting(rest));
            self.append_group(group, now)?;
            rest = behind;
        }
        self.raise_log_start(log_start_offset);
        Ok(Some(Appended { base_offset, last_offset, log_append_time: None, duplicate: false }))
    }

    /// Whether an empty log is to begin within a batch: that is where its leader's begins, and batches come whole.
    fn begins_within(&self, header: &BatchHeader) -> bool {
        let start = self.log_start_offset;
        start == self.log_end_offset && header.base_offset < start && header.last_offset() >= start
    }

    /// How many of `batches` (at least one) fit into one segment together.
    fn fitting(&self, batches: &[RecordBatch]) -> usize {
        let mut bytes = 0;
        let fits = |batch: &&RecordBatch| {
            bytes += batch.bytes.len() as u64;
            bytes <= self.config.segment_bytes
                && batch.header.last_offset() - batches[0].header.base_offset <= i64::from(i32::MAX)
        };
        batches.iter().take_while(fits).count().max(1)
    }

    fn append_group(&mut self, batches: &[RecordBatch], now: TimestampMs) -> Result<(), AppendError> {
        let headers: Vec<BatchHeader> = batches.iter().map(|batch| batch.header).collect();
        let slices: Vec<IoSlice<'_>> = batches.iter().map(|batch| IoSlice::new(&batch.bytes)).collect();
        let bytes = batches.iter().map(|batch| batch.bytes.len() as u64).sum();
        self.write(Write { slices: &slices, bytes, batches: &headers }, now)?;
        self.keep_books(batches, &headers, now);
        Ok(())
    }

    fn check_not_offline(&self) -> Result<(), AppendError> {
        match self.offline_reason() {
            None => Ok(()),
            Some(reason) => Err(AppendError::Offline { path: self.dir.clone(), reason: reason.to_owned() }),
        }
    }

    fn check_room(&self) -> Result<(), AppendError> {
        if self.log_dir.is_full() && !self.uses_reserve {
            return Err(AppendError::DiskFull { dir: self.log_dir.path().to_owned() });
        }
        Ok(())
    }

    /// The answer to a batch that is in the log already; an error if its producer may not append it.
    fn check_batch(&self, batch: &RecordBatch, now: TimestampMs) -> Result<Option<Appended>, AppendError> {
        if !batch.header.has_producer() {
            return Ok(None);
        }
        let summary = batch.summary();
        if let Some((_, coordinator_epoch)) = super::producers::marker_of(batch) {
            self.producers.check_marker(&summary, coordinator_epoch)?;
            return Ok(None);
        }
        if !self.refused.is_empty()
            && let Some(code) = self.refused.before(&summary, now)
            && self.producers.is_gap(&summary)
        {
            return Err(AppendError::Behind(code));
        }
        Ok(match self.producers.check(&summary)? {
            Verdict::Append => None,
            Verdict::Duplicate { base_offset, last_offset, timestamp } => {
                let stamped = self.config.timestamp_type == TimestampType::LogAppendTime;
                let log_append_time = stamped.then_some(timestamp);
                Some(Appended { base_offset, last_offset, log_append_time, duplicate: true })
            }
        })
    }

    /// Writes behind the log's end, in a new segment if it is time for one.
    fn write(&mut self, write: Write<'_, '_>, now: TimestampMs) -> Result<(), AppendError> {
        let (Some(first), Some(last)) = (write.batches.first(), write.batches.last()) else { return Ok(()) };
        let max_timestamp = write.batches.iter().map(|batch| batch.max_timestamp).max().unwrap_or(-1);
        if self.should_roll(write.bytes, last.last_offset(), max_timestamp, now) {
            let gap = last.last_offset() - self.log_end_offset > i64::from(i32::MAX);
            let base_offset = if gap { first.base_offset } else { self.log_end_offset };
            let rolled = self.roll_to(base_offset, now);
            rolled.map_err(|error| self.append_error(error))?;
        }
        let mut written = self.write_active(&write, now);
        if self.uses_reserve && written.as_ref().is_err_and(DiskError::is_full) {
            // The reserve is free now.
            written = self.write_active(&write, now);
        }
        written.map_err(|error| self.append_error(error))
    }

    fn write_active(&mut self, write: &Write<'_, '_>, now: TimestampMs) -> Result<(), DiskError> {
        let (place, active) = self.active_mut();
        let written = active.write(place, write.slices, write.bytes);
        active.modified_ms = now;
        self.noted(written)
    }

    fn append_error(&self, error: DiskError) -> AppendError {
        if error.is_full() && self.log_dir.offline_reason().is_none() {
            AppendError::DiskFull { dir: self.log_dir.path().to_owned() }
        } else {
            AppendError::Disk(error)
        }
    }

    /// Everything that follows from batches that are written. Failures here cannot take the append back: what could
    /// not be written stays in memory and is tried again.
    fn keep_books(&mut self, batches: &[RecordBatch], headers: &[BatchHeader], now: TimestampMs) {
        let total: u64 = headers.iter().map(|header| header.total_bytes() as u64).sum();
        let mut position = self.active().size_bytes - total;
        let base_offset = headers.first().map_or(self.log_end_offset, |header| header.base_offset);
        self.hints.note_append(self.active().base_offset, base_offset, position);
        let interval_bytes = self.config.index_interval_bytes;
        let mut flush_due = false;
        for (header, batch) in headers.iter().zip(batches) {
            let summary = BatchSummary::from(header);
            flush_due |= self.active_mut().1.index_batch(position, &summary, interval_bytes);
            self.epochs.assign(summary.leader_epoch, summary.base_offset);
            self.epochs_dirty |= self.epochs.latest_begins_at(summary.base_offset);
            self.apply_to_producers(&summary, batch);
            position += summary.total_bytes as u64;
            self.log_end_offset = summary.next_offset();
        }
        self.dirty_bytes += total;
        self.unflushed_since.get_or_insert(now);
        if self.epochs_dirty {
            let _ = self.save_epochs();
        }
        if flush_due {
            let (place, active) = self.active_mut();
            let flushed = active.flush_indexes(place);
            // Seldom needed, and many partitions may be active: one open file for each is enough.
            active.release_indexes();
            let _ = self.noted(flushed);
        }
        self.count_for_snapshot(headers.len());
    }

    fn should_roll(
        &self,
        bytes: u64,
        last_offset: Offset,
        max_timestamp: TimestampMs,
        now: TimestampMs,
    ) -> bool {
        let active = self.active();
        if last_offset - active.base_offset > i64::from(i32::MAX) {
            return true;
        }
        active.size_bytes > 0
            && (active.size_bytes + bytes > self.config.segment_bytes
                || active.indexes_full(self.config.segment_index_bytes)
                || self.is_old(active, max_timestamp, now))
    }

    fn is_old(&self, active: &Segment, max_timestamp: TimestampMs, now: TimestampMs) -> bool {
        let jitter_ms = match self.config.segment_jitter_ms {
            0 => 0,
            // Different for each segment, and the same whenever asked.
            jitter_ms => active.base_offset.wrapping_mul(2_654_435_761).rem_euclid(jitter_ms),
        };
        let limit_ms = self.config.roll_ms() - jitter_ms;
        match active.first_timestamp {
            Some(first) if first >= 0 && max_timestamp >= 0 => max_timestamp - first > limit_ms,
            _ => now - active.created_ms > limit_ms,
        }
    }
}
