//! Cutting the log's end off, and starting it anew.

use super::Log;
use crate::compaction::SUFFIXES;
use crate::error::{DiskError, IoContext, LogError, ReadError};
use crate::names;
use crate::segment::Segment;
use ottla_types::{Offset, TimestampMs};
use std::io;

impl Log {
    /// Cuts off everything from `offset` on; a batch that holds it goes whole. At or behind the end only an
    /// epoch without records goes.
    ///
    /// # Errors
    /// [`LogError`].
    pub fn truncate_to(&mut self, offset: Offset, now: TimestampMs) -> Result<(), LogError> {
        self.check_online()?;
        if offset >= self.log_end_offset {
            // An epoch that began here and got no records is not what the leader has: it goes all the same, or the
            // logs would be found to diverge for ever.
            self.epochs_dirty |= self.epochs.truncate_from_end(self.log_end_offset);
            self.save_epochs_if_dirty();
            return Ok(());
        }
        if offset < self.segments[0].base_offset {
            return self.truncate_fully_and_start_at(offset, now);
        }
        let truncated = self.truncate_segments(offset);
        self.judged(truncated)?;
        Ok(())
    }

    fn truncate_segments(&mut self, offset: Offset) -> Result<(), ReadError> {
        // First the promise, then what it was about.
        self.lower_recovery_point(offset)?;
        self.log_dir.lower_cleaned_to(&self.partition, offset)?;
        self.log_dir.lower_log_start(&self.partition, offset)?;
        let cut = self.cut_segments(offset);
        if let Err(error) = &cut {
            // What is in memory may not be what is on disk.
            self.corrupt.get_or_insert_with(|| error.to_string());
        }
        cut
    }

    fn cut_segments(&mut self, offset: Offset) -> Result<(), ReadError> {
        let index = self.segment_index(offset).unwrap_or(0);
        let interval_bytes = self.config.index_interval_bytes;
        self.forget_hints();
        self.truncations += 1;
        let removes = self.segments.len() > index + 1;
        while self.segments.len() > index + 1 {
            let Some(segment) = self.segments.pop() else { break };
            self.remove_segment_files(&segment)?;
        }
        if removes {
            self.log_dir.disk().sync_dir(&self.dir).during("sync", &self.dir)?;
        }
        let (place, segment) = self.segment(index);
        let cut = segment.find(place, offset, interval_bytes)?;
        let mut end_offset = offset;
        if let Some(cut) = cut {
            end_offset = cut.header.base_offset.min(offset);
            self.log_dir.lower_cleaned_to(&self.partition, end_offset)?;
            self.log_dir.lower_log_start(&self.partition, end_offset)?;
            let (place, segment) = self.segment(index);
            segment.truncate(place, cut.position, end_offset, interval_bytes)?;
        }
        let (place, segment) = self.segment(index);
        segment.with_aborted(place, |aborted, at| {
            let keep = aborted.all(at)?.iter().take_while(|entry| entry.last_offset < end_offset).count();
            if keep < aborted.len() { aborted.truncate(at, keep) } else { Ok(()) }
        })?;
        self.log_end_offset = end_offset;
        self.log_start_offset = self.log_start_offset.min(end_offset);
        self.recovery_point = self.recovery_point.min(end_offset);
        self.flushed_offset = self.flushed_offset.min(end_offset);
        self.epochs_dirty |= self.epochs.truncate_from_end(end_offset);
        self.retain_snapshots(|at| at <= end_offset);
        self.load_producers(end_offset)?;
        self.save_epochs_if_dirty();
        Ok(())
    }

    /// Epochs that the log does not have are left out when it is opened: without room for the file it stays as it is
    /// until the next batch.
    fn save_epochs_if_dirty(&mut self) {
        if self.epochs_dirty {
            let _ = self.save_epochs();
        }
    }

    /// Drops everything and goes on at `offset`, as a follower does whose leader has nothing older.
    ///
    /// # Errors
    /// The disk's.
    pub fn truncate_fully_and_start_at(&mut self, offset: Offset, now: TimestampMs) -> Result<(), LogError> {
        self.check_online()?;
        let restarted = self.restart_at(offset, now);
        self.noted(restarted)?;
        Ok(())
    }

