//! Crashes at every operation of the disk while a log is written, compacted and truncated.

use crate::common::{Machine, first_that_runs_through, partition};
use crate::harness::*;
use ottla_records::Compression;
use ottla_storage::compaction::{CleanOptions, clean};
use ottla_storage::{Disk, LogConfig, LogDirs, LogHandle};
use ottla_types::{LeaderEpoch, Offset, TopicId, Uuid};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

fn small_config() -> Arc<LogConfig> {
    Arc::new(LogConfig { segment_bytes: 700, file_delete_delay_ms: 10, ..config() })
}

/// What was appended, by offset, and what was promised.
#[derive(Debug, Clone, Default)]
struct Model {
    records: Vec<(String, Option<String>)>,
    acked: usize,
    synced: usize,
    /// Everything below is committed; what is above may be cut off.
    committed: usize,
    /// What must be there after a truncation that may or may not have happened.
    shortest: usize,
    /// What no pass has looked at.
    untouched_from: usize,
}

impl Model {
    /// Offset and value that must be found for each key, if the log ends at `end`.
    fn table(&self, end: usize) -> BTreeMap<&str, (Offset, &Option<String>)> {
        let records = self.records.iter().take(end).enumerate();
        records.map(|(offset, (key, value))| (&**key, (offset as Offset, value))).collect()
    }
}

struct Run {
    dirs: LogDirs,
    model: Model,
    epoch: i32,
    random: u64,
    /// Passes that put one segment in the place of several.
    merges: usize,
}

/// What is written has nothing to do with what the disk loses.
const WORKLOAD: u64 = 3;

impl Run {
    fn log(&self) -> Option<LogHandle> {
        self.dirs.get(&partition())
    }

    fn chance(&mut self, below: u64) -> u64 {
        self.random =
            self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) % below
    }

    fn append(&mut self, batches: usize) -> Option<()> {
        for _ in 0..batches {
            let codec = if self.chance(4) == 0 { Compression::Lz4 } else { Compression::None };
            self.model.records.truncate(self.model.acked);
            let mut new = Vec::new();
            for _ in 0..=self.chance(3) {
                let key = format!("key-{}", self.chance(7));
                let number = self.model.records.len() + new.len();
                let long = "x".repeat(self.chance(60) as usize);
                new.push((key, (self.chance(6) > 0).then(|| format!("{number} of {} {long}", self.epoch))));
            }
            let pairs: Vec<KeyValue<'_>> =
                new.iter().map(|(key, value)| (&**key, value.as_deref())).collect();
            let batch = batch(&pairs, codec, None);
            self.model.records.extend(new);
            self.log()?.lock().append_as_leader(&[batch], LeaderEpoch(self.epoch), NOW).ok()?;
            self.model.acked = self.model.records.len();
            self.model.shortest = self.model.acked;
        }
        Some(())
    }

    fn flush(&mut self) -> Option<()> {
        self.log()?.lock().sync().ok()?;
        self.model.synced = self.model.acked;
        Some(())
    }

    fn commit(&mut self) -> Option<()> {
        self.model.committed = self.model.acked;
        Some(())
    }

    fn clean(&mut self) -> Option<()> {
        let log = self.log()?;
        let options = CleanOptions {
            high_watermark: self.model.committed as Offset,
            // Tombstones never go here: each is the latest record of its key.
            replicated_offset: 0,
            key_bytes: 20 * 16,
            ..options(NOW)
        };
        for _ in 0..3 {
            let standing = log.lock().standing(options.high_watermark, NOW).ok()?;
            self.model.untouched_from = self.model.untouched_from.max(standing.end_offset as usize);
            let report = clean(&log, &options, &|_| true).ok()?;
            let merged = report.is_some_and(|report| report.segments_before > report.segments_after);
            self.merges += usize::from(merged);
        }
        Some(())
    }

    fn truncate(&mut self) -> Option<()> {
        let to = self.model.committed;
        self.model.synced = self.model.synced.min(to);
        self.model.shortest = self.model.shortest.min(to);
        self.log()?.lock().truncate_to(to as Offset, NOW).ok()?;
        self.model.records.truncate(to);
        self.model.acked = to;
        self.epoch += 1;
        Some(())
    }

    /// The whole life of a log; stops where the disk does.
    fn live(&mut self) -> Option<()> {
        self.dirs.create(&partition(), TopicId(Uuid::from_u128(1)), None, small_config(), NOW).ok()?;
        self.append(14)?;
        self.flush()?;
        self.append(10)?;
        self.commit()?;
        self.clean()?;
        self.append(12)?;
        self.commit()?;
        self.append(10)?;
        self.clean()?;
        self.truncate()?;
        self.append(12)?;
        self.commit()?;
        let log = self.log()?;
        log.lock().apply_retention(Offset::MAX, NOW + 100).ok()?;
        self.clean()?;
        self.append(5)?;
        self.flush()?;
        self.clean()?;
        self.dirs.maintain(NOW);
        self.dirs.shutdown(1);
        Some(())
    }
}

