//! What is done now and then: syncing, checkpoints, giving memory back, removing what was deleted; and the end.

use super::{Dir, FutureView, HostedLog, LogDir, LogDirs, LogHandle};
use crate::checkpoint::{Durability, format_offsets, replace_file};
use crate::error::DiskError;
use crate::log::{FlushPlan, Log};
use crate::names;
use ottla_types::{DirectoryId, Offset, TimestampMs, TopicPartition};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A data directory as `DescribeLogDirs` shows it.
#[derive(Debug, Clone)]
pub struct DirView {
    /// Its path.
    pub path: PathBuf,
    /// Its id; zero if it was never read.
    pub id: DirectoryId,
    /// Why it does not work, if so.
    pub offline: Option<String>,
    /// True while produce requests are refused for want of room.
    pub full: bool,
    /// Free bytes of its volume; -1 if unknown.
    pub free_bytes: i64,
    /// Size of its volume in bytes; -1 if unknown.
    pub total_bytes: i64,
    /// Its partitions and the bytes of their logs.
    pub logs: Vec<(TopicPartition, u64)>,
    /// Copies of logs that move here.
    pub future: Vec<FutureView>,
}

impl LogDirs {
    /// Syncs everything of every log and saves the checkpoints.
    pub fn flush_all(&self) {
        for handle in self.handles() {
            let plan = handle.lock().checkpoint_plan();
            if let Ok(Some(plan)) = plan {
                let _ = finish(&handle, &plan);
            }
        }
        self.checkpoint();
    }

    /// Saves recovery points and log starts where they changed.
    pub fn checkpoint(&self) {
        for (index, dir) in self.dirs.iter().enumerate() {
            if dir.log_dir.offline_reason().is_some() {
                continue;
            }
            let saved = dir
                .log_dir
                .save_recovery_points(|| self.offsets_in(index, Log::recovery_point, LogDir::recovery_point))
                .and_then(|()| {
                    let collect = || self.offsets_in(index, Log::log_start_offset, LogDir::log_start);
                    dir.log_dir.save_log_starts(collect)
                });
            if let Err(error) = saved {
                dir.log_dir.note(&error);
            }
        }
    }

    /// The offsets of the logs in a directory. Of one that could not be opened what was noted before stays: without it
    /// the next start would not see what is missing.
    fn offsets_in(
        &self,
        dir: usize,
        offset_of: impl Fn(&Log) -> Offset,
        noted: impl Fn(&LogDir, &TopicPartition) -> Option<Offset>,
    ) -> BTreeMap<TopicPartition, Offset> {
        let mut offsets: BTreeMap<TopicPartition, Offset> = {
            let failed = self.failed.read();
            let failed = failed.iter().filter(|(_, failed)| failed.dir == dir);
            let kept = failed.filter_map(|(partition, _)| {
                Some((partition.clone(), noted(&self.dirs[dir].log_dir, partition)?))
            });
            kept.collect()
        };
        let logs = self.logs().into_iter().filter(|(_, hosted)| hosted.dir == dir);
        let current = logs.map(|(partition, hosted)| (partition, offset_of(&hosted.log.lock())));
        offsets.extend(current);
        offsets.retain(|_, offset| *offset > 0);
        offsets
    }

    /// Gives files and memory of idle logs back, forgets silent producers, removes deleted partitions and looks whether
    /// a full volume has room again. To be called every few seconds.
    pub fn maintain(&self, now: TimestampMs) {
        for handle in self.handles() {
            let mut log = handle.lock();
            log.expire_producers(now);
            let _ = log.cool();
        }
        self.remove_deleted(now);
        for dir in &self.dirs {
            dir.log_dir.look_for_room();
        }
    }

    /// The saved high watermarks.
    #[must_use]
    pub fn high_watermarks(&self) -> BTreeMap<TopicPartition, Offset> {
        let mut all = BTreeMap::new();
        for dir in &self.dirs {
            all.extend(
                dir.high_watermarks.lock().iter().map(|(partition, offset)| (partition.clone(), *offset)),
            );
        }
        all
    }

    /// Saves high watermarks, each beside its log.
    pub fn save_high_watermarks(&self, high_watermarks: &BTreeMap<TopicPartition, Offset>) {
        let mut by_dir = vec![BTreeMap::new(); self.dirs.len()];
        for (partition, hosted) in self.hosted.read().iter() {
            if let Some(offset) = high_watermarks.get(partition) {
                by_dir[hosted.dir].insert(partition.clone(), *offset);
            }
        }
        for (dir, offsets) in self.dirs.iter().zip(by_dir) {
            if dir.log_dir.offline_reason().is_none()
                && let Err(error) = dir.save_high_watermarks(offsets)
            {
                dir.log_dir.note(&error);
            }
        }
    }

