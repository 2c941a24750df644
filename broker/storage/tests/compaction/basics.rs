//! What stays and what goes.

use crate::harness::*;
use ottla_records::Compression;
use ottla_storage::compaction::CleanError;
use ottla_storage::sim_disk::SimDisk;
use ottla_storage::{Disk, Log, LogConfig, Recovery};
use ottla_types::Offset;
use parking_lot::Mutex;
use std::path::Path;
use std::sync::Arc;

const DIR: &str = "/d/t-0";

fn new_disk() -> SimDisk {
    let disk = SimDisk::new(1);
    disk.create_dir_all(Path::new(DIR)).unwrap();
    disk
}

fn open(disk: &SimDisk, config: LogConfig) -> Arc<Mutex<Log>> {
    let recovery = Recovery { trust_written: true, ..Recovery::default() };
    let log = Log::open(Arc::new(disk.clone()), Path::new(DIR), Arc::new(config), recovery, NOW).unwrap().0;
    shared(log)
}

fn new_log() -> Arc<Mutex<Log>> {
    open(&new_disk(), config())
}

fn offsets(log: &Mutex<Log>) -> Vec<Offset> {
    content(log).iter().map(|record| record.0).collect()
}

fn names(disk: &SimDisk) -> Vec<String> {
    disk.list(Path::new(DIR)).unwrap().into_iter().map(|entry| entry.name).collect()
}

#[test]
fn of_each_key_the_latest_record_stays_at_its_offset() {
    let log = new_log();
    append(&log, &[("a", Some("1")), ("b", Some("1")), ("c", Some("1"))]);
    append(&log, &[("a", Some("2")), ("b", Some("2"))]);
    roll(&log);
    append(&log, &[("a", Some("3"))]);
    roll(&log);
    append(&log, &[("a", Some("active"))]);
    let report = clean_now(&log, &options(NOW)).unwrap().unwrap();
    assert_eq!((report.first_dirty_offset, report.end_offset), (0, 6));
    assert_eq!((report.records_seen, report.records_kept), (6, 3));
    assert_eq!((report.segments_before, report.segments_after), (2, 1));
    assert_eq!(offsets(&log), [2, 4, 5, 6]);
    assert_eq!(log.lock().log_end_offset(), 7);
    assert!(clean_now(&log, &options(NOW)).unwrap().is_none(), "there is nothing left to do");
}

#[test]
fn a_compacted_log_opens_as_it_was_left() {
    let disk = new_disk();
    let log = open(&disk, config());
    for round in 0..30 {
        let value = format!("{round:030}");
        append(&log, &[("a", Some(&value)), ("b", Some(&value)), ("c", Some(&value))]);
    }
    clean_now(&log, &options(NOW)).unwrap().unwrap();
    let before = content(&log);
    assert!(before.len() < 60, "{before:?}");
    drop(log);
    assert!(!names(&disk).iter().any(|name| name.ends_with(".cleaned") || name.ends_with(".swap")));
    for trust_written in [true, false] {
        let recovery = Recovery { trust_written, ..Recovery::default() };
        let (log, report) =
            Log::open(Arc::new(disk.clone()), Path::new(DIR), Arc::new(config()), recovery, NOW).unwrap();
        assert_eq!(report.truncated_bytes, 0, "trusted: {trust_written}");
        let log = shared(log);
        assert_eq!(content(&log), before);
        let time = log.lock().offset_for_timestamp(NOW).unwrap().unwrap();
        assert_eq!(time.offset, before[0].0);
    }
}

#[test]
fn a_tombstone_goes_after_its_horizon_and_not_before() {
    let log = new_log();
    append(&log, &[("a", Some("1")), ("b", Some("1"))]);
    append(&log, &[("a", None)]);
    roll(&log);
    append(&log, &[("z", Some("1"))]);
    clean_now(&log, &options(NOW)).unwrap().unwrap();
    assert_eq!(offsets(&log), [1, 2, 3], "the value is gone, its tombstone is there");
    let horizon = batches(&log)[1].header.delete_horizon_ms();
    assert_eq!(horizon, Some(NOW + 1_000));
    assert_eq!(records(&log)[1].timestamp, NOW, "the record's own time stays");
    let clean_again = |now| {
        roll(&log);
        append(&log, &[("z", Some("2"))]);
        clean_now(&log, &options(now)).unwrap().unwrap();
        offsets(&log).contains(&2)
    };
    assert!(clean_again(NOW + 999));
    assert!(!clean_again(NOW + 1_000));
}

