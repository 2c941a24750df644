//! Batches as producers here make them, and back.

use crate::oracle::Value;
use bytes::Bytes;
use ottla_records::{BuilderOptions, RecordBatchBuilder, split};
use ottla_types::{LeaderEpoch, Offset};

/// A record that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parsed {
    /// Where.
    pub offset: Offset,
    /// What.
    pub value: Value,
    /// The epoch of the leader that appended it.
    pub epoch: LeaderEpoch,
}

/// A batch of these values; `producer` is id, epoch and first sequence of an idempotent producer.
#[must_use]
pub fn batch(values: &[Value], producer: Option<(i64, i16, i32)>, now_ms: i64) -> Bytes {
    let mut builder =
        RecordBatchBuilder::new(BuilderOptions { producer, leader_epoch: -1, ..BuilderOptions::default() });
    for value in values {
        let mut bytes = [0; 8];
        bytes[..4].copy_from_slice(&value.producer.to_be_bytes());
        bytes[4..].copy_from_slice(&value.sequence.to_be_bytes());
        let appended = builder.append(now_ms, None, Some(&bytes[..]), &[]);
        assert!(appended.is_ok(), "a batch of a few small records can be built");
    }
    builder.build()
}

/// All records of whole batches, with the CRC checked.
///
/// # Errors
/// If a batch is damaged.
pub fn parse(bytes: &Bytes) -> Result<Vec<Parsed>, String> {
    let mut parsed = Vec::new();
    for batch in split(bytes.clone()) {
        let batch = batch.map_err(|error| format!("a batch that was read is damaged: {error}"))?;
        batch.verify_crc().map_err(|error| format!("a batch that was read is damaged: {error}"))?;
        let epoch = LeaderEpoch(batch.header.leader_epoch);
        for record in batch.records(1 << 20).map_err(|error| error.to_string())? {
            let record = record.map_err(|error| error.to_string())?;
            let value = match &record.key {
                Some(key) => internal(key, record.value.as_deref()),
                None => record.value.as_deref().and_then(value_of).ok_or("a record that nobody has sent")?,
            };
            parsed.push(Parsed { offset: record.offset, value, epoch });
        }
    }
    Ok(parsed)
}

/// Records with a key are the cluster's own; they are told apart by what is in them.
fn internal(key: &[u8], value: Option<&[u8]>) -> Value {
    let mut hash = 0x811c_9dc5_u32;
    for byte in key.iter().chain([&u8::from(value.is_some())]).chain(value.unwrap_or_default()) {
        hash = (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
    }
    Value { producer: Value::INTERNAL, sequence: hash }
}

fn value_of(bytes: &[u8]) -> Option<Value> {
    let (producer, sequence) = bytes.split_at_checked(4)?;
    Some(Value {
        producer: u32::from_be_bytes(producer.try_into().ok()?),
        sequence: u32::from_be_bytes(sequence.try_into().ok()?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_read_back() {
        let values = [Value { producer: 3, sequence: 9 }, Value { producer: 3, sequence: 10 }];
        let parsed = parse(&batch(&values, Some((7, 0, 0)), 5)).unwrap();
        assert_eq!(parsed.iter().map(|record| record.value).collect::<Vec<_>>(), values);
    }
}
