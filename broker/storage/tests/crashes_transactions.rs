//! Crashes at every operation while two producers write transactions: aborted ones, the last stable offset and what is known
//! of the producers are those of the batches that are found.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod common;

use bytes::Bytes;
use common::{Machine, first_that_runs_through, marker, partition};
use ottla_records::control::{ControlRecord, Marker, parse};
use ottla_records::{BuilderOptions, RecordBatch, RecordBatchBuilder};
use ottla_storage::{Log, LogConfig, LogDirs, LogHandle};
use ottla_types::{LeaderEpoch, Offset, TopicId, Uuid};
use std::collections::BTreeMap;
use std::sync::Arc;

const NOW: i64 = 1_000;
/// Of a batch of data; a marker is one.
const RECORDS: usize = 2;
const PRODUCERS: [i64; 2] = [7, 8];

fn config() -> Arc<LogConfig> {
    Arc::new(LogConfig { segment_bytes: 800, index_interval_bytes: 150, ..LogConfig::default() })
}

/// A batch: its producer, and the sequence it begins with or the marker that it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    Data(i64, i32),
    End(i64, Marker),
}

impl Event {
    fn offsets(self) -> Offset {
        if matches!(self, Self::Data(..)) { RECORDS as Offset } else { 1 }
    }

    fn batch(self) -> RecordBatch {
        match self {
            Self::Data(producer, sequence) => {
                let options = BuilderOptions {
                    producer: Some((producer, 0, sequence)),
                    transactional: true,
                    ..BuilderOptions::default()
                };
                let mut builder = RecordBatchBuilder::new(options);
                for _ in 0..RECORDS {
                    builder.append(NOW, None, Some(&[7; 30]), &[]).unwrap();
                }
                RecordBatch::new(&builder.build()).unwrap()
            }
            Self::End(producer, ending) => marker(producer, ending, NOW),
        }
    }

    fn read(batch: &RecordBatch) -> Self {
        let header = &batch.header;
        if !header.is_control() {
            return Self::Data(header.producer_id, header.base_sequence);
        }
        let record = batch.records(1 << 20).unwrap().next().unwrap().unwrap();
        match parse(&record).unwrap() {
            ControlRecord::EndTransaction { marker, .. } => Self::End(header.producer_id, marker),
            other => panic!("{other:?}"),
        }
    }
}

/// What follows from the batches of a log.
#[derive(Debug, Default, PartialEq, Eq)]
struct Facts {
    end: Offset,
    /// Producer and first offset of each open transaction.
    open: BTreeMap<i64, Offset>,
    /// Producer, first and last offset of each aborted one.
    aborted: Vec<(i64, Offset, Offset)>,
    /// The last sequence of each producer.
    sequences: BTreeMap<i64, i32>,
}

impl Facts {
    fn of(events: &[Event]) -> Self {
        let mut facts = Self::default();
        for event in events {
            match *event {
                Event::Data(producer, sequence) => {
                    facts.open.entry(producer).or_insert(facts.end);
                    facts.sequences.insert(producer, sequence + RECORDS as i32 - 1);
                }
                Event::End(producer, marker) => {
                    let first = facts.open.remove(&producer).filter(|_| marker == Marker::Abort);
                    facts.aborted.extend(first.map(|first| (producer, first, facts.end)));
                }
            }
            facts.end += event.offsets();
        }
        facts
    }
}

#[derive(Debug, Default)]
struct Model {
    events: Vec<Event>,
    /// Numbers of events, as in the other crash tests.
    acked: usize,
    synced: usize,
    shortest: usize,
}

struct Run {
    dirs: LogDirs,
    model: Model,
}

impl Run {
    fn log(&self) -> Option<LogHandle> {
        self.dirs.get(&partition())
    }

    fn append(&mut self, event: Event) -> Option<()> {
        self.model.events.truncate(self.model.acked);
        self.model.events.push(event);
        self.log()?.lock().append_as_leader(&[event.batch()], LeaderEpoch(0), NOW).ok()?;
        self.model.acked += 1;
        self.model.shortest = self.model.acked;
        Some(())
    }

