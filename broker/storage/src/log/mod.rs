//! One partition's log: segments in a row, and what is known about them.
//!
//! `Log` is used under its owner's lock and blocks; nothing in it waits for anybody else. What may take long (syncing)
//! is handed out as a plan to be done without the lock.
//!
//! Invariants:
//! - there is always an active segment, the last one; segments are ordered and do not overlap;
//! - `log_start_offset <= log_end_offset`, `recovery_point <= flushed_offset <= log_end_offset`;
//! - a failed append leaves the log as it was, or takes its data directory offline;
//! - everything below `recovery_point` is on disk, and the checkpoint never says more than that.

mod append;
mod clean;
mod flush;
mod open;
mod producers;
mod read;
mod recovery;
mod retention;
mod timestamps;
mod truncate;

pub use append::Appended;
pub(crate) use clean::{CleanPlan, Source};
pub use flush::{FlushPlan, sync_through};
pub use open::{Recovery, RecoveryReport};
pub use producers::AbortedTransaction;
pub(crate) use producers::marker_of;
pub use read::LogSlice;
pub use timestamps::TimestampOffset;

use crate::checkpoint::{Durability, format_epochs, replace_file};
use crate::config::LogConfig;
use crate::dirs::LogDir;
use crate::epoch_cache::LeaderEpochCache;
use crate::error::{DiskError, IoContext, LogError};
use crate::names;
use crate::producer_state::{ProducerStates, RefusedBatches};
use crate::segment::{Place, Segment};
use ottla_types::{LeaderEpoch, Offset, TimestampMs, TopicPartition};
use parking_lot::Mutex;
use read::Hints;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A partition's log.
#[derive(Debug)]
pub struct Log {
    log_dir: Arc<LogDir>,
    dir: PathBuf,
    partition: TopicPartition,
    config: Arc<LogConfig>,
    /// Ordered by base offset; the last one is active.
    segments: Vec<Segment>,
    log_start_offset: Offset,
    log_end_offset: Offset,
    /// Everything below is on disk with its indexes: recovery starts here.
    recovery_point: Offset,
    /// The batches below are on disk.
    flushed_offset: Offset,
    /// Wall clock of the oldest append that is not flushed.
    unflushed_since: Option<TimestampMs>,
    /// Counts truncations: a sync planned before one says nothing about what came after.
    truncations: u64,
    /// Held by the one who syncs; the others wait for it and find their records synced.
    sync_turn: Arc<Mutex<()>>,
    /// Bytes appended behind the recovery point; after opening, what may be there at most.
    dirty_bytes: u64,
    /// Counts changes of the directory's entries, and those that are on disk.
    dir_changes: u64,
    dir_changes_synced: u64,
    epochs: LeaderEpochCache,
    /// The epochs in memory are not those in the file.
    epochs_dirty: bool,
    /// The file's content may not be on disk.
    epochs_unsynced: bool,
    producers: ProducerStates,
    refused: RefusedBatches,
    snapshots: producers::Snapshots,
    hints: Hints,
    /// Renamed files and when they may go.
    deleted_files: Vec<(PathBuf, TimestampMs)>,
    /// May use the room that is set aside for when the volume is full.
    uses_reserve: bool,
    /// Why it refuses to serve: damage, or because it was closed or deleted.
    corrupt: Option<String>,
}

