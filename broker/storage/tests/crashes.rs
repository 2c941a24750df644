//! Crashes at every operation of the disk: what opens afterwards has all that was promised and nothing else.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod common;

use bytes::Bytes;
use common::{Machine, first_that_runs_through, partition};
use ottla_records::{BuilderOptions, RecordBatch, RecordBatchBuilder};
use ottla_storage::{Log, LogConfig, LogDirs, LogHandle};
use ottla_types::{LeaderEpoch, Offset, TopicId, Uuid};
use std::sync::Arc;

const NOW: i64 = 1_000;

fn config() -> Arc<LogConfig> {
    Arc::new(LogConfig {
        segment_bytes: 2_500,
        index_interval_bytes: 200,
        file_delete_delay_ms: 10,
        ..LogConfig::default()
    })
}

/// What must be in the log: the batch (its first value byte repeated) at each offset, and up to where it was promised.
#[derive(Debug, Clone, Default)]
struct Model {
    values: Vec<u8>,
    /// Appends that returned.
    acked: usize,
    /// What was synced, and not cut off since.
    synced: usize,
    /// The log's start is at most this.
    start: usize,
    /// A truncation that may or may not have happened: content of either length is right.
    shortest: usize,
    created: bool,
}

struct Run {
    dirs: LogDirs,
    model: Model,
    next_value: u8,
    epoch: i32,
}

impl Run {
    fn log(&self) -> Option<LogHandle> {
        self.dirs.get(&partition())
    }

    fn append(&mut self, count: usize) -> Option<()> {
        for _ in 0..count {
            self.next_value = self.next_value % 250 + 1;
            let batch = batch(self.next_value);
            self.model.values.truncate(self.model.acked);
            self.model.values.extend([self.next_value; 2]);
            self.log()?.lock().append_as_leader(&[batch], LeaderEpoch(self.epoch), NOW).ok()?;
            self.model.acked = self.model.values.len();
            self.model.shortest = self.model.acked;
        }
        Some(())
    }

    fn flush(&mut self) -> Option<()> {
        let log = self.log()?;
        log.lock().sync().ok()?;
        self.model.synced = self.model.acked;
        Some(())
    }

    fn checkpoint(&mut self) -> Option<()> {
        self.dirs.flush_all();
        let reached = self.log()?.lock().recovery_point() as usize;
        self.model.synced = self.model.synced.max(reached.min(self.model.acked));
        self.dirs.offline_dirs().is_empty().then_some(())
    }

    fn truncate(&mut self, offset: usize) -> Option<()> {
        self.model.synced = self.model.synced.min(offset);
        self.model.shortest = self.model.shortest.min(offset);
        self.log()?.lock().truncate_to(offset as Offset, NOW).ok()?;
        self.model.values.truncate(offset);
        self.model.acked = self.model.acked.min(offset);
        self.epoch += 1;
        Some(())
    }

    fn retain(&mut self, start: usize) -> Option<()> {
        self.model.start = start;
        let log = self.log()?;
        let mut log = log.lock();
        let end = log.log_end_offset();
        log.delete_records_before(start as Offset).ok()?;
        log.apply_retention(end, NOW).ok()?;
        log.apply_retention(end, NOW + 100).ok()?;
        Some(())
    }

    /// The whole life of a log; stops where the disk does.
    fn live(&mut self) -> Option<()> {
        self.dirs.create(&partition(), TopicId(Uuid::from_u128(1)), None, config(), NOW).ok()?;
        self.model.created = true;
        self.append(12)?;
        self.flush()?;
        self.append(15)?;
        self.checkpoint()?;
        self.append(20)?;
        self.truncate(62)?;
        self.append(7)?;
        self.truncate(40)?;
        self.append(30)?;
        self.retain(33)?;
        self.checkpoint()?;
        self.append(5)?;
        self.log()?.lock().roll(NOW).ok()?;
        self.append(3)?;
        self.dirs.maintain(NOW);
        self.append(3)?;
        self.flush()?;
        self.dirs.shutdown(1);
        None
    }
}

fn batch(value: u8) -> RecordBatch {
    let mut builder = RecordBatchBuilder::new(BuilderOptions::default());
    for _ in 0..2 {
        builder.append(10, None, Some(&vec![value; 20 + usize::from(value) % 60]), &[]).unwrap();
    }
    RecordBatch::new(&builder.build()).unwrap()
}