/// The log's end, after everything that was promised was found.
fn check(dirs: &LogDirs, model: &Model, promised: usize, trace: &str) -> usize {
    let Some(log) = dirs.get(&partition()) else {
        assert_eq!(promised, 0, "{trace}: the log is gone");
        return 0;
    };
    let end = log.lock().log_end_offset() as usize;
    let standing = log.lock().standing(end as Offset, NOW).unwrap();
    assert!(standing.first_dirty_offset as usize <= end, "{trace}: clean up to more than {end}");
    assert!(end >= promised, "{trace}: ends at {end}, {promised} promised");
    assert!(end <= model.records.len(), "{trace}: {end} is more than was written");
    let found = content(&log);
    let mut last = -1;
    for (offset, key, value) in &found {
        assert!(*offset > last, "{trace}: offset {offset} after {last}");
        last = *offset;
        assert_eq!(
            (key, value),
            (&model.records[*offset as usize].0, &model.records[*offset as usize].1),
            "{trace}"
        );
    }
    let offsets: Vec<usize> = found.iter().map(|record| record.0 as usize).collect();
    for (key, (offset, _)) in model.table(end) {
        assert!(offsets.contains(&(offset as usize)), "{trace}: the latest of {key} at {offset} is gone");
    }
    for offset in model.untouched_from..end {
        assert!(offsets.contains(&offset), "{trace}: offset {offset} is gone, and no pass saw it");
    }
    end
}

/// The machine after the crash at operation `at`, what must be found, and whether the disk stopped.
fn crashed(seed: u64, at: u64, loses_power: bool) -> (Machine, Model, bool) {
    // Enough room for copies.
    let mut machine = Machine::new(seed, 24 << 20, small_config(), NOW, loses_power);
    let dirs = machine.start();
    let mut run = Run { dirs, model: Model::default(), epoch: 0, random: WORKLOAD, merges: 0 };
    machine.disk.crash_at(at);
    let lived = run.live().is_some();
    let stopped = machine.disk.has_stopped();
    assert!(stopped || (lived && run.merges > 0), "{} merges", run.merges);
    let Run { dirs, model, .. } = run;
    drop(dirs);
    machine.crash();
    (machine, model, stopped)
}

/// What is found twice, and the log's end.
fn check_twice(machine: &Machine, model: &Model, trace: &str) -> (LogDirs, usize) {
    let promised = if machine.loses_power { model.synced } else { model.acked.min(model.shortest) };
    let dirs = machine.start();
    let end = check(&dirs, model, promised, trace);
    drop(dirs);
    machine.disk.crash_process();
    let dirs = machine.start();
    assert_eq!(check(&dirs, model, promised, trace), end, "{trace}: opening again finds something else");
    (dirs, end)
}

fn run_with_crash(seed: u64, at: u64, loses_power: bool) -> bool {
    let (mut machine, model, stopped) = crashed(seed, at, loses_power);
    let trace = format!("seed {seed}, operation {at}, machine {loses_power}");
    // Opening may be cut short too.
    for step in [0, 4, 9] {
        machine.open_until_crash(step + at % 5);
        machine.crash();
    }
    let (dirs, end) = check_twice(&machine, &model, &trace);
    go_on(dirs, model, end, &trace);
    stopped
}

/// Cuts the opening at every operation, and the one after it, if a swap had begun, in every twelfth such state of the disk.
/// True if the life was cut.
fn run_with_cut_swap(at: u64, loses_power: bool, swaps: &mut usize) -> bool {
    let (machine, model, stopped) = crashed(at, at, loses_power);
    let entries = machine.disk.list(&Path::new("/data").join(partition().to_string())).unwrap_or_default();
    let has_swap = entries.iter().any(|entry| entry.name.ends_with(".swap"));
    if has_swap {
        *swaps += 1;
    }
    if has_swap && *swaps % 12 == 1 {
        first_that_runs_through(0, 1, |opening| {
            let mut again = machine.copy();
            let mut cut = again.open_until_crash(opening);
            again.crash();
            cut &= again.open_until_crash(opening / 2);
            again.crash();
            check_twice(&again, &model, &format!("operation {at}, opening {opening}, machine {loses_power}"));
            cut
        });
    }
    stopped
}

/// And life goes on.
fn go_on(dirs: LogDirs, mut model: Model, end: usize, trace: &str) {
    model.records.truncate(end);
    (model.acked, model.committed, model.shortest) = (end, end, end);
    model.untouched_from = model.untouched_from.min(end);
    let mut run = Run { dirs, model, epoch: 9, random: 99, merges: 0 };
    run.dirs.create(&partition(), TopicId(Uuid::from_u128(1)), None, small_config(), NOW).unwrap();
    run.append(15).unwrap_or_else(|| panic!("{trace}: cannot append after the crash"));
    run.commit();
    let log = run.log().unwrap();
    log.lock().roll(NOW).unwrap();
    run.clean().unwrap_or_else(|| panic!("{trace}: cannot clean after the crash"));
    let end = run.model.acked;
    check(&run.dirs, &run.model, end, trace);
    // Whatever was noted as clean was.
    let found = content(&log);
    let keys: BTreeSet<&String> = found.iter().map(|record| &record.1).collect();
    assert_eq!(keys.len(), found.len(), "{trace}: a key is there twice: {found:?}");
    assert_eq!(log.lock().standing(end as Offset, NOW).unwrap().dirty_bytes, 0, "{trace}");
}

#[test]
fn a_process_that_dies_at_any_operation_loses_no_latest_record() {
    let operations = first_that_runs_through(0, 1, |at| run_with_crash(0, at, false));
    assert!(operations > 150, "only {operations} operations");
}

#[test]
fn a_machine_that_dies_at_any_operation_loses_no_latest_record_that_was_synced() {
    // Each with another fate of what was not synced.
    first_that_runs_through(0, 1, |at| run_with_crash(at, at, true));
}

#[test]
fn a_swap_that_is_ended_by_the_next_opening_may_be_cut_there_and_again() {
    for loses_power in [false, true] {
        let mut swaps = 0;
        first_that_runs_through(0, 1, |at| run_with_cut_swap(at, loses_power, &mut swaps));
        assert!(swaps > 50, "only {swaps} swaps");
    }
}
