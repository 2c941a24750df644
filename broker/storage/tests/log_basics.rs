//! A log over the real file system, used as a broker uses it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use bytes::Bytes;
use ottla_records::{BuilderOptions, RecordBatch, RecordBatchBuilder};
use ottla_storage::{AppendError, FsDisk, Log, LogConfig, ReadError, Recovery};
use ottla_types::{LeaderEpoch, Offset};
use std::path::Path;
use std::sync::Arc;

const TRUSTED: Recovery = Recovery {
    recovery_point: 0,
    log_start_offset: 0,
    trust_written: true,
    clean: false,
    has_segments: false,
};
const UNTRUSTED: Recovery = Recovery {
    recovery_point: 0,
    log_start_offset: 0,
    trust_written: false,
    clean: false,
    has_segments: false,
};

fn batch(records: usize, value_bytes: usize, timestamp: i64) -> RecordBatch {
    let mut builder = RecordBatchBuilder::new(BuilderOptions::default());
    for index in 0..records {
        builder.append(timestamp + index as i64, None, Some(&vec![index as u8; value_bytes]), &[]).unwrap();
    }
    RecordBatch::new(&builder.build()).unwrap()
}

fn small_config() -> LogConfig {
    LogConfig {
        segment_bytes: 4_000,
        index_interval_bytes: 200,
        file_delete_delay_ms: 0,
        ..LogConfig::default()
    }
}

fn open(dir: &Path, config: &LogConfig, recovery: Recovery) -> Log {
    if !dir.exists() {
        std::fs::create_dir(dir).unwrap();
    }
    Log::open(Arc::new(FsDisk), dir, Arc::new(config.clone()), recovery, 1_000).unwrap().0
}

/// Reads everything from `from` on in steps of `max_bytes`; offsets of all records.
fn offsets(log: &mut Log, from: Offset, max_bytes: u64) -> Vec<Offset> {
    let mut offsets = Vec::new();
    let mut next = from;
    loop {
        let slice = log.read(next, max_bytes, true, i64::MAX).unwrap();
        if slice.is_empty() {
            return offsets;
        }
        for batch in ottla_records::split(Bytes::from(slice.read().unwrap())) {
            let batch = batch.unwrap();
            batch.verify_crc().unwrap();
            for record in batch.records(1 << 20).unwrap() {
                let record = record.unwrap();
                if record.offset >= from {
                    offsets.push(record.offset);
                }
            }
            assert!(batch.header.next_offset() > next);
            next = batch.header.next_offset();
        }
        assert_eq!(next, slice.next_offset);
    }
}

fn fill(log: &mut Log, batches: usize) {
    for index in 0..batches {
        let epoch = LeaderEpoch((index / 20) as i32);
        log.append_as_leader(
            &[batch(1 + index % 4, 40 + index % 90, 5_000 + 10 * index as i64)],
            epoch,
            1_000,
        )
        .unwrap();
    }
}

#[test]
fn what_was_appended_is_read_back_from_every_offset_in_steps_of_any_size() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = open(&dir.path().join("t-0"), &small_config(), TRUSTED);
    fill(&mut log, 100);
    assert!(log.segment_count() > 3);
    let end = log.log_end_offset();
    for from in 0..=end {
        let expected: Vec<Offset> = (from..end).collect();
        for max_bytes in [1, 150, 1_000, 100_000] {
            assert_eq!(offsets(&mut log, from, max_bytes), expected, "from {from} by {max_bytes}");
        }
    }
}

#[test]
fn a_log_opens_as_it_was_after_a_close_a_kill_and_a_machine_crash() {
    for (close, recovery) in [(true, TRUSTED), (false, TRUSTED), (false, UNTRUSTED), (true, UNTRUSTED)] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t-0");
        let mut log = open(&path, &small_config(), recovery);
        fill(&mut log, 100);
        let (end, epochs) = (log.log_end_offset(), log.epochs().to_vec());
        if close {
            log.close().unwrap()
        } else {
            drop(log)
        }
        let mut log = open(&path, &small_config(), recovery);
        assert_eq!(log.log_end_offset(), end);
        assert_eq!(log.epochs(), epochs);
        assert_eq!(offsets(&mut log, 0, 700), (0..end).collect::<Vec<_>>());
        fill_one(&mut log);
    }
}

