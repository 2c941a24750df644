//! Crashes at every operation of what happens once in a log's life: it is made, rolled with snapshots of its producers,
//! emptied to start elsewhere, deleted, and made again under the same name.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod common;

use bytes::Bytes;
use common::{Machine, first_that_runs_through, partition};
use ottla_records::{BuilderOptions, RecordBatch, RecordBatchBuilder};
use ottla_storage::{Log, LogConfig, LogDirs, LogHandle};
use ottla_types::{LeaderEpoch, Offset, TopicId, Uuid};
use std::collections::BTreeMap;
use std::sync::Arc;

const NOW: i64 = 1_000;
/// Where the emptied log goes on.
const RESTART: Offset = 500;
const PRODUCERS: i64 = 2;

fn config() -> Arc<LogConfig> {
    Arc::new(LogConfig {
        segment_bytes: 1_500,
        index_interval_bytes: 200,
        file_delete_delay_ms: 10,
        ..LogConfig::default()
    })
}

/// A batch of one record that says which life of the log it is of, and as the how manieth.
fn batch(life: usize, ordinal: usize) -> RecordBatch {
    let producer = ordinal as i64 % PRODUCERS;
    let sequence = (ordinal as i64 / PRODUCERS) as i32;
    let options = BuilderOptions {
        producer: Some((producer + 10 * life as i64, 0, sequence)),
        ..BuilderOptions::default()
    };
    let mut builder = RecordBatchBuilder::new(options);
    let mut value = vec![life as u8, ordinal as u8];
    value.resize(30 + ordinal % 40, 7);
    builder.append(10, None, Some(&value), &[]).unwrap();
    RecordBatch::new(&builder.build()).unwrap()
}

/// The lives of the log: as it was made, after it was emptied, after it was deleted and made again.
#[derive(Debug, Default)]
struct Model {
    /// The life that began, or tried to.
    begun: usize,
    /// The life whose beginning has returned; `None` before the first.
    reached: Option<usize>,
    /// Appends that returned, by life.
    acked: [usize; 3],
    /// What was synced, by life.
    synced: [usize; 3],
    /// The newest high watermark that was saved, or that saving began for, by life.
    high_watermarks: [Offset; 3],
    /// The newest whose saving has returned.
    saved_high_watermarks: [Offset; 3],
}

struct Run {
    dirs: LogDirs,
    model: Model,
}

impl Run {
    fn log(&self) -> LogHandle {
        self.dirs.get(&partition()).unwrap()
    }

    fn begin(&mut self, life: usize, how: impl FnOnce(&Self) -> Option<()>) -> Option<()> {
        self.model.begun = life;
        how(self)?;
        self.model.reached = Some(life);
        Some(())
    }

    fn append(&mut self, life: usize, count: usize) -> Option<()> {
        for _ in 0..count {
            let next = batch(life, self.model.acked[life]);
            self.log().lock().append_as_leader(&[next], LeaderEpoch(life as i32), NOW).ok()?;
            self.model.acked[life] += 1;
        }
        Some(())
    }

    fn sync(&mut self, life: usize) -> Option<()> {
        self.log().lock().sync().ok()?;
        self.model.synced[life] = self.model.acked[life];
        Some(())
    }

    /// Saves the high watermark, and the other checkpoints.
    fn checkpoint(&mut self, life: usize) -> Option<()> {
        let end = self.log().lock().log_end_offset();
        self.model.high_watermarks[life] = end;
        self.dirs.save_high_watermarks(&BTreeMap::from([(partition(), end)]));
        self.dirs.checkpoint();
        self.dirs.offline_dirs().is_empty().then_some(())?;
        self.model.saved_high_watermarks[life] = end;
        Some(())
    }

    fn create(&self, id: u128) -> Option<()> {
        self.dirs.create(&partition(), TopicId(Uuid::from_u128(id)), None, config(), NOW).ok().map(drop)
    }

    fn live(&mut self) -> Option<()> {
        self.begin(0, |run| run.create(1))?;
        self.append(0, 14)?;
        self.log().lock().roll(NOW).ok()?;
        self.append(0, 9)?;
        self.sync(0)?;
        self.append(0, 3)?;
        self.checkpoint(0)?;
        self.begin(1, |run| run.log().lock().truncate_fully_and_start_at(RESTART, NOW).ok())?;
        self.append(1, 11)?;
        self.log().lock().roll(NOW).ok()?;
        self.sync(1)?;
        self.append(1, 4)?;
        self.dirs.flush_all();
        self.checkpoint(1)?;
        self.begin(2, |run| {
            run.dirs.delete(&partition(), NOW).ok().filter(|deleted| *deleted)?;
            run.create(2)
        })?;
        self.append(2, 8)?;
        self.sync(2)?;
        self.dirs.maintain(NOW + 1_000);
        self.append(2, 5)?;
        self.checkpoint(2)?;
        self.dirs.shutdown(1);
        None
    }
}

/// Life and ordinal of every record.
fn content(log: &mut Log) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut next = log.log_start_offset();
    while next < log.log_end_offset() {
        let slice = log.read(next, 1_000, true, i64::MAX).unwrap();
        assert!(!slice.is_empty());
        next = slice.next_offset;
        for batch in ottla_records::split(Bytes::from(slice.read().unwrap())) {
            let batch = batch.unwrap();
            batch.verify_crc().unwrap();
            for record in batch.records(1 << 20).unwrap() {
                let value = record.unwrap().value.unwrap();
                found.push((usize::from(value[0]), usize::from(value[1])));
            }
        }
    }
    found
}

