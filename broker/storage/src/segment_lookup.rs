//! Finding things in a segment: through its sparse indexes, then from header to header.

use crate::batch_scan::{BatchScan, Step};
use crate::disk::read_full_at;
use crate::entry_file::EntryFile;
use crate::error::{DiskError, IoContext, ReadError};
use crate::index::OffsetEntry;
use crate::names;
use crate::segment::{Found, Place, Segment};
use bytes::Bytes;
use ottla_records::{BatchHeader, BatchSummary, RecordBatch};
use ottla_types::{Offset, TimestampMs};
use std::io;
use std::path::Path;

/// What the end of a segment looks like.
#[derive(Debug)]
pub(crate) struct Tail {
    /// One past the last offset.
    pub(crate) next_offset: Offset,
    /// The last batch.
    pub(crate) last: Option<Found>,
    /// Where whole batches end before the file does, and why.
    pub(crate) bad: Option<(u64, String)>,
}

impl Segment {
    /// The first batch whose last offset is at least `target`.
    pub(crate) fn find(
        &mut self,
        place: Place<'_>,
        target: Offset,
        interval_bytes: u32,
    ) -> Result<Option<Found>, ReadError> {
        let relative = self.relative(target.max(self.base_offset));
        let start = self.start_from(place, interval_bytes, |entry| entry.relative_offset <= relative)?;
        let path = place.file(self.base_offset, names::LOG);
        let file = self.file(place)?;
        let mut scan = BatchScan::new(&*file, start, self.size_bytes, self.base_offset);
        loop {
            match next_batch(&mut scan, &path)? {
                Some(found) if found.header.last_offset() >= target => return Ok(Some(found)),
                Some(_) => {}
                None => return Ok(None),
            }
        }
    }

    /// Where the batches below `offset` end. Looks at nothing behind, and takes no index entry for granted.
    pub(crate) fn end_of_known(&mut self, place: Place<'_>, offset: Offset) -> Result<u64, ReadError> {
        let relative = self.relative(offset);
        let entry =
            self.with_offsets(place, |index, at| index.last_where(at, |e| e.relative_offset < relative));
        let start = match entry {
            Ok(Some((_, entry))) if self.is_valid(place, entry)? => u64::from(entry.position),
            _ => 0,
        };
        let path = place.file(self.base_offset, names::LOG);
        let file = self.file(place)?;
        let mut scan = BatchScan::new(&*file, start, self.size_bytes, self.base_offset);
        let mut next_offset = self.base_offset;
        while next_offset < offset {
            match next_batch(&mut scan, &path)? {
                Some(found) => next_offset = found.header.next_offset(),
                None => break,
            }
        }
        Ok(scan.position())
    }

    /// The last boundary between batches in `from..=limit`, and the offset that follows it.
    pub(crate) fn boundary_before(
        &mut self,
        place: Place<'_>,
        from: Found,
        limit: u64,
        interval_bytes: u32,
    ) -> Result<(u64, Offset), ReadError> {
        let position_limit = u32::try_from(limit).unwrap_or(u32::MAX);
        let start = self.start_from(place, interval_bytes, |entry| entry.position <= position_limit)?;
        let path = place.file(self.base_offset, names::LOG);
        let file = self.file(place)?;
        let start = start.max(from.position);
        let mut scan = BatchScan::new(&*file, start, self.size_bytes, self.base_offset);
        let mut boundary = (from.position, from.header.base_offset);
        while let Some(found) = next_batch(&mut scan, &path)? {
            boundary = (found.position, found.header.base_offset);
            let end = found.position + found.header.total_bytes() as u64;
            if end > limit {
                break;
            }
            boundary = (end, found.header.next_offset());
        }
        Ok(boundary)
    }

