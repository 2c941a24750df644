//! The raft log over the real file system.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use bytes::Bytes;
use ottla_storage::sim_disk::SimDisk;
use ottla_storage::{Disk, FsDisk, LogDir, MetadataEntry, MetadataLog, Recovered};
use std::path::Path;
use std::sync::Arc;

fn open(dir: &Path, trust: bool) -> (MetadataLog, Recovered) {
    MetadataLog::open(LogDir::standalone(Arc::new(FsDisk), dir.to_owned()), trust, 1_000).unwrap()
}

fn entries(range: std::ops::Range<u64>, term: u64) -> Vec<MetadataEntry> {
    range.map(|index| (index, term, Bytes::from(format!("entry {index} of {term}")))).collect()
}

#[test]
fn entries_and_hard_state_are_there_again() {
    for trust in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let (mut log, recovered) = open(dir.path(), trust);
        assert_eq!(recovered, Recovered::default());
        log.append(&entries(1..10, 1), 1_000).unwrap();
        log.append(&[(10, 2, Bytes::new())], 1_000).unwrap();
        log.save_hard_state(b"vote 3", true).unwrap();
        log.save_hard_state(b"commit 9", false).unwrap();
        log.sync().unwrap();
        drop(log);
        let (log, recovered) = open(dir.path(), trust);
        let mut expected = entries(1..10, 1);
        expected.push((10, 2, Bytes::new()));
        assert_eq!(recovered.entries, expected);
        assert_eq!(recovered.hard_state.as_deref(), Some(&b"commit 9"[..]));
        assert_eq!(log.end_index(), 11);
    }
}

#[test]
fn a_conflicting_tail_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _) = open(dir.path(), true);
    log.append(&entries(1..10, 1), 1_000).unwrap();
    log.truncate_from(5, 1_000).unwrap();
    log.append(&entries(5..7, 2), 1_000).unwrap();
    drop(log);
    let (_, recovered) = open(dir.path(), true);
    let expected: Vec<_> = entries(1..5, 1).into_iter().chain(entries(5..7, 2)).collect();
    assert_eq!(recovered.entries, expected);
}

#[test]
fn a_snapshot_stands_for_the_entries_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _) = open(dir.path(), true);
    log.append(&entries(1..101, 1), 1_000).unwrap();
    let content = vec![7; 3 << 20];
    log.save_snapshot(60, 1, b"older", 1_000).unwrap();
    log.save_snapshot(80, 1, &content, 1_000).unwrap();
    log.compact_to(80, 1_000).unwrap();
    log.append(&entries(101..105, 1), 1_000).unwrap();
    drop(log);
    let (_, recovered) = open(dir.path(), true);
    assert_eq!(recovered.entries, [entries(81..101, 1), entries(101..105, 1)].concat());
    let (index, term, found) = recovered.snapshot.unwrap();
    assert_eq!((index, term, &found[..]), (80, 1, &content[..]));
}

#[test]
fn a_snapshot_from_the_leader_replaces_everything() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _) = open(dir.path(), true);
    log.append(&entries(1..20, 1), 1_000).unwrap();
    log.save_snapshot(500, 7, b"image", 1_000).unwrap();
    assert_eq!(log.end_index(), 501);
    log.append(&entries(501..503, 7), 1_000).unwrap();
    drop(log);
    let (_, recovered) = open(dir.path(), false);
    assert_eq!(recovered.entries, entries(501..503, 7));
    assert_eq!(recovered.snapshot.unwrap().0, 500);
}

#[test]
fn what_there_was_no_room_for_is_not_there_and_can_be_tried_again() {
    let disk = SimDisk::new(1);
    disk.create_dir(Path::new("/data")).unwrap();
    let log_dir = LogDir::standalone(Arc::new(disk.clone()), Path::new("/data").to_owned());
    let (mut log, _) = MetadataLog::open(log_dir, false, 1_000).unwrap();
    log.append(&entries(1..5, 1), 1_000).unwrap();
    log.save_hard_state(b"vote 3", true).unwrap();
    disk.set_capacity(disk.used_bytes());
    for _ in 0..3 {
        let error = log.append(&entries(5..9, 1), 1_000).unwrap_err();
        assert!(error.is_full(), "{error}");
        assert_eq!(log.end_index(), 5);
    }
    disk.set_capacity(disk.used_bytes() + (1 << 20));
    log.append(&entries(5..9, 1), 1_000).unwrap();
    log.sync().unwrap();
    assert_eq!(log.entries(1, 100, 1 << 20).unwrap(), entries(1..9, 1));
}
