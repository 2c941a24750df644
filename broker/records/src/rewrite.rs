//! A batch without some of its records, as compaction leaves it (`MemoryRecords.filterTo`).
//!
//! Base offset, last offset, producer, sequences and leader epoch stay what they were, so every record that is left
//! keeps its offset and a producer's state can still be read off its last batch.

use crate::compression::{Compression, CompressionError};
use crate::header::{
    BatchHeader, COMPRESSION_MASK, DELETE_HORIZON_BIT, HEADER_BYTES, LOG_OVERHEAD_BYTES, TimestampType,
};
use crate::patch;
use crate::record::RecordRef;
use ottla_types::TimestampMs;

/// The timestamp of a batch that has none.
const NO_TIMESTAMP: TimestampMs = -1;

/// Appends to `out` the batch of `header` with only the records in `kept`, in the batch's own codec. With `horizon`
/// the batch notes that its tombstones may go from then on (KIP-534). Returns the new header.
///
/// # Errors
/// If the codec fails; `out` is as it was then.
pub fn append_kept(
    header: &BatchHeader,
    kept: &[RecordRef<'_>],
    horizon: Option<TimestampMs>,
    out: &mut Vec<u8>,
) -> Result<BatchHeader, CompressionError> {
    let mut new = *header;
    if let Some(horizon) = horizon {
        new.attributes |= DELETE_HORIZON_BIT;
        new.base_timestamp = horizon;
    }
    if header.timestamp_type() == TimestampType::CreateTime {
        new.max_timestamp = kept.iter().map(|record| record.timestamp(header)).max().unwrap_or(NO_TIMESTAMP);
    }
    new.record_count = kept.len() as i32;
    let start = out.len();
    match header.compression() {
        Compression::None => {
            out.resize(start + HEADER_BYTES, 0);
            write_records(header, &new, kept, out);
        }
        codec => {
            let mut records = Vec::new();
            write_records(header, &new, kept, &mut records);
            let compressed = codec.compress(&records, None, HEADER_BYTES)?;
            out.extend_from_slice(&compressed);
        }
    }
    Ok(finish(new, out, start))
}

/// Appends to `out` the batch of `header` without any record: what it says of offsets and of its producer stays.
/// Returns the new header.
pub fn append_empty(header: &BatchHeader, out: &mut Vec<u8>) -> BatchHeader {
    let new = BatchHeader {
        attributes: header.attributes & !(COMPRESSION_MASK | DELETE_HORIZON_BIT),
        base_timestamp: NO_TIMESTAMP,
        record_count: 0,
        ..*header
    };
    let start = out.len();
    out.resize(start + HEADER_BYTES, 0);
    finish(new, out, start)
}

fn write_records(old: &BatchHeader, new: &BatchHeader, kept: &[RecordRef<'_>], out: &mut Vec<u8>) {
    for record in kept {
        if old.base_timestamp == new.base_timestamp {
            out.extend_from_slice(record.encoded);
        } else {
            let delta = record.timestamp(old).wrapping_sub(new.base_timestamp);
            record.write_with(delta, record.offset_delta, out);
        }
    }
}

/// Puts length and CRC into the header of the batch that begins at `start`.
fn finish(mut header: BatchHeader, out: &mut [u8], start: usize) -> BatchHeader {
    let batch = &mut out[start..];
    header.batch_length = (batch.len() - LOG_OVERHEAD_BYTES) as i32;
    let (head, body) = batch.split_at_mut(HEADER_BYTES);
    let sealed = patch::seal(header, body);
    head.copy_from_slice(&sealed);
    header.crc = u32::from_be_bytes([sealed[17], sealed[18], sealed[19], sealed[20]]);
    header
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BuilderOptions, Record, RecordBatch, RecordBatchBuilder};
    use bytes::Bytes;

    fn batch(compression: Compression, timestamp_type: TimestampType) -> RecordBatch {
        let mut builder = RecordBatchBuilder::new(BuilderOptions {
            compression,
            timestamp_type,
            base_offset: 100,
            leader_epoch: 3,
            producer: Some((7, 1, 40)),
            ..BuilderOptions::default()
        });
        for (index, timestamp) in [1_000, 900, 1_500, 1_200].into_iter().enumerate() {
            let key = format!("key-{index}");
            builder.append(timestamp, Some(key.as_bytes()), Some(b"value"), &[("h", Some(b"x"))]).unwrap();
        }
        RecordBatch::new(&builder.build()).unwrap()
    }

    fn records(batch: &RecordBatch) -> Vec<Record> {
        batch.verify_crc().unwrap();
        batch.records(1 << 20).unwrap().map(Result::unwrap).collect()
    }

    #[test]
    fn what_is_kept_keeps_its_place_and_its_time() {
        for codec in Compression::ALL {
            for timestamp_type in [TimestampType::CreateTime, TimestampType::LogAppendTime] {
                for horizon in [None, Some(5_000_000)] {
                    let old = batch(codec, timestamp_type);
                    let before = records(&old);
                    let decoded = old.records(1 << 20).unwrap();
                    let kept: Vec<_> = decoded.refs().map(Result::unwrap).skip(1).step_by(2).collect();
                    let mut out = b"before".to_vec();
                    let header = append_kept(&old.header, &kept, horizon, &mut out).unwrap();
                    let new = RecordBatch::new(&Bytes::from(out).slice(6..)).unwrap();
                    assert_eq!(new.header, header);
                    assert_eq!(records(&new), [before[1].clone(), before[3].clone()]);
                    assert_eq!(header.delete_horizon_ms(), horizon);
                    let same = |h: &BatchHeader| {
                        (h.base_offset, h.last_offset(), h.leader_epoch, h.producer_id, h.base_sequence)
                    };
                    assert_eq!(same(&header), same(&old.header));
                    assert_eq!((header.compression(), header.record_count), (codec, 2));
                }
            }
        }
    }

    #[test]
    fn an_empty_batch_still_says_where_it_was_and_who_wrote_it() {
        let old = batch(Compression::Zstd, TimestampType::CreateTime);
        let mut out = Vec::new();
        let header = append_empty(&old.header, &mut out);
        let new = RecordBatch::new(&Bytes::from(out)).unwrap();
        assert_eq!(new.header, header);
        assert!(records(&new).is_empty());
        assert_eq!(
            (header.base_offset, header.last_offset(), header.last_sequence(), header.max_timestamp),
            (100, 103, 43, 1_500)
        );
    }
}