    /// Largest timestamp in the segment and the last offset of its batch; (-1, ..) if there is none.
    pub(crate) fn max_timestamp(
        &mut self,
        place: Place<'_>,
        interval_bytes: u32,
    ) -> Result<(TimestampMs, Offset), ReadError> {
        if let Some(max) = self.max_timestamp {
            return Ok(max);
        }
        let last = self.with_times(place, EntryFile::last).unwrap_or_default();
        let indexed =
            last.map(|entry| (entry.timestamp, self.base_offset + i64::from(entry.relative_offset)));
        let max = match indexed {
            // The age of a segment decides over its life: the index must be right.
            Some((timestamp, offset)) if self.has_batch(place, timestamp, offset, interval_bytes)? => {
                (timestamp, offset)
            }
            _ => {
                self.rebuild_indexes(place, interval_bytes)?;
                self.max_timestamp.unwrap_or((-1, self.base_offset - 1))
            }
        };
        self.max_timestamp = Some(max);
        Ok(max)
    }

    /// True if a batch that ends at `last_offset` has this largest timestamp.
    fn has_batch(
        &mut self,
        place: Place<'_>,
        timestamp: TimestampMs,
        last_offset: Offset,
        interval_bytes: u32,
    ) -> Result<bool, ReadError> {
        let found = self.find(place, last_offset, interval_bytes)?;
        Ok(found.is_some_and(|found| {
            found.header.max_timestamp == timestamp && found.header.last_offset() == last_offset
        }))
    }

