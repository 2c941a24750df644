//! Making partitions and letting them go.

use super::{Dir, HostedLog, LogDirs, LogHandle};
use crate::checkpoint::{Durability, format_partition_metadata, replace_file};
use crate::config::LogConfig;
use crate::error::{DiskError, IoContext};
use crate::log::Log;
use crate::names;
use ottla_types::{DirectoryId, ErrorCode, Offset, TimestampMs, TopicId, TopicPartition, Uuid};
use parking_lot::Mutex;
use std::path::PathBuf;
use std::sync::Arc;

/// The longest name a file system takes.
const MAX_NAME_BYTES: usize = 255;

/// Why a partition's log could not be made.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// It is there already, of another topic.
    #[error("{partition} is here already, with topic id {found}")]
    OtherTopic {
        /// The partition.
        partition: TopicPartition,
        /// The topic id on disk.
        found: TopicId,
    },
    /// It is there and cannot be opened.
    #[error("{partition} is offline: {reason}")]
    Offline {
        /// The partition.
        partition: TopicPartition,
        /// Why.
        reason: String,
    },
    /// It was made here before and its files are gone: an empty log would hide that.
    #[error("{partition} was here, and its log is missing")]
    Lost {
        /// The partition.
        partition: TopicPartition,
    },
    /// No data directory works, or not the one asked for.
    #[error("no data directory for {partition}")]
    NoDirectory {
        /// The partition.
        partition: TopicPartition,
    },
    /// The disk refused.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

impl CreateError {
    /// Kafka's error code.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::OtherTopic { .. } => ErrorCode::InconsistentTopicId,
            Self::NoDirectory { .. } => ErrorCode::LogDirNotFound,
            Self::Offline { .. } | Self::Lost { .. } | Self::Disk(_) => ErrorCode::KafkaStorageError,
        }
    }
}

impl LogDirs {
    /// The partition's log, made if it is not here: in `directory`, or in the directory with the fewest logs.
    ///
    /// # Errors
    /// [`CreateError`]; nothing is left of a failed try.
    pub fn create(
        &self,
        partition: &TopicPartition,
        topic_id: TopicId,
        directory: Option<DirectoryId>,
        config: Arc<LogConfig>,
        now: TimestampMs,
    ) -> Result<LogHandle, CreateError> {
        if let Some(failed) = self.failed.read().get(partition) {
            return Err(CreateError::Offline { partition: partition.clone(), reason: failed.reason.clone() });
        }
        let mut hosted = self.hosted.write();
        if let Some(existing) = hosted.get_mut(partition) {
            match existing.topic_id {
                Some(found) if found != topic_id => {
                    return Err(CreateError::OtherTopic { partition: partition.clone(), found });
                }
                Some(_) => {}
                None => self.name_topic(existing, partition, topic_id)?,
            }
            return Ok(Arc::clone(&existing.log));
        }
        if self.made.lock().contains((topic_id, partition.partition)) {
            return Err(CreateError::Lost { partition: partition.clone() });
        }
        let mut counts = vec![0usize; self.dirs.len()];
        hosted.values().for_each(|log| counts[log.dir] += 1);
        let usable = |index: &usize| {
            let dir = &self.dirs[*index];
            dir.log_dir.offline_reason().is_none() && directory.is_none_or(|wanted| wanted == dir.id)
        };
        let chosen = (0..self.dirs.len()).filter(usable).min_by_key(|&index| counts[index]);
        let dir = chosen.ok_or_else(|| CreateError::NoDirectory { partition: partition.clone() })?;
        let log = self.create_in(dir, partition, topic_id, config, now)?;
        let log = Arc::new(Mutex::new(log));
        let entry = HostedLog { log: Arc::clone(&log), topic_id: Some(topic_id), dir };
        hosted.insert(partition.clone(), entry);
        Ok(log)
    }

    /// Writes the topic's id beside a log that lost it in a crash.
    fn name_topic(
        &self,
        hosted: &mut HostedLog,
        partition: &TopicPartition,
        topic_id: TopicId,
    ) -> Result<(), DiskError> {
        let dir = &self.dirs[hosted.dir].log_dir;
        let path = dir.path().join(partition.to_string()).join(names::PARTITION_METADATA);
        let text = format_partition_metadata(topic_id);
        let written = replace_file(&*self.disk, &path, text.as_bytes(), Durability::Synced);
        written.inspect_err(|error| dir.note(error))?;
        hosted.topic_id = Some(topic_id);
        Ok(())
    }

    /// Moves a directory out of the way that nobody knows of.
    pub(super) fn set_stray_aside(&self, dir: usize, partition: &TopicPartition) -> Result<(), DiskError> {
        let root = self.dirs[dir].log_dir.path();
        let path = root.join(partition.to_string());
        if !self.disk.exists(&path) {
            return Ok(());
        }
        let stray = root.join(unique_dir_name(partition, names::STRAY_DIR));
        tracing::warn!(path = %path.display(), to = %stray.display(), "an unknown directory is in the way");
        self.disk.rename(&path, &stray).during("rename", &path)
    }

