//! What becomes of one batch: copied, rewritten with fewer records, emptied or left out.

use super::fate::Rules;
use super::transactions::{Ended, Transactions};
use super::{CleanError, MAX_DECOMPRESSED_BYTES};
use crate::index::AbortedEntry;
use crate::log::marker_of;
use bytes::Bytes;
use ottla_records::control::Marker;
use ottla_records::{
    BatchError, BatchHeader, Compression, HEADER_BYTES, RecordBatch, RecordRef, RecordRefs, rewrite,
};
use ottla_types::TimestampMs;
use std::borrow::Cow;

/// What was done with a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    /// Nothing of it is left.
    Nothing,
    /// The batch with this header was appended to the output.
    Batch(BatchHeader),
}

/// Counts of records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) seen: u64,
    pub(super) kept: u64,
}

/// The state of one pass over the log.
pub(super) struct Filter<'a> {
    pub(super) rules: Rules<'a>,
    pub(super) transactions: Transactions,
    /// `delete.retention.ms` from now.
    pub(super) horizon: TimestampMs,
    pub(super) counts: Counts,
    /// Aborted transactions that the current output's index must name.
    pub(super) aborted: Vec<AbortedEntry>,
}

impl Filter<'_> {
    /// Appends to `out` what is to be kept of a batch. `must_stay` keeps the batch even if no record of it stays.
    ///
    /// # Errors
    /// If its records cannot be read or written.
    pub(super) fn apply(
        &mut self,
        header: &BatchHeader,
        bytes: &[u8],
        must_stay: bool,
        out: &mut Vec<u8>,
    ) -> Result<Kept, BatchError> {
        let may_go = self.rules.tombstones_may_go(header);
        // A marker whose transaction is gone, or a batch of an aborted one.
        let is_useless = if header.is_control() {
            self.is_empty_marker(header, bytes)
        } else {
            self.transactions.see_batch(header)
        };
        self.counts.seen += u64::from(header.record_count.max(0).unsigned_abs());
        let records = decoded(header, bytes)?;
        let mut kept: Vec<RecordRef<'_>> = Vec::new();
        let mut has_tombstone = false;
        let mut records = RecordRefs::new(&records, header.record_count);
        let mut some = Vec::new();
        while self.rules.latest.take_some(&mut records, &mut some)? {
            for (record, key) in some.drain(..) {
                let stays = if header.is_control() {
                    !(is_useless && may_go)
                } else {
                    !is_useless && self.rules.keeps(header, (&record, key), may_go)
                };
                if stays {
                    has_tombstone |= record.value.is_none() || (header.is_control() && is_useless);
                    kept.push(record);
                }
            }
        }
        self.counts.kept += kept.len() as u64;
        if kept.is_empty() {
            let stays = must_stay || self.rules.is_last_of_producer(header);
            return Ok(if stays { Kept::Batch(rewrite::append_empty(header, out)) } else { Kept::Nothing });
        }
        let horizon = (has_tombstone && header.delete_horizon_ms().is_none()).then_some(self.horizon);
        if horizon.is_none() && kept.len() as i64 == i64::from(header.record_count) {
            out.extend_from_slice(bytes);
            return Ok(Kept::Batch(*header));
        }
        Ok(Kept::Batch(rewrite::append_kept(header, &kept, horizon, out)?))
    }

    fn is_empty_marker(&mut self, header: &BatchHeader, bytes: &[u8]) -> bool {
        let Some(marker) = read_marker(bytes) else { return false };
        match self.transactions.see_marker(header, marker) {
            Ended::Empty => true,
            Ended::Committed => false,
            Ended::Aborted(entry) => {
                self.aborted.push(entry);
                false
            }
        }
    }
}

/// How a marker's transaction ended; `None` for any other control batch, and for one that was emptied.
pub(super) fn read_marker(bytes: &[u8]) -> Option<Marker> {
    let batch = RecordBatch::new(&Bytes::copy_from_slice(bytes)).ok()?;
    marker_of(&batch).map(|(marker, _)| marker)
}

/// A batch's records without their codec.
pub(super) fn decoded<'a>(header: &BatchHeader, bytes: &'a [u8]) -> Result<Cow<'a, [u8]>, BatchError> {
    let body = &bytes[HEADER_BYTES..];
    Ok(match header.compression() {
        Compression::None => Cow::Borrowed(body),
        // Nothing was compressed into nothing.
        _ if header.record_count == 0 => Cow::Borrowed(&[]),
        codec => codec.decompress(body, MAX_DECOMPRESSED_BYTES)?.into(),
    })
}

/// Damage that [`Filter::apply`] found, as an error of the pass.
pub(super) fn unreadable(error: &BatchError, path: &std::path::Path, position: u64) -> CleanError {
    CleanError::Corrupt { path: path.to_owned(), position, reason: error.to_string() }
}
