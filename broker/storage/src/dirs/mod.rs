//! The data directories of a broker and the logs in them.
//!
//! Invariants: a partition has one log, in one directory; a directory that fails takes its own logs offline and no
//! others; what a checkpoint says is true whenever it can be read.
//!
//! The registry's lock is never held while a log is used or the disk is waited for, except to create, delete and move.

mod future;
mod housekeeping;
mod lifecycle;
mod load;
mod log_dir;
mod made;
mod meta_properties;
mod noted;
mod open;

pub use future::{Copied, FutureView, MoveError};
pub use housekeeping::DirView;
pub use lifecycle::CreateError;
pub use load::{FailedLog, LoadReport};
pub use log_dir::LogDir;
pub use meta_properties::MetaProperties;
pub use open::{DirsError, DirsOptions};

use crate::disk::{Disk, DiskLock};
use crate::log::Log;
use future::Future;
use made::Made;
use ottla_types::{DirectoryId, Offset, TimestampMs, TopicId, TopicPartition};
use parking_lot::{Mutex, RwLock};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// A log and its lock.
pub type LogHandle = Arc<Mutex<Log>>;

/// One data directory in use.
#[derive(Debug)]
struct Dir {
    log_dir: Arc<LogDir>,
    id: DirectoryId,
    _lock: Option<Box<dyn DiskLock>>,
    /// The machine has not restarted since it was last used.
    trust_written: bool,
    /// It was closed in this run of the machine.
    clean: bool,
    /// What the high-watermark checkpoint says.
    high_watermarks: Mutex<BTreeMap<TopicPartition, Offset>>,
}

/// A log and where it is.
#[derive(Debug, Clone)]
pub struct HostedLog {
    /// The log.
    pub log: LogHandle,
    /// The topic's id, if the directory says it.
    pub topic_id: Option<TopicId>,
    /// Index of its data directory.
    dir: usize,
}

/// The data directories of a broker.
#[derive(Debug)]
pub struct LogDirs {
    disk: Arc<dyn Disk>,
    dirs: Vec<Dir>,
    cluster_id: String,
    boot_id: String,
    hosted: RwLock<BTreeMap<TopicPartition, HostedLog>>,
    /// Logs that could not be opened, and why.
    failed: RwLock<BTreeMap<TopicPartition, FailedLog>>,
    /// Replicas that were ever made here; those of them that are neither hosted nor failed are lost.
    made: Mutex<Made>,
    /// Copies on their way to another directory.
    future: Mutex<BTreeMap<TopicPartition, Future>>,
    /// Copies that were under way when the broker stopped, and where to.
    interrupted: Mutex<Vec<(TopicPartition, PathBuf)>>,
    /// Renamed partition directories and when they may go.
    removals: Mutex<Vec<(PathBuf, TimestampMs)>>,
}

impl LogDirs {
    /// The cluster the directories belong to.
    #[must_use]
    pub fn cluster_id(&self) -> &str {
        &self.cluster_id
    }

    /// The ids of the directories that work, in the order of `log.dirs`.
    #[must_use]
    pub fn directory_ids(&self) -> Vec<DirectoryId> {
        self.online().map(|dir| dir.id).collect()
    }

    /// Ids and errors of directories that do not work (id zero if it was never read).
    #[must_use]
    pub fn offline_dirs(&self) -> Vec<(DirectoryId, PathBuf, String)> {
        let dirs = self.dirs.iter();
        dirs.filter_map(|dir| {
            let reason = dir.log_dir.offline_reason()?;
            Some((dir.id, dir.log_dir.path().to_owned(), reason.to_owned()))
        })
        .collect()
    }

    /// Directories that take no appends for want of room.
    #[must_use]
    pub fn full_dirs(&self) -> Vec<DirectoryId> {
        self.dirs.iter().filter(|dir| dir.log_dir.is_full()).map(|dir| dir.id).collect()
    }

    /// The log of a partition, if it is here and could be opened.
    #[must_use]
    pub fn get(&self, partition: &TopicPartition) -> Option<LogHandle> {
        self.hosted.read().get(partition).map(|hosted| Arc::clone(&hosted.log))
    }

    /// True if the partition's log is here and not known to be damaged.
    #[must_use]
    pub fn is_whole(&self, partition: &TopicPartition) -> bool {
        self.get(partition).is_some_and(|log| log.lock().damage().is_none())
    }

    /// All logs, by partition.
    #[must_use]
    pub fn logs(&self) -> Vec<(TopicPartition, HostedLog)> {
        self.hosted.read().iter().map(|(partition, hosted)| (partition.clone(), hosted.clone())).collect()
    }

    /// All logs, without their names.
    fn handles(&self) -> Vec<LogHandle> {
        self.hosted.read().values().map(|hosted| Arc::clone(&hosted.log)).collect()
    }

    /// Why the log of a partition could not be opened, if so.
    #[must_use]
    pub fn failure(&self, partition: &TopicPartition) -> Option<FailedLog> {
        self.failed.read().get(partition).cloned()
    }

    /// The data directory that a partition's log lies in.
    #[must_use]
    pub fn directory_of(&self, partition: &TopicPartition) -> Option<DirectoryId> {
        let index = match self.hosted.read().get(partition) {
            Some(hosted) => hosted.dir,
            None => self.failed.read().get(partition)?.dir,
        };
        Some(self.dirs[index].id)
    }

    /// The data directory that holds the metadata log: the first one that works (`metadata.log.dir`).
    #[must_use]
    pub fn metadata_dir(&self) -> Option<(Arc<LogDir>, bool)> {
        self.online().next().map(|dir| (Arc::clone(&dir.log_dir), dir.trust_written))
    }

    fn online(&self) -> impl Iterator<Item = &Dir> {
        self.dirs.iter().filter(|dir| dir.log_dir.offline_reason().is_none())
    }
}
