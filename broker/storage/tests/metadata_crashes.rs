//! Crashes at every operation of the metadata log: what was synced is there, in order, with nothing made up.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod common;

use bytes::Bytes;
use common::first_that_runs_through;
use ottla_storage::sim_disk::SimDisk;
use ottla_storage::{Disk, LogDir, MetadataEntry, MetadataLog, MetadataLogError, Recovered};
use std::path::Path;
use std::sync::Arc;

const NOW: i64 = 1_000;
/// Index of the first snapshot that is ahead of the log.
const AHEAD: u64 = 1_000;

type Live = fn(&mut MetadataLog, &mut Promise) -> Result<(), MetadataLogError>;

fn open(disk: &SimDisk, trust: bool) -> Result<(MetadataLog, Recovered), MetadataLogError> {
    MetadataLog::open(LogDir::standalone(Arc::new(disk.clone()), "/d".into()), trust, NOW)
}

fn entry(index: u64, term: u64) -> MetadataEntry {
    (index, term, Bytes::from(format!("{index} of {term} {}", "x".repeat((index % 7 * 40) as usize))))
}

/// What must be found: everything promised so far.
#[derive(Debug, Clone, Default)]
struct Promise {
    /// Entries written, whether synced or not; a superset of what may be found.
    written: Vec<MetadataEntry>,
    /// The last index that was synced.
    synced: u64,
    hard_state: Vec<u8>,
    /// Hard states that may be found instead.
    later_states: Vec<Vec<u8>>,
    snapshot: Option<(u64, u64)>,
    later_snapshot: Option<(u64, u64)>,
}

fn live(log: &mut MetadataLog, promise: &mut Promise) -> Result<(), MetadataLogError> {
    for round in 0..6u64 {
        let term = round + 1;
        let first = promise.written.last().map_or(1, |last| last.0 + 1);
        let entries: Vec<MetadataEntry> = (first..first + 6).map(|index| entry(index, term)).collect();
        let state = format!("vote {round}").into_bytes();
        promise.later_states.push(state.clone());
        log.save_hard_state(&state, true)?;
        promise.hard_state = state;
        promise.later_states.clear();
        promise.written.extend(entries.iter().cloned());
        log.append(&entries, NOW)?;
        log.sync()?;
        promise.synced = first + 5;
        let state = format!("commit {round}").into_bytes();
        promise.later_states.push(state.clone());
        log.save_hard_state(&state, false)?;
        if round % 2 == 1 {
            promise.synced = first + 2;
            log.truncate_from(first + 3, NOW)?;
            promise.written.truncate((first + 2) as usize);
        }
        if round % 3 == 2 {
            let at = (first - 1, term - 1);
            promise.later_snapshot = Some(at);
            log.save_snapshot(at.0, at.1, image(at.0).as_bytes(), NOW)?;
            promise.snapshot = Some(at);
            log.compact_to(at.0, NOW)?;
        }
    }
    Ok(())
}

/// The newest snapshot's content: one behind the log's end has more than fits in one write.
fn image(index: u64) -> String {
    let filling = if index >= AHEAD { 1_200_000 } else { 0 };
    format!("image {index}{}", "x".repeat(filling))
}

/// A snapshot of what the log does not have comes from the leader, and the log goes on behind it.
fn live_with_snapshot_ahead(log: &mut MetadataLog, promise: &mut Promise) -> Result<(), MetadataLogError> {
    append_some(log, promise, 1, 1)?;
    for (at, term) in [(AHEAD, 2), (AHEAD + 50, 4)] {
        promise.later_snapshot = Some((at, term));
        log.save_snapshot(at, term, image(at).as_bytes(), NOW)?;
        promise.snapshot = promise.later_snapshot.take();
        promise.written.clear();
        promise.synced = at;
        log.compact_to(at, NOW)?;
        append_some(log, promise, at + 1, term + 1)?;
    }
    Ok(())
}

fn append_some(
    log: &mut MetadataLog,
    promise: &mut Promise,
    first: u64,
    term: u64,
) -> Result<(), MetadataLogError> {
    let entries: Vec<MetadataEntry> = (first..first + 4).map(|index| entry(index, term)).collect();
    promise.written.extend(entries.iter().cloned());
    log.append(&entries, NOW)?;
    log.sync()?;
    promise.synced = first + 3;
    Ok(())
}