#[test]
fn a_torn_end_is_cut_off_and_the_rest_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t-0");
    let mut log = open(&path, &LogConfig::default(), TRUSTED);
    fill(&mut log, 10);
    let before = log.log_end_offset();
    fill_one(&mut log);
    drop(log);
    let file = std::fs::OpenOptions::new().write(true).open(path.join("00000000000000000000.log")).unwrap();
    file.set_len(file.metadata().unwrap().len() - 7).unwrap();
    let (mut log, report) =
        Log::open(Arc::new(FsDisk), &path, Arc::new(LogConfig::default()), TRUSTED, 1_000).unwrap();
    assert_eq!(log.log_end_offset(), before);
    assert!(report.truncated_bytes > 0);
    assert_eq!(offsets(&mut log, 0, 700), (0..before).collect::<Vec<_>>());
}

fn fill_one(log: &mut Log) {
    log.append_as_leader(&[batch(1, 500, 9_000)], LeaderEpoch(5), 1_000).unwrap();
}

#[test]
fn a_flipped_bit_before_whole_batches_keeps_the_log_out() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t-0");
    let mut log = open(&path, &LogConfig::default(), UNTRUSTED);
    fill(&mut log, 10);
    drop(log);
    let file = path.join("00000000000000000000.log");
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[300] ^= 4;
    std::fs::write(&file, &bytes).unwrap();
    let error =
        Log::open(Arc::new(FsDisk), &path, Arc::new(LogConfig::default()), UNTRUSTED, 1_000).unwrap_err();
    assert!(error.to_string().contains("whole batches follow"), "{error}");
    assert_eq!(std::fs::read(&file).unwrap(), bytes);
}

#[test]
fn lost_indexes_are_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t-0");
    let mut log = open(&path, &small_config(), TRUSTED);
    fill(&mut log, 100);
    let end = log.log_end_offset();
    log.close().unwrap();
    let before = files(&path);
    for (name, bytes) in &before {
        if name.ends_with("index") && name.contains("0.") {
            std::fs::remove_file(path.join(name)).unwrap();
        } else if name.ends_with(".index") {
            std::fs::write(path.join(name), vec![0xA5; bytes.len()]).unwrap();
        }
    }
    let mut log = open(&path, &small_config(), TRUSTED);
    assert_eq!(offsets(&mut log, 0, 300), (0..end).collect::<Vec<_>>());
    for from in 0..end {
        assert!(!log.read(from, 10, true, i64::MAX).unwrap().is_empty());
    }
}

fn files(path: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = std::fs::read_dir(path)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap()))
        .collect();
    files.sort();
    files
}

#[test]
fn truncation_cuts_whole_batches_and_later_epochs() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = open(&dir.path().join("t-0"), &small_config(), TRUSTED);
    fill(&mut log, 100);
    for offset in [200, 120, 51, 3, 0] {
        log.truncate_to(offset, 1_000).unwrap();
        assert!(log.log_end_offset() <= offset && log.log_end_offset() > offset - 4);
        let end = log.log_end_offset();
        assert_eq!(offsets(&mut log, 0, 333), (0..end).collect::<Vec<_>>());
        assert!(log.epochs().iter().all(|entry| entry.1 < end));
    }
}

#[test]
fn a_follower_copies_its_leader_byte_by_byte() {
    let dir = tempfile::tempdir().unwrap();
    let mut leader = open(&dir.path().join("t-0"), &small_config(), TRUSTED);
    let mut follower = open(&dir.path().join("t-1"), &small_config(), TRUSTED);
    fill(&mut leader, 100);
    while follower.log_end_offset() < leader.log_end_offset() {
        let slice = leader.read(follower.log_end_offset(), 900, true, i64::MAX).unwrap();
        let appended = follower.append_as_follower(slice.read().unwrap().into(), 1_000).unwrap().unwrap();
        assert_eq!(appended.last_offset + 1, slice.next_offset);
    }
    assert_eq!(follower.epochs(), leader.epochs());
    assert_eq!(follower.size_bytes(), leader.size_bytes());
    let again = leader.read(0, 900, true, i64::MAX).unwrap().read().unwrap();
    assert!(matches!(follower.append_as_follower(again.into(), 1_000), Err(AppendError::OutOfOrder { .. })));
}