    fn data(&mut self, producer: i64, batches: usize) -> Option<()> {
        for _ in 0..batches {
            let known = Facts::of(&self.model.events[..self.model.acked]).sequences;
            self.append(Event::Data(producer, known.get(&producer).map_or(0, |last| last + 1)))?;
        }
        Some(())
    }

    fn sync(&mut self) -> Option<()> {
        self.log()?.lock().sync().ok()?;
        self.model.synced = self.model.acked;
        Some(())
    }

    fn checkpoint(&mut self) -> Option<()> {
        self.dirs.flush_all();
        self.dirs.offline_dirs().is_empty().then_some(())?;
        self.model.synced = self.model.acked;
        Some(())
    }

    /// Cuts the last `count` batches off.
    fn truncate(&mut self, count: usize) -> Option<()> {
        let left = self.model.acked - count;
        self.model.synced = self.model.synced.min(left);
        self.model.shortest = left;
        let end = Facts::of(&self.model.events[..left]).end;
        self.log()?.lock().truncate_to(end, NOW).ok()?;
        self.model.events.truncate(left);
        self.model.acked = left;
        Some(())
    }

    fn live(&mut self) -> Option<()> {
        let [first, second] = PRODUCERS;
        self.dirs.create(&partition(), TopicId(Uuid::from_u128(1)), None, config(), NOW).ok()?;
        self.data(first, 2)?;
        self.data(second, 1)?;
        self.append(Event::End(first, Marker::Abort))?;
        self.data(first, 1)?;
        self.log()?.lock().roll(NOW).ok()?;
        self.data(second, 2)?;
        self.append(Event::End(second, Marker::Commit))?;
        self.sync()?;
        self.append(Event::End(first, Marker::Abort))?;
        self.data(second, 3)?;
        self.checkpoint()?;
        self.data(first, 3)?;
        self.append(Event::End(second, Marker::Abort))?;
        self.data(first, 2)?;
        // Into the transaction of the first, and before the end of the second's.
        self.truncate(5)?;
        self.data(second, 2)?;
        self.append(Event::End(first, Marker::Abort))?;
        self.sync()?;
        self.data(first, 4)?;
        self.append(Event::End(second, Marker::Commit))?;
        self.checkpoint()?;
        self.append(Event::End(first, Marker::Abort))?;
        // The abort comes back only with its batch.
        self.truncate(1)?;
        self.append(Event::End(first, Marker::Commit))?;
        self.data(second, 1)?;
        self.sync()?;
        self.dirs.maintain(NOW);
        self.dirs.shutdown(1);
        Some(())
    }
}

fn content(log: &mut Log) -> Vec<Event> {
    let mut events = Vec::new();
    let mut next = log.log_start_offset();
    while next < log.log_end_offset() {
        let slice = log.read(next, 1_000, true, i64::MAX).unwrap();
        let batches = ottla_records::split(Bytes::from(slice.read().unwrap()));
        events.extend(batches.map(|batch| Event::read(&batch.unwrap())));
        next = slice.next_offset;
    }
    events
}

/// The batches that are found, after everything was compared with them.
fn check(dirs: &LogDirs, model: &Model, promised: usize, trace: &str) -> Vec<Event> {
    let Some(log) = dirs.get(&partition()) else {
        assert_eq!(promised, 0, "{trace}: the log is gone");
        return Vec::new();
    };
    let mut log = log.lock();
    let found = content(&mut log);
    assert!(found.len() >= promised, "{trace}: {} batches of {promised}", found.len());
    let same = found.len().min(model.events.len());
    assert_eq!(found[..same], model.events[..same], "{trace}");
    assert!(found.len() == same || model.shortest < model.events.len(), "{trace}: {found:?}");
    check_facts(&mut log, &found, trace);
    found
}

