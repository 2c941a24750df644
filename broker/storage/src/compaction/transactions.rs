//! Which batches of transactions still matter (`CleanedTransactionMetadata`). Pure.
//!
//! Records of aborted transactions go. The marker that ended a transaction may go once none of its batches is left;
//! it then waits for its delete horizon as a tombstone does.

use crate::index::AbortedEntry;
use ottla_records::BatchHeader;
use ottla_records::control::Marker;
use ottla_types::{Offset, ProducerId};
use std::collections::{BTreeMap, BTreeSet};

/// What is known while the batches pass by in the order of their offsets.
#[derive(Debug, Default)]
pub(crate) struct Transactions {
    /// Aborted ones that did not begin yet, the next one last.
    ahead: Vec<AbortedEntry>,
    /// Aborted ones that have begun, and whether a batch of them was seen.
    aborted: BTreeMap<ProducerId, (AbortedEntry, bool)>,
    /// Producers with batches of a transaction that was not aborted and has not ended yet.
    committed: BTreeSet<ProducerId>,
}

/// What a marker means for the new segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Nothing of its transaction is left: the marker may go.
    Empty,
    /// Batches of the transaction were there.
    Committed,
    /// Batches of an aborted transaction were there, which the index must name.
    Aborted(AbortedEntry),
}

impl Transactions {
    /// Transactions that were aborted, in any order.
    pub(crate) fn new(mut aborted: Vec<AbortedEntry>) -> Self {
        aborted.sort_unstable_by_key(|entry| std::cmp::Reverse(entry.first_offset));
        Self { ahead: aborted, ..Self::default() }
    }

    fn advance(&mut self, last_offset: Offset) {
        while let Some(entry) = self.ahead.pop_if(|entry| entry.first_offset <= last_offset) {
            self.aborted.insert(entry.producer_id, (entry, false));
        }
    }

    /// A batch of records; true if it belongs to an aborted transaction.
    pub(crate) fn see_batch(&mut self, header: &BatchHeader) -> bool {
        self.advance(header.last_offset());
        if !header.is_transactional() {
            return false;
        }
        let producer_id = ProducerId(header.producer_id);
        if let Some((_, seen)) = self.aborted.get_mut(&producer_id) {
            *seen = true;
            return true;
        }
        self.committed.insert(producer_id);
        false
    }

    /// A marker.
    pub(crate) fn see_marker(&mut self, header: &BatchHeader, marker: Marker) -> Ended {
        self.advance(header.last_offset());
        let producer_id = ProducerId(header.producer_id);
        match marker {
            Marker::Abort => match self.aborted.remove(&producer_id) {
                Some((entry, true)) => Ended::Aborted(entry),
                Some((_, false)) | None => Ended::Empty,
            },
            Marker::Commit if self.committed.remove(&producer_id) => Ended::Committed,
            Marker::Commit => Ended::Empty,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_records::{BuilderOptions, RecordBatch, RecordBatchBuilder};

    fn header(base_offset: Offset, producer_id: i64) -> BatchHeader {
        let options = BuilderOptions {
            base_offset,
            producer: Some((producer_id, 0, 0)),
            transactional: true,
            ..BuilderOptions::default()
        };
        let mut builder = RecordBatchBuilder::new(options);
        builder.append(0, Some(b"k"), None, &[]).unwrap();
        RecordBatch::new(&builder.build()).unwrap().header
    }

    fn aborted(producer_id: i64, first_offset: Offset, last_offset: Offset) -> AbortedEntry {
        let producer_id = ProducerId(producer_id);
        AbortedEntry { producer_id, first_offset, last_offset, last_stable_offset: last_offset + 1 }
    }

    #[test]
    fn batches_between_the_first_offset_and_the_marker_are_aborted() {
        let mut transactions = Transactions::new(vec![aborted(1, 10, 14)]);
        assert!(!transactions.see_batch(&header(8, 1)), "an older transaction");
        assert_eq!(transactions.see_marker(&header(9, 1), Marker::Commit), Ended::Committed);
        assert!(transactions.see_batch(&header(10, 1)));
        assert!(!transactions.see_batch(&header(12, 2)), "another producer");
        assert_eq!(
            transactions.see_marker(&header(14, 1), Marker::Abort),
            Ended::Aborted(aborted(1, 10, 14))
        );
        assert!(!transactions.see_batch(&header(15, 1)), "a later transaction");
    }

    #[test]
    fn a_marker_without_batches_is_of_no_use() {
        let mut transactions = Transactions::new(vec![aborted(1, 10, 14)]);
        assert_eq!(transactions.see_marker(&header(14, 1), Marker::Abort), Ended::Empty);
        assert_eq!(transactions.see_marker(&header(20, 2), Marker::Commit), Ended::Empty);
    }
}