/// The first value byte of every record from the log's start on.
fn content(log: &mut Log) -> Vec<u8> {
    let mut values = Vec::new();
    let mut next = log.log_start_offset();
    while next < log.log_end_offset() {
        let slice = log.read(next, 1_000, true, i64::MAX).unwrap();
        assert!(!slice.is_empty());
        for batch in ottla_records::split(Bytes::from(slice.read().unwrap())) {
            let batch = batch.unwrap();
            batch.verify_crc().unwrap();
            let records = batch.records(1 << 20).unwrap().map(Result::unwrap);
            values.extend(
                records.filter(|record| record.offset >= next).map(|record| record.value.unwrap()[0]),
            );
        }
        next = slice.next_offset;
    }
    values
}

fn check(dirs: &LogDirs, model: &Model, at_least: usize, trace: &str) -> Option<Offset> {
    let Some(log) = dirs.get(&partition()) else {
        assert_eq!(at_least, 0, "{trace}: the log is gone");
        return None;
    };
    let mut log = log.lock();
    let (start, end) = (log.log_start_offset() as usize, log.log_end_offset() as usize);
    assert!(start <= model.start, "{trace}: starts at {start}");
    assert!(end >= at_least, "{trace}: ends at {end}, {at_least} promised");
    let found = content(&mut log);
    assert_eq!(found.len(), end - start, "{trace}");
    let same = found.len().min(model.values.len().saturating_sub(start));
    assert_eq!(found[..same], model.values[start.min(model.values.len())..][..same], "{trace}");
    assert!(
        found.len() <= same || model.shortest < model.values.len(),
        "{trace}: {end} is more than was written"
    );
    Some(log.log_end_offset())
}

fn run_with_crash(seed: u64, at: u64, loses_power: bool) -> bool {
    let mut machine = Machine::new(seed, 16 << 20, config(), NOW, loses_power);
    let mut run = Run { dirs: machine.start(), model: Model::default(), next_value: 0, epoch: 0 };
    machine.disk.crash_at(at);
    run.live();
    let stopped = machine.disk.has_stopped();
    let mut model = run.model;
    drop(run.dirs);
    let trace = format!("seed {seed}, operation {at}, machine {loses_power}");
    let promised = if loses_power { model.synced } else { model.acked.min(model.shortest) };
    machine.crash();
    // Opening may be cut short too, any number of times.
    for step in [1, 3, 6, 11] {
        machine.open_until_crash(step + at % 5);
        machine.crash();
    }
    let dirs = machine.start();
    let end = check(&dirs, &model, promised, &trace);
    drop(dirs);
    machine.disk.crash_process();
    let dirs = machine.start();
    assert_eq!(check(&dirs, &model, promised, &trace), end, "{trace}: opening again finds something else");
    // And life goes on.
    let end = end.unwrap_or(0) as usize;
    let mut run = Run { dirs, model: Model::default(), next_value: 200, epoch: 9 };
    run.dirs.create(&partition(), TopicId(Uuid::from_u128(1)), None, config(), NOW).unwrap();
    let before = {
        let log = run.log().unwrap();
        let mut log = log.lock();
        let mut values = vec![0; log.log_start_offset() as usize];
        values.extend(content(&mut log));
        values
    };
    assert_eq!(before.len(), end, "{trace}");
    model.values = before;
    model.acked = end;
    run.model = model;
    run.append(20).unwrap_or_else(|| panic!("{trace}: cannot append after the crash"));
    run.flush().unwrap();
    run.model.start = run.model.start.max(end);
    run.model.shortest = run.model.values.len();
    check(&run.dirs, &run.model, end + 40, &trace);
    stopped
}

#[test]
fn a_process_that_dies_at_any_operation_loses_nothing_it_acknowledged() {
    for seed in 0..2 {
        let operations = first_that_runs_through(0, 1, |at| run_with_crash(seed, at, false));
        assert!(operations > 100, "only {operations} operations");
    }
}

#[test]
fn a_machine_that_dies_at_any_operation_loses_nothing_that_was_synced() {
    for seed in 0..6 {
        first_that_runs_through(0, 1, |at| run_with_crash(seed, at, true));
    }
}