#[test]
fn a_tombstone_stays_while_a_replica_has_not_got_it() {
    let log = new_log();
    append(&log, &[("a", None)]);
    for (now, replicated_offset, stays) in [(NOW, 9, true), (NOW + 5_000, 0, true), (NOW + 5_000, 1, false)] {
        roll(&log);
        append(&log, &[("z", Some("1"))]);
        let options = ottla_storage::compaction::CleanOptions { replicated_offset, ..options(now) };
        clean_now(&log, &options).unwrap().unwrap();
        assert_eq!(offsets(&log).contains(&0), stays, "{now} {replicated_offset}");
    }
}

#[test]
fn nothing_above_the_high_watermark_counts() {
    let log = new_log();
    append(&log, &[("a", Some("1"))]);
    roll(&log);
    append(&log, &[("a", Some("2"))]);
    roll(&log);
    append(&log, &[("b", Some("1"))]);
    let options = ottla_storage::compaction::CleanOptions { high_watermark: 1, ..options(NOW) };
    clean_now(&log, &options).unwrap().unwrap();
    assert_eq!(offsets(&log), [0, 1, 2], "offset 1 may still be cut off, and then 0 is the latest");
}

#[test]
fn a_small_memory_takes_several_passes() {
    let log = new_log();
    for round in 0..4 {
        for key in 0..100 {
            append(&log, &[(&format!("key-{key}"), Some(&format!("{round}")))]);
        }
    }
    roll(&log);
    append(&log, &[("z", Some("1"))]);
    let options = ottla_storage::compaction::CleanOptions { key_bytes: 30 * 16, ..options(NOW) };
    let mut passes = 0;
    while let Some(report) = clean_now(&log, &options).unwrap() {
        assert!(report.end_offset > report.first_dirty_offset);
        passes += 1;
    }
    assert!(passes > 10, "{passes}");
    assert_eq!(offsets(&log), (300..401).collect::<Vec<_>>());
}

#[test]
fn small_segments_become_one_and_never_more_than_a_segment_holds() {
    let log = new_log();
    for round in 0..40 {
        append(&log, &[(&format!("key-{round}"), Some(&"v".repeat(100)))]);
        roll(&log);
    }
    append(&log, &[("z", Some("1"))]);
    let segments = log.lock().segment_count();
    assert_eq!(segments, 41);
    clean_now(&log, &options(NOW)).unwrap().unwrap();
    let segments = log.lock().segment_count();
    assert!((5..9).contains(&segments), "{segments}");
    assert_eq!(offsets(&log), (0..41).collect::<Vec<_>>());
}

#[test]
fn every_codec_is_read_and_kept() {
    for codec in Compression::ALL {
        let log = new_log();
        append_batch(&log, batch(&[("a", Some("1")), ("b", Some("1")), ("c", None)], codec, None));
        append_batch(&log, batch(&[("a", Some("2"))], codec, None));
        roll(&log);
        append(&log, &[("z", Some("1"))]);
        clean_now(&log, &options(NOW)).unwrap().unwrap();
        assert_eq!(offsets(&log), [1, 2, 3, 4], "{codec:?}");
        assert!(batches(&log)[..2].iter().all(|batch| batch.header.compression() == codec));
    }
}

#[test]
fn a_segment_still_reaches_to_the_next_when_its_last_records_are_gone() {
    let disk = new_disk();
    let log = open(&disk, config());
    append(&log, &[("a", Some(&"1".repeat(700)))]);
    append(&log, &[("b", Some(&"1".repeat(700)))]);
    roll(&log);
    append(&log, &[("b", Some(&"2".repeat(700)))]);
    roll(&log);
    append(&log, &[("z", Some("1"))]);
    clean_now(&log, &options(NOW)).unwrap().unwrap();
    let found = batches(&log);
    let summary: Vec<_> =
        found.iter().map(|batch| (batch.header.base_offset, batch.header.record_count)).collect();
    assert_eq!(summary, [(0, 1), (1, 0), (2, 1), (3, 1)]);
    let slice = log.lock().read(1, 1_000, true, i64::MAX).unwrap();
    assert_eq!((slice.start, slice.next_offset), (1, 2), "a follower gets it");
    let slice = log.lock().read_records(1, 1_000, true, i64::MAX).unwrap();
    assert_eq!((slice.start, slice.next_offset), (2, 3), "a client gets what is behind it");
    let slice = log.lock().read_records(1, 1_000, true, 2).unwrap();
    assert_eq!((slice.start, slice.next_offset), (1, 2), "unless there is nothing");
    drop(log);
    let recovery = Recovery::default();
    let (_, report) =
        Log::open(Arc::new(disk.clone()), Path::new(DIR), Arc::new(config()), recovery, NOW).unwrap();
    assert_eq!(report.truncated_bytes, 0);
}

