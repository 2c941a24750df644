//! One segment: its file of batches and the two sparse indexes beside it.
//!
//! Invariants: `size_bytes` ends behind a whole batch; index entries name batches below it; files are opened when
//! needed and given back when cold. What an index says is checked against the batch it points to, so that a damaged
//! index costs time and never a wrong answer.

use crate::disk::{Disk, DiskFile};
use crate::entry_file::{EntryFile, EntryPlace};
use crate::error::{DiskError, IoContext};
use crate::index::{AbortedEntry, OffsetEntry, TimeEntry};
use crate::names;
use ottla_records::{BatchHeader, BatchSummary};
use ottla_types::{Offset, TimestampMs};
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where a log's files are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) disk: &'a dyn Disk,
    pub(crate) dir: &'a Path,
    /// What stands behind the files' names: nothing for a segment of the log.
    pub(crate) ending: &'static str,
}

impl Place<'_> {
    pub(crate) fn file(&self, base_offset: Offset, suffix: &str) -> PathBuf {
        let mut name = names::segment_file(base_offset, suffix);
        name.push_str(self.ending);
        self.dir.join(name)
    }
}

/// An open file and its path.
pub(crate) type NamedFile = (PathBuf, Arc<dyn DiskFile>);

/// A batch found in a segment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found {
    pub(crate) position: u64,
    pub(crate) header: BatchHeader,
}

/// One segment of a log.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) base_offset: Offset,
    pub(crate) size_bytes: u64,
    /// Wall clock of its creation, or of when it was opened; what the time to roll counts from where records carry no
    /// timestamps.
    pub(crate) created_ms: TimestampMs,
    /// Wall clock of its last change; its age where records carry no timestamps.
    pub(crate) modified_ms: TimestampMs,
    /// Timestamp of its first batch, from which the time to roll counts.
    pub(crate) first_timestamp: Option<TimestampMs>,
    /// Largest timestamp and the last offset of its batch; `None` until asked for.
    pub(crate) max_timestamp: Option<(TimestampMs, Offset)>,
    pub(crate) offsets: EntryFile<OffsetEntry>,
    pub(crate) times: EntryFile<TimeEntry>,
    pub(crate) aborted: EntryFile<AbortedEntry>,
    /// Timestamp of the last entry of `times`.
    pub(crate) last_time_entry: Option<TimestampMs>,
    pub(crate) bytes_since_entry: u32,
    file: Option<Arc<dyn DiskFile>>,
    used: bool,
    /// Written since the last sync.
    pub(crate) dirty: bool,
    /// It has batches but was found without an index.
    pub(crate) unindexed: bool,
}

impl Segment {
    /// A segment as it was found, or a new one (`size_bytes` 0).
    pub(crate) fn new(base_offset: Offset, size_bytes: u64, modified_ms: TimestampMs) -> Self {
        Self {
            base_offset,
            size_bytes,
            created_ms: modified_ms,
            modified_ms,
            first_timestamp: None,
            max_timestamp: (size_bytes == 0).then_some((-1, base_offset - 1)),
            offsets: EntryFile::new(),
            times: EntryFile::new(),
            aborted: EntryFile::new(),
            last_time_entry: None,
            bytes_since_entry: 0,
            file: None,
            used: false,
            dirty: false,
            unindexed: false,
        }
    }

    /// Creates the segment's file.
    pub(crate) fn create(place: Place<'_>, base_offset: Offset, now: TimestampMs) -> Result<Self, DiskError> {
        let path = place.file(base_offset, names::LOG);
        let file = place.disk.create(&path).during("create", &path)?;
        Ok(Self { file: Some(file), used: true, dirty: true, ..Self::new(base_offset, 0, now) })
    }

    /// The file of batches, opened if need be.
    pub(crate) fn file(&mut self, place: Place<'_>) -> Result<Arc<dyn DiskFile>, DiskError> {
        self.used = true;
        if let Some(file) = &self.file {
            return Ok(Arc::clone(file));
        }
        let path = place.file(self.base_offset, names::LOG);
        let file = place.disk.open(&path).during("open", &path)?;
        self.file = Some(Arc::clone(&file));
        Ok(file)
    }