    /// The directories as `DescribeLogDirs` shows them.
    #[must_use]
    pub fn describe(&self) -> Vec<DirView> {
        let mut views: Vec<DirView> = self.dirs.iter().map(Dir::view).collect();
        for (partition, hosted) in self.logs() {
            let bytes = hosted.log.lock().size_bytes();
            views[hosted.dir].logs.push((partition, bytes));
        }
        for (index, view) in views.iter_mut().enumerate() {
            view.future = self.futures_in(index);
        }
        views
    }

    /// Closes all logs, with `threads` at a time, and notes that nothing needs to be looked at as long as the machine
    /// runs on. Nothing is synced. Logs are unusable afterwards.
    pub fn shutdown(&self, threads: usize) {
        self.checkpoint();
        let logs: Vec<_> = std::mem::take(&mut *self.hosted.write()).into_values().collect();
        let chunk = logs.len().div_ceil(threads.max(1)).max(1);
        let unclean: Vec<usize> = std::thread::scope(|scope| {
            let closers: Vec<_> = logs.chunks(chunk).map(|logs| scope.spawn(|| close_all(logs))).collect();
            closers.into_iter().flat_map(|closer| closer.join().unwrap_or_default()).collect()
        });
        for (index, dir) in self.dirs.iter().enumerate() {
            let clean = dir.log_dir.offline_reason().is_none() && !unclean.contains(&index);
            let path = dir.log_dir.path().join(names::CLEAN_SHUTDOWN);
            if clean && let Err(error) = self.disk.create(&path) {
                tracing::warn!(path = %path.display(), %error, "the next start will look at the ends of all logs");
            }
        }
    }
}

/// Closes logs; the directories of those that failed.
fn close_all(logs: &[HostedLog]) -> Vec<usize> {
    let mut failed = Vec::new();
    for hosted in logs {
        let mut log = hosted.log.lock();
        if let Err(error) = log.close_in_place() {
            tracing::warn!(partition = %log.partition(), %error, "cannot close the log");
            failed.push(hosted.dir);
        }
    }
    failed
}

fn finish(handle: &LogHandle, plan: &FlushPlan) -> Result<(), DiskError> {
    let synced = plan.sync();
    let mut log = handle.lock();
    match &synced {
        Ok(()) => log.flushed(plan),
        Err(error) => log.flush_failed(plan, error),
    }
    synced
}

impl Dir {
    fn save_high_watermarks(&self, current: BTreeMap<TopicPartition, Offset>) -> Result<(), DiskError> {
        let mut saved = self.high_watermarks.lock();
        if *saved != current {
            self.write_high_watermarks(&current, Durability::Cached)?;
            *saved = current;
        }
        Ok(())
    }

    /// Durably forgets the high watermark of a partition whose log is made anew.
    pub(super) fn forget_high_watermark(&self, partition: &TopicPartition) -> Result<(), DiskError> {
        let mut saved = self.high_watermarks.lock();
        match saved.remove(partition) {
            Some(_) => self.write_high_watermarks(&saved, Durability::Synced),
            None => Ok(()),
        }
    }

    fn write_high_watermarks(
        &self,
        offsets: &BTreeMap<TopicPartition, Offset>,
        durability: Durability,
    ) -> Result<(), DiskError> {
        let path = self.log_dir.path().join(names::HIGH_WATERMARK_CHECKPOINT);
        replace_file(&**self.log_dir.disk(), &path, format_offsets(offsets).as_bytes(), durability)
    }

    fn view(&self) -> DirView {
        let space = self.log_dir.disk().space_bytes(self.log_dir.path()).ok();
        let bytes = |bytes: Option<u64>| bytes.and_then(|bytes| i64::try_from(bytes).ok()).unwrap_or(-1);
        DirView {
            path: self.log_dir.path().to_owned(),
            id: self.id,
            offline: self.log_dir.offline_reason().map(str::to_owned),
            full: self.log_dir.is_full(),
            free_bytes: bytes(space.map(|space| space.0)),
            total_bytes: bytes(space.map(|space| space.1)),
            logs: Vec::new(),
            future: Vec::new(),
        }
    }
}