#[test]
fn a_follower_begins_within_the_batch_that_its_leader_begins_in() {
    let dir = tempfile::tempdir().unwrap();
    let mut leader = open(&dir.path().join("t-0"), &small_config(), TRUSTED);
    fill(&mut leader, 100);
    let whole = leader.read(0, 900, true, i64::MAX).unwrap().read().unwrap();
    let batches: Vec<_> = ottla_records::split(whole.into()).map(Result::unwrap).collect();
    let long = batches.iter().find(|batch| batch.header.last_offset_delta > 0).unwrap();
    let start = long.header.last_offset();
    leader.delete_records_before(start).unwrap();
    let mut follower = open(&dir.path().join("t-1"), &small_config(), TRUSTED);
    follower.truncate_fully_and_start_at(start, 1_000).unwrap();
    while follower.log_end_offset() < leader.log_end_offset() {
        let slice = leader.read(follower.log_end_offset(), 900, true, i64::MAX).unwrap();
        follower.append_as_follower(slice.read().unwrap().into(), 1_000).unwrap();
        assert_eq!(follower.log_start_offset(), start);
    }
    assert_eq!(follower.epochs(), leader.epochs());
    let end = leader.log_end_offset();
    assert_eq!(offsets(&mut follower, start, 500), (start..end).collect::<Vec<_>>());
}

#[test]
fn offsets_outside_of_the_log_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = open(&dir.path().join("t-0"), &small_config(), TRUSTED);
    fill(&mut log, 10);
    log.delete_records_before(5).unwrap();
    let end = log.log_end_offset();
    assert!(matches!(log.read(4, 100, true, end), Err(ReadError::OffsetOutOfRange { .. })));
    assert!(matches!(log.read(end + 1, 100, true, end), Err(ReadError::OffsetOutOfRange { .. })));
    assert!(log.read(end, 100, true, end).unwrap().is_empty());
    assert!(log.read(8, 100, true, 8).unwrap().is_empty());
}

#[test]
fn a_bounded_read_stops_at_its_end_offset() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = open(&dir.path().join("t-0"), &small_config(), TRUSTED);
    let mut ends = vec![0];
    for index in 0..60 {
        ends.push(
            log.append_as_leader(&[batch(3, 30, index)], LeaderEpoch(0), 1_000).unwrap().last_offset + 1,
        );
    }
    for window in ends.windows(4) {
        let slice = log.read(window[0], 100_000, true, window[3]).unwrap();
        assert!(slice.next_offset <= window[3]);
        assert!(slice.next_offset == window[3] || slice.bytes > 0);
    }
}

#[test]
fn records_are_found_by_their_time() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = open(&dir.path().join("t-0"), &small_config(), TRUSTED);
    let mut records = Vec::new();
    for index in 0..120i64 {
        let timestamp = 10_000 + (index * 37) % 1_000 + index * 5;
        let base =
            log.append_as_leader(&[batch(2, 30, timestamp)], LeaderEpoch(0), 1_000).unwrap().base_offset;
        records.extend([(timestamp, base), (timestamp + 1, base + 1)]);
    }
    for target in (9_000..12_500).step_by(7) {
        let expected = records.iter().find(|record| record.0 >= target).map(|record| record.1);
        assert_eq!(log.offset_for_timestamp(target).unwrap().map(|found| found.offset), expected, "{target}");
    }
    let max = records.iter().map(|record| record.0).max().unwrap();
    let expected = records.iter().find(|record| record.0 == max).unwrap().1;
    assert_eq!(log.max_timestamp_offset().unwrap().unwrap().offset, expected);
}

