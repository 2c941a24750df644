//! Moving a log to another data directory of the broker while it is in use (KIP-113, `AlterReplicaLogDirs`).
//!
//! The log is copied into a directory whose name ends in `-future`; when the copy has everything, the two change places
//! and the old one is deleted. Invariants: the log in use is never the one that lacks something; a copy that was
//! interrupted by the end of the process begins anew.

use super::lifecycle::unique_dir_name;
use super::{HostedLog, LogDir, LogDirs, LogHandle};
use crate::disk::read_full_at;
use crate::error::{AppendError, DiskError, IoContext, LogError, ReadError};
use crate::log::{Log, sync_through};
use crate::names;
use ottla_types::{DirectoryId, ErrorCode, Offset, TimestampMs, TopicPartition};
use parking_lot::Mutex;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why a log does not move.
#[derive(Debug, thiserror::Error)]
pub enum MoveError {
    /// The directory is not one of `log.dirs`.
    #[error("{} is not in log.dirs", dir.display())]
    NoDirectory {
        /// The directory.
        dir: PathBuf,
    },
    /// The directory does not work.
    #[error("log directory {} is offline", dir.display())]
    Offline {
        /// The directory.
        dir: PathBuf,
    },
    /// The broker has no log of the partition.
    #[error("{partition} is not here")]
    NotHere {
        /// The partition.
        partition: TopicPartition,
    },
    /// The log in use, or its copy, failed.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The copy could not be written.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The disk refused.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

impl MoveError {
    /// Kafka's error code.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::NoDirectory { .. } => ErrorCode::LogDirNotFound,
            Self::NotHere { .. } => ErrorCode::ReplicaNotAvailable,
            _ => ErrorCode::KafkaStorageError,
        }
    }
}

impl From<ReadError> for MoveError {
    fn from(error: ReadError) -> Self {
        Self::Log(error.into())
    }
}

/// A copy in the making.
#[derive(Debug, Clone)]
pub(super) struct Future {
    log: LogHandle,
    /// Index of its data directory.
    pub(super) dir: usize,
    /// Truncations of the log in use that the copy knows of.
    truncations: u64,
}

/// A copy as `DescribeLogDirs` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FutureView {
    /// The partition.
    pub partition: TopicPartition,
    /// Bytes copied.
    pub bytes: u64,
    /// Offsets that are missing.
    pub lag: Offset,
}

/// What one step of copying did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Copied {
    /// So many bytes; there is more.
    Bytes(u64),
    /// Everything is there: [`LogDirs::finish_move`] may be called.
    CaughtUp,
    /// The move was cancelled.
    Cancelled,
}

impl LogDirs {
    /// Begins to move a partition's log into the data directory at `to`; false if it is there already. A move that is
    /// under way elsewhere is cancelled.
    ///
    /// # Errors
    /// [`MoveError`]; then the log stays where it is.
    pub fn begin_move(
        &self,
        partition: &TopicPartition,
        to: &Path,
        now: TimestampMs,
    ) -> Result<bool, MoveError> {
        let index = self.dirs.iter().position(|dir| dir.log_dir.path() == to);
        let index = index.ok_or_else(|| MoveError::NoDirectory { dir: to.to_owned() })?;
        if self.dirs[index].log_dir.offline_reason().is_some() {
            return Err(MoveError::Offline { dir: to.to_owned() });
        }
        let hosted = self.hosted.read();
        let current =
            hosted.get(partition).ok_or_else(|| MoveError::NotHere { partition: partition.clone() })?;
        let under_way = self.future.lock().get(partition).map(|future| future.dir);
        if under_way == Some(index) {
            return Ok(true);
        }
        self.cancel_move(partition);
        if current.dir == index {
            return Ok(false);
        }
        let future = self.make_future(partition, current, index, now)?;
        self.future.lock().insert(partition.clone(), future);
        Ok(true)
    }

    fn make_future(
        &self,
        partition: &TopicPartition,
        current: &HostedLog,
        index: usize,
        now: TimestampMs,
    ) -> Result<Future, MoveError> {
        let log_dir = Arc::clone(&self.dirs[index].log_dir);
        let path = log_dir.path().join(unique_dir_name(partition, names::FUTURE_DIR));
        let (config, start, truncations) = {
            let log = current.log.lock();
            (Arc::clone(log.config()), log.log_start_offset(), log.truncations())
        };
        let topic_id = current.topic_id.unwrap_or_default();
        let mut log = Log::create_at(log_dir, path, partition.clone(), topic_id, config, now)?;
        if start > 0 {
            log.truncate_fully_and_start_at(start, now)?;
        }
        Ok(Future { log: Arc::new(Mutex::new(log)), dir: index, truncations })
    }

    /// Cancels a move; the copy is deleted.
    pub fn cancel_move(&self, partition: &TopicPartition) {
        let Some(future) = self.future.lock().remove(partition) else { return };
        let mut log = future.log.lock();
        // Under its old name the next start would take it for a move that was interrupted.
        let aside = log.dir().with_file_name(unique_dir_name(partition, names::DELETE_DIR));
        if let Err(error) = log.rename_to(aside) {
            tracing::warn!(%partition, %error, "a cancelled move may begin again after a restart");
        }
        log.detach("the move was cancelled");
        self.removals.lock().push((log.dir().to_owned(), 0));
    }