    fn create_in(
        &self,
        dir: usize,
        partition: &TopicPartition,
        topic_id: TopicId,
        config: Arc<LogConfig>,
        now: TimestampMs,
    ) -> Result<Log, DiskError> {
        self.set_stray_aside(dir, partition)?;
        let dir = &self.dirs[dir];
        // What a deleted partition of the same name left behind must not speak for this one.
        let created = dir.forget(partition).and_then(|()| {
            Log::create_in(Arc::clone(&dir.log_dir), partition.clone(), topic_id, config, now)
        });
        let noted = created.and_then(|log| {
            self.made.lock().add(&*self.disk, (topic_id, partition.partition), &partition.topic)?;
            Ok(log)
        });
        noted.inspect_err(|error| {
            dir.log_dir.note(error);
            let path = dir.log_dir.path().join(partition.to_string());
            let _ = self.disk.remove_dir_all(&path);
        })
    }

    /// Takes a partition's log away: it is gone at once, its files a little later. False if it is not here.
    ///
    /// # Errors
    /// The disk's.
    pub fn delete(&self, partition: &TopicPartition, now: TimestampMs) -> Result<bool, DiskError> {
        self.cancel_move(partition);
        let mut hosted = self.hosted.write();
        let (dir, topic_id, delay_ms) = match hosted.get(partition) {
            Some(log) => (log.dir, log.topic_id, log.log.lock().config().file_delete_delay_ms),
            None => match self.failed.read().get(partition) {
                Some(failed) => (failed.dir, failed.topic_id, 0),
                None => return Ok(false),
            },
        };
        let dir = &self.dirs[dir];
        let from = dir.log_dir.path().join(partition.to_string());
        let to = dir.log_dir.path().join(unique_dir_name(partition, names::DELETE_DIR));
        let forgotten = dir.log_dir.lower_cleaned_to(partition, 0);
        let renamed = forgotten.and_then(|()| self.disk.rename(&from, &to).during("rename", &from));
        renamed.inspect_err(|error| dir.log_dir.note(error))?;
        if let Some(gone) = hosted.remove(partition) {
            gone.log.lock().detach("the partition was deleted");
        }
        self.failed.write().remove(partition);
        if let Some(topic_id) = topic_id {
            self.made.lock().remove(&*self.disk, (topic_id, partition.partition))?;
        }
        self.removals.lock().push((to, now + delay_ms));
        Ok(true)
    }

    /// Gives up what is left of a partition's log, so that it can be made anew: a damaged one is set aside, one whose
    /// files are gone is forgotten. Only for whoever knows that others have what it held.
    ///
    /// # Errors
    /// The disk's.
    pub fn give_up(&self, partition: &TopicPartition, topic_id: TopicId) -> Result<(), DiskError> {
        self.cancel_move(partition);
        let mut hosted = self.hosted.write();
        let failed = self.failed.read().get(partition).map(|failed| failed.dir);
        if let Some(dir) = hosted.get(partition).map(|log| log.dir).or(failed) {
            self.set_stray_aside(dir, partition)?;
        }
        if let Some(gone) = hosted.remove(partition) {
            gone.log.lock().detach("the log was given up");
        }
        self.failed.write().remove(partition);
        self.made.lock().remove(&*self.disk, (topic_id, partition.partition))
    }

    /// Removes directories of deleted partitions whose time has come.
    pub(super) fn remove_deleted(&self, now: TimestampMs) {
        let due: Vec<PathBuf> = {
            let mut removals = self.removals.lock();
            let due = removals.iter().filter(|(_, due)| *due <= now).map(|(path, _)| path.clone()).collect();
            removals.retain(|(_, due)| *due > now);
            due
        };
        for path in due {
            if let Err(error) = self.disk.remove_dir_all(&path) {
                tracing::warn!(path = %path.display(), %error, "cannot remove a deleted partition");
            }
        }
    }
}

impl Dir {
    /// Durably forgets what the checkpoints say of a partition.
    pub(super) fn forget(&self, partition: &TopicPartition) -> Result<(), DiskError> {
        self.log_dir.lower_recovery_point(partition, 0)?;
        self.log_dir.lower_log_start(partition, 0)?;
        self.log_dir.lower_cleaned_to(partition, 0)?;
        self.forget_high_watermark(partition)
    }

    /// Durably notes where a log begins that comes from another directory, and nothing else of it: what the checkpoints
    /// say of a stay here before is not true of it.
    pub(super) fn expect(&self, partition: &TopicPartition, log_start: Offset) -> Result<(), DiskError> {
        let noted = self.forget(partition).and_then(|()| match log_start {
            0 => Ok(()),
            _ => self.log_dir.set_log_start(partition, log_start),
        });
        noted.inspect_err(|error| self.log_dir.note(error))
    }
}

/// `topic-0.<unique>-delete` and the like, the topic cut where the name would be too long (`LocalLog.logDeleteDirName`).
pub(super) fn unique_dir_name(partition: &TopicPartition, ending: &str) -> String {
    let suffix = format!("-{}.{}{}", partition.partition, Uuid::new_v4().simple(), ending);
    let room = MAX_NAME_BYTES - suffix.len();
    let topic: String = partition.topic.chars().take(room.min(partition.topic.len())).collect();
    format!("{topic}{suffix}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_deleted_partition_fits_a_file_system() {
        let long = TopicPartition::new("t".repeat(249), 12_345);
        assert_eq!(unique_dir_name(&long, names::DELETE_DIR).len(), MAX_NAME_BYTES);
        let short = unique_dir_name(&TopicPartition::new("t", 0), names::DELETE_DIR);
        assert!(short.starts_with("t-0.") && short.ends_with("-delete"), "{short}");
        assert_eq!(names::parse_partition_dir(&short), None);
    }
}