fn check(dirs: &LogDirs, model: &Model, machine: bool, trace: &str) {
    let promised = if machine { model.synced } else { model.acked };
    let settled = model.reached.filter(|reached| *reached == model.begun);
    let Some(log) = dirs.get(&partition()) else {
        let lost = settled.map_or(0, |life| promised[life]);
        assert_eq!(lost, 0, "{trace}: the log is gone, {model:?}");
        return;
    };
    let mut log = log.lock();
    let found = content(&mut log);
    let lives: Vec<usize> = found.iter().map(|(life, _)| *life).collect();
    assert!(lives.windows(2).all(|pair| pair[0] == pair[1]), "{trace}: lives are mixed: {found:?}");
    assert!(found.iter().enumerate().all(|(at, (_, ordinal))| at == *ordinal), "{trace}: {found:?}");
    if let Some(&life) = lives.first() {
        assert!(life <= model.begun, "{trace}: {found:?}");
        assert_eq!(log.log_start_offset(), if life == 1 { RESTART } else { 0 }, "{trace}");
        assert_eq!(log.epochs(), [(LeaderEpoch(life as i32), log.log_start_offset())], "{trace}");
        let high_watermark = dirs.high_watermarks().get(&partition()).copied().unwrap_or(0);
        let saved = model.high_watermarks[..=life].iter().copied().max().unwrap_or(0);
        let saved = if life == 2 { model.high_watermarks[2] } else { saved };
        assert!(
            high_watermark <= saved,
            "{trace}: high watermark {high_watermark} of life {life}, {model:?}"
        );
        if !machine && settled == Some(life) {
            let least = model.saved_high_watermarks[life];
            assert!(high_watermark >= least, "{trace}: high watermark {high_watermark}, {least} was saved");
        }
    }
    if let Some(life) = settled.filter(|life| promised[*life] > 0) {
        assert_eq!(lives.first(), Some(&life), "{trace}: another life of the log, {model:?}");
        assert!(found.len() >= promised[life], "{trace}: {} of {promised:?}", found.len());
    }
    check_producers(&mut log, &found, trace);
}

/// The producers' state is that of the records: their last batches are known, the next ones fit.
fn check_producers(log: &mut Log, found: &[(usize, usize)], trace: &str) {
    let Some(&(life, _)) = found.first() else { return };
    let epoch = log.latest_epoch().unwrap_or(LeaderEpoch(life as i32));
    let end = log.log_end_offset();
    for ordinal in found.len().saturating_sub(PRODUCERS as usize)..found.len() {
        let again = log.append_as_leader(&[batch(life, ordinal)], epoch, NOW);
        let appended = again.unwrap_or_else(|error| panic!("{trace}: batch {ordinal} again: {error}"));
        assert!(appended.duplicate, "{trace}: batch {ordinal} of {} was forgotten", found.len());
    }
    assert_eq!(log.log_end_offset(), end, "{trace}");
    for ordinal in found.len()..found.len() + 2 {
        let next = log.append_as_leader(&[batch(life, ordinal)], epoch, NOW);
        let appended = next.unwrap_or_else(|error| panic!("{trace}: batch {ordinal} does not fit: {error}"));
        assert!(!appended.duplicate, "{trace}");
    }
    log.truncate_to(end, NOW).unwrap();
}

/// Lives until operation `at`, then opens until each of `openings`, then looks. True if all of them stopped the disk.
fn run_with_crashes(seed: u64, at: u64, openings: &[u64], loses_power: bool) -> bool {
    let mut machine = Machine::new(seed, 16 << 20, config(), NOW, loses_power);
    let mut run = Run { dirs: machine.start(), model: Model::default() };
    machine.disk.crash_at(at);
    run.live();
    let mut stopped = machine.disk.has_stopped();
    let Run { dirs, model } = run;
    drop(dirs);
    let trace = format!("seed {seed}, operation {at}, openings {openings:?}, machine {loses_power}");
    machine.crash();
    for operation in openings {
        stopped &= machine.open_until_crash(*operation);
        machine.crash();
    }
    check(&machine.start(), &model, loses_power, &trace);
    stopped
}

#[test]
fn a_process_that_dies_while_a_log_begins_or_ends_leaves_one_life_of_it() {
    for seed in 0..2 {
        let operations = first_that_runs_through(0, 1, |at| run_with_crashes(seed, at, &[], false));
        assert!(operations > 60, "only {operations} operations");
    }
}

#[test]
fn a_machine_that_dies_while_a_log_begins_or_ends_keeps_what_was_synced() {
    for seed in 0..6 {
        first_that_runs_through(0, 1, |at| run_with_crashes(seed, at, &[], true));
    }
}

#[test]
fn recovery_that_is_cut_at_any_operation_and_again_loses_nothing_either() {
    for (seed, loses_power) in [(0, false), (1, true), (2, true), (3, false), (4, true)] {
        first_that_runs_through(seed, 5, |at| {
            let cut = |opening| run_with_crashes(seed, at, &[opening, opening / 2], loses_power);
            first_that_runs_through(0, 1, cut) > 0
        });
    }
}