fn check_facts(log: &mut Log, found: &[Event], trace: &str) {
    let facts = Facts::of(found);
    let end = log.log_end_offset();
    assert_eq!(end, facts.end, "{trace}");
    let stable = facts.open.values().copied().min().unwrap_or(end);
    assert_eq!(log.last_stable_offset(end), stable, "{trace}");
    for start in 0..=end {
        for until in [start + 1, end] {
            let listed = log.aborted_transactions(start, until).unwrap();
            let listed: Vec<_> = listed.iter().map(|one| (one.producer_id.0, one.first_offset)).collect();
            let expected = facts.aborted.iter().filter(|one| one.2 >= start && one.1 < until);
            let expected: Vec<_> = expected.map(|one| (one.0, one.1)).collect();
            assert_eq!(listed, expected, "{trace}: aborted in {start}..{until}");
        }
    }
    let views: BTreeMap<i64, _> = log
        .producers()
        .map(|view| (view.producer_id.0, (view.last_sequence, view.transaction_start_offset)))
        .collect();
    let expected: BTreeMap<i64, _> = facts
        .sequences
        .iter()
        .map(|(producer, last)| (*producer, (*last, facts.open.get(producer).copied().unwrap_or(-1))))
        .collect();
    assert_eq!(views, expected, "{trace}");
    check_last_batches(log, found, trace);
}

/// The last five batches of each producer are known.
fn check_last_batches(log: &mut Log, found: &[Event], trace: &str) {
    let end = log.log_end_offset();
    for producer in PRODUCERS {
        let mut offset = 0;
        let mut batches = Vec::new();
        for event in found {
            if matches!(event, Event::Data(from, _) if *from == producer) {
                batches.push((*event, offset));
            }
            offset += event.offsets();
        }
        for (event, offset) in batches.iter().rev().take(5) {
            let again = log.append_as_leader(&[event.batch()], LeaderEpoch(0), NOW);
            let again = again.unwrap_or_else(|error| panic!("{trace}: {event:?} again: {error}"));
            assert_eq!((again.duplicate, again.base_offset), (true, *offset), "{trace}: {event:?}");
        }
    }
    assert_eq!(log.log_end_offset(), end, "{trace}");
}

fn run_with_crash(seed: u64, at: u64, loses_power: bool) -> bool {
    let mut machine = Machine::new(seed, 16 << 20, config(), NOW, loses_power);
    let mut run = Run { dirs: machine.start(), model: Model::default() };
    machine.disk.crash_at(at);
    let lived = run.live().is_some();
    let stopped = machine.disk.has_stopped();
    assert!(lived || stopped);
    let Run { dirs, model } = run;
    drop(dirs);
    let trace = format!("seed {seed}, operation {at}, machine {loses_power}");
    machine.crash();
    for step in [2, 6] {
        machine.open_until_crash(step + at % 7);
        machine.crash();
    }
    let promised = if loses_power { model.synced } else { model.acked.min(model.shortest) };
    let dirs = machine.start();
    let found = check(&dirs, &model, promised, &trace);
    drop(dirs);
    machine.disk.crash_process();
    go_on(Run { dirs: machine.start(), model }, found, &trace);
    stopped
}

/// And life goes on: what is open ends.
fn go_on(mut run: Run, found: Vec<Event>, trace: &str) {
    assert_eq!(check(&run.dirs, &run.model, found.len(), trace), found, "{trace}: opened again");
    run.dirs.create(&partition(), TopicId(Uuid::from_u128(1)), None, config(), NOW).unwrap();
    let (acked, shortest) = (found.len(), found.len());
    run.model = Model { events: found, acked, synced: 0, shortest };
    for producer in PRODUCERS {
        run.data(producer, 2).unwrap_or_else(|| panic!("{trace}: the next batch does not fit"));
        run.append(Event::End(producer, Marker::Abort)).unwrap();
    }
    check(&run.dirs, &run.model, run.model.acked, trace);
}

#[test]
fn a_process_that_dies_leaves_transactions_and_producers_as_its_batches_say() {
    let operations = first_that_runs_through(0, 1, |at| run_with_crash(0, at, false));
    assert!(operations > 80, "only {operations} operations");
}

#[test]
fn a_machine_that_dies_leaves_transactions_and_producers_as_its_batches_say() {
    for seed in 0..6 {
        first_that_runs_through(0, 1, |at| run_with_crash(seed, at, true));
    }
}