    /// Copies at most about `max_bytes`.
    ///
    /// # Errors
    /// [`MoveError`]; the move cannot go on.
    pub fn copy_some(
        &self,
        partition: &TopicPartition,
        max_bytes: u64,
        now: TimestampMs,
    ) -> Result<Copied, MoveError> {
        let Some(future) = self.future.lock().get(partition).cloned() else { return Ok(Copied::Cancelled) };
        let Some(current) = self.get(partition) else { return Ok(Copied::Cancelled) };
        let mut copy = future.log.lock();
        let slice = {
            let mut log = current.lock();
            let (start, end) = (log.log_start_offset(), log.log_end_offset());
            if log.truncations() != future.truncations || copy.log_end_offset() < start {
                // What was copied may not be what is there now.
                copy.truncate_fully_and_start_at(start, now)?;
                if let Some(known) = self.future.lock().get_mut(partition) {
                    known.truncations = log.truncations();
                }
            }
            if copy.log_end_offset() >= end {
                return Ok(Copied::CaughtUp);
            }
            log.read(copy.log_end_offset(), max_bytes, true, end)?
        };
        let mut bytes = vec![0; usize::try_from(slice.bytes).unwrap_or(0)];
        let read = read_full_at(&*slice.file, &mut bytes, slice.position).during("read", copy.dir())?;
        bytes.truncate(read);
        copy.append_as_follower(bytes.into(), now)?;
        Ok(Copied::Bytes(slice.bytes))
    }

    /// Syncs what was copied, so that the copy is as safe as the log that it replaces. May take long.
    ///
    /// # Errors
    /// The disk's.
    pub fn sync_move(&self, partition: &TopicPartition) -> Result<(), MoveError> {
        let Some(future) = self.future.lock().get(partition).cloned() else { return Ok(()) };
        let end = future.log.lock().log_end_offset();
        sync_through(&future.log, end)?;
        Ok(())
    }

    /// Lets the copy take the log's place, if it has everything; returns it. Nobody may append meanwhile: the caller
    /// holds the replica. None if there is more to copy.
    ///
    /// # Errors
    /// The disk's; the log in use is the old one.
    pub fn finish_move(
        &self,
        partition: &TopicPartition,
        now: TimestampMs,
    ) -> Result<Option<(LogHandle, DirectoryId)>, MoveError> {
        let mut hosted = self.hosted.write();
        let Some(future) = self.future.lock().get(partition).cloned() else { return Ok(None) };
        let Some(current) = hosted.get_mut(partition) else { return Ok(None) };
        let (mut old, mut copy) = (current.log.lock(), future.log.lock());
        if old.truncations() != future.truncations || old.log_end_offset() != copy.log_end_offset() {
            return Ok(None);
        }
        copy.delete_records_before(old.log_start_offset())?;
        copy.set_config(Arc::clone(old.config()));
        self.dirs[future.dir].expect(partition, old.log_start_offset())?;
        let aside = self.dirs[current.dir].log_dir.path().join(unique_dir_name(partition, names::DELETE_DIR));
        let unplaced = copy.dir().to_owned();
        let placed = self.put_in_place(&mut copy, partition).and_then(|()| old.rename_to(aside.clone()));
        if let Err(error) = placed {
            // The next start would find two, and could not tell which one was in use.
            let _ = copy.rename_to(unplaced);
            return Err(error.into());
        }
        // Or it could come back, and be taken for the log instead of the one that was written to since.
        let _ = self.sync_root(old.log_dir());
        old.detach("the log moved to another directory");
        self.removals.lock().push((aside, now + old.config().file_delete_delay_ms));
        drop((old, copy));
        (current.log, current.dir) = (Arc::clone(&future.log), future.dir);
        self.future.lock().remove(partition);
        Ok(Some((future.log, self.dirs[future.dir].id)))
    }

    /// Gives a copy the log's name, durably: the old log, which may be on another disk, goes next.
    fn put_in_place(&self, copy: &mut Log, partition: &TopicPartition) -> Result<(), DiskError> {
        copy.rename_to(copy.log_dir().path().join(partition.to_string()))?;
        self.sync_root(copy.log_dir())
    }

    /// Makes the names in a data directory survive a crash of the machine. It is offline if that fails: what the disk has is
    /// unknown then.
    fn sync_root(&self, log_dir: &LogDir) -> Result<(), DiskError> {
        let synced = self.disk.sync_dir(log_dir.path()).during("sync", log_dir.path());
        synced.inspect_err(|error| log_dir.fail(&error.to_string()))
    }

    /// Copies that were under way when the broker stopped, and where to.
    #[must_use]
    pub fn interrupted_moves(&self) -> Vec<(TopicPartition, PathBuf)> {
        std::mem::take(&mut *self.interrupted.lock())
    }

    /// The copies in the data directory of that index.
    pub(super) fn futures_in(&self, dir: usize) -> Vec<FutureView> {
        let futures: Vec<_> = {
            let all = self.future.lock();
            let here = all.iter().filter(|(_, future)| future.dir == dir);
            here.map(|(partition, future)| (partition.clone(), future.log.clone())).collect()
        };
        let view = |(partition, log): (TopicPartition, LogHandle)| {
            let end = self.get(&partition).map_or(0, |current| current.lock().log_end_offset());
            let log = log.lock();
            FutureView { bytes: log.size_bytes(), lag: (end - log.log_end_offset()).max(0), partition }
        };
        futures.into_iter().map(view).collect()
    }
}

/// The partition in `topic-0.<unique>-future`.
pub(super) fn partition_of(name: &str) -> Option<TopicPartition> {
    let (partition, _) = name.strip_suffix(names::FUTURE_DIR)?.rsplit_once('.')?;
    names::parse_partition_dir(partition)
}
