//! Making and opening a log.

use super::Log;
use super::producers::Snapshots;
use super::read::Hints;
use crate::checkpoint::{format_partition_metadata, parse_epochs, parse_partition_metadata, read_text};
use crate::config::LogConfig;
use crate::dirs::LogDir;
use crate::disk::{DirEntry, Disk, write_all_at};
use crate::entry_file::EntryFile;
use crate::epoch_cache::LeaderEpochCache;
use crate::error::{DiskError, IoContext, LogError, OpenError, ReadError};
use crate::names;
use crate::producer_state::{ProducerStates, RefusedBatches};
use crate::segment::Segment;
use ottla_types::{Offset, TimestampMs, TopicId, TopicPartition};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What was durably known about a log.
#[derive(Debug, Clone, Copy, Default)]
pub struct Recovery {
    /// Everything below was on disk. 0 if nothing is known.
    pub recovery_point: Offset,
    /// Where the log starts. 0 if nothing is known.
    pub log_start_offset: Offset,
    /// The machine has not restarted since the log was written: what was written is there, synced or not. Only a write
    /// that was cut off by the end of the process can be incomplete.
    pub trust_written: bool,
    /// The log was closed in that same run of the machine: not even that.
    pub clean: bool,
    /// The log was made before and what was written is there. It began with a segment and keeps at least one: a
    /// directory without any has lost them.
    pub has_segments: bool,
}

/// What opening a log took.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// Bytes of segments whose checksums were verified.
    pub verified_bytes: u64,
    /// Bytes that were cut off the end, and why.
    pub truncated_bytes: u64,
    /// Why they were cut off.
    pub reason: Option<String>,
    /// Bytes of segments passed over from header to header to know the producers.
    pub walked_bytes: u64,
}

