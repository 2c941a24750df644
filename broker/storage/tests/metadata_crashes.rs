//! Crashes at every operation of the metadata log: what was synced is there, in order, with nothing made up.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use bytes::Bytes;
use ottla_storage::sim_disk::SimDisk;
use ottla_storage::{Disk, LogDir, MetadataEntry, MetadataLog, MetadataLogError, Recovered};
use std::path::Path;
use std::sync::Arc;

const NOW: i64 = 1_000;

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
            log.save_snapshot(at.0, at.1, format!("image {}", at.0).as_bytes(), NOW)?;
            promise.snapshot = Some(at);
            log.compact_to(at.0, NOW)?;
        }
    }
    Ok(())
}

fn check(recovered: &Recovered, promise: &Promise, trace: &str) {
    let snapshot = recovered.snapshot.as_ref().map(|(index, term, _)| (*index, *term));
    assert!(snapshot == promise.snapshot || snapshot == promise.later_snapshot, "{trace}: {snapshot:?}");
    if let Some((index, _, content)) = &recovered.snapshot {
        assert_eq!(content, &format!("image {index}"), "{trace}");
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

fn run(seed: u64, at: u64, machine: bool) -> bool {
    let disk = SimDisk::new(seed);
    disk.set_capacity(16 << 20);
    disk.create_dir(Path::new("/d")).unwrap();
    disk.sync_dir(Path::new("/")).unwrap();
    disk.crash_at(at);
    let mut promise = Promise::default();
    if let Ok((mut log, _)) = open(&disk, false) {
        let _ = live(&mut log, &mut promise);
    }
    let stopped = disk.has_stopped();
    for step in [2, 7] {
        if machine {
            disk.crash_machine()
        } else {
            disk.crash_process()
        }
        disk.crash_at(step + at % 5);
        let _ = open(&disk, !machine);
    }
    if machine {
        disk.crash_machine()
    } else {
        disk.crash_process()
    }
    let trace = format!("seed {seed}, operation {at}, machine {machine}");
    let (mut log, recovered) = open(&disk, !machine).unwrap_or_else(|error| panic!("{trace}: {error}"));
    check(&recovered, &promise, &trace);
    let next = log.end_index().max(1);
    log.append(&[(next, 99, Bytes::from_static(b"on"))], NOW).unwrap();
    log.sync().unwrap();
    drop(log);
    disk.crash_machine();
    let (_, again) = open(&disk, false).unwrap_or_else(|error| panic!("{trace}: {error}"));
    assert_eq!(again.entries[..again.entries.len() - 1], recovered.entries, "{trace}");
    assert_eq!(again.hard_state, recovered.hard_state, "{trace}");
    stopped
}

#[test]
fn a_crash_at_any_operation_keeps_entries_states_and_snapshots() {
    for seed in 0..10 {
        for machine in [false, true] {
            let mut at = 0;
            while run(seed, at, machine) {
                at += 1;
            }
            assert!(at > 60, "only {at} operations");
        }
    }
}
