//! Idempotent and transactional producers over restarts of their log.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod common;

use ottla_records::control::Marker;
use ottla_records::{BuilderOptions, RecordBatch, RecordBatchBuilder};
use ottla_storage::{AppendError, FsDisk, Log, LogConfig, Recovery};
use ottla_types::{ErrorCode, LeaderEpoch, ProducerId};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const NOW: i64 = 1_000;

struct Fixture {
    _root: tempfile::TempDir,
    path: PathBuf,
}

impl Fixture {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("t-0");
        std::fs::create_dir(&path).unwrap();
        Self { _root: root, path }
    }

    fn open(&self, trust_written: bool) -> Log {
        let config = LogConfig { segment_bytes: 60_000, ..LogConfig::default() };
        let recovery = Recovery { trust_written, ..Recovery::default() };
        Log::open(Arc::new(FsDisk), &self.path, Arc::new(config), recovery, NOW).unwrap().0
    }
}

fn batch(producer_id: i64, epoch: i16, sequence: i32, transactional: bool) -> RecordBatch {
    let producer = Some((producer_id, epoch, sequence));
    let mut builder =
        RecordBatchBuilder::new(BuilderOptions { producer, transactional, ..BuilderOptions::default() });
    for _ in 0..2 {
        builder.append(NOW, None, Some(b"value"), &[]).unwrap();
    }
    RecordBatch::new(&builder.build()).unwrap()
}

fn marker(producer_id: i64, marker: Marker) -> RecordBatch {
    common::marker(producer_id, marker, NOW)
}

fn append(log: &mut Log, batch: RecordBatch) -> Result<(i64, bool), AppendError> {
    let appended = log.append_as_leader(&[batch], LeaderEpoch(0), NOW)?;
    Ok((appended.base_offset, appended.duplicate))
}

#[test]
fn the_last_five_batches_are_known_after_any_end_of_the_log() {
    for (close, trust) in [(true, true), (false, true), (true, false), (false, false)] {
        for batches in [3, 255, 256, 257, 600, 1_500] {
            let fixture = Fixture::new();
            let mut log = fixture.open(trust);
            for index in 0..batches {
                assert_eq!(
                    append(&mut log, batch(7, 0, index * 2, false)).unwrap(),
                    (i64::from(index) * 2, false)
                );
            }
            if close {
                log.close().unwrap()
            } else {
                drop(log)
            }
            let mut log = fixture.open(trust);
            for index in (batches - 5).max(0)..batches {
                let again = append(&mut log, batch(7, 0, index * 2, false)).unwrap();
                assert_eq!(
                    again,
                    (i64::from(index) * 2, true),
                    "close {close}, trust {trust}, {batches} batches"
                );
            }
            let gap = append(&mut log, batch(7, 0, batches * 2 + 2, false)).unwrap_err();
            assert_eq!(gap.code(), ErrorCode::OutOfOrderSequenceNumber);
            assert_eq!(
                append(&mut log, batch(7, 0, batches * 2, false)).unwrap(),
                (i64::from(batches) * 2, false)
            );
        }
    }
}

#[test]
fn a_lost_or_damaged_snapshot_costs_a_longer_walk_and_nothing_else() {
    let fixture = Fixture::new();
    let mut log = fixture.open(true);
    for index in 0..900 {
        append(&mut log, batch(7, 0, index * 2, false)).unwrap();
    }
    log.close().unwrap();
    let mut snapshots = snapshots(&fixture.path);
    assert!(snapshots.len() > 1);
    std::fs::remove_file(snapshots.pop().unwrap()).unwrap();
    for path in snapshots {
        std::fs::write(path, b"damaged").unwrap();
    }
    let mut log = fixture.open(true);
    assert_eq!(append(&mut log, batch(7, 0, 899 * 2, false)).unwrap(), (1_798, true));
}

fn snapshots(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut snapshots: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|end| end == "snapshot")).collect();
    snapshots.sort();
    snapshots
}

#[test]
fn snapshots_do_not_pile_up() {
    let fixture = Fixture::new();
    let mut log = fixture.open(true);
    for index in 0..3_000 {
        append(&mut log, batch(7, 0, index * 2, false)).unwrap();
    }
    assert!(snapshots(&fixture.path).len() <= log.segment_count() + 2);
}