fn check(recovered: &Recovered, promise: &Promise, trace: &str) {
    let snapshot = recovered.snapshot.as_ref().map(|(index, term, _)| (*index, *term));
    assert!(snapshot == promise.snapshot || snapshot == promise.later_snapshot, "{trace}: {snapshot:?}");
    if let Some((index, _, content)) = &recovered.snapshot {
        assert!(*content == image(*index), "{trace}: another snapshot of {index}");
    }
    let first = snapshot.map_or(1, |snapshot| snapshot.0 + 1);
    let last = first + recovered.entries.len() as u64 - 1;
    assert!(last >= promise.synced, "{trace}: ends at {last}, {} was synced", promise.synced);
    for (found, index) in recovered.entries.iter().zip(first..) {
        assert_eq!(found.0, index, "{trace}");
        // What a truncation that did not come to its end left is right too.
        assert_eq!(found.2, entry(found.0, found.1).2, "{trace}");
    }
    for expected in promise.written.iter().filter(|written| written.0 >= first && written.0 <= promise.synced)
    {
        assert_eq!(&recovered.entries[(expected.0 - first) as usize], expected, "{trace}");
    }
    let state = recovered.hard_state.as_deref().unwrap_or_default();
    let allowed = state == promise.hard_state || promise.later_states.iter().any(|later| later == state);
    assert!(allowed, "{trace}: {:?}", String::from_utf8_lossy(state));
}

fn crash(disk: &SimDisk, machine: bool) {
    if machine {
        disk.crash_machine();
    } else {
        disk.crash_process();
    }
}

/// The disk after the crash at operation `at`, and what must be there; true if the disk stopped.
fn crashed(live: Live, seed: u64, at: u64, machine: bool) -> (SimDisk, Promise, bool) {
    let disk = SimDisk::new(seed);
    disk.set_capacity(16 << 20);
    disk.create_dir(Path::new("/d")).unwrap();
    disk.sync_dir(Path::new("/")).unwrap();
    disk.crash_at(at);
    let mut promise = Promise::default();
    let lived = open(&disk, false).is_ok_and(|(mut log, _)| live(&mut log, &mut promise).is_ok());
    let stopped = disk.has_stopped();
    assert!(lived || stopped);
    crash(&disk, machine);
    (disk, promise, stopped)
}

fn run(live: Live, seed: u64, at: u64, machine: bool) -> bool {
    let (disk, promise, stopped) = crashed(live, seed, at, machine);
    for step in [2, 7] {
        disk.crash_at(step + at % 5);
        let _ = open(&disk, !machine);
        crash(&disk, machine);
    }
    check_and_go_on(&disk, &promise, machine, &format!("seed {seed}, operation {at}, machine {machine}"));
    stopped
}

/// Cuts the opening at every operation, and the one after it.
fn run_with_cut_openings(live: Live, seed: u64, at: u64, machine: bool) -> bool {
    let (disk, promise, stopped) = crashed(live, seed, at, machine);
    first_that_runs_through(0, 1, |opening| {
        let disk = disk.copy();
        let mut cut = true;
        for operation in [opening, opening / 2] {
            disk.crash_at(operation);
            let _ = open(&disk, !machine);
            cut &= disk.has_stopped();
            crash(&disk, machine);
        }
        let trace = format!("seed {seed}, operation {at}, opening {opening}, machine {machine}");
        check_and_go_on(&disk, &promise, machine, &trace);
        cut
    });
    stopped
}

fn check_and_go_on(disk: &SimDisk, promise: &Promise, machine: bool, trace: &str) {
    let (mut log, recovered) = open(disk, !machine).unwrap_or_else(|error| panic!("{trace}: {error}"));
    check(&recovered, promise, trace);
    let next = log.end_index().max(1);
    log.append(&[(next, 99, Bytes::from_static(b"on"))], NOW).unwrap();
    log.sync().unwrap();
    drop(log);
    disk.crash_machine();
    let (_, again) = open(disk, false).unwrap_or_else(|error| panic!("{trace}: {error}"));
    assert_eq!(again.entries[..again.entries.len() - 1], recovered.entries, "{trace}");
    assert_eq!(again.hard_state, recovered.hard_state, "{trace}");
}

#[test]
fn a_crash_at_any_operation_keeps_entries_states_and_snapshots() {
    for seed in 0..10 {
        for machine in [false, true] {
            let operations = first_that_runs_through(0, 1, |at| run(live, seed, at, machine));
            assert!(operations > 60, "only {operations} operations");
        }
    }
}

#[test]
fn a_snapshot_ahead_of_the_log_is_there_or_not_after_a_crash_at_any_operation() {
    for (seed, machine) in [(0, false), (1, true), (2, true)] {
        first_that_runs_through(0, 1, |at| run(live_with_snapshot_ahead, seed, at, machine));
    }
}

#[test]
fn an_opening_that_is_cut_at_any_operation_and_again_keeps_them_too() {
    for (seed, machine) in [(0, false), (1, true), (2, true), (3, false), (4, true)] {
        first_that_runs_through(seed, 5, |at| run_with_cut_openings(live, seed, at, machine));
    }
    for (seed, machine) in [(0, false), (1, true)] {
        first_that_runs_through(seed, 3, |at| {
            run_with_cut_openings(live_with_snapshot_ahead, seed, at, machine)
        });
    }
}