    /// Writes all slices behind what is there. If that fails nothing of them stays.
    pub(crate) fn write(
        &mut self,
        place: Place<'_>,
        slices: &[IoSlice<'_>],
        total_bytes: u64,
    ) -> Result<(), DiskError> {
        let file = self.file(place)?;
        self.dirty = true;
        if let Err(error) = file.write_all_at(slices, self.size_bytes) {
            let path = place.file(self.base_offset, names::LOG);
            let cut = file.set_len(self.size_bytes).during("cut a failed write off", &path);
            let error = DiskError::new("append to", path, error);
            // Being full is no damage, but a torn batch that stays is.
            return Err(cut.err().filter(|_| error.is_full()).unwrap_or(error));
        }
        self.size_bytes += total_bytes;
        Ok(())
    }

    /// Enters a batch that lies at `position` into the indexes. True if their blocks should be written.
    pub(crate) fn index_batch(&mut self, position: u64, batch: &BatchSummary, interval_bytes: u32) -> bool {
        let mut flush_due = false;
        if position == 0 {
            self.first_timestamp = Some(batch.max_timestamp);
        }
        // A batch that compaction emptied has nobody's time.
        if let Some(max) = &mut self.max_timestamp
            && batch.record_count > 0
            && batch.max_timestamp > max.0
        {
            *max = (batch.max_timestamp, batch.last_offset);
        }
        if self.bytes_since_entry > interval_bytes {
            let relative_offset = self.relative(batch.last_offset);
            flush_due = self.offsets.push(OffsetEntry { relative_offset, position: position as u32 });
            flush_due |= self.push_max_timestamp();
            self.bytes_since_entry = 0;
        }
        self.bytes_since_entry = self.bytes_since_entry.saturating_add(batch.total_bytes as u32);
        flush_due
    }

    fn push_max_timestamp(&mut self) -> bool {
        let Some((timestamp, offset)) = self.max_timestamp else { return false };
        if timestamp < 0 || self.last_time_entry.is_some_and(|last| last >= timestamp) {
            return false;
        }
        self.last_time_entry = Some(timestamp);
        let relative_offset = self.relative(offset);
        self.times.push(TimeEntry { timestamp, relative_offset })
    }

    pub(crate) fn relative(&self, offset: Offset) -> u32 {
        u32::try_from(offset - self.base_offset).unwrap_or(u32::MAX)
    }

    /// Writes the indexes' last entries: nothing more is appended for now.
    pub(crate) fn seal(&mut self, place: Place<'_>) -> Result<(), DiskError> {
        self.push_max_timestamp();
        self.flush_indexes(place)
    }

    /// Writes index entries that wait. Times first: they must never lag behind the offsets in the files.
    pub(crate) fn flush_indexes(&mut self, place: Place<'_>) -> Result<(), DiskError> {
        if !self.times.waits() && !self.offsets.waits() {
            return Ok(());
        }
        self.with_times(place, EntryFile::flush)
            .map_err(|(path, error)| DiskError::new("write", path, error))?;
        // Kafka's tools want both files or none.
        self.with_offsets(place, |index, at| index.ensure(at).and_then(|()| index.flush(at)))
            .map_err(|(path, error)| DiskError::new("write", path, error))
    }

    /// Calls into the offset index with its place.
    pub(crate) fn with_offsets<T>(
        &mut self,
        place: Place<'_>,
        call: impl FnOnce(&mut EntryFile<OffsetEntry>, EntryPlace<'_>) -> io::Result<T>,
    ) -> Result<T, (PathBuf, io::Error)> {
        let path = place.file(self.base_offset, names::INDEX);
        call(&mut self.offsets, EntryPlace { disk: place.disk, path: &path }).map_err(|error| (path, error))
    }

    /// Calls into the time index with its place.
    pub(crate) fn with_times<T>(
        &mut self,
        place: Place<'_>,
        call: impl FnOnce(&mut EntryFile<TimeEntry>, EntryPlace<'_>) -> io::Result<T>,
    ) -> Result<T, (PathBuf, io::Error)> {
        let path = place.file(self.base_offset, names::TIME_INDEX);
        call(&mut self.times, EntryPlace { disk: place.disk, path: &path }).map_err(|error| (path, error))
    }

    /// Calls into the index of aborted transactions with its place.
    pub(crate) fn with_aborted<T>(
        &mut self,
        place: Place<'_>,
        call: impl FnOnce(&mut EntryFile<AbortedEntry>, EntryPlace<'_>) -> io::Result<T>,
    ) -> Result<T, DiskError> {
        let path = place.file(self.base_offset, names::TXN_INDEX);
        let result = call(&mut self.aborted, EntryPlace { disk: place.disk, path: &path });
        result.during("use", &path)
    }

    /// True if an index has no room for another entry.
    pub(crate) fn indexes_full(&self, index_bytes: u32) -> bool {
        self.offsets.len_bytes() + 8 > u64::from(index_bytes)
            || self.times.len_bytes() + 12 > u64::from(index_bytes)
    }

    /// Gives back files and memory that were not used since the last call. What waits must have been flushed.
    pub(crate) fn cool(&mut self) {
        if !std::mem::take(&mut self.used) {
            self.file = None;
        }
        self.offsets.cool();
        self.times.cool();
        self.aborted.cool();
    }

    /// Gives all files back at once.
    pub(crate) fn release(&mut self) {
        self.used = false;
        self.file = None;
        self.offsets.release();
        self.times.release();
        self.aborted.release();
    }

    /// The suffixes of the files it has.
    pub(crate) fn suffixes(&self) -> impl Iterator<Item = &'static str> + use<> {
        let there = [
            (true, names::LOG),
            (self.offsets.exists(), names::INDEX),
            (self.times.exists(), names::TIME_INDEX),
            (self.aborted.exists(), names::TXN_INDEX),
        ];
        there.into_iter().filter_map(|(exists, suffix)| exists.then_some(suffix))
    }

    /// Gives the indexes' files back at once.
    pub(crate) fn release_indexes(&mut self) {
        self.offsets.release();
        self.times.release();
        self.aborted.release();
    }

    /// The index files that were written since they were last asked for, to be synced.
    pub(crate) fn dirty_indexes(&mut self, place: Place<'_>) -> Result<Vec<NamedFile>, DiskError> {
        let open = |(path, error)| DiskError::new("open", path, error);
        let dirty = [
            (names::INDEX, self.with_offsets(place, EntryFile::take_dirty).map_err(open)?),
            (names::TIME_INDEX, self.with_times(place, EntryFile::take_dirty).map_err(open)?),
            (names::TXN_INDEX, self.with_aborted(place, EntryFile::take_dirty)?),
        ];
        let base_offset = self.base_offset;
        Ok(dirty
            .into_iter()
            .filter_map(|(suffix, file)| Some((place.file(base_offset, suffix), file?)))
            .collect())
    }
}
