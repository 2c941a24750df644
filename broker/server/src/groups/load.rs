//! Loading a shard: everything that its partition's log holds is replayed.

use super::shard::Shard;
use crate::broker::Broker;
use bytes::Bytes;
use ottla_core::group::records::{Decoded, Record};
use ottla_records::{RecordBatch, split};
use ottla_types::{Offset, ProducerId, limits};
use std::sync::Arc;

/// Bytes read at a time.
const READ_BYTES: u64 = 4 << 20;

/// Replays the log and opens the shard for requests. Blocks.
pub fn load(broker: &Arc<Broker>, shard: &Arc<Shard>) {
    let started_ms = broker.clock.now_ms();
    match replay_all(shard) {
        Ok(records) => {
            shard.loaded(broker);
            let ms = broker.clock.now_ms() - started_ms;
            tracing::debug!(shard = %shard, records, ms, "groups loaded");
        }
        // The shard stays closed: its groups are told that the coordinator is loading, and nothing is made up.
        Err(error) => tracing::error!(shard = %shard, error, "groups could not be loaded"),
    }
}

fn replay_all(shard: &Shard) -> Result<u64, String> {
    let mut records = 0;
    let mut offset = shard.replica().lock().log().map_err(|error| error.to_string())?.log_start_offset();
    loop {
        let slice = {
            let state = shard.replica().lock();
            let mut log = state.log().map_err(|error| error.to_string())?;
            let end = log.log_end_offset();
            offset = offset.max(log.log_start_offset());
            if offset >= end {
                return Ok(records);
            }
            log.read(offset, READ_BYTES, true, end).map_err(|error| error.to_string())?
        };
        let bytes = Bytes::from(slice.read().map_err(|error| error.to_string())?);
        let mut next = offset;
        for batch in split(bytes) {
            let batch = batch.map_err(|error| error.to_string())?;
            next = batch.header.next_offset();
            records += replay_batch(shard, &batch, offset)?;
        }
        if next == offset {
            return Err(format!("nothing can be read at offset {offset}"));
        }
        offset = next;
    }
}

fn replay_batch(shard: &Shard, batch: &RecordBatch, from: Offset) -> Result<u64, String> {
    if batch.header.is_control() {
        return Ok(0);
    }
    let producer =
        if batch.header.is_transactional() { ProducerId(batch.header.producer_id) } else { ProducerId::NONE };
    let mut replayed = 0;
    for record in batch.records(limits::DECODED_RECORD_BYTES).map_err(|error| error.to_string())? {
        let record = record.map_err(|error| error.to_string())?;
        if record.offset < from {
            continue;
        }
        let Some(key) = &record.key else { continue };
        match Record::decode(key, record.value.as_deref()) {
            Ok(Decoded::Known(known)) => {
                shard.replay(&known, record.offset, producer);
                replayed += 1;
            }
            Ok(Decoded::Unknown(_)) => {}
            // As Kafka: one record that nobody can read must not keep all groups away.
            Err(error) => {
                tracing::warn!(shard = %shard, offset = record.offset, %error, "a group record is unreadable")
            }
        }
    }
    Ok(replayed)
}
