//! The log's producers: kept up with every append, written to snapshots now and then, rebuilt at start.
//!
//! A snapshot costs little and is not synced: it is there so that a start after a crash of the process reads only the
//! last few hundred batch headers. The two newest are kept beside those at the segments' starts.

use super::Log;
use crate::batch_scan::BatchScan;
use crate::disk::write_all_at;
use crate::entry_file::EntryFile;
use crate::error::{DiskError, IoContext, LogError, ReadError};
use crate::index::AbortedEntry;
use crate::names;
use crate::producer_state::{ProducerStateError, ProducerStates, ProducerView, Verdict};
use crate::segment::{Found, Place};
use crate::segment_lookup::next_batch;
use ottla_records::control::{ControlRecord, Marker, parse};
use ottla_records::{BatchHeader, BatchSummary, RecordBatch};
use ottla_types::{Offset, ProducerId, TimestampMs};

/// Batches between snapshots (more where there are more producers than that).
const SNAPSHOT_BATCHES: usize = 256;
/// A marker is small; a control batch that decompresses to more is none.
const MARKER_BYTES: usize = 4_096;

/// The snapshot files there are.
#[derive(Debug, Default)]
pub(super) struct Snapshots {
    /// Rising.
    pub(super) offsets: Vec<Offset>,
    batches_since: usize,
}

/// An aborted transaction as a fetch response lists it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AbortedTransaction {
    /// The producer.
    pub producer_id: ProducerId,
    /// Offset of its first record.
    pub first_offset: Offset,
}

/// The marker in a control batch of a transaction: aborted or not, and the coordinator's epoch.
pub(crate) fn marker_of(batch: &RecordBatch) -> Option<(Marker, i32)> {
    if !batch.header.is_control() || !batch.header.has_producer() {
        return None;
    }
    let record = batch.records(MARKER_BYTES).ok()?.next()?.ok()?;
    match parse(&record).ok()? {
        ControlRecord::EndTransaction { marker, coordinator_epoch } => Some((marker, coordinator_epoch)),
        ControlRecord::Other { .. } => None,
    }
}

impl Log {
    /// May this batch be appended now, or is it there already?
    ///
    /// # Errors
    /// [`ProducerStateError`].
    pub fn check_producer(&self, batch: &BatchSummary) -> Result<Verdict, ProducerStateError> {
        self.producers.check(batch)
    }