impl Log {
    fn place(&self) -> Place<'_> {
        Place { disk: &**self.log_dir.disk(), dir: &self.dir, ending: "" }
    }

    /// The partition.
    #[must_use]
    pub fn partition(&self) -> &TopicPartition {
        &self.partition
    }

    /// Its directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The data directory it lies in.
    #[must_use]
    pub fn log_dir(&self) -> &Arc<LogDir> {
        &self.log_dir
    }

    /// Its settings.
    #[must_use]
    pub fn config(&self) -> &Arc<LogConfig> {
        &self.config
    }

    /// Replaces its settings; they hold from the next operation on.
    pub fn set_config(&mut self, config: Arc<LogConfig>) {
        self.config = config;
    }

    /// First offset that may be read.
    #[must_use]
    pub fn log_start_offset(&self) -> Offset {
        self.log_start_offset
    }

    /// One past the last offset.
    #[must_use]
    pub fn log_end_offset(&self) -> Offset {
        self.log_end_offset
    }

    /// What is below need not be looked at after a crash of the machine.
    #[must_use]
    pub fn recovery_point(&self) -> Offset {
        self.recovery_point
    }

    /// The batches below survive a crash of the machine.
    #[must_use]
    pub fn flushed_offset(&self) -> Offset {
        self.flushed_offset
    }

    /// Bytes of batches in all segments.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.size_bytes).sum()
    }

    /// Number of segments, the active one included.
    #[must_use]
    pub fn segment_count(&self) -> usize {
        self.segments.len()
    }

    /// The newest leader epoch that wrote here.
    #[must_use]
    pub fn latest_epoch(&self) -> Option<LeaderEpoch> {
        self.epochs.latest()
    }

    /// Counts the times that something was cut off.
    pub(crate) fn truncations(&self) -> u64 {
        self.truncations
    }

    /// Renames its directory.
    pub(crate) fn rename_to(&mut self, dir: PathBuf) -> Result<(), DiskError> {
        let renamed = self.log_dir.disk().rename(&self.dir, &dir).during("rename", &self.dir);
        self.noted(renamed)?;
        self.dir = dir;
        self.dir_changes += 1;
        Ok(())
    }

    /// All leader epochs with their first offsets, oldest first.
    #[must_use]
    pub fn epochs(&self) -> &[(LeaderEpoch, Offset)] {
        self.epochs.entries()
    }

    /// The largest epoch not above `epoch` and where it ends (`OffsetForLeaderEpoch`); `None` if unknown.
    #[must_use]
    pub fn end_offset_for_epoch(&self, epoch: LeaderEpoch) -> Option<(LeaderEpoch, Offset)> {
        self.epochs.end_offset_for(epoch, self.log_end_offset)
    }

    /// The epoch of the record at `offset`.
    #[must_use]
    pub fn epoch_at(&self, offset: Offset) -> Option<LeaderEpoch> {
        self.epochs.epoch_at(offset)
    }

    /// Notes that `epoch` begins at the log's end (this replica became its leader). An epoch without records is not worth
    /// a file: its first batch has it written, and until then every epoch ends where it would without it.
    ///
    /// # Errors
    /// [`LogError::Offline`].
    pub fn begin_epoch(&mut self, epoch: LeaderEpoch) -> Result<(), LogError> {
        self.check_online()?;
        self.epochs.assign(epoch, self.log_end_offset);
        Ok(())
    }

    /// Lets it write when its data directory is full for others: the metadata log.
    pub(crate) fn use_reserve(&mut self) {
        self.uses_reserve = true;
    }

    /// Why the log cannot be used, if so.
    #[must_use]
    pub fn offline_reason(&self) -> Option<&str> {
        self.corrupt.as_deref().or_else(|| self.log_dir.offline_reason())
    }

    /// Why this log alone cannot be used, though its data directory works.
    #[must_use]
    pub fn damage(&self) -> Option<&str> {
        self.corrupt.as_deref().filter(|_| self.log_dir.offline_reason().is_none())
    }

    /// Gives all files back, until they are needed.
    pub(crate) fn release_files(&mut self) {
        self.segments.iter_mut().for_each(Segment::release);
    }

    fn check_online(&self) -> Result<(), LogError> {
        match self.offline_reason() {
            None => Ok(()),
            Some(reason) => Err(LogError::Offline { path: self.dir.clone(), reason: reason.to_owned() }),
        }
    }

    /// Hands a disk error on, after the data directory has heard of it.
    fn noted<T>(&self, result: Result<T, DiskError>) -> Result<T, DiskError> {
        if let Err(error) = &result {
            self.log_dir.note(error);
        }
        result
    }

    fn active(&self) -> &Segment {
        // A log always has its active segment.
        &self.segments[self.segments.len() - 1]
    }

    /// The place and the segment at `index`, borrowed together.
    fn segment(&mut self, index: usize) -> (Place<'_>, &mut Segment) {
        let place = Place { disk: &**self.log_dir.disk(), dir: &self.dir, ending: "" };
        (place, &mut self.segments[index])
    }

    fn active_mut(&mut self) -> (Place<'_>, &mut Segment) {
        let last = self.segments.len() - 1;
        self.segment(last)
    }

    /// Index of the segment that holds `offset`, if it is not below all of them.
    fn segment_index(&self, offset: Offset) -> Option<usize> {
        self.segments.partition_point(|segment| segment.base_offset <= offset).checked_sub(1)
    }

    fn save_epochs(&mut self) -> Result<(), DiskError> {
        let path = self.dir.join(names::LEADER_EPOCH_CHECKPOINT);
        let text = format_epochs(self.epochs.entries());
        let written = replace_file(&**self.log_dir.disk(), &path, text.as_bytes(), Durability::Cached);
        self.noted(written)?;
        self.epochs_dirty = false;
        self.epochs_unsynced = true;
        self.dir_changes += 1;
        Ok(())
    }

    /// Gives back files and memory that were not used since the last call.
    ///
    /// # Errors
    /// The disk's, from index entries that had to be written first.
    pub fn cool(&mut self) -> Result<(), LogError> {
        if self.offline_reason().is_some() {
            return Ok(());
        }
        let (place, active) = self.active_mut();
        let flushed = active.flush_indexes(place);
        self.noted(flushed)?;
        for segment in &mut self.segments {
            segment.cool();
        }
        Ok(())
    }
}
