//! Syncing, planned under the lock and done without it. Many appends share one sync.

use super::Log;
use crate::disk::Disk;
use crate::error::{DiskError, IoContext, LogError};
use crate::names;
use crate::segment::NamedFile;
use ottla_types::{Offset, TimestampMs};
use parking_lot::Mutex;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// What to sync.
#[derive(Debug)]
pub struct FlushPlan {
    disk: Arc<dyn Disk>,
    files: Vec<NamedFile>,
    dirs: Vec<PathBuf>,
    /// Everything below will be on disk.
    upto: Offset,
    /// The indexes are part of it, so that recovery may start at `upto`.
    is_checkpoint: bool,
    /// The log's truncations when the plan was made.
    truncations: u64,
    /// The changes of the directory that are part of it.
    dir_changes: u64,
    dirty_bytes: u64,
    unflushed_since: Option<TimestampMs>,
}

impl FlushPlan {
    /// Everything below will be on disk.
    #[must_use]
    pub fn upto(&self) -> Offset {
        self.upto
    }

    /// Adds a file, if there is one.
    fn add(&mut self, path: PathBuf) -> Result<(), DiskError> {
        match self.disk.open(&path) {
            Ok(file) => self.files.push((path, file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(DiskError::new("open", path, error)),
        }
        Ok(())
    }

    /// Syncs. To be called without the log's lock.
    ///
    /// # Errors
    /// The disk's. The plan must not be given back to [`Log::flushed`] then: what the disk has is unknown.
    pub fn sync(&self) -> Result<(), DiskError> {
        for (path, file) in &self.files {
            file.sync_data().during("sync", path)?;
        }
        for dir in &self.dirs {
            self.disk.sync_dir(dir).during("sync", dir)?;
        }
        Ok(())
    }
}

/// Returns when everything below `upto` is on disk, and says up to where it is. The sync runs without the log's lock,
/// and those who call while one is under way share the next one (group commit).
///
/// # Errors
/// [`LogError`]; if the sync failed, the data directory is offline.
pub fn sync_through(log: &Mutex<Log>, upto: Offset) -> Result<Offset, LogError> {
    let turn = Arc::clone(&log.lock().sync_turn);
    let _turn = turn.lock();
    let plan = {
        let mut log = log.lock();
        if log.flushed_offset >= upto {
            return Ok(log.flushed_offset);
        }
        log.check_online()?;
        let plan = log.plan(false);
        log.noted(plan)?
    };
    let synced = plan.sync();
    let mut log = log.lock();
    match synced {
        Ok(()) => {
            log.flushed(&plan);
            Ok(log.flushed_offset)
        }
        Err(error) => {
            log.flush_failed(&plan, &error);
            Err(error.into())
        }
    }
}

impl Log {
    /// Whether as many records wait for a sync as `flush.messages` allows.
    #[must_use]
    pub fn is_flush_full(&self) -> bool {
        let waiting = (self.log_end_offset - self.flushed_offset).unsigned_abs();
        waiting > 0 && waiting >= self.config.flush_messages
    }

    /// Whether `flush.messages` or `flush.ms` asks for a sync now.
    #[must_use]
    pub fn is_flush_due(&self, now: TimestampMs) -> bool {
        let is_old = |since: TimestampMs| (now - since).unsigned_abs() >= self.config.flush_ms;
        self.is_flush_full()
            || (self.log_end_offset > self.flushed_offset && self.unflushed_since.is_some_and(is_old))
    }

    /// What to sync by `flush.messages` and `flush.ms`, if it is time.
    ///
    /// # Errors
    /// The disk's.
    pub fn flush_plan(&mut self, now: TimestampMs) -> Result<Option<FlushPlan>, LogError> {
        if !self.is_flush_due(now) {
            return Ok(None);
        }
        self.check_online()?;
        let plan = self.plan(false);
        Ok(Some(self.noted(plan)?))
    }

    /// What to sync so that the recovery point may move to the log's end; `None` if it is there.
    ///
    /// # Errors
    /// The disk's.
    pub fn checkpoint_plan(&mut self) -> Result<Option<FlushPlan>, LogError> {
        if self.recovery_point >= self.log_end_offset {
            return Ok(None);
        }
        self.check_online()?;
        let plan = self.checkpoint();
        Ok(Some(self.noted(plan)?))
    }

    /// Bytes behind the recovery point: what a crash of the machine would have us verify, at most.
    #[must_use]
    pub fn dirty_bytes(&self) -> u64 {
        self.dirty_bytes
    }

    /// Wall clock of the oldest append that is not flushed.
    #[must_use]
    pub fn unflushed_since(&self) -> Option<TimestampMs> {
        self.unflushed_since
    }

    fn checkpoint(&mut self) -> Result<FlushPlan, DiskError> {
        let (place, active) = self.active_mut();
        active.flush_indexes(place)?;
        if self.epochs_dirty {
            self.save_epochs()?;
        }
        // The snapshot need not be synced: without it more headers are read, and nothing is lost.
        self.take_snapshot()?;
        let mut plan = self.plan(true)?;
        if self.epochs_unsynced {
            plan.add(self.dir.join(names::LEADER_EPOCH_CHECKPOINT))?;
        }
        Ok(plan)
    }

    fn plan(&mut self, is_checkpoint: bool) -> Result<FlushPlan, DiskError> {
        let mut files = Vec::new();
        let from = if is_checkpoint { self.recovery_point } else { self.flushed_offset };
        for index in self.segment_index(from).unwrap_or(0)..self.segments.len() {
            let (place, segment) = self.segment(index);
            let base_offset = segment.base_offset;
            files.push((place.file(base_offset, names::LOG), segment.file(place)?));
            if is_checkpoint {
                files.extend(segment.dirty_indexes(place)?);
            }
        }
        let mut dirs = Vec::new();
        let is_first = self.dir_changes_synced == 0;
        if self.dir_changes != self.dir_changes_synced || (is_checkpoint && self.epochs_unsynced) {
            dirs.push(self.dir.clone());
        }
        if is_first {
            dirs.push(self.log_dir.path().to_owned());
        }
        let disk = Arc::clone(self.log_dir.disk());
        let unflushed_since = self.unflushed_since.take();
        let mut plan = FlushPlan {
            disk,
            files,
            dirs,
            upto: self.log_end_offset,
            is_checkpoint,
            truncations: self.truncations,
            dir_changes: self.dir_changes,
            dirty_bytes: self.dirty_bytes,
            unflushed_since,
        };
        if is_first {
            plan.add(self.dir.join(names::PARTITION_METADATA))?;
        }
        Ok(plan)
    }

    /// Notes that a plan's sync succeeded.
    pub fn flushed(&mut self, plan: &FlushPlan) {
        self.dir_changes_synced = self.dir_changes_synced.max(plan.dir_changes);
        if plan.truncations != self.truncations {
            return;
        }
        let upto = plan.upto.min(self.log_end_offset);
        self.flushed_offset = self.flushed_offset.max(upto);
        if plan.is_checkpoint {
            self.dirty_bytes = self.dirty_bytes.saturating_sub(plan.dirty_bytes);
            self.epochs_unsynced &= self.dir_changes != plan.dir_changes;
            self.recovery_point = self.recovery_point.max(upto);
        }
    }

    /// Notes that a plan's sync failed: the disk may have lost what it was given, so the data directory goes offline.
    pub fn flush_failed(&mut self, plan: &FlushPlan, error: &DiskError) {
        self.unflushed_since = plan.unflushed_since.or(self.unflushed_since);
        self.log_dir.fail(&error.to_string());
    }

    /// Syncs everything now, under the lock.
    ///
    /// # Errors
    /// The disk's; the data directory is offline then.
    pub fn sync(&mut self) -> Result<(), LogError> {
        self.check_online()?;
        let plan = self.plan(false);
        let plan = self.noted(plan)?;
        match plan.sync() {
            Ok(()) => {
                self.flushed(&plan);
                Ok(())
            }
            Err(error) => {
                self.flush_failed(&plan, &error);
                Err(error.into())
            }
        }
    }
}
