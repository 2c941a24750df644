//! The batches of one segment, whole and checked, in the order of their offsets.

use super::CleanError;
use crate::disk::{DiskFile, read_full_at};
use crate::error::IoContext;
use ottla_records::{BatchHeader, HEADER_BYTES, crc32c};
use ottla_types::Offset;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

/// Where a batch's CRC begins to count.
const CRC_START: usize = 21;

/// Reads a segment through one buffer.
pub(super) struct BatchReader {
    file: Arc<dyn DiskFile>,
    path: PathBuf,
    /// Where the buffer begins in the file.
    position: u64,
    end: u64,
    buffer: Vec<u8>,
    /// What of the buffer was not given yet.
    unread: Range<usize>,
    next_offset: Offset,
    window_bytes: usize,
}

impl BatchReader {
    /// Reads the first `end` bytes of a segment that begins at `base_offset`.
    pub(super) fn new(
        file: Arc<dyn DiskFile>,
        path: PathBuf,
        end: u64,
        base_offset: Offset,
        window_bytes: usize,
    ) -> Self {
        Self {
            file,
            path,
            position: 0,
            end,
            buffer: Vec::new(),
            unread: 0..0,
            next_offset: base_offset,
            window_bytes: window_bytes.max(4_096),
        }
    }

    /// The next batch. `read` hears of every byte that is read from the disk.
    ///
    /// # Errors
    /// [`CleanError`]: the disk's, or damage.
    pub(super) fn next(
        &mut self,
        read: &mut dyn FnMut(u64) -> Result<(), CleanError>,
    ) -> Result<Option<(BatchHeader, &[u8])>, CleanError> {
        if self.at() >= self.end {
            return Ok(None);
        }
        self.fill(HEADER_BYTES, read)?;
        let header = match BatchHeader::parse(&self.buffer[self.unread.clone()]) {
            Ok(header) => header,
            Err(error) => return Err(self.corrupt(error.to_string())),
        };
        let (base, last) = (header.base_offset, header.last_offset());
        if base < self.next_offset || last < base {
            let behind = self.next_offset - 1;
            return Err(self.corrupt(format!("offsets {base} to {last} after offset {behind}")));
        }
        if header.total_bytes() as u64 > self.end - self.at() {
            return Err(self.corrupt(format!("a batch of {} bytes does not end", header.total_bytes())));
        }
        self.fill(header.total_bytes(), read)?;
        let range = self.unread.start..self.unread.start + header.total_bytes();
        let computed = crc32c(&self.buffer[range.clone()][CRC_START..]);
        if computed != header.crc {
            return Err(self.corrupt(format!("CRC is {computed:#010x} instead of {:#010x}", header.crc)));
        }
        self.unread.start = range.end;
        self.next_offset = header.next_offset();
        Ok(Some((header, &self.buffer[range])))
    }

    /// Where the next batch begins.
    pub(super) fn at(&self) -> u64 {
        self.position + self.unread.start as u64
    }

    /// What is wrong with the batch that begins at [`Self::at`].
    pub(super) fn corrupt(&self, reason: String) -> CleanError {
        CleanError::Corrupt { path: self.path.clone(), position: self.at(), reason }
    }

    /// Makes at least `bytes` unread bytes be there.
    fn fill(
        &mut self,
        bytes: usize,
        read: &mut dyn FnMut(u64) -> Result<(), CleanError>,
    ) -> Result<(), CleanError> {
        if self.unread.len() >= bytes {
            return Ok(());
        }
        self.buffer.copy_within(self.unread.clone(), 0);
        self.position += self.unread.start as u64;
        self.unread = 0..self.unread.len();
        let left = self.end - self.position;
        let wanted = (bytes.max(self.window_bytes) as u64).min(left) as usize;
        if wanted < bytes {
            return Err(self.corrupt("the segment ends within a batch".to_owned()));
        }
        self.buffer.resize(wanted, 0);
        let at = self.position + self.unread.end as u64;
        let found =
            read_full_at(&*self.file, &mut self.buffer[self.unread.end..], at).during("read", &self.path)?;
        read(found as u64)?;
        self.unread.end += found;
        if self.unread.len() < bytes {
            return Err(self.corrupt("the file is shorter than the segment".to_owned()));
        }
        Ok(())
    }
}
