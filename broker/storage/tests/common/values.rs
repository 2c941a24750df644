//! Batches that are told apart by their values, and what a log must hold of them.

use bytes::Bytes;
use ottla_records::{BuilderOptions, RecordBatch, RecordBatchBuilder};
use ottla_storage::{Log, LogDirs};
use ottla_types::{LeaderEpoch, Offset};

/// A record: the byte its value consists of, and its batch's leader epoch.
pub type Value = (u8, i32);

/// What must be in the log.
#[derive(Debug, Clone, Default)]
pub struct Model {
    /// The record at each offset.
    pub values: Vec<Value>,
    /// Appends that returned.
    pub acked: usize,
    /// What was synced, and not cut off since.
    pub synced: usize,
    /// The log's start is at most this.
    pub start: usize,
    /// The log's start is at least this: a checkpoint that returned had it.
    pub start_noted: usize,
    /// A truncation that may or may not have happened: content of either length is right.
    pub shortest: usize,
}

impl Model {
    /// Where the log ends at least.
    pub fn promised(&self, loses_power: bool) -> usize {
        if loses_power { self.synced } else { self.acked.min(self.shortest) }
    }

    /// A batch is about to be appended.
    pub fn appending(&mut self, value: u8, epoch: i32) {
        self.values.truncate(self.acked);
        self.values.extend([(value, epoch); 2]);
    }

    /// It was.
    pub fn appended(&mut self) {
        self.acked = self.values.len();
        self.shortest = self.acked;
    }

    /// The log is about to be cut off at `offset`.
    pub fn truncating(&mut self, offset: usize) {
        self.synced = self.synced.min(offset);
        self.shortest = self.shortest.min(offset);
        self.start_noted = self.start_noted.min(offset);
    }

    /// It was, and starts at `start`.
    pub fn truncated(&mut self, offset: usize, start: usize) {
        self.values.truncate(offset);
        self.acked = self.acked.min(offset);
        self.start = self.start.min(start);
    }
}

/// A batch of two records.
pub fn batch(value: u8) -> RecordBatch {
    let mut builder = RecordBatchBuilder::new(BuilderOptions::default());
    for _ in 0..2 {
        builder.append(10, None, Some(&vec![value; 20 + usize::from(value) % 60]), &[]).unwrap();
    }
    RecordBatch::new(&builder.build()).unwrap()
}

/// Every record from the log's start on.
pub fn content(log: &mut Log) -> Vec<Value> {
    let mut values = Vec::new();
    let mut next = log.log_start_offset();
    while next < log.log_end_offset() {
        let slice = log.read(next, 1_000, true, i64::MAX).unwrap();
        assert!(!slice.is_empty());
        for batch in ottla_records::split(Bytes::from(slice.read().unwrap())) {
            let batch = batch.unwrap();
            batch.verify_crc().unwrap();
            let epoch = batch.header.leader_epoch;
            let records = batch.records(1 << 20).unwrap().map(Result::unwrap);
            let records = records.filter(|record| record.offset >= next);
            values.extend(records.map(|record| (record.value.unwrap()[0], epoch)));
        }
        next = slice.next_offset;
    }
    values
}

/// The leader epochs are those of the records.
pub fn check_epochs(log: &Log, found: &[Value], trace: &str) {
    let mut epochs: Vec<(LeaderEpoch, Offset)> = Vec::new();
    for (offset, (_, epoch)) in (log.log_start_offset()..).zip(found) {
        if epochs.last().is_none_or(|last| last.0.0 != *epoch) {
            epochs.push((LeaderEpoch(*epoch), offset));
        }
    }
    if !found.is_empty() {
        assert_eq!(log.epochs(), epochs, "{trace}");
    }
}

/// Looks for what the model says, of which at least what is below `at_least`; the log's end, if there is a log.
pub fn check(dirs: &LogDirs, model: &Model, at_least: usize, trace: &str) -> Option<Offset> {
    let Some(log) = dirs.get(&super::partition()) else {
        assert_eq!(at_least, 0, "{trace}: the log is gone");
        return None;
    };
    let mut log = log.lock();
    let (start, end) = (log.log_start_offset() as usize, log.log_end_offset() as usize);
    assert!(start <= model.start, "{trace}: starts at {start}");
    assert!(start >= model.start_noted, "{trace}: starts at {start}, and {} was noted", model.start_noted);
    assert!(end >= at_least, "{trace}: ends at {end}, {at_least} promised");
    let found = content(&mut log);
    assert_eq!(found.len(), end - start, "{trace}");
    let same = found.len().min(model.values.len().saturating_sub(start));
    assert_eq!(found[..same], model.values[start.min(model.values.len())..][..same], "{trace}");
    assert!(
        found.len() <= same || model.shortest < model.values.len(),
        "{trace}: {end} is more than was written"
    );
    check_epochs(&log, &found, trace);
    Some(log.log_end_offset())
}
