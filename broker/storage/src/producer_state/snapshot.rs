//! Kafka's producer snapshot file, version 1: version i16, CRC-32C u32 of all that follows, entries.
//!
//! Kafka's entry holds only the producer's last batch, so that a retry of an earlier one is not known after loading.
//! Behind the entries, where Kafka does not look, come the others: a mark, then for each entry in order a count u8 and
//! so many batches, oldest first.

use super::{BATCHES_KEPT, Producer, ProducerBatch, ProducerStates};
use bytes::{Buf, BufMut};
use ottla_records::crc32c;
use ottla_types::{ProducerEpoch, ProducerId};

const VERSION: i16 = 1;
const ENTRIES_AT: usize = 6;
const ENTRY_BYTES: usize = 46;
/// "more" of version 1.
const MORE_MARK: u32 = 0x6D6F_7201;
const BATCH_BYTES: usize = 24;

/// Why a file is not a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// Cut off.
    #[error("the snapshot is cut off")]
    Truncated,
    /// Another format.
    #[error("snapshot version {0} is not known")]
    UnknownVersion(i16),
    /// Damaged.
    #[error("the snapshot's CRC does not match")]
    Crc,
}

impl ProducerStates {
    /// The snapshot's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(ENTRIES_AT + 4 + self.producers.len() * ENTRY_BYTES);
        out.put_i16(VERSION);
        out.put_u32(0);
        out.put_i32(i32::try_from(self.producers.len()).unwrap_or(i32::MAX));
        for (id, producer) in &self.producers {
            let last = producer.batches.last();
            out.put_i64(id.0);
            out.put_i16(producer.epoch.0);
            out.put_i32(producer.last_sequence());
            out.put_i64(last.map_or(-1, |batch| batch.last_offset));
            out.put_i32(last.map_or(0, |batch| batch.offset_delta));
            out.put_i64(producer.last_timestamp);
            out.put_i32(producer.coordinator_epoch);
            out.put_i64(producer.transaction_start.unwrap_or(-1));
        }
        if !self.producers.is_empty() {
            out.put_u32(MORE_MARK);
            self.producers.values().for_each(|producer| encode_older(&producer.batches, &mut out));
        }
        let crc = crc32c(&out[ENTRIES_AT..]);
        out[2..ENTRIES_AT].copy_from_slice(&crc.to_be_bytes());
        out
    }

    /// Reads a snapshot back.
    ///
    /// # Errors
    /// [`SnapshotError`] for anything but a whole, undamaged snapshot.
    pub fn decode(bytes: &[u8]) -> Result<Self, SnapshotError> {
        let mut rest = bytes;
        if rest.len() < ENTRIES_AT + 4 {
            return Err(SnapshotError::Truncated);
        }
        let version = rest.get_i16();
        if version != VERSION {
            return Err(SnapshotError::UnknownVersion(version));
        }
        let crc = rest.get_u32();
        if crc32c(rest) != crc {
            return Err(SnapshotError::Crc);
        }
        let count = usize::try_from(rest.get_i32()).map_err(|_| SnapshotError::Truncated)?;
        if rest.len() / ENTRY_BYTES < count {
            return Err(SnapshotError::Truncated);
        }
        let mut states = Self::default();
        let mut ids = Vec::with_capacity(count);
        for _ in 0..count {
            ids.push(states.decode_entry(&mut rest));
        }
        if rest.len() >= 4 && rest.get_u32() == MORE_MARK {
            for id in ids {
                let older = decode_older(&mut rest).ok_or(SnapshotError::Truncated)?;
                if let Some(producer) = states.producers.get_mut(&id) {
                    producer.batches.splice(0..0, older);
                }
            }
        }
        Ok(states)
    }

    fn decode_entry(&mut self, rest: &mut &[u8]) -> ProducerId {
        let id = ProducerId(rest.get_i64());
        let mut producer = Producer::new(ProducerEpoch(rest.get_i16()));
        let last_sequence = rest.get_i32();
        let last_offset = rest.get_i64();
        let offset_delta = rest.get_i32();
        let timestamp = rest.get_i64();
        producer.coordinator_epoch = rest.get_i32();
        let transaction_start = rest.get_i64();
        producer.last_timestamp = timestamp;
        if last_offset >= 0 {
            producer.batches.push(ProducerBatch { last_sequence, last_offset, offset_delta, timestamp });
        }
        if transaction_start >= 0 {
            producer.transaction_start = Some(transaction_start);
            self.ongoing.insert(transaction_start, id);
        }
        self.producers.insert(id, producer);
        id
    }
}

/// All batches but the last one, which is in the entry.
fn encode_older(batches: &[ProducerBatch], out: &mut Vec<u8>) {
    let older = &batches[..batches.len().saturating_sub(1)];
    out.put_u8(older.len() as u8);
    for batch in older {
        out.put_i32(batch.last_sequence);
        out.put_i64(batch.last_offset);
        out.put_i32(batch.offset_delta);
        out.put_i64(batch.timestamp);
    }
}

fn decode_older(rest: &mut &[u8]) -> Option<Vec<ProducerBatch>> {
    let (&count, behind) = rest.split_first()?;
    *rest = behind;
    if usize::from(count) >= BATCHES_KEPT || rest.len() / BATCH_BYTES < count.into() {
        return None;
    }
    let batches = (0..count).map(|_| ProducerBatch {
        last_sequence: rest.get_i32(),
        last_offset: rest.get_i64(),
        offset_delta: rest.get_i32(),
        timestamp: rest.get_i64(),
    });
    Some(batches.collect())
}
