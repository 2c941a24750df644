//! From fetched bytes to records.

use super::FetchedRecord;
use bytes::Bytes;
use ottla_records::{BatchError, HEADER_BYTES, Record, RecordBatch, split};
use std::collections::BTreeSet;

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Decoded {
    pub(super) records: Vec<FetchedRecord>,
    pub(super) next_offset: i64,
}

/// Records from `offset` on. Control batches and aborted transactions are passed over. The last batch may be cut
/// off, as Kafka's brokers do; it comes whole with a later fetch.
pub(super) fn records(
    bytes: Bytes,
    offset: i64,
    mut aborted: Vec<(i64, i64)>,
    max_decompressed_bytes: usize,
) -> Result<Decoded, BatchError> {
    aborted.sort_by_key(|(_, first_offset)| std::cmp::Reverse(*first_offset));
    let mut open: BTreeSet<i64> = BTreeSet::new();
    let mut decoded = Decoded { records: Vec::new(), next_offset: offset };
    let fetched_bytes = bytes.len();
    for batch in split(bytes) {
        let batch = match batch {
            Ok(batch) => batch,
            Err(BatchError::Truncated { .. }) if decoded.next_offset > offset => break,
            Err(BatchError::Truncated { .. }) if fetched_bytes < HEADER_BYTES => break,
            Err(error) => return Err(error),
        };
        let header = batch.header;
        while aborted.last().is_some_and(|(_, first_offset)| *first_offset <= header.last_offset()) {
            open.extend(aborted.pop().map(|(producer_id, _)| producer_id));
        }
        if header.is_control() {
            open.remove(&header.producer_id);
        } else if !(header.is_transactional() && open.contains(&header.producer_id)) {
            take(&batch, offset, max_decompressed_bytes, &mut decoded.records)?;
        }
        decoded.next_offset = decoded.next_offset.max(header.next_offset());
    }
    Ok(decoded)
}

fn take(
    batch: &RecordBatch,
    offset: i64,
    max_decompressed_bytes: usize,
    records: &mut Vec<FetchedRecord>,
) -> Result<(), BatchError> {
    batch.verify_crc()?;
    for record in batch.records(max_decompressed_bytes)? {
        let Record { offset: at, timestamp, key, value, headers } = record?;
        if at >= offset {
            let headers = headers.into_iter().map(|header| (header.key, header.value)).collect();
            records.push(FetchedRecord { offset: at, timestamp, key, value, headers });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_records::{BuilderOptions, RecordBatchBuilder};

    fn batch(base_offset: i64, values: &[&str], producer: Option<(i64, i16, i32)>) -> Bytes {
        let transactional = producer.is_some();
        let options = BuilderOptions { base_offset, producer, transactional, ..BuilderOptions::default() };
        let mut builder = RecordBatchBuilder::new(options);
        for value in values {
            builder.append(1, None, Some(value.as_bytes()), &[]).unwrap();
        }
        builder.build()
    }

    fn offsets(decoded: &Decoded) -> Vec<i64> {
        decoded.records.iter().map(|record| record.offset).collect()
    }

    #[test]
    fn records_before_the_asked_offset_are_passed_over() {
        let decoded = records(batch(10, &["a", "b", "c"], None), 11, Vec::new(), 1000).unwrap();
        assert_eq!(offsets(&decoded), [11, 12]);
        assert_eq!(decoded.next_offset, 13);
    }

    #[test]
    fn a_cut_off_last_batch_waits_for_the_next_fetch() {
        let mut bytes = batch(0, &["a"], None).to_vec();
        bytes.extend_from_slice(&batch(1, &["b"], None)[..40]);
        let decoded = records(bytes.into(), 0, Vec::new(), 1000).unwrap();
        assert_eq!((offsets(&decoded), decoded.next_offset), (vec![0], 1));
    }

    #[test]
    fn aborted_transactions_are_passed_over_and_others_are_not() {
        let mut bytes = batch(0, &["lost"], Some((7, 0, 0))).to_vec();
        bytes.extend_from_slice(&batch(1, &["kept"], Some((8, 0, 0))));
        let decoded = records(bytes.into(), 0, vec![(7, 0)], 1000).unwrap();
        assert_eq!((offsets(&decoded), decoded.next_offset), (vec![1], 2));
    }

    #[test]
    fn a_flipped_bit_is_an_error() {
        let mut bytes = batch(0, &["a"], None).to_vec();
        *bytes.last_mut().unwrap() ^= 1;
        assert!(records(bytes.into(), 0, Vec::new(), 1000).is_err());
    }
}
