//! The part of compaction that needs the log itself: what there is to clean, and one segment in the place of several.

use super::Log;
use crate::batch_scan::{BatchScan, Step};
use crate::compaction::{CleanError, Facts, LastBatch, SUFFIXES, Sealed, Sizes, Standing};
use crate::config::LogConfig;
use crate::disk::{DirEntry, Disk};
use crate::entry_file::EntryFile;
use crate::error::{DiskError, IoContext, LogError, OpenError};
use crate::index::AbortedEntry;
use crate::names;
use crate::segment::{Place, Segment};
use ottla_types::{Offset, ProducerId, TimestampMs};
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// A segment that is to be cleaned.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) path: PathBuf,
    pub(crate) base_offset: Offset,
    pub(crate) end_offset: Offset,
    pub(crate) size_bytes: u64,
    index_bytes: u64,
    pub(crate) modified_ms: TimestampMs,
}

impl Source {
    pub(crate) fn sizes(&self) -> Sizes {
        Sizes {
            base_offset: self.base_offset,
            end_offset: self.end_offset,
            log_bytes: self.size_bytes,
            index_bytes: self.index_bytes,
        }
    }
}

/// What one pass works on, as it was when the pass began.
#[derive(Debug)]
pub(crate) struct CleanPlan {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) dir: PathBuf,
    pub(crate) config: Arc<LogConfig>,
    pub(crate) standing: Standing,
    /// Every segment below the standing's end.
    pub(crate) sources: Vec<Source>,
    pub(crate) producers: BTreeMap<ProducerId, LastBatch>,
    /// Aborted transactions whose markers are in the sources.
    pub(crate) aborted: Vec<AbortedEntry>,
    truncations: u64,
}

impl Log {
    /// How much there is to clean.
    ///
    /// # Errors
    /// [`LogError`].
    pub fn standing(&mut self, high_watermark: Offset, now: TimestampMs) -> Result<Standing, LogError> {
        self.check_online()?;
        let cleaned_to = self.log_dir.cleaned_to(&self.partition);
        let sealed = self.sealed(cleaned_to.unwrap_or(0))?;
        Ok(Standing::of(&Facts {
            sealed: &sealed,
            active_offset: self.active().base_offset,
            log_end_offset: self.log_end_offset,
            log_start_offset: self.log_start_offset,
            cleaned_to,
            last_stable_offset: self.last_stable_offset(high_watermark),
            min_lag_ms: self.config.min_compaction_lag_ms,
            max_lag_ms: self.config.max_compaction_lag_ms,
            now,
        }))
    }

    /// The segments below the active one. Times are looked up only for dirty ones and if a setting asks for them.
    fn sealed(&mut self, first_dirty: Offset) -> Result<Vec<Sealed>, LogError> {
        let interval_bytes = self.config.index_interval_bytes;
        let (has_min, has_max) =
            (self.config.min_compaction_lag_ms > 0, self.config.max_compaction_lag_ms < i64::MAX);
        let mut sealed = Vec::with_capacity(self.segments.len());
        for index in 0..self.segments.len() - 1 {
            let end_offset = self.segment_end(index);
            let is_dirty = end_offset > first_dirty;
            let (place, segment) = self.segment(index);
            let mut facts = Sealed {
                base_offset: segment.base_offset,
                end_offset,
                bytes: segment.size_bytes,
                first_timestamp: -1,
                newest_ms: segment.modified_ms,
            };
            if is_dirty && has_max {
                let first = segment.read_first_timestamp(place);
                facts.first_timestamp = self.noted(first)?.unwrap_or(-1);
            }
            let (place, segment) = self.segment(index);
            if is_dirty && has_min {
                let newest = segment.max_timestamp(place, interval_bytes);
                let newest = self.judged(newest)?.0;
                facts.newest_ms = if newest >= 0 { newest } else { facts.newest_ms };
            }
            sealed.push(facts);
        }
        Ok(sealed)
    }

