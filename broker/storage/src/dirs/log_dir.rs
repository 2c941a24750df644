//! One data directory as its logs see it: is it online, is it full, what is durably noted about them.

use crate::checkpoint::{Durability, format_offsets, replace_file};
use crate::disk::Disk;
use crate::error::DiskError;
use crate::names;
use ottla_types::{Offset, TopicPartition};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

/// A data directory, shared by all of its logs.
#[derive(Debug)]
pub struct LogDir {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    /// Set once, by the error that took the directory offline.
    offline: OnceLock<String>,
    full: AtomicBool,
    /// What the recovery-point checkpoint says; `None` for a directory without one.
    recovery_points: Option<Mutex<RecoveryPoints>>,
    /// What the cleaner's checkpoint says.
    cleaned: Mutex<BTreeMap<TopicPartition, Offset>>,
}

#[derive(Debug, Default)]
struct RecoveryPoints {
    points: BTreeMap<TopicPartition, Offset>,
    /// Counts the times a point was lowered, so that a slow collection of points does not raise it again.
    lowered: u64,
}

impl LogDir {
    /// A directory without checkpoints, for a log that stands alone.
    #[must_use]
    pub fn standalone(disk: Arc<dyn Disk>, path: PathBuf) -> Arc<Self> {
        let (offline, full) = (OnceLock::new(), AtomicBool::new(false));
        Arc::new(Self { disk, path, offline, full, recovery_points: None, cleaned: Mutex::default() })
    }

    /// A directory whose recovery-point checkpoint says `points`, and its cleaner's `cleaned`.
    #[must_use]
    pub fn with_checkpoint(
        disk: Arc<dyn Disk>,
        path: PathBuf,
        points: BTreeMap<TopicPartition, Offset>,
        cleaned: BTreeMap<TopicPartition, Offset>,
    ) -> Arc<Self> {
        let recovery_points = Some(Mutex::new(RecoveryPoints { points, lowered: 0 }));
        let (offline, full) = (OnceLock::new(), AtomicBool::new(false));
        Arc::new(Self { disk, path, offline, full, recovery_points, cleaned: Mutex::new(cleaned) })
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
        self.recovery_points.as_ref()?.lock().points.get(partition).copied()
    }

    /// Durably lowers a recovery point, before the log behind it is changed.
    pub(crate) fn lower_recovery_point(
        &self,
        partition: &TopicPartition,
        offset: Offset,
    ) -> Result<(), DiskError> {
        let Some(state) = &self.recovery_points else { return Ok(()) };
        let mut state = state.lock();
        state.lowered += 1;
        if state.points.get(partition).is_none_or(|&point| point <= offset) {
            return Ok(());
        }
        state.points.insert(partition.clone(), offset);
        self.write_recovery_points(&state.points)
    }

    /// Durably replaces all recovery points by what `collect` finds, if they changed.
    pub(crate) fn save_recovery_points(
        &self,
        collect: impl Fn() -> BTreeMap<TopicPartition, Offset>,
    ) -> Result<(), DiskError> {
        let Some(state) = &self.recovery_points else { return Ok(()) };
        loop {
            let lowered = state.lock().lowered;
            let current = collect();
            let mut state = state.lock();
            if state.lowered != lowered {
                continue;
            }
            if state.points != current {
                self.write_recovery_points(&current)?;
                state.points = current;
            }
            return Ok(());
        }
    }

    /// Up to where a partition's log was compacted.
    pub(crate) fn cleaned_to(&self, partition: &TopicPartition) -> Option<Offset> {
        self.cleaned.lock().get(partition).copied()
    }

    /// Durably notes how far a log is compacted.
    pub(crate) fn set_cleaned_to(&self, partition: &TopicPartition, offset: Offset) -> Result<(), DiskError> {
        let mut cleaned = self.cleaned.lock();
        if cleaned.insert(partition.clone(), offset) == Some(offset) {
            return Ok(());
        }
        self.write_cleaned(&cleaned)
    }

    /// Durably lowers how far a log counts as compacted, before what is above `offset` is cut off. With 0 nothing is
    /// known of the log any more.
    pub(crate) fn lower_cleaned_to(
        &self,
        partition: &TopicPartition,
        offset: Offset,
    ) -> Result<(), DiskError> {
        let mut cleaned = self.cleaned.lock();
        if cleaned.get(partition).is_none_or(|&at| at <= offset) {
            return Ok(());
        }
        if offset > 0 {
            cleaned.insert(partition.clone(), offset);
        } else {
            cleaned.remove(partition);
        }
        self.write_cleaned(&cleaned)
    }

    fn write_cleaned(&self, cleaned: &BTreeMap<TopicPartition, Offset>) -> Result<(), DiskError> {
        if self.recovery_points.is_none() {
            return Ok(());
        }
        let path = self.path.join(names::CLEANER_CHECKPOINT);
        replace_file(&*self.disk, &path, format_offsets(cleaned).as_bytes(), Durability::Synced)
    }

    fn write_recovery_points(&self, points: &BTreeMap<TopicPartition, Offset>) -> Result<(), DiskError> {
        let path = self.path.join(names::RECOVERY_POINT_CHECKPOINT);
        replace_file(&*self.disk, &path, format_offsets(points).as_bytes(), Durability::Synced)
    }
}