    pub(super) fn restart_at(&mut self, offset: Offset, now: TimestampMs) -> Result<(), DiskError> {
        self.lower_recovery_point(self.log_start_offset.min(offset))?;
        self.log_dir.lower_cleaned_to(&self.partition, 0)?;
        self.log_dir.lower_log_start(&self.partition, offset)?;
        self.forget_hints();
        self.truncations += 1;
        self.retain_snapshots(|_| false);
        // From the end: what a crash leaves is the beginning of the log.
        while self.segments.len() > 1 {
            let Some(segment) = self.segments.pop() else { break };
            if let Err(error) = self.remove_segment_files(&segment) {
                self.segments.push(segment);
                return Err(error);
            }
        }
        if let Err(error) = self.reuse_last_segment(offset, now) {
            self.corrupt.get_or_insert_with(|| error.to_string());
            return Err(error);
        }
        self.log_start_offset = offset;
        self.log_end_offset = offset;
        self.recovery_point = offset;
        self.flushed_offset = offset;
        self.unflushed_since = None;
        self.dirty_bytes = 0;
        self.producers = Default::default();
        if !self.epochs.entries().is_empty() {
            self.epochs.clear();
            self.save_epochs()?;
        }
        Ok(())
    }

    /// Empties the only segment that is left and gives it another base offset. A log without any segment would count as
    /// one that lost them.
    fn reuse_last_segment(&mut self, base_offset: Offset, now: TimestampMs) -> Result<(), DiskError> {
        let (place, segment) = self.segment(0);
        let old = place.file(segment.base_offset, names::LOG);
        let file = segment.file(place)?;
        // Durably: what was in it must not come back under the new name.
        file.set_len(0).and_then(|()| file.sync_data()).during("truncate", &old)?;
        let old_base = segment.base_offset;
        let suffixes: Vec<&str> = segment.suffixes().filter(|suffix| *suffix != names::LOG).collect();
        for suffix in suffixes {
            self.remove_if_there(old_base, suffix)?;
        }
        if old_base != base_offset {
            let new = self.place().file(base_offset, names::LOG);
            self.log_dir.disk().rename(&old, &new).during("rename", &old)?;
        }
        self.segments[0] = Segment::new(base_offset, 0, now);
        self.segments[0].dirty = true;
        self.dir_changes += 1;
        self.log_dir.disk().sync_dir(&self.dir).during("sync", &self.dir)
    }

    fn lower_recovery_point(&mut self, offset: Offset) -> Result<(), DiskError> {
        if offset < self.recovery_point {
            self.log_dir.lower_recovery_point(&self.partition, offset)?;
            self.recovery_point = offset;
        }
        Ok(())
    }

    /// Removes a segment's files at once; nobody needs them any more.
    pub(super) fn remove_segment_files(&mut self, segment: &Segment) -> Result<(), DiskError> {
        self.dir_changes += 1;
        segment.suffixes().try_for_each(|suffix| self.remove_if_there(segment.base_offset, suffix))
    }

    fn remove_if_there(&self, base_offset: Offset, suffix: &str) -> Result<(), DiskError> {
        let path = self.place().file(base_offset, suffix);
        match self.log_dir.disk().remove_file(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other.during("remove", &path),
        }
    }

    /// Renames a segment's files so that they count as gone, and removes them when nobody can be reading them any more.
    pub(super) fn delete_segment_later(
        &mut self,
        segment: &Segment,
        now: TimestampMs,
    ) -> Result<(), DiskError> {
        self.dir_changes += 1;
        let due = now + self.config.file_delete_delay_ms;
        let exists: Vec<&str> = segment.suffixes().collect();
        // The batches last: while they are there the segment is.
        for suffix in SUFFIXES.into_iter().filter(|suffix| exists.contains(suffix)) {
            let path = self.place().file(segment.base_offset, suffix);
            let renamed = self.place().file(segment.base_offset, &format!("{suffix}{}", names::DELETED));
            self.deleted_files.retain(|(known, _)| *known != renamed);
            match self.log_dir.disk().rename(&path, &renamed) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                other => {
                    other.during("rename", &path)?;
                    self.deleted_files.push((renamed, due));
                }
            }
        }
        Ok(())
    }

    /// Removes renamed files whose time has come.
    pub(super) fn remove_deleted_files(&mut self, now: TimestampMs) {
        let disk = self.log_dir.disk();
        self.deleted_files.retain(|(path, due)| {
            if *due > now {
                return true;
            }
            if let Err(error) = disk.remove_file(path) {
                tracing::warn!(path = %path.display(), %error, "cannot remove a deleted segment's file");
            }
            false
        });
    }
}
