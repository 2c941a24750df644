//! One data directory as its logs see it: is it online, is it full, what is durably noted about them.

use super::noted::Noted;
use crate::disk::Disk;
use crate::error::DiskError;
use crate::names;
use ottla_types::{Offset, TopicPartition};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

/// Room set aside in each data directory for what must be written when it is full.
const RESERVE_BYTES: u64 = 8 << 20;

/// A data directory, shared by all of its logs.
#[derive(Debug)]
pub struct LogDir {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    /// Set once, by the error that took the directory offline.
    offline: OnceLock<String>,
    full: AtomicBool,
    recovery_points: Noted,
    log_starts: Noted,
    cleaned: Noted,
}

/// What the checkpoints of a data directory say.
#[derive(Debug, Default)]
pub struct Checkpoints {
    /// Below this everything is on disk.
    pub recovery_points: BTreeMap<TopicPartition, Offset>,
    /// Where the logs start.
    pub log_starts: BTreeMap<TopicPartition, Offset>,
    /// Up to where they were compacted.
    pub cleaned: BTreeMap<TopicPartition, Offset>,
}

impl LogDir {
    /// A directory without checkpoints, for a log that stands alone.
    #[must_use]
    pub fn standalone(disk: Arc<dyn Disk>, path: PathBuf) -> Arc<Self> {
        Self::new(disk, path, None)
    }

    /// A directory with checkpoints.
    #[must_use]
    pub fn with_checkpoints(disk: Arc<dyn Disk>, path: PathBuf, checkpoints: Checkpoints) -> Arc<Self> {
        Self::new(disk, path, Some(checkpoints))
    }

    fn new(disk: Arc<dyn Disk>, path: PathBuf, checkpoints: Option<Checkpoints>) -> Arc<Self> {
        let has_checkpoints = checkpoints.is_some();
        let Checkpoints { recovery_points, log_starts, cleaned } = checkpoints.unwrap_or_default();
        let file = |name| has_checkpoints.then(|| path.join(name));
        Arc::new(Self {
            disk,
            recovery_points: Noted::new(file(names::RECOVERY_POINT_CHECKPOINT), recovery_points),
            log_starts: Noted::new(file(names::LOG_START_CHECKPOINT), log_starts),
            cleaned: Noted::new(file(names::CLEANER_CHECKPOINT), cleaned),
            offline: OnceLock::new(),
            full: AtomicBool::new(false),
            path,
        })
    }

    /// Its disk.
    #[must_use]
    pub fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The error that took it offline, if it is.
    #[must_use]
    pub fn offline_reason(&self) -> Option<&str> {
        self.offline.get().map(String::as_str)
    }

    /// True while appends are refused for want of room.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    pub(crate) fn set_full(&self, full: bool) -> bool {
        self.full.swap(full, Ordering::Relaxed)
    }

    /// Takes appends again if it was full and its volume has room. To be called every few seconds.
    pub fn look_for_room(&self) {
        if self.offline_reason().is_some() || !self.is_full() {
            return;
        }
        if self.disk.space_bytes(&self.path).is_ok_and(|(free, _)| free >= 2 * RESERVE_BYTES) {
            set_reserve(&*self.disk, &self.path);
            self.set_full(false);
            tracing::info!(dir = %self.path.display(), "log directory has room again");
        }
    }

    /// Takes the directory offline for good.
    pub fn fail(&self, reason: &str) {
        if self.offline.set(reason.to_owned()).is_ok() {
            tracing::error!(dir = %self.path.display(), reason, "log directory is offline");
        }
    }

    /// Notes a failed call: no room makes the directory full, anything but too many open files takes it offline.
    pub(crate) fn note(&self, error: &DiskError) {
        if error.is_passing() {
            tracing::warn!(%error, "too many files are open");
            return;
        }
        if !error.is_full() {
            self.fail(&error.to_string());
            return;
        }
        if !self.set_full(true) {
            tracing::warn!(dir = %self.path.display(), "log directory is full: produce requests are refused");
        }
        // Room for what must still be written: checkpoints, metadata, the marks of deletions.
        let _ = self.disk.remove_file(&self.path.join(names::RESERVE));
    }

    /// The durable recovery point of a partition.
    pub(crate) fn recovery_point(&self, partition: &TopicPartition) -> Option<Offset> {
        self.recovery_points.get(partition)
    }

    /// The durable start of a partition's log.
    pub(crate) fn log_start(&self, partition: &TopicPartition) -> Option<Offset> {
        self.log_starts.get(partition)
    }

    /// Durably lowers a recovery point, before the log behind it is changed.
    pub(crate) fn lower_recovery_point(
        &self,
        partition: &TopicPartition,
        offset: Offset,
    ) -> Result<(), DiskError> {
        self.recovery_points.lower(&*self.disk, partition, offset)
    }

    /// Durably lowers a log's start, before it goes back below it: a log that ends below its start is taken for an empty
    /// one when it is opened.
    pub(crate) fn lower_log_start(
        &self,
        partition: &TopicPartition,
        offset: Offset,
    ) -> Result<(), DiskError> {
        self.log_starts.lower(&*self.disk, partition, offset)
    }

    /// Durably notes where a log starts.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) fn set_log_start(&self, partition: &TopicPartition, offset: Offset) -> Result<(), DiskError> {
        self.log_starts.set(&*self.disk, partition, offset)
    }

    /// Durably replaces all recovery points by what `collect` finds, if they changed.
    pub(crate) fn save_recovery_points(
        &self,
        collect: impl Fn() -> BTreeMap<TopicPartition, Offset>,
    ) -> Result<(), DiskError> {
        self.recovery_points.save(&*self.disk, collect)
    }

    /// Durably replaces all log starts by what `collect` finds, if they changed.
    pub(crate) fn save_log_starts(
        &self,
        collect: impl Fn() -> BTreeMap<TopicPartition, Offset>,
    ) -> Result<(), DiskError> {
        self.log_starts.save(&*self.disk, collect)
    }

    /// Up to where a partition's log was compacted.
    pub(crate) fn cleaned_to(&self, partition: &TopicPartition) -> Option<Offset> {
        self.cleaned.get(partition)
    }

    /// Durably notes how far a log is compacted.
    pub(crate) fn set_cleaned_to(&self, partition: &TopicPartition, offset: Offset) -> Result<(), DiskError> {
        self.cleaned.set(&*self.disk, partition, offset)
    }

    /// Durably lowers how far a log counts as compacted, before what is above `offset` is cut off. With 0 nothing is
    /// known of the log any more.
    pub(crate) fn lower_cleaned_to(
        &self,
        partition: &TopicPartition,
        offset: Offset,
    ) -> Result<(), DiskError> {
        self.cleaned.lower(&*self.disk, partition, offset)
    }
}

/// Sets room aside if there is plenty. False if the volume is full.
pub(super) fn set_reserve(disk: &dyn Disk, dir: &Path) -> bool {
    let path = dir.join(names::RESERVE);
    let Ok((free_bytes, _)) = disk.space_bytes(dir) else { return true };
    // A crash may have left the file without its room.
    let is_set = disk.open(&path).and_then(|file| file.len()).is_ok_and(|len| len >= RESERVE_BYTES);
    if !is_set && free_bytes > 4 * RESERVE_BYTES {
        let made = disk.create(&path).and_then(|file| file.allocate(RESERVE_BYTES));
        if made.is_err() {
            let _ = disk.remove_file(&path);
        }
    }
    free_bytes >= RESERVE_BYTES / 4
}