#[test]
fn damage_ends_the_pass_and_leaves_the_log_as_it_was() {
    let disk = new_disk();
    let log = open(&disk, config());
    append(&log, &[("a", Some("1"))]);
    append(&log, &[("a", Some("2"))]);
    roll(&log);
    append(&log, &[("z", Some("1"))]);
    disk.flip_bit(&Path::new(DIR).join("00000000000000000000.log"), 100, 3).unwrap();
    let error = clean_now(&log, &options(NOW)).unwrap_err();
    assert!(matches!(error, CleanError::Corrupt { position: 68.., .. }), "{error}");
    assert!(!error.is_passing());
    assert_eq!(log.lock().offline_reason(), None);
    assert!(!names(&disk).iter().any(|name| name.contains("cleaned")));
}

#[test]
fn a_pass_that_is_told_to_stop_leaves_the_log_as_it_was() {
    let disk = new_disk();
    let log = open(&disk, config());
    for round in 0..100 {
        append(&log, &[(&format!("key-{}", round % 5), Some(&"v".repeat(100)))]);
    }
    let before = content(&log);
    let pieces = std::cell::Cell::new(0);
    let stopped = ottla_storage::compaction::clean(&log, &options(NOW), &|_| {
        pieces.set(pieces.get() + 1);
        pieces.get() < 15
    });
    assert!(matches!(stopped, Err(CleanError::Stopped)), "{stopped:?}");
    let after = content(&log);
    assert_eq!(table(&after), table(&before));
    assert!(!names(&disk).iter().any(|name| name.contains("cleaned")));
}

#[test]
fn a_log_that_is_truncated_meanwhile_is_left_alone() {
    let log = new_log();
    append(&log, &[("a", Some("1"))]);
    append(&log, &[("a", Some("2"))]);
    roll(&log);
    append(&log, &[("z", Some("1"))]);
    let once = std::cell::Cell::new(false);
    let changed = ottla_storage::compaction::clean(&log, &options(NOW), &|_| {
        if !once.replace(true) {
            log.lock().truncate_to(1, NOW).unwrap();
        }
        true
    });
    assert!(matches!(changed, Err(CleanError::Changed)), "{changed:?}");
    assert_eq!(content(&log), [(0, "a".to_owned(), Some("1".to_owned()))]);
}

#[test]
fn without_room_for_a_copy_nothing_is_begun() {
    let disk = new_disk();
    let log = open(&disk, config());
    append(&log, &[("a", Some("1"))]);
    append(&log, &[("a", Some("2"))]);
    roll(&log);
    append(&log, &[("z", Some("1"))]);
    disk.set_capacity(10 << 20);
    assert!(matches!(clean_now(&log, &options(NOW)), Err(CleanError::NoRoom { .. })));
    disk.set_capacity(64 << 20);
    assert!(clean_now(&log, &options(NOW)).unwrap().is_some());
}

#[test]
fn records_without_a_key_go() {
    let log = new_log();
    let mut builder = ottla_records::RecordBatchBuilder::new(Default::default());
    builder.append(NOW, None, Some(b"x"), &[]).unwrap();
    builder.append(NOW, Some(b"a"), Some(b"1"), &[]).unwrap();
    append_batch(&log, ottla_records::RecordBatch::new(&builder.build()).unwrap());
    roll(&log);
    append(&log, &[("z", Some("1"))]);
    clean_now(&log, &options(NOW)).unwrap().unwrap();
    assert_eq!(offsets(&log), [1, 2]);
}
