//! A log that is compacted, beside what must be in it.

use bytes::Bytes;
use ottla_records::{BuilderOptions, Compression, Record, RecordBatch, RecordBatchBuilder};
use ottla_storage::compaction::{CleanError, CleanOptions, CleanReport, clean};
use ottla_storage::{Log, LogConfig};
use ottla_types::{LeaderEpoch, Offset, TimestampMs};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;

pub const NOW: TimestampMs = 1_000_000;

pub fn config() -> LogConfig {
    LogConfig {
        segment_bytes: 1_500,
        index_interval_bytes: 200,
        file_delete_delay_ms: 0,
        compact: true,
        delete: false,
        delete_retention_ms: 1_000,
        ..LogConfig::default()
    }
}

pub fn options(now: TimestampMs) -> CleanOptions {
    CleanOptions {
        high_watermark: Offset::MAX,
        replicated_offset: Offset::MAX,
        now,
        key_bytes: 1 << 20,
        load_factor: 0.9,
        buffer_bytes: 1_000,
        hash_key: (1, 2),
    }
}

pub type KeyValue<'a> = (&'a str, Option<&'a str>);

pub fn batch(
    records: &[KeyValue<'_>],
    compression: Compression,
    producer: Option<(i64, i16, i32)>,
) -> RecordBatch {
    let mut builder =
        RecordBatchBuilder::new(BuilderOptions { compression, producer, ..BuilderOptions::default() });
    for (index, (key, value)) in records.iter().enumerate() {
        let timestamp = NOW + index as i64;
        builder.append(timestamp, Some(key.as_bytes()), value.map(str::as_bytes), &[]).unwrap();
    }
    RecordBatch::new(&builder.build()).unwrap()
}

/// Appends one batch; returns its first offset.
pub fn append(log: &Mutex<Log>, records: &[KeyValue<'_>]) -> Offset {
    append_batch(log, batch(records, Compression::None, None))
}

pub fn append_batch(log: &Mutex<Log>, batch: RecordBatch) -> Offset {
    log.lock().append_as_leader(&[batch], LeaderEpoch(0), NOW).unwrap().base_offset
}

pub fn roll(log: &Mutex<Log>) {
    log.lock().roll(NOW).unwrap();
}

pub fn clean_now(log: &Mutex<Log>, options: &CleanOptions) -> Result<Option<CleanReport>, CleanError> {
    clean(log, options, &|_| true)
}

/// Everything that can be read, batch by batch.
pub fn batches(log: &Mutex<Log>) -> Vec<RecordBatch> {
    let mut log = log.lock();
    let mut found = Vec::new();
    let mut next = log.log_start_offset();
    while next < log.log_end_offset() {
        let slice = log.read(next, 1_000, true, i64::MAX).unwrap();
        assert!(!slice.is_empty(), "nothing at {next} of {}", log.log_end_offset());
        for batch in ottla_records::split(Bytes::from(slice.read().unwrap())) {
            let batch = batch.unwrap();
            batch.verify_crc().unwrap();
            found.push(batch);
        }
        assert!(slice.next_offset > next);
        next = slice.next_offset;
    }
    found
}

pub fn records(log: &Mutex<Log>) -> Vec<Record> {
    let each = batches(log).into_iter().flat_map(|batch| batch.records(1 << 20).unwrap());
    each.map(Result::unwrap).collect()
}

/// Offset, key and value of each record.
pub fn content(log: &Mutex<Log>) -> Vec<(Offset, String, Option<String>)> {
    let text = |bytes: &Bytes| String::from_utf8(bytes.to_vec()).unwrap();
    records(log)
        .iter()
        .map(|record| (record.offset, text(record.key.as_ref().unwrap()), record.value.as_ref().map(text)))
        .collect()
}

/// The last value of each key, tombstones left out.
#[allow(dead_code, reason = "not every test looks at it")]
pub fn table(content: &[(Offset, String, Option<String>)]) -> BTreeMap<String, (Offset, String)> {
    let mut table = BTreeMap::new();
    for (offset, key, value) in content {
        match value {
            Some(value) => _ = table.insert(key.clone(), (*offset, value.clone())),
            None => _ = table.remove(key),
        }
    }
    table
}

pub fn shared(log: Log) -> Arc<Mutex<Log>> {
    Arc::new(Mutex::new(log))
}