    /// What a pass works on; `None` if nothing is dirty.
    pub(crate) fn clean_plan(
        &mut self,
        high_watermark: Offset,
        now: TimestampMs,
    ) -> Result<Option<CleanPlan>, LogError> {
        let standing = self.standing(high_watermark, now)?;
        if standing.dirty_bytes == 0 {
            return Ok(None);
        }
        let mut sources = Vec::new();
        let mut aborted = Vec::new();
        for index in 0..self.segments.len() - 1 {
            let end_offset = self.segment_end(index);
            if end_offset > standing.end_offset {
                break;
            }
            let (place, segment) = self.segment(index);
            sources.push(Source {
                path: place.file(segment.base_offset, names::LOG),
                base_offset: segment.base_offset,
                end_offset,
                size_bytes: segment.size_bytes,
                index_bytes: segment.offsets.len_bytes().max(segment.times.len_bytes()),
                modified_ms: segment.modified_ms,
            });
            if segment.aborted.exists() {
                let entries = segment.with_aborted(place, EntryFile::all);
                aborted.extend(self.noted(entries)?);
            }
        }
        Ok(Some(CleanPlan {
            disk: Arc::clone(self.log_dir.disk()),
            dir: self.dir.clone(),
            config: Arc::clone(&self.config),
            standing,
            sources,
            producers: self.producers.last_batches().collect(),
            aborted,
            truncations: self.truncations,
        }))
    }

    /// Puts a segment whose files end in `.cleaned` and are on disk in the place of `group`. The change is not on disk
    /// before the directory is synced; opening the log after a crash ends it or finds that it has not begun.
    pub(crate) fn replace_segments(
        &mut self,
        plan: &CleanPlan,
        group: &[Source],
        cleaned: Segment,
        now: TimestampMs,
    ) -> Result<(), CleanError> {
        self.check_online()?;
        let base_offset = cleaned.base_offset;
        let at = self.segments.iter().position(|segment| segment.base_offset == base_offset);
        let is_there = |&(segment, source): &(&Segment, &Source)| {
            segment.base_offset == source.base_offset && segment.size_bytes == source.size_bytes
        };
        let at = at.filter(|&at| {
            let behind = &self.segments[at..self.segments.len() - 1];
            behind.len() >= group.len() && behind.iter().zip(group).all(|pair| is_there(&pair))
        });
        let Some(at) = at.filter(|_| plan.truncations == self.truncations) else {
            return Err(CleanError::Changed);
        };
        let exists: Vec<&str> = cleaned.suffixes().collect();
        for suffix in SUFFIXES.into_iter().filter(|suffix| exists.contains(suffix)) {
            self.change_ending(base_offset, suffix, names::CLEANED, names::SWAP)?;
        }
        let replaced: Vec<Segment> = self.segments.splice(at..at + group.len(), [cleaned]).collect();
        self.forget_hints();
        self.dir_changes += 1;
        if let Err(error) = self.finish_replacing(&replaced, (base_offset, &exists), now) {
            // Half done; opening the log does the rest.
            self.corrupt.get_or_insert_with(|| error.to_string());
            return Err(error.into());
        }
        Ok(())
    }

    /// From here on the new segment counts: the old ones go, the last one first, and it takes their names.
    fn finish_replacing(
        &mut self,
        replaced: &[Segment],
        (base_offset, exists): (Offset, &[&str]),
        now: TimestampMs,
    ) -> Result<(), DiskError> {
        for segment in replaced.iter().rev() {
            self.delete_segment_later(segment, now)?;
        }
        for suffix in SUFFIXES.into_iter().filter(|suffix| exists.contains(suffix)) {
            self.change_ending(base_offset, suffix, names::SWAP, "")?;
        }
        Ok(())
    }

    fn change_ending(
        &self,
        base_offset: Offset,
        suffix: &str,
        from: &'static str,
        to: &'static str,
    ) -> Result<(), DiskError> {
        let place = self.place();
        let path = Place { ending: from, ..place }.file(base_offset, suffix);
        let renamed = Place { ending: to, ..place }.file(base_offset, suffix);
        place.disk.rename(&path, &renamed).during("rename", &path)
    }

    /// Notes durably that a pass ended at `offset`.
    pub(crate) fn cleaned_to(&mut self, plan: &CleanPlan, offset: Offset) -> Result<(), CleanError> {
        self.check_online()?;
        if plan.truncations != self.truncations {
            return Err(CleanError::Changed);
        }
        self.log_dir.set_cleaned_to(&self.partition, offset)?;
        Ok(())
    }

