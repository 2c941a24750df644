//! Walks the batches of a segment file: headers only, or with their CRC.
//!
//! Reads little: a window that grows where batches are small and shrinks where they are large, so that a header costs
//! at most one read. Never trusts what it reads: lengths are bounded by the file, offsets must rise and
//! leader epochs must not fall.

use crate::disk::{DiskFile, read_full_at};
use crc_fast::{CrcAlgorithm, Digest};
use ottla_records::{BatchHeader, HEADER_BYTES};
use ottla_types::Offset;
use std::io;

const MIN_WINDOW_BYTES: usize = 256;
const MAX_WINDOW_BYTES: usize = 64 << 10;
/// Bytes of a batch that its CRC does not cover.
const BEFORE_CRC_BYTES: u64 = 21;

/// What the scan met.
#[derive(Debug)]
pub(crate) enum Step {
    /// A batch that lies wholly within the file.
    Batch { position: u64, header: BatchHeader },
    /// The end of the file, exactly behind a batch.
    End,
    /// Something else than a whole batch.
    Bad { position: u64, reason: String },
}

/// A walk over `position..end` of a file.
pub(crate) struct BatchScan<'a> {
    file: &'a dyn DiskFile,
    position: u64,
    end: u64,
    next_offset: Offset,
    /// A segment's offsets lie within what its index can say: 31 bits from its base offset.
    offset_limit: Offset,
    epoch: i32,
    window: Vec<u8>,
    window_start: u64,
    window_bytes: usize,
    served: u32,
}

impl<'a> BatchScan<'a> {
    /// Starts at `position`, where a batch begins whose offset is at least `min_offset`.
    pub(crate) fn new(file: &'a dyn DiskFile, position: u64, end: u64, min_offset: Offset) -> Self {
        Self {
            file,
            position,
            end,
            next_offset: min_offset,
            offset_limit: min_offset.saturating_add(i64::from(i32::MAX)),
            epoch: i32::MIN,
            window: Vec::new(),
            window_start: 0,
            window_bytes: MIN_WINDOW_BYTES,
            served: 0,
        }
    }

    /// Where the next batch begins.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// The next batch, its CRC not looked at.
    pub(crate) fn step(&mut self) -> io::Result<Step> {
        let position = self.position;
        if position >= self.end {
            return Ok(Step::End);
        }
        let left = self.end - position;
        if left < HEADER_BYTES as u64 {
            return Ok(Step::Bad { position, reason: format!("{left} bytes are left, less than a header") });
        }
        let head = self.head(position)?;
        let header = match BatchHeader::parse(head) {
            Ok(header) => header,
            Err(error) => return Ok(Step::Bad { position, reason: error.to_string() }),
        };
        if let Some(reason) = self.implausible(&header, left) {
            return Ok(Step::Bad { position, reason });
        }
        self.position = position + header.total_bytes() as u64;
        self.next_offset = header.next_offset();
        self.epoch = header.leader_epoch;
        Ok(Step::Batch { position, header })
    }

    /// The next batch, with its CRC checked.
    pub(crate) fn step_checked(&mut self) -> io::Result<Step> {
        let step = self.step()?;
        let Step::Batch { position, header } = &step else { return Ok(step) };
        match check_crc(self.file, *position, header)? {
            None => Ok(step),
            Some(reason) => {
                self.position = *position;
                Ok(Step::Bad { position: *position, reason })
            }
        }
    }

    fn implausible(&self, header: &BatchHeader, left: u64) -> Option<String> {
        let bytes = header.total_bytes() as u64;
        if bytes > left {
            return Some(format!("a batch of {bytes} bytes where {left} are left"));
        }
        if header.base_offset < self.next_offset {
            return Some(format!("offset {} after offset {}", header.base_offset, self.next_offset - 1));
        }
        if header.next_offset() > self.offset_limit {
            // The CRC does not cover the offset.
            return Some(format!("offset {} after offset {}", header.last_offset(), self.next_offset - 1));
        }
        if header.leader_epoch < self.epoch {
            return Some(format!("leader epoch {} after leader epoch {}", header.leader_epoch, self.epoch));
        }
        if header.last_offset_delta < 0 {
            return Some(format!("last offset delta {}", header.last_offset_delta));
        }
        None
    }

    /// The bytes at `position`, at least a header's.
    fn head(&mut self, position: u64) -> io::Result<&[u8]> {
        let window_end = self.window_start + self.window.len() as u64;
        if position < self.window_start || position + HEADER_BYTES as u64 > window_end {
            self.window_bytes = match self.served {
                2.. => (self.window_bytes * 2).min(MAX_WINDOW_BYTES),
                _ => (self.window_bytes / 2).max(MIN_WINDOW_BYTES),
            };
            self.served = 0;
            let want = (self.end - position).min(self.window_bytes as u64) as usize;
            self.window.resize(want, 0);
            let read = read_full_at(self.file, &mut self.window, position)?;
            self.window.truncate(read);
            self.window_start = position;
        }
        self.served += 1;
        Ok(&self.window[(position - self.window_start) as usize..])
    }
}

/// Why the batch at `position` does not match its CRC, if it does not.
pub(crate) fn check_crc(
    file: &dyn DiskFile,
    position: u64,
    header: &BatchHeader,
) -> io::Result<Option<String>> {
    let mut digest = Digest::new(CrcAlgorithm::Crc32Iscsi);
    let mut at = position + BEFORE_CRC_BYTES;
    let end = position + header.total_bytes() as u64;
    let mut buffer = vec![0; (end - at).min(MAX_WINDOW_BYTES as u64) as usize];
    while at < end {
        let want = (end - at).min(buffer.len() as u64) as usize;
        let read = read_full_at(file, &mut buffer[..want], at)?;
        if read == 0 {
            return Ok(Some("the file ends within the batch".to_owned()));
        }
        digest.update(&buffer[..read]);
        at += read as u64;
    }
    let computed = digest.finalize() as u32;
    if computed == header.crc {
        return Ok(None);
    }
    Ok(Some(format!("CRC is {computed:#010x} instead of {:#010x}", header.crc)))
}
