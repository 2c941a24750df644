//! Reading: a place in a file that can be sent without copying it.

use super::Log;
use crate::disk::{DiskFile, EmptyFile, read_full_at};
use crate::error::{IoContext, LogError, ReadError};
use crate::names;
use crate::segment::Found;
use ottla_records::{BatchHeader, HEADER_BYTES};
use ottla_types::Offset;
use std::io;
use std::sync::Arc;

/// Whole batches in a file. Stays readable whatever happens to the log meanwhile.
#[derive(Debug, Clone)]
pub struct LogSlice {
    /// The segment's file.
    pub file: Arc<dyn DiskFile>,
    /// Where the first batch begins.
    pub position: u64,
    /// Length; 0 if there is nothing to read.
    pub bytes: u64,
    /// Offset of the first batch (at most the one asked for); of what is to be read next, if nothing is there.
    pub start: Offset,
    /// The offset that follows the last batch.
    pub next_offset: Offset,
}

impl LogSlice {
    fn empty(offset: Offset) -> Self {
        Self { file: Arc::new(EmptyFile), position: 0, bytes: 0, start: offset, next_offset: offset }
    }

    /// True if there is nothing to read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Copies the batches out, for those who cannot send from the file.
    ///
    /// # Errors
    /// The disk's; `UnexpectedEof` if the log was truncated meanwhile.
    pub fn read(&self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(self.bytes).map_err(io::Error::other)?];
        if read_full_at(&*self.file, &mut bytes, self.position)? < bytes.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(bytes)
    }
}

/// The boundary between two batches.
#[derive(Debug, Clone, Copy, Default)]
struct Boundary {
    segment: Offset,
    offset: Offset,
    position: u64,
}

/// A slice that is longer is not looked at: it would be a thousand empty batches in a row.
const MOST_HEADERS_BYTES: u64 = 61_000;
const HINTS: usize = 6;

/// Boundaries that will probably be asked for: where reads ended and where appends began. With them a reader that goes
/// on where it stopped, and a follower at the log's end, need neither index nor header.
///
/// Invariant: each names a true boundary; truncation forgets all.
#[derive(Debug, Default)]
pub(super) struct Hints {
    appends: [Boundary; HINTS],
    reads: [Boundary; HINTS],
    next_append: u8,
    next_read: u8,
}

impl Hints {
    pub(super) fn note_append(&mut self, segment: Offset, offset: Offset, position: u64) {
        self.appends[usize::from(self.next_append)] = Boundary { segment, offset, position };
        self.next_append = (self.next_append + 1) % HINTS as u8;
    }

    fn note_read(&mut self, segment: Offset, offset: Offset, position: u64) {
        if self.get(segment, offset).is_none() {
            self.reads[usize::from(self.next_read)] = Boundary { segment, offset, position };
            self.next_read = (self.next_read + 1) % HINTS as u8;
        }
    }

    fn get(&self, segment: Offset, offset: Offset) -> Option<u64> {
        if offset == segment {
            return Some(0);
        }
        let matches =
            |hint: &&Boundary| hint.offset == offset && hint.segment == segment && hint.position > 0;
        self.appends.iter().chain(&self.reads).find(matches).map(|hint| hint.position)
    }
}

impl Log {
    pub(super) fn forget_hints(&mut self) {
        self.hints = Hints::default();
    }