#[test]
fn an_open_transaction_holds_the_stable_offset_over_a_restart() {
    for trust in [true, false] {
        let fixture = Fixture::new();
        let mut log = fixture.open(trust);
        append(&mut log, batch(1, 0, 0, false)).unwrap();
        append(&mut log, batch(7, 0, 0, true)).unwrap();
        append(&mut log, batch(1, 0, 2, false)).unwrap();
        assert_eq!(log.last_stable_offset(6), 2);
        drop(log);
        let mut log = fixture.open(trust);
        assert_eq!(log.last_stable_offset(6), 2);
        append(&mut log, marker(7, Marker::Commit)).unwrap();
        assert_eq!(log.last_stable_offset(6), 2, "the marker is not replicated yet");
        assert_eq!(log.last_stable_offset(7), 7);
        assert!(log.aborted_transactions(0, 7).unwrap().is_empty());
    }
}

#[test]
fn aborted_transactions_are_listed_once_however_often_the_log_is_recovered() {
    let fixture = Fixture::new();
    let mut log = fixture.open(false);
    for round in 0..3 {
        append(&mut log, batch(7, 0, round * 2, true)).unwrap();
        append(&mut log, marker(7, if round == 1 { Marker::Commit } else { Marker::Abort })).unwrap();
    }
    for _ in 0..3 {
        let aborted = log.aborted_transactions(0, 100).unwrap();
        assert_eq!(aborted.iter().map(|one| one.first_offset).collect::<Vec<_>>(), [0, 6]);
        assert!(aborted.iter().all(|one| one.producer_id == ProducerId(7)));
        assert_eq!(log.aborted_transactions(3, 6).unwrap(), []);
        drop(log);
        log = fixture.open(false);
    }
    log.truncate_to(6, NOW).unwrap();
    assert_eq!(log.aborted_transactions(0, 100).unwrap().len(), 1);
    assert_eq!(log.producers().next().unwrap().transaction_start_offset, -1);
}

#[test]
fn truncation_takes_producers_back_to_where_they_were() {
    let fixture = Fixture::new();
    let mut log = fixture.open(true);
    for index in 0..700 {
        append(&mut log, batch(7, 0, index * 2, false)).unwrap();
    }
    for offset in [1_398, 1_000, 500, 20, 0] {
        log.truncate_to(offset, NOW).unwrap();
        let next = i32::try_from(offset).unwrap();
        let gap = append(&mut log, batch(7, 0, next + 2, false));
        assert_eq!(gap.is_err(), offset > 0, "at {offset}");
        if offset > 0 {
            assert_eq!(append(&mut log, batch(7, 0, next, false)).unwrap(), (offset, false));
        }
    }
}

#[test]
fn what_comes_behind_a_refused_batch_is_refused_like_it_until_that_is_taken() {
    let fixture = Fixture::new();
    let mut log = fixture.open(false);
    append(&mut log, batch(1, 0, 0, false)).unwrap();
    log.note_refused(&batch(1, 0, 2, false).header, ErrorCode::NotEnoughReplicas, NOW);
    let behind = append(&mut log, batch(1, 0, 4, false)).unwrap_err();
    assert_eq!(behind.code(), ErrorCode::NotEnoughReplicas);
    assert_eq!(append(&mut log, batch(1, 0, 0, false)).unwrap(), (0, true));
    assert_eq!(append(&mut log, batch(1, 0, 2, false)).unwrap(), (2, false));
    assert_eq!(append(&mut log, batch(1, 0, 4, false)).unwrap(), (4, false));
    let gap = append(&mut log, batch(1, 0, 8, false)).unwrap_err();
    assert_eq!(gap.code(), ErrorCode::OutOfOrderSequenceNumber);
}

#[test]
fn the_second_batch_of_an_unknown_producer_does_not_overtake_its_refused_first() {
    let fixture = Fixture::new();
    let mut log = fixture.open(false);
    log.note_refused(&batch(1, 0, 0, false).header, ErrorCode::NotLeaderOrFollower, NOW);
    assert!(matches!(append(&mut log, batch(1, 0, 2, false)), Err(AppendError::Behind(_))));
    assert_eq!(append(&mut log, batch(1, 0, 0, false)).unwrap(), (0, false));
    assert_eq!(append(&mut log, batch(1, 0, 2, false)).unwrap(), (2, false));
}