    /// The first batch that holds a timestamp of at least `target`, looked for from where the time index says.
    pub(crate) fn find_timestamp(
        &mut self,
        place: Place<'_>,
        target: TimestampMs,
        from: Offset,
        interval_bytes: u32,
    ) -> Result<Option<Found>, ReadError> {
        let entry =
            self.with_times(place, |times, at| times.last_where(at, |entry| entry.timestamp < target));
        let after = match entry {
            Ok(Some((_, entry))) => self.base_offset + i64::from(entry.relative_offset),
            _ => self.base_offset,
        };
        let Some(first) = self.find(place, after.max(from), interval_bytes)? else { return Ok(None) };
        let path = place.file(self.base_offset, names::LOG);
        let file = self.file(place)?;
        let mut scan = BatchScan::new(&*file, first.position, self.size_bytes, self.base_offset);
        while let Some(found) = next_batch(&mut scan, &path)? {
            if found.header.max_timestamp >= target {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The batch that begins at `position`.
    pub(crate) fn batch_at(&mut self, place: Place<'_>, position: u64) -> Result<Option<Found>, ReadError> {
        let path = place.file(self.base_offset, names::LOG);
        let file = self.file(place)?;
        next_batch(&mut BatchScan::new(&*file, position, self.size_bytes, self.base_offset), &path)
    }

    /// The whole batch at `position`; `None` if it is not there.
    pub(crate) fn read_batch(
        &mut self,
        place: Place<'_>,
        position: u64,
        header: &BatchHeader,
    ) -> Result<Option<RecordBatch>, DiskError> {
        let path = place.file(self.base_offset, names::LOG);
        let mut bytes = vec![0; header.total_bytes()];
        let read = read_full_at(&*self.file(place)?, &mut bytes, position).during("read", &path)?;
        bytes.truncate(read);
        Ok(RecordBatch::new(&Bytes::from(bytes)).ok())
    }

    /// Reads the part behind the last index entry, and takes the segment's state from it and from the indexes.
    pub(crate) fn load_tail(&mut self, place: Place<'_>, interval_bytes: u32) -> Result<Tail, DiskError> {
        let start = match self.last_valid_entry(place)? {
            Some(entry) => u64::from(entry.position),
            None => {
                self.forget_indexes(place)?;
                0
            }
        };
        self.restore_times(place)?;
        self.bytes_since_entry = 0;
        let path = place.file(self.base_offset, names::LOG);
        let file = self.file(place)?;
        let mut tail = Tail { next_offset: self.base_offset, last: None, bad: None };
        let mut scan = BatchScan::new(&*file, start, self.size_bytes, self.base_offset);
        loop {
            match scan.step().during("read", &path)? {
                Step::End => break,
                Step::Bad { position, reason } => {
                    tail.bad = Some((position, reason));
                    break;
                }
                Step::Batch { position, header } => {
                    if tail.last.is_some() || start == 0 {
                        self.index_batch(position, &BatchSummary::from(&header), interval_bytes);
                    } else {
                        self.adopt_indexed(&header);
                    }
                    tail.next_offset = header.next_offset();
                    tail.last = Some(Found { position, header });
                }
            }
        }
        if start > 0 {
            self.first_timestamp = self.read_first_timestamp(place)?;
        }
        Ok(tail)
    }

    /// A batch that the index has already.
    fn adopt_indexed(&mut self, header: &BatchHeader) {
        self.bytes_since_entry = header.total_bytes() as u32;
        if header.record_count > 0 && self.max_timestamp.is_none_or(|max| header.max_timestamp > max.0) {
            self.max_timestamp = Some((header.max_timestamp, header.last_offset()));
        }
    }

    /// The timestamp of its first batch.
    pub(crate) fn read_first_timestamp(
        &mut self,
        place: Place<'_>,
    ) -> Result<Option<TimestampMs>, DiskError> {
        let path = place.file(self.base_offset, names::LOG);
        let file = self.file(place)?;
        match BatchScan::new(&*file, 0, self.size_bytes, self.base_offset).step().during("read", &path)? {
            Step::Batch { header, .. } => Ok(Some(header.max_timestamp)),
            Step::End | Step::Bad { .. } => Ok(None),
        }
    }

    /// Makes both indexes anew from the batches.
    pub(crate) fn rebuild_indexes(&mut self, place: Place<'_>, interval_bytes: u32) -> Result<(), ReadError> {
        tracing::info!(dir = %place.dir.display(), base_offset = self.base_offset, "rebuilding the segment's indexes");
        self.forget_indexes(place)?;
        let path = place.file(self.base_offset, names::LOG);
        let file = self.file(place)?;
        let mut scan = BatchScan::new(&*file, 0, self.size_bytes, self.base_offset);
        while let Some(found) = next_batch(&mut scan, &path)? {
            if self.index_batch(found.position, &BatchSummary::from(&found.header), interval_bytes) {
                self.flush_indexes(place)?;
            }
        }
        Ok(self.seal(place)?)
    }

    /// Empties the indexes and all that was derived from them.
    pub(crate) fn forget_indexes(&mut self, place: Place<'_>) -> Result<(), DiskError> {
        let disk_error = |(path, error)| DiskError::new("truncate", path, error);
        self.with_offsets(place, |index, at| index.truncate(at, 0)).map_err(disk_error)?;
        self.with_times(place, |index, at| index.truncate(at, 0)).map_err(disk_error)?;
        self.max_timestamp = Some((-1, self.base_offset - 1));
        self.last_time_entry = None;
        self.bytes_since_entry = 0;
        self.unindexed = false;
        Ok(())
    }

    /// Durably cuts everything from `position` on, where a batch ends and `next_offset` would follow.
    pub(crate) fn truncate(
        &mut self,
        place: Place<'_>,
        position: u64,
        next_offset: Offset,
        interval_bytes: u32,
    ) -> Result<(), DiskError> {
        let path = place.file(self.base_offset, names::LOG);
        let file = self.file(place)?;
        // Durably: what is cut off must not come back between batches that are written in its place.
        file.set_len(position).and_then(|()| file.sync_data()).during("truncate", &path)?;
        self.size_bytes = position;
        self.dirty = true;
        self.cut_indexes(place, position, next_offset)?;
        self.load_tail(place, interval_bytes).map(drop)
    }

    /// Drops index entries for what lies at or behind `position` and `next_offset`.
    pub(crate) fn cut_indexes(
        &mut self,
        place: Place<'_>,
        position: u64,
        next_offset: Offset,
    ) -> Result<(), DiskError> {
        let relative = self.relative(next_offset.max(self.base_offset));
        let cut = self.with_offsets(place, |index, at| {
            let keep = index.last_where(at, |entry| u64::from(entry.position) < position)?;
            index.truncate(at, keep.map_or(0, |(last, _)| last + 1))
        });
        let cut = cut.and_then(|()| {
            self.with_times(place, |index, at| {
                let keep = index.last_where(at, |entry| entry.relative_offset < relative)?;
                index.truncate(at, keep.map_or(0, |(last, _)| last + 1))
            })
        });
        match cut {
            Err((_, error)) if is_index_damage(&error) => self.forget_indexes(place),
            Err((path, error)) => Err(DiskError::new("truncate", path, error)),
            Ok(()) => Ok(()),
        }
    }

    /// Takes the largest timestamp from the time index and cuts entries off that point behind the segment's end.
    fn restore_times(&mut self, place: Place<'_>) -> Result<(), DiskError> {
        let last = self.with_times(place, EntryFile::last);
        let last = last.map_err(|(path, error)| DiskError::new("read", path, error))?;
        let base_offset = self.base_offset;
        self.last_time_entry = last.map(|entry| entry.timestamp);
        self.max_timestamp =
            Some(last.map_or((-1, base_offset - 1), |e| {
                (e.timestamp, base_offset + i64::from(e.relative_offset))
            }));
        Ok(())
    }

    /// The last offset entry, if it points to a batch that ends at its offset.
    fn last_valid_entry(&mut self, place: Place<'_>) -> Result<Option<OffsetEntry>, DiskError> {
        let Ok(Some(entry)) = self.with_offsets(place, EntryFile::last) else { return Ok(None) };
        Ok((entry.position > 0 && self.is_valid(place, entry)?).then_some(entry))
    }

    fn is_valid(&mut self, place: Place<'_>, entry: OffsetEntry) -> Result<bool, DiskError> {
        let path = place.file(self.base_offset, names::LOG);
        let expected = self.base_offset + i64::from(entry.relative_offset);
        let file = self.file(place)?;
        let mut scan = BatchScan::new(&*file, u64::from(entry.position), self.size_bytes, self.base_offset);
        Ok(match scan.step().during("read", &path)? {
            Step::Batch { header, .. } => header.last_offset() == expected,
            Step::End | Step::Bad { .. } => false,
        })
    }

    /// Where to start looking: at the last entry for which `is_before` holds, or at 0.
    fn start_from(
        &mut self,
        place: Place<'_>,
        interval_bytes: u32,
        is_before: impl Fn(&OffsetEntry) -> bool,
    ) -> Result<u64, ReadError> {
        for _ in 0..2 {
            match self.with_offsets(place, |index, at| index.last_where(at, &is_before)) {
                Ok(None) if !self.unindexed => return Ok(0),
                Ok(Some((_, entry))) if self.is_valid(place, entry)? => return Ok(u64::from(entry.position)),
                Err((path, error)) if !is_index_damage(&error) => {
                    return Err(DiskError::new("read", path, error).into());
                }
                Ok(_) | Err(_) => self.rebuild_indexes(place, interval_bytes)?,
            }
        }
        Ok(0)
    }
}

/// The next batch of a scan of the segment at `path`.
pub(crate) fn next_batch(scan: &mut BatchScan<'_>, path: &Path) -> Result<Option<Found>, ReadError> {
    match scan.step() {
        Ok(Step::Batch { position, header }) => Ok(Some(Found { position, header })),
        Ok(Step::End) => Ok(None),
        Ok(Step::Bad { position, reason }) => {
            Err(ReadError::Corrupt { path: path.to_owned(), position, reason })
        }
        Err(error) => Err(DiskError::new("read", path, error).into()),
    }
}

/// Errors that come from the index file itself being gone or too short.
fn is_index_damage(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof)
}