    /// Batches from the one that holds `offset` on: whole ones, up to `max_bytes`, all within one segment and below
    /// `end_offset`. If the first one alone is larger than `max_bytes` it comes with `min_one_batch`, else nothing.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn read(
        &mut self,
        offset: Offset,
        max_bytes: u64,
        min_one_batch: bool,
        end_offset: Offset,
    ) -> Result<LogSlice, ReadError> {
        self.check_readable()?;
        if offset < self.log_start_offset || offset > self.log_end_offset {
            return Err(self.out_of_range(offset));
        }
        let end_offset = end_offset.min(self.log_end_offset);
        let Some(mut index) = self.segment_index(offset).filter(|_| offset < end_offset) else {
            return Ok(LogSlice::empty(offset));
        };
        // A segment may end (after compaction) with offsets that have no batch.
        while index < self.segments.len() {
            if self.segments[index].base_offset >= end_offset {
                break;
            }
            let slice = self.read_segment(index, offset, (max_bytes, min_one_batch), end_offset);
            if let Some(slice) = self.judged(slice)? {
                return Ok(slice);
            }
            index += 1;
        }
        Ok(LogSlice::empty(offset))
    }

    /// The same for a client: batches without any record, which compaction leaves, do not come alone while others
    /// follow. Some clients take them for a batch that was cut off, and ask for ever more bytes.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn read_records(
        &mut self,
        offset: Offset,
        max_bytes: u64,
        min_one_batch: bool,
        end_offset: Offset,
    ) -> Result<LogSlice, ReadError> {
        let mut slice = self.read(offset, max_bytes, min_one_batch, end_offset)?;
        while self.is_without_records(&slice)? && slice.next_offset < end_offset {
            let behind = self.read(slice.next_offset, max_bytes, min_one_batch, end_offset)?;
            if behind.is_empty() {
                break;
            }
            slice = behind;
        }
        Ok(slice)
    }

    /// True if nothing but headers is in it.
    fn is_without_records(&mut self, slice: &LogSlice) -> Result<bool, ReadError> {
        if slice.is_empty()
            || !slice.bytes.is_multiple_of(HEADER_BYTES as u64)
            || slice.bytes > MOST_HEADERS_BYTES
        {
            return Ok(false);
        }
        let path = self.place().file(slice.start, names::LOG);
        let bytes = slice.read().during("read", &path);
        let bytes = self.noted(bytes)?;
        let is_empty = |head: &[u8]| BatchHeader::parse(head).is_ok_and(|header| header.record_count == 0);
        Ok(bytes.chunks(HEADER_BYTES).all(is_empty))
    }

    /// `None` if the segment has nothing at or behind `offset`.
    fn read_segment(
        &mut self,
        index: usize,
        offset: Offset,
        (max_bytes, min_one_batch): (u64, bool),
        end_offset: Offset,
    ) -> Result<Option<LogSlice>, ReadError> {
        let Some((position, start)) = self.start_of(index, offset)? else { return Ok(None) };
        let (end, mut next_offset) = self.end_of(index, end_offset)?;
        if end <= position {
            return Ok(Some(LogSlice::empty(offset)));
        }
        let mut bytes = end - position;
        if bytes > max_bytes {
            let interval_bytes = self.config.index_interval_bytes;
            let (place, segment) = self.segment(index);
            let Some(first) = segment.batch_at(place, position)? else { return Ok(None) };
            let first_bytes = first.header.total_bytes() as u64;
            if first_bytes > max_bytes {
                if !min_one_batch {
                    return Ok(Some(LogSlice::empty(offset)));
                }
                (bytes, next_offset) = (first_bytes, first.header.next_offset());
            } else {
                let boundary = segment.boundary_before(place, first, position + max_bytes, interval_bytes)?;
                (bytes, next_offset) = (boundary.0 - position, boundary.1);
            }
        }
        let (place, segment) = self.segment(index);
        let base_offset = segment.base_offset;
        if next_offset <= offset {
            // Only in a log whose batches overlap. A reader would come back for ever.
            let path = place.file(base_offset, names::LOG);
            let reason = format!("the batch that holds offset {offset} is followed by offset {next_offset}");
            return Err(ReadError::Corrupt { path, position, reason });
        }
        let file = segment.file(place)?;
        self.hints.note_read(base_offset, next_offset, position + bytes);
        Ok(Some(LogSlice { file, position, bytes, start, next_offset }))
    }

    /// Position and base offset of the batch that holds `offset`, or of the next one.
    fn start_of(&mut self, index: usize, offset: Offset) -> Result<Option<(u64, Offset)>, ReadError> {
        let base_offset = self.segments[index].base_offset;
        if let Some(position) = self.hints.get(base_offset, offset) {
            return Ok((position < self.segments[index].size_bytes).then_some((position, offset)));
        }
        let interval_bytes = self.config.index_interval_bytes;
        let (place, segment) = self.segment(index);
        let found = segment.find(place, offset, interval_bytes)?;
        Ok(found.map(|Found { position, header }| (position, header.base_offset)))
    }

    /// Where the batches below `end_offset` end, and the offset that follows them.
    fn end_of(&mut self, index: usize, end_offset: Offset) -> Result<(u64, Offset), ReadError> {
        let base_offset = self.segments[index].base_offset;
        let segment_end = self.segments.get(index + 1).map_or(self.log_end_offset, |next| next.base_offset);
        if end_offset >= segment_end {
            return Ok((self.segments[index].size_bytes, segment_end));
        }
        if let Some(position) = self.hints.get(base_offset, end_offset) {
            return Ok((position, end_offset));
        }
        let interval_bytes = self.config.index_interval_bytes;
        let (place, segment) = self.segment(index);
        Ok(match segment.find(place, end_offset, interval_bytes)? {
            Some(Found { position, header }) => (position, header.base_offset.min(end_offset)),
            None => (segment.size_bytes, segment_end),
        })
    }

    pub(super) fn out_of_range(&self, offset: Offset) -> ReadError {
        let (log_start_offset, log_end_offset) = (self.log_start_offset, self.log_end_offset);
        ReadError::OffsetOutOfRange { offset, log_start_offset, log_end_offset }
    }

    pub(super) fn check_readable(&self) -> Result<(), ReadError> {
        match self.check_online() {
            Err(LogError::Offline { path, reason }) => Err(ReadError::Offline { path, reason }),
            _ => Ok(()),
        }
    }

    /// Hands a failed look into the log on: a disk error is the data directory's business, damage the log's.
    pub(super) fn judged<T>(&mut self, result: Result<T, ReadError>) -> Result<T, ReadError> {
        match &result {
            Err(ReadError::Disk(error)) => self.log_dir.note(error),
            Err(error @ ReadError::Corrupt { .. }) if self.corrupt.is_none() => {
                tracing::error!(partition = %self.partition, %error, "the log is offline");
                self.corrupt = Some(error.to_string());
            }
            _ => {}
        }
        result
    }
}
