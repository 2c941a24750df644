//! One batch as the bytes it came in, and cutting a stream of batches.

use crate::crc::crc32c;
use crate::error::BatchError;
use crate::header::{BatchHeader, CRC_START, HEADER_BYTES};
use crate::record::RecordIter;
use crate::summary::BatchSummary;
use bytes::Bytes;

/// A whole batch: its header, read, and all of its bytes, the header's included.
///
/// Invariant of [`RecordBatch::new`] and [`split`]: `bytes.len() == header.total_bytes()`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordBatch {
    /// The header's fields.
    pub header: BatchHeader,
    /// Header and records.
    pub bytes: Bytes,
}

impl RecordBatch {
    /// The batch at the start of `bytes`; what follows it is left out. Neither CRC nor records are looked at.
    ///
    /// # Errors
    /// [`BatchError`] if no whole batch is there.
    pub fn new(bytes: &Bytes) -> Result<Self, BatchError> {
        let header = BatchHeader::parse(bytes)?;
        let needed = header.total_bytes();
        if bytes.len() < needed {
            return Err(BatchError::Truncated { needed, available: bytes.len() });
        }
        Ok(Self { header, bytes: bytes.slice(..needed) })
    }

    /// The records as they lie there, compressed or not.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        self.bytes.get(HEADER_BYTES..).unwrap_or_default()
    }

    /// Checks the bytes against the header's CRC.
    ///
    /// # Errors
    /// [`BatchError::CrcMismatch`].
    pub fn verify_crc(&self) -> Result<(), BatchError> {
        let computed = crc32c(self.bytes.get(CRC_START..).unwrap_or_default());
        if computed == self.header.crc {
            Ok(())
        } else {
            Err(BatchError::CrcMismatch { stored: self.header.crc, computed })
        }
    }

    /// Decodes the records, decompressing them if need be into at most `max_decompressed_bytes`.
    /// Keys and values share the batch's memory, or that of the decompressed records.
    ///
    /// # Errors
    /// [`BatchError::Compression`] if they do not decompress or would grow too large.
    pub fn records(&self, max_decompressed_bytes: usize) -> Result<RecordIter, BatchError> {
        RecordIter::new(self, max_decompressed_bytes)
    }

    /// What the header tells, for those who decide.
    #[must_use]
    pub fn summary(&self) -> BatchSummary {
        BatchSummary::from(&self.header)
    }
}

/// Cuts `bytes` into its batches without looking at CRC or records. Ends after the first error: a tail that is
/// cut off is [`BatchError::Truncated`].
#[must_use]
pub const fn split(bytes: Bytes) -> Split {
    Split { rest: bytes }
}

/// Iterator of [`split`].
#[derive(Debug, Clone)]
pub struct Split {
    rest: Bytes,
}

impl Split {
    /// What was not cut yet; after an error nothing.
    #[must_use]
    pub const fn rest(&self) -> &Bytes {
        &self.rest
    }
}

impl Iterator for Split {
    type Item = Result<RecordBatch, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let batch = RecordBatch::new(&self.rest);
        match &batch {
            Ok(batch) => drop(self.rest.split_to(batch.bytes.len())),
            Err(_) => self.rest.clear(),
        }
        Some(batch)
    }
}