    /// Why a pass failed, knowing what happened to the log meanwhile: what was truncated reads as damage, and files are
    /// gone that retention deleted, or that went with their partition. Having no room is no reason to refuse
    /// producers: nothing but a copy was to be written.
    pub(crate) fn judge_clean_error(&self, plan: &CleanPlan, error: CleanError) -> CleanError {
        match error {
            CleanError::Corrupt { .. } if plan.truncations != self.truncations => CleanError::Changed,
            CleanError::Disk(error) if error.source.kind() == io::ErrorKind::NotFound => CleanError::Changed,
            CleanError::Disk(error) => {
                if !error.is_full() {
                    self.log_dir.note(&error);
                }
                CleanError::Disk(error)
            }
            other => other,
        }
    }

    /// Ends the replacing of segments that a crash cut short. Removes what it had not finished. Returns the files of the
    /// directory, as they are then.
    pub(super) fn finish_swaps(&self) -> Result<Vec<DirEntry>, OpenError> {
        let disk = &**self.log_dir.disk();
        let entries = disk.list(&self.dir).during("list", &self.dir)?;
        let is_cut_short =
            |name: &str| [names::CLEANED, names::SWAP].iter().any(|ending| name.ends_with(ending));
        if !entries.iter().any(|entry| is_cut_short(&entry.name)) {
            return Ok(entries);
        }
        let names: Vec<String> = entries.into_iter().map(|entry| entry.name).collect();
        let with_ending = |ending: &'static str| names.iter().filter(move |name| name.ends_with(ending));
        for name in with_ending(names::CLEANED) {
            remove(disk, &self.dir.join(name))?;
        }
        for name in with_ending(names::SWAP) {
            let whole =
                name.strip_suffix(names::SWAP).and_then(|name| names::segment_offset(name, names::LOG));
            if let Some(base_offset) = whole {
                self.finish_swap(base_offset, &names)?;
            }
        }
        // Indexes of a segment that was not whole.
        let left = disk.list(&self.dir).during("list", &self.dir)?;
        for entry in left.iter().filter(|entry| entry.name.ends_with(names::SWAP)) {
            remove(disk, &self.dir.join(&entry.name))?;
        }
        disk.sync_dir(&self.dir).during("sync", &self.dir)?;
        Ok(disk.list(&self.dir).during("list", &self.dir)?)
    }

    /// Gives the complete segment at `base_offset` its name, after all that it replaces is gone. Each step leaves
    /// something that can be told from what was before: the old segment's batches go after its indexes, and the new
    /// one's get their name after its indexes have theirs.
    fn finish_swap(&self, base_offset: Offset, names: &[String]) -> Result<(), OpenError> {
        let swap = Place { ending: names::SWAP, ..self.place() };
        let end_offset = self.end_of_swap(swap, base_offset)?;
        tracing::info!(dir = %self.dir.display(), base_offset, end_offset, "a compacted segment takes its place");
        let mut replaced: Vec<Offset> = names
            .iter()
            .filter_map(|name| names::segment_offset(name, names::LOG))
            .filter(|offset| (base_offset..end_offset.max(base_offset + 1)).contains(offset))
            .collect();
        replaced.sort_unstable();
        for offset in replaced.into_iter().rev() {
            for suffix in SUFFIXES {
                remove(swap.disk, &self.place().file(offset, suffix))?;
            }
        }
        for suffix in SUFFIXES {
            let path = swap.file(base_offset, suffix);
            if swap.disk.exists(&path) {
                self.change_ending(base_offset, suffix, names::SWAP, "")?;
            }
        }
        Ok(())
    }

    /// The offset that follows the segment's last batch: where what it replaces ends.
    fn end_of_swap(&self, swap: Place<'_>, base_offset: Offset) -> Result<Offset, OpenError> {
        let path = swap.file(base_offset, names::LOG);
        let file = swap.disk.open(&path).during("open", &path)?;
        let size_bytes = file.len().during("look at", &path)?;
        let mut scan = BatchScan::new(&*file, 0, size_bytes, base_offset);
        let mut end_offset = base_offset;
        loop {
            match scan.step().during("read", &path)? {
                Step::Batch { header, .. } => end_offset = header.next_offset(),
                Step::End => return Ok(end_offset),
                // It was on disk before it got this name. What it was to replace may be gone: nothing is touched.
                Step::Bad { position, reason } => return Err(OpenError::Corrupt { path, position, reason }),
            }
        }
    }
}

fn remove(disk: &dyn Disk, path: &std::path::Path) -> Result<(), DiskError> {
    match disk.remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other.during("remove", path),
    }
}