#[test]
fn retention_by_size_and_time_lets_the_oldest_segments_go() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t-0");
    let mut log = open(&path, &LogConfig { retention_bytes: 9_000, ..small_config() }, TRUSTED);
    fill(&mut log, 150);
    let end = log.log_end_offset();
    assert!(log.apply_retention(end, 10_000).unwrap());
    assert!(log.size_bytes() >= 9_000 && log.size_bytes() < 14_000, "{}", log.size_bytes());
    log.set_config(Arc::new(LogConfig { retention_ms: 100, ..small_config() }));
    assert!(log.apply_retention(end, 1_000_000_000).unwrap());
    assert_eq!((log.log_start_offset(), log.log_end_offset(), log.size_bytes()), (end, end, 0));
    log.apply_retention(end, 1_000_000_001).unwrap();
    assert!(files(&path).iter().all(|(name, _)| !name.ends_with(".deleted")));
    drop(log);
    let log = open(&path, &small_config(), TRUSTED);
    assert_eq!((log.log_start_offset(), log.log_end_offset()), (end, end));
}

#[test]
fn an_epoch_without_records_goes_when_the_log_is_cut_at_its_end() {
    let root = tempfile::tempdir().unwrap();
    let mut log = open(&root.path().join("t-0"), &small_config(), UNTRUSTED);
    log.append_as_leader(&[batch(3, 10, 1)], LeaderEpoch(1), 1).unwrap();
    log.begin_epoch(LeaderEpoch(4)).unwrap();
    assert_eq!(log.latest_epoch(), Some(LeaderEpoch(4)));
    log.truncate_to(3, 2).unwrap();
    assert_eq!((log.latest_epoch(), log.log_end_offset()), (Some(LeaderEpoch(1)), 3));
}

/// A power loss may take the sector in which a batch begins, and leave the rest of the batch. No checksum covers what is
/// gone then, and it must not keep the log out.
#[test]
fn a_lost_sector_that_reaches_into_a_whole_batch_is_a_torn_end() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t-0");
    let mut log = open(&path, &LogConfig::default(), UNTRUSTED);
    fill(&mut log, 1);
    let kept = log.log_end_offset();
    let lost_from = log.size_bytes();
    // The next batch begins a few bytes in front of a sector.
    let size = |value_bytes| batch(1, value_bytes, 9_000).header.total_bytes() as u64;
    let fits = |bytes: &usize| (505..512).contains(&((lost_from + size(*bytes)) % 512));
    let value_bytes = (100..700).find(fits).unwrap();
    for value_bytes in [value_bytes, 300] {
        log.append_as_leader(&[batch(1, value_bytes, 9_000)], LeaderEpoch(5), 1_000).unwrap();
    }
    drop(log);
    let file = path.join("00000000000000000000.log");
    let mut bytes = std::fs::read(&file).unwrap();
    let lost_to = (lost_from + size(value_bytes)).next_multiple_of(512) as usize;
    bytes[lost_from as usize..lost_to].fill(0);
    std::fs::write(&file, &bytes).unwrap();
    let (mut log, report) =
        Log::open(Arc::new(FsDisk), &path, Arc::new(LogConfig::default()), UNTRUSTED, 1_000).unwrap();
    assert_eq!((log.log_end_offset(), report.truncated_bytes), (kept, bytes.len() as u64 - lost_from));
    assert_eq!(offsets(&mut log, 0, 700), (0..kept).collect::<Vec<_>>());
}

#[test]
fn an_epoch_is_written_with_its_first_batch_and_not_before() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("t-0");
    let checkpoint = || std::fs::read_to_string(dir.join("leader-epoch-checkpoint")).unwrap_or_default();
    let mut log = open(&dir, &small_config(), UNTRUSTED);
    log.append_as_leader(&[batch(3, 10, 1)], LeaderEpoch(1), 1).unwrap();
    log.begin_epoch(LeaderEpoch(4)).unwrap();
    assert_eq!(checkpoint(), "0\n1\n1 0\n");
    assert_eq!(log.end_offset_for_epoch(LeaderEpoch(4)), Some((LeaderEpoch(4), 3)));
    log.append_as_leader(&[batch(2, 10, 1)], LeaderEpoch(4), 1).unwrap();
    assert_eq!(checkpoint(), "0\n2\n1 0\n4 3\n");
}
