//! The segment that takes the place of a group: its files end in `.cleaned` until it is whole and on disk.

use super::CleanError;
use crate::disk::Disk;
use crate::entry_file::EntryFile;
use crate::error::{DiskError, IoContext};
use crate::index::AbortedEntry;
use crate::names;
use crate::segment::{Place, Segment};
use ottla_records::{BatchHeader, BatchSummary};
use ottla_types::{Offset, TimestampMs};
use std::io::{self, IoSlice};
use std::path::Path;

/// The endings of a segment's files, those that must follow the batches' last.
pub(crate) const SUFFIXES: [&str; 4] = [names::INDEX, names::TIME_INDEX, names::TXN_INDEX, names::LOG];

/// A segment being written.
pub(super) struct Output<'a> {
    place: Place<'a>,
    segment: Segment,
    /// Batches that wait to be written.
    pub(super) buffer: Vec<u8>,
    interval_bytes: u32,
}

impl<'a> Output<'a> {
    /// Makes the files anew, whatever an earlier pass left of them.
    pub(super) fn create(
        (disk, dir): (&'a dyn Disk, &'a Path),
        base_offset: Offset,
        interval_bytes: u32,
        modified_ms: TimestampMs,
    ) -> Result<Self, CleanError> {
        discard(disk, dir, base_offset)?;
        let place = Place { disk, dir, ending: names::CLEANED };
        let segment = Segment::create(place, base_offset, modified_ms)?;
        Ok(Self { place, segment, buffer: Vec::new(), interval_bytes })
    }

    /// Enters a batch that was appended to the buffer, where it begins at `start`.
    pub(super) fn note(&mut self, header: &BatchHeader, start: usize) -> Result<(), CleanError> {
        let position = self.segment.size_bytes + start as u64;
        if self.segment.index_batch(position, &BatchSummary::from(header), self.interval_bytes) {
            self.segment.flush_indexes(self.place)?;
        }
        Ok(())
    }

    /// Writes what waits; returns its bytes.
    pub(super) fn flush(&mut self) -> Result<u64, CleanError> {
        let bytes = self.buffer.len() as u64;
        if bytes > 0 {
            self.segment.write(self.place, &[IoSlice::new(&self.buffer)], bytes)?;
            self.buffer.clear();
        }
        Ok(bytes)
    }

    /// Bytes of the segment so far.
    pub(super) fn size_bytes(&self) -> u64 {
        self.segment.size_bytes + self.buffer.len() as u64
    }

    /// Brings everything to disk. The segment's files still end in `.cleaned`.
    pub(super) fn finish(mut self, aborted: &[AbortedEntry]) -> Result<Segment, CleanError> {
        self.flush()?;
        self.segment.seal(self.place)?;
        let named = |(path, error)| DiskError::new("create", path, error);
        self.segment.with_offsets(self.place, EntryFile::ensure).map_err(named)?;
        self.segment.with_times(self.place, EntryFile::ensure).map_err(named)?;
        if !aborted.is_empty() {
            self.segment.with_aborted(self.place, |index, at| {
                aborted.iter().for_each(|entry| _ = index.push(*entry));
                index.flush(at)
            })?;
        }
        let mut files = self.segment.dirty_indexes(self.place)?;
        let path = self.place.file(self.segment.base_offset, names::LOG);
        files.push((path, self.segment.file(self.place)?));
        for (path, file) in files {
            file.sync_data().during("sync", &path)?;
        }
        self.segment.release();
        Ok(self.segment)
    }
}

/// Removes the files of an output that is not needed.
pub(super) fn discard(disk: &dyn Disk, dir: &Path, base_offset: Offset) -> Result<(), DiskError> {
    let place = Place { disk, dir, ending: names::CLEANED };
    for suffix in SUFFIXES {
        let path = place.file(base_offset, suffix);
        match disk.remove_file(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => other.during("remove", &path)?,
        }
    }
    Ok(())
}