    /// The producers, as `DescribeProducers` shows them.
    pub fn producers(&self) -> impl Iterator<Item = ProducerView> + '_ {
        self.producers.views()
    }

    /// Forgets producers that were silent for too long.
    pub fn expire_producers(&mut self, now: TimestampMs) {
        if !self.producers.is_empty() {
            self.producers.expire(now, self.config.producer_expiration_ms);
        }
    }

    /// Up to where a `read_committed` consumer may read, given the high watermark.
    pub fn last_stable_offset(&mut self, high_watermark: Offset) -> Offset {
        match self.producers.first_unstable_offset(high_watermark) {
            Some(offset) => offset.min(high_watermark),
            None => high_watermark,
        }
    }

    /// Transactions that were aborted and have records in `start..end`.
    ///
    /// # Errors
    /// The disk's.
    pub fn aborted_transactions(
        &mut self,
        start: Offset,
        end: Offset,
    ) -> Result<Vec<AbortedTransaction>, ReadError> {
        let mut found = Vec::new();
        let first = self.segment_index(start).unwrap_or(0);
        for index in first..self.segments.len() {
            if !self.segments[index].aborted.exists() {
                continue;
            }
            let (place, segment) = self.segment(index);
            let entries = segment.with_aborted(place, EntryFile::all);
            let entries = self.noted(entries)?;
            for entry in &entries {
                if entry.last_offset >= start && entry.first_offset < end {
                    let AbortedEntry { producer_id, first_offset, .. } = *entry;
                    found.push(AbortedTransaction { producer_id, first_offset });
                }
            }
            if entries.last().is_some_and(|entry| entry.last_stable_offset >= end) {
                break;
            }
        }
        Ok(found)
    }

    /// Takes an appended batch into account. Offsets are those of `summary`.
    pub(super) fn apply_to_producers(&mut self, summary: &BatchSummary, batch: &RecordBatch) {
        if !summary.has_producer() {
            return;
        }
        if let Some((marker, coordinator_epoch)) = marker_of(batch) {
            self.apply_marker(summary, marker, coordinator_epoch);
        } else {
            self.producers.apply(summary);
        }
    }

    fn apply_marker(&mut self, summary: &BatchSummary, marker: Marker, coordinator_epoch: i32) {
        let aborted = marker == Marker::Abort;
        let Some(ended) = self.producers.apply_marker(summary, aborted, coordinator_epoch) else { return };
        if !ended.aborted {
            return;
        }
        let entry = AbortedEntry {
            producer_id: ended.producer_id,
            first_offset: ended.first_offset,
            last_offset: ended.last_offset,
            last_stable_offset: self.producers.first_open_offset().unwrap_or(ended.last_offset + 1),
        };
        let Some(index) = self.segment_index(ended.last_offset) else { return };
        let (place, segment) = self.segment(index);
        let written = segment.with_aborted(place, |aborted, at| {
            // At recovery it may be there already.
            if aborted.last(at)?.is_none_or(|last| last.last_offset < entry.last_offset) {
                aborted.push(entry);
            }
            aborted.flush(at)
        });
        let _ = self.noted(written);
    }

    pub(super) fn count_for_snapshot(&mut self, batches: usize) {
        self.snapshots.batches_since += batches;
        if self.snapshots.batches_since >= SNAPSHOT_BATCHES.max(self.producers.len()) {
            let written = self.take_snapshot();
            let _ = self.noted(written);
        }
    }

    /// Writes the producers as of the log's end.
    pub(super) fn take_snapshot(&mut self) -> Result<(), DiskError> {
        self.snapshots.batches_since = 0;
        let offset = self.log_end_offset;
        if self.snapshots.offsets.last() == Some(&offset) {
            return Ok(());
        }
        let place = self.place();
        let path = place.file(offset, names::SNAPSHOT);
        let file = place.disk.create(&path).during("create", &path)?;
        write_all_at(&*file, &self.producers.encode(), 0).during("write", &path)?;
        self.snapshots.offsets.push(offset);
        self.remove_old_snapshots();
        Ok(())
    }

    /// Keeps the two newest snapshots, and those at the start of a segment.
    fn remove_old_snapshots(&mut self) {
        let keep_from = self.snapshots.offsets.len().saturating_sub(2);
        let mut kept = Vec::with_capacity(self.snapshots.offsets.len());
        for (index, &offset) in self.snapshots.offsets.iter().enumerate() {
            let starts_segment =
                self.segments.binary_search_by_key(&offset, |segment| segment.base_offset).is_ok();
            if index >= keep_from || starts_segment {
                kept.push(offset);
            } else {
                remove_snapshot(self.place(), offset);
            }
        }
        self.snapshots.offsets = kept;
    }

    /// Removes snapshots that do not satisfy `keep`.
    pub(super) fn retain_snapshots(&mut self, keep: impl Fn(Offset) -> bool) {
        let offsets = std::mem::take(&mut self.snapshots.offsets);
        for &offset in offsets.iter().filter(|&&offset| !keep(offset)) {
            remove_snapshot(self.place(), offset);
        }
        self.snapshots.offsets = offsets.into_iter().filter(|&offset| keep(offset)).collect();
    }

    /// Takes the producers' state from a snapshot not above `limit` and the batches behind it. Returns the bytes of
    /// segments it walked over.
    pub(super) fn load_producers(&mut self, limit: Offset) -> Result<u64, ReadError> {
        let end = self.log_end_offset;
        self.retain_snapshots(|offset| offset <= end);
        let candidates = self.snapshots.offsets.iter().rev().filter(|&&offset| offset <= limit);
        let newest = candidates
            .map(|&offset| (offset, self.read_snapshot(offset)))
            .find_map(|(offset, states)| Some((offset, states?)));
        let (start, states) = newest.unwrap_or((self.log_start_offset, ProducerStates::default()));
        self.producers = states;
        self.scan_batches(start.max(self.log_start_offset))
    }

    fn read_snapshot(&self, offset: Offset) -> Option<ProducerStates> {
        let path = self.place().file(offset, names::SNAPSHOT);
        let bytes = self.log_dir.disk().read_all(&path).ok()?;
        match ProducerStates::decode(&bytes) {
            Ok(states) => Some(states),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "leaving a producer snapshot out");
                None
            }
        }
    }

    /// Applies the batches from `start` on to producers and leader epochs.
    fn scan_batches(&mut self, start: Offset) -> Result<u64, ReadError> {
        if start >= self.log_end_offset {
            return Ok(0);
        }
        let interval_bytes = self.config.index_interval_bytes;
        let mut walked = 0;
        for index in self.segment_index(start).unwrap_or(0)..self.segments.len() {
            let (place, segment) = self.segment(index);
            let Some(found) = segment.find(place, start, interval_bytes)? else { continue };
            let path = place.file(segment.base_offset, names::LOG);
            let (file, size_bytes) = (segment.file(place)?, segment.size_bytes);
            walked += size_bytes - found.position;
            let mut scan = BatchScan::new(&*file, found.position, size_bytes, segment.base_offset);
            while let Some(Found { position, header }) = next_batch(&mut scan, &path)? {
                self.snapshots.batches_since += 1;
                self.epochs_dirty |= self.epochs.assign(header.leader_epoch.into(), header.base_offset);
                if header.has_producer() {
                    self.apply_found(index, position, &header)?;
                }
            }
        }
        Ok(walked)
    }

    fn apply_found(&mut self, index: usize, position: u64, header: &BatchHeader) -> Result<(), ReadError> {
        let summary = BatchSummary::from(header);
        if !header.is_control() {
            self.producers.apply(&summary);
            return Ok(());
        }
        let (place, segment) = self.segment(index);
        let batch = segment.read_batch(place, position, header)?;
        if let Some((marker, coordinator_epoch)) = batch.as_ref().and_then(marker_of) {
            self.apply_marker(&summary, marker, coordinator_epoch);
        }
        Ok(())
    }

    /// Writes a snapshot now if batches came since the last one.
    pub(super) fn snapshot_if_behind(&mut self) -> Result<(), LogError> {
        if self.snapshots.batches_since > 0 {
            let written = self.take_snapshot();
            self.noted(written)?;
        }
        Ok(())
    }
}

fn remove_snapshot(place: Place<'_>, offset: Offset) {
    let path = place.file(offset, names::SNAPSHOT);
    if let Err(error) = place.disk.remove_file(&path) {
        tracing::warn!(path = %path.display(), %error, "cannot remove an old producer snapshot");
    }
}