impl Log {
    /// Opens the log in `dir`, whose parent counts as its data directory. Makes its first segment if there is none.
    ///
    /// # Errors
    /// [`OpenError`]: the log must not be served.
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        config: Arc<LogConfig>,
        recovery: Recovery,
        now: TimestampMs,
    ) -> Result<(Self, RecoveryReport), OpenError> {
        let name = dir.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let partition = names::parse_partition_dir(name).unwrap_or_else(|| TopicPartition::new(name, 0));
        let log_dir = LogDir::standalone(disk, dir.parent().unwrap_or(dir).to_owned());
        Self::open_in(log_dir, dir.to_owned(), partition, config, recovery, now)
    }

    /// Opens the log of `partition` in a data directory that it shares with others.
    ///
    /// # Errors
    /// [`OpenError`]: the log must not be served.
    pub fn open_beside(
        log_dir: &Arc<LogDir>,
        partition: TopicPartition,
        config: Arc<LogConfig>,
        recovery: Recovery,
        now: TimestampMs,
    ) -> Result<(Self, RecoveryReport), OpenError> {
        let dir = log_dir.path().join(partition.to_string());
        Self::open_in(Arc::clone(log_dir), dir, partition, config, recovery, now)
    }

    /// Opens the log in `dir` of a data directory.
    ///
    /// # Errors
    /// [`OpenError`]: the log must not be served.
    pub(crate) fn open_in(
        log_dir: Arc<LogDir>,
        dir: PathBuf,
        partition: TopicPartition,
        config: Arc<LogConfig>,
        recovery: Recovery,
        now: TimestampMs,
    ) -> Result<(Self, RecoveryReport), OpenError> {
        let mut log = Self::empty(log_dir, dir, partition, config);
        let entries = log.finish_swaps()?;
        log.load_files(&entries)?;
        if log.segments.is_empty() {
            if recovery.has_segments {
                let reason = "its segments are missing".to_owned();
                return Err(OpenError::Corrupt { path: log.dir, position: 0, reason });
            }
            let segment = Segment::create(log.place(), recovery.log_start_offset, now)?;
            log.segments.push(segment);
        }
        for segment in &mut log.segments {
            segment.created_ms = now;
        }
        log.log_start_offset = recovery.log_start_offset.max(log.segments[0].base_offset);
        log.load_epochs()?;
        let report = log.recover(recovery)?;
        if log.log_end_offset < log.log_start_offset {
            let start = log.log_start_offset;
            log.truncate_fully_and_start_at(start, now).map_err(open_error)?;
        }
        if log.log_end_offset < recovery.recovery_point {
            // Nobody may take what is left for all that there was.
            let reason = format!("the log ends at offset {}, and more was on disk", log.log_end_offset);
            return Err(OpenError::Corrupt { path: log.dir, position: 0, reason });
        }
        let first_dirty = log.segment_index(log.recovery_point).unwrap_or(0);
        if log.recovery_point < log.log_end_offset {
            log.dirty_bytes = log.segments[first_dirty..].iter().map(|segment| segment.size_bytes).sum();
        }
        // Many logs are opened, and few of them used at once.
        log.release_files();
        Ok((log, report))
    }

    /// Makes a new, empty log: its directory, the topic's id and an empty segment. Nothing is synced: an empty log that
    /// is lost in a crash is made again from the metadata, and the first flush syncs file, directory and parent.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) fn create_in(
        log_dir: Arc<LogDir>,
        partition: TopicPartition,
        topic_id: TopicId,
        config: Arc<LogConfig>,
        now: TimestampMs,
    ) -> Result<Self, DiskError> {
        let dir = log_dir.path().join(partition.to_string());
        Self::create_at(log_dir, dir, partition, topic_id, config, now)
    }

    /// The same in a directory of another name.
    pub(crate) fn create_at(
        log_dir: Arc<LogDir>,
        dir: PathBuf,
        partition: TopicPartition,
        topic_id: TopicId,
        config: Arc<LogConfig>,
        now: TimestampMs,
    ) -> Result<Self, DiskError> {
        let disk = Arc::clone(log_dir.disk());
        disk.create_dir(&dir).during("create", &dir)?;
        let path = dir.join(names::PARTITION_METADATA);
        let file = disk.create(&path).during("create", &path)?;
        write_all_at(&*file, format_partition_metadata(topic_id).as_bytes(), 0).during("write", &path)?;
        let mut log = Self::empty(log_dir, dir, partition, config);
        let mut segment = Segment::create(log.place(), 0, now)?;
        segment.release();
        log.segments.push(segment);
        Ok(log)
    }

    fn empty(log_dir: Arc<LogDir>, dir: PathBuf, partition: TopicPartition, config: Arc<LogConfig>) -> Self {
        Self {
            log_dir,
            dir,
            partition,
            config,
            segments: Vec::new(),
            log_start_offset: 0,
            log_end_offset: 0,
            recovery_point: 0,
            flushed_offset: 0,
            unflushed_since: None,
            truncations: 0,
            sync_turn: Arc::default(),
            dirty_bytes: 0,
            // Who made the files may have died before the directory was synced.
            dir_changes: 1,
            dir_changes_synced: 0,
            epochs: LeaderEpochCache::default(),
            epochs_dirty: false,
            epochs_unsynced: true,
            producers: ProducerStates::default(),
            refused: RefusedBatches::default(),
            snapshots: Snapshots::default(),
            hints: Hints::default(),
            deleted_files: Vec::new(),
            uses_reserve: false,
            corrupt: None,
        }
    }

    /// Takes segments and snapshots from the directory's listing, and removes what a crash left half done.
    fn load_files(&mut self, entries: &[DirEntry]) -> Result<(), DiskError> {
        let mut indexes = BTreeMap::new();
        for entry in entries.iter().filter(|entry| !entry.is_dir) {
            let name = &entry.name;
            if let Some(base_offset) = names::segment_offset(name, names::LOG) {
                self.segments.push(Segment::new(base_offset, entry.len_bytes, entry.modified_ms));
            } else if let Some(offset) = names::segment_offset(name, names::SNAPSHOT) {
                self.snapshots.offsets.push(offset);
            } else if [names::DELETED, ".tmp"].iter().any(|suffix| name.ends_with(suffix)) {
                let path = self.dir.join(name);
                self.log_dir.disk().remove_file(&path).during("remove", &path)?;
            } else {
                for (kind, suffix) in [names::INDEX, names::TIME_INDEX, names::TXN_INDEX].iter().enumerate() {
                    if let Some(base_offset) = names::segment_offset(name, suffix) {
                        indexes.insert((base_offset, kind), entry.len_bytes);
                    }
                }
            }
        }
        self.segments.sort_unstable_by_key(|segment| segment.base_offset);
        self.snapshots.offsets.sort_unstable();
        for segment in &mut self.segments {
            segment.unindexed = segment.size_bytes > 0;
            if let Some(&len) = indexes.get(&(segment.base_offset, 0)) {
                segment.offsets = EntryFile::existing(len);
                segment.unindexed = false;
            }
            if let Some(&len) = indexes.get(&(segment.base_offset, 1)) {
                segment.times = EntryFile::existing(len);
            }
            if let Some(&len) = indexes.get(&(segment.base_offset, 2)) {
                segment.aborted = EntryFile::existing(len);
            }
        }
        Ok(())
    }

    /// Reads the leader epochs; what is missing is taken from the batches later.
    fn load_epochs(&mut self) -> Result<(), DiskError> {
        let path = self.dir.join(names::LEADER_EPOCH_CHECKPOINT);
        let Some(text) = read_text(&**self.log_dir.disk(), &path)? else { return Ok(()) };
        match parse_epochs(&text) {
            Ok(entries) => self.epochs = LeaderEpochCache::from_entries(entries),
            Err(reason) => {
                tracing::warn!(path = %path.display(), reason, "taking the leader epochs from the batches");
            }
        }
        Ok(())
    }

    /// Reads a partition directory's topic id; `None` if it says none.
    ///
    /// # Errors
    /// The disk's.
    pub fn read_topic_id(disk: &dyn Disk, dir: &Path) -> Result<Option<TopicId>, DiskError> {
        let path = dir.join(names::PARTITION_METADATA);
        let Some(text) = read_text(disk, &path)? else { return Ok(None) };
        match parse_partition_metadata(&text) {
            Ok(topic_id) => Ok(Some(topic_id)),
            Err(reason) => {
                tracing::warn!(path = %path.display(), reason, "the topic's id is not readable");
                Ok(None)
            }
        }
    }

    /// Ends the use of the log: writes what waits and a snapshot of the producers. Nothing is synced: what the machine
    /// has not written yet is looked at again should it crash.
    ///
    /// # Errors
    /// The disk's. The log is as safe as after a crash of the process.
    pub fn close(mut self) -> Result<(), LogError> {
        self.close_in_place()
    }

    /// The same where the log is shared; it refuses everything from then on.
    pub(crate) fn close_in_place(&mut self) -> Result<(), LogError> {
        self.check_online()?;
        let (place, active) = self.active_mut();
        let sealed = active.seal(place);
        self.noted(sealed)?;
        if self.epochs_dirty && self.log_end_offset > 0 {
            self.save_epochs()?;
        }
        self.snapshot_if_behind()?;
        for path in self.deleted_files.drain(..).map(|(path, _)| path) {
            let _ = self.log_dir.disk().remove_file(&path);
        }
        self.detach("the log is closed");
        Ok(())
    }

    /// Gives its files back and refuses everything from now on.
    pub(crate) fn detach(&mut self, reason: &str) {
        self.corrupt.get_or_insert_with(|| reason.to_owned());
        self.release_files();
    }
}

pub(super) fn open_error(error: LogError) -> OpenError {
    match error {
        LogError::Disk(error) | LogError::Read(ReadError::Disk(error)) => OpenError::Disk(error),
        LogError::Offline { path, reason } | LogError::Read(ReadError::Offline { path, reason }) => {
            OpenError::Offline { dir: path, reason }
        }
        LogError::Read(error) => read_error(error),
    }
}

pub(super) fn read_error(error: ReadError) -> OpenError {
    match error {
        ReadError::Disk(error) => OpenError::Disk(error),
        ReadError::Corrupt { path, position, reason } => OpenError::Corrupt { path, position, reason },
        ReadError::Offline { path, reason } => OpenError::Offline { dir: path, reason },
        ReadError::OffsetOutOfRange { offset, .. } => OpenError::Corrupt {
            path: PathBuf::new(),
            position: 0,
            reason: format!("offset {offset} is missing"),
        },
    }
}
