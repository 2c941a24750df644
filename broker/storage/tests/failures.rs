//! Full disks, failing disks and failing syncs.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use bytes::Bytes;
use ottla_records::{BuilderOptions, RecordBatch, RecordBatchBuilder};
use ottla_storage::sim_disk::SimDisk;
use ottla_storage::{
    AppendError, DirsOptions, Disk, LogConfig, LogDirs, LogHandle, MetadataLog, ReadError, sync_through,
};
use ottla_types::{BrokerId, ErrorCode, LeaderEpoch, TopicId, TopicPartition, Uuid};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const NOW: i64 = 1_000;
const MEGABYTE: u64 = 1 << 20;

fn start(disk: &SimDisk, config: &LogConfig) -> LogDirs {
    let options = DirsOptions {
        dirs: vec![PathBuf::from("/a"), PathBuf::from("/b")],
        node_id: BrokerId(1),
        cluster_id: Some("c".to_owned()),
        boot_id: "boot".to_owned(),
    };
    let dirs = LogDirs::open(Arc::new(disk.clone()), &options).unwrap();
    let report = dirs.load(1, NOW, &|_, _| Arc::new(config.clone()));
    assert!(report.failed.is_empty(), "{report:?}");
    dirs
}

fn create(dirs: &LogDirs, config: &LogConfig, index: i32) -> LogHandle {
    let (partition, topic_id) = (TopicPartition::new("t", index), TopicId(Uuid::from_u128(1)));
    dirs.create(&partition, topic_id, None, Arc::new(config.clone()), NOW).unwrap()
}

fn batch(bytes: usize) -> RecordBatch {
    let mut builder = RecordBatchBuilder::new(BuilderOptions::default());
    builder.append(10, None, Some(&vec![7; bytes]), &[]).unwrap();
    RecordBatch::new(&builder.build()).unwrap()
}

fn append(log: &LogHandle, bytes: usize) -> Result<i64, AppendError> {
    log.lock().append_as_leader(&[batch(bytes)], LeaderEpoch(0), NOW).map(|appended| appended.base_offset)
}

fn fill(log: &LogHandle) -> usize {
    for count in 0.. {
        match append(log, 100_000) {
            Ok(_) => {}
            Err(AppendError::DiskFull { .. }) => return count,
            Err(error) => panic!("{error}"),
        }
    }
    unreachable!("the disk never got full")
}

#[test]
fn a_full_disk_refuses_appends_serves_reads_and_recovers_by_itself() {
    let disk = SimDisk::new(1);
    disk.set_capacity(44 * MEGABYTE);
    let config = LogConfig { segment_bytes: 4 * MEGABYTE, file_delete_delay_ms: 0, ..LogConfig::default() };
    let dirs = start(&disk, &config);
    let log = create(&dirs, &config, 0);
    let count = fill(&log);
    let end = log.lock().log_end_offset();
    assert_eq!(end as usize, count);
    assert!(matches!(append(&log, 10), Err(AppendError::DiskFull { .. })));
    assert_eq!(append(&log, 10).unwrap_err().code(), ErrorCode::KafkaStorageError);
    assert!(dirs.offline_dirs().is_empty());
    let slice = log.lock().read(end - 1, MEGABYTE, true, end).unwrap();
    assert_eq!(slice.next_offset, end);
    ottla_records::split(Bytes::from(slice.read().unwrap()))
        .for_each(|batch| batch.unwrap().verify_crc().unwrap());
    // The reserve leaves room for what deleting has to write.
    dirs.maintain(NOW);
    log.lock().delete_records_before(end - 5).unwrap();
    log.lock().apply_retention(end, NOW).unwrap();
    dirs.checkpoint();
    log.lock().apply_retention(end, NOW + 1).unwrap();
    assert!(matches!(append(&log, 10), Err(AppendError::DiskFull { .. })));
    dirs.maintain(NOW + 1);
    assert_eq!(append(&log, 10).unwrap(), end);
    assert!(disk.exists(Path::new("/a/.ottla_reserve")));
}

fn of_producer(sequence: i32) -> RecordBatch {
    let producer = Some((1, 0, sequence));
    let mut builder = RecordBatchBuilder::new(BuilderOptions { producer, ..BuilderOptions::default() });
    builder.append(10, None, Some(b"value"), &[]).unwrap();
    RecordBatch::new(&builder.build()).unwrap()
}

#[test]
fn a_full_disk_leaves_the_order_of_a_producers_batches_alone_and_knows_those_it_has() {
    let disk = SimDisk::new(1);
    disk.set_capacity(40 * MEGABYTE);
    let config = LogConfig::default();
    let dirs = start(&disk, &config);
    let log = create(&dirs, &config, 0);
    let append = |sequence| log.lock().append_as_leader(&[of_producer(sequence)], LeaderEpoch(0), NOW);
    append(0).unwrap();
    fill(&log);
    assert!(append(0).unwrap().duplicate);
    assert!(matches!(append(1), Err(AppendError::DiskFull { .. })));
    disk.set_capacity(100 * MEGABYTE);
    dirs.maintain(NOW);
    // There is room again, but the one before has to come first.
    assert!(matches!(append(2), Err(AppendError::Behind(ErrorCode::KafkaStorageError))));
    append(1).unwrap();
    append(2).unwrap();
}

#[test]
fn a_start_with_a_full_disk_works_and_loses_nothing() {
    let disk = SimDisk::new(1);
    disk.set_capacity(40 * MEGABYTE);
    let config = LogConfig::default();
    let dirs = start(&disk, &config);
    let log = create(&dirs, &config, 0);
    fill(&log);
    let end = log.lock().log_end_offset();
    drop((log, dirs));
    disk.crash_process();
    disk.set_capacity(disk.used_bytes());
    let dirs = start(&disk, &config);
    let log = dirs.get(&TopicPartition::new("t", 0)).unwrap();
    assert_eq!(log.lock().log_end_offset(), end);
    assert!(matches!(append(&log, 100_000), Err(AppendError::DiskFull { .. })));
    disk.set_capacity(100 * MEGABYTE);
    dirs.maintain(NOW);
    assert_eq!(append(&log, 100_000).unwrap(), end);
}

#[test]
fn a_truncation_without_room_is_done_or_not_and_leaves_no_producer_behind() {
    for left_bytes in (0..40).step_by(4) {
        let disk = SimDisk::new(left_bytes);
        let config = LogConfig { segment_bytes: 400, index_interval_bytes: 1, ..LogConfig::default() };
        let dirs = start(&disk, &config);
        let log = create(&dirs, &config, 0);
        let append = |sequence: i32, epoch| {
            log.lock().append_as_leader(&[of_producer(sequence)], LeaderEpoch(epoch), NOW)
        };
        for sequence in 0..20 {
            append(sequence, sequence / 5).unwrap();
        }
        dirs.flush_all();
        for reserve in ["/a/.ottla_reserve", "/b/.ottla_reserve"] {
            disk.remove_file(Path::new(reserve)).unwrap();
        }
        disk.set_capacity(disk.used_bytes() + left_bytes);
        let first = log.lock().truncate_to(7, NOW);
        disk.set_capacity(100 * MEGABYTE);
        dirs.maintain(NOW);
        if let Err(error) = first {
            assert!(error.is_full(), "{error}");
            assert_eq!(log.lock().log_end_offset(), 20, "with {left_bytes} bytes left");
            log.lock().truncate_to(7, NOW).unwrap();
        }
        assert_eq!(log.lock().epochs().last(), Some(&(LeaderEpoch(1), 5)));
        assert!(append(6, 4).unwrap().duplicate);
        assert!(!append(7, 4).unwrap().duplicate, "with {left_bytes} bytes left");
    }
}

#[test]
fn the_metadata_log_goes_on_when_the_disk_is_full_for_others() {
    let disk = SimDisk::new(1);
    disk.set_capacity(44 * MEGABYTE);
    let config = LogConfig::default();
    let dirs = start(&disk, &config);
    let (log_dir, trusted) = dirs.metadata_dir().unwrap();
    let (mut metadata, _) = MetadataLog::open(log_dir, trusted, NOW).unwrap();
    let log = create(&dirs, &config, 0);
    fill(&log);
    while append(&log, 10).is_ok() {}
    for index in 1..200 {
        metadata.append(&[(index, 1, Bytes::from(vec![1; 10_000]))], NOW).unwrap();
        metadata.sync().unwrap();
    }
    metadata.save_hard_state(b"state", true).unwrap();
}

#[test]
fn a_failing_directory_takes_its_own_logs_offline_and_no_others() {
    let disk = SimDisk::new(1);
    let config = LogConfig::default();
    let dirs = start(&disk, &config);
    let logs = [create(&dirs, &config, 0), create(&dirs, &config, 1)];
    for log in &logs {
        append(log, 100).unwrap();
    }
    disk.fail_path(Path::new("/b"));
    let (good, bad): (Vec<_>, Vec<_>) = logs.iter().partition(|log| append(log, 100).is_ok());
    assert_eq!((good.len(), bad.len()), (1, 1));
    let offline = dirs.offline_dirs();
    assert_eq!(offline.len(), 1);
    assert_eq!(offline[0].1, Path::new("/b"));
    assert!(offline[0].2.contains("cannot append to /b/t-"), "{}", offline[0].2);
    assert!(matches!(append(bad[0], 1), Err(AppendError::Offline { .. })));
    assert!(matches!(bad[0].lock().read(0, 10, true, 10), Err(ReadError::Offline { .. })));
    append(good[0], 100).unwrap();
    // New partitions go where there is a disk.
    for index in 2..5 {
        append(&create(&dirs, &config, index), 10).unwrap();
    }
}

fn flush(log: &LogHandle) {
    let plan = log.lock().flush_plan(NOW).unwrap().unwrap();
    match plan.sync() {
        Ok(()) => log.lock().flushed(&plan),
        Err(error) => log.lock().flush_failed(&plan, &error),
    }
}

#[test]
fn a_failed_sync_takes_the_directory_offline_and_promises_nothing() {
    let disk = SimDisk::new(1);
    let config = LogConfig { flush_messages: 1, ..LogConfig::default() };
    let dirs = start(&disk, &config);
    let log = create(&dirs, &config, 0);
    append(&log, 100).unwrap();
    flush(&log);
    assert_eq!(log.lock().flushed_offset(), 1);
    append(&log, 100).unwrap();
    disk.fail_syncs(true);
    flush(&log);
    assert_eq!(log.lock().flushed_offset(), 1);
    assert_eq!(dirs.offline_dirs().len(), 1);
    assert!(append(&log, 100).is_err());
}

#[test]
fn what_is_appended_during_a_sync_waits_for_the_next_one() {
    let disk = SimDisk::new(1);
    let config = LogConfig { flush_ms: 50, ..LogConfig::default() };
    let dirs = start(&disk, &config);
    let log = create(&dirs, &config, 0);
    append(&log, 100).unwrap();
    assert!(log.lock().flush_plan(NOW + 49).unwrap().is_none());
    let plan = log.lock().flush_plan(NOW + 50).unwrap().unwrap();
    append(&log, 100).unwrap();
    plan.sync().unwrap();
    log.lock().flushed(&plan);
    assert_eq!(log.lock().flushed_offset(), 1);
    assert!(log.lock().flush_plan(NOW + 50).unwrap().is_some());
}

#[test]
fn a_sync_planned_before_a_truncation_promises_nothing_about_what_came_after() {
    let disk = SimDisk::new(1);
    let config = LogConfig::default();
    let dirs = start(&disk, &config);
    let log = create(&dirs, &config, 0);
    append_ten(&log);
    let plan = log.lock().checkpoint_plan().unwrap().unwrap();
    log.lock().truncate_to(3, NOW).unwrap();
    append_ten(&log);
    plan.sync().unwrap();
    log.lock().flushed(&plan);
    assert!(log.lock().flushed_offset() <= 3);
    assert!(log.lock().recovery_point() <= 3);
}

#[test]
fn damage_met_by_a_reader_takes_the_log_offline() {
    let disk = SimDisk::new(1);
    let config = LogConfig::default();
    let dirs = start(&disk, &config);
    let log = create(&dirs, &config, 0);
    append_ten(&log);
    let batch_bytes = batch(100).bytes.len() as u64;
    // The length of the fourth batch.
    disk.flip_bit(Path::new("/a/t-0/00000000000000000000.log"), 3 * batch_bytes + 10, 3).unwrap();
    let error = log.lock().read(3, 100, true, 8).map(drop).unwrap_err();
    assert!(matches!(error, ReadError::Corrupt { .. }), "{error}");
    assert!(append(&log, 100).unwrap_err().to_string().contains("corrupt at byte"));
    let error = log.lock().read(0, 100, true, 10).map(drop).unwrap_err();
    assert!(matches!(error, ReadError::Offline { .. }), "{error}");
    append(&create(&dirs, &config, 1), 10).unwrap();
}

#[test]
fn a_batch_that_overlaps_others_does_not_hold_a_reader_up_for_ever() {
    let disk = SimDisk::new(1);
    let config = LogConfig { index_interval_bytes: 400, ..LogConfig::default() };
    let dirs = start(&disk, &config);
    let mut builder = RecordBatchBuilder::new(BuilderOptions::default());
    for _ in 0..2 {
        builder.append(10, None, Some(&[7; 50]), &[]).unwrap();
    }
    let pair = RecordBatch::new(&builder.build()).unwrap();
    let batch_bytes = pair.bytes.len() as u64;
    let reads = (1..10).flat_map(|offset| (1..6).map(move |batches| (offset, batches)));
    for (partition, (offset, batches)) in (0..).zip(reads) {
        let log = create(&dirs, &config, partition);
        for _ in 0..10 {
            log.lock().append_as_leader(std::slice::from_ref(&pair), LeaderEpoch(0), NOW).unwrap();
        }
        let path = log.lock().dir().join("00000000000000000000.log");
        // The first batch's last offset delta.
        disk.flip_bit(&path, 24, 1).unwrap();
        match log.lock().read(offset, batches * batch_bytes - 1, true, 20) {
            Ok(slice) => assert!(slice.next_offset > offset, "{offset}, {batches}: {slice:?}"),
            Err(error) => assert!(matches!(error, ReadError::Corrupt { .. }), "{error}"),
        }
    }
}

fn append_ten(log: &LogHandle) {
    for _ in 0..10 {
        append(log, 100).unwrap();
    }
}

#[test]
fn many_appenders_share_their_syncs() {
    let disk = SimDisk::new(1);
    let config = LogConfig::default();
    let dirs = start(&disk, &config);
    let log = create(&dirs, &config, 0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..50 {
                    let offset = append(&log, 10).unwrap();
                    assert!(sync_through(&log, offset + 1).unwrap() > offset);
                }
            });
        }
    });
    assert_eq!(log.lock().flushed_offset(), 400);
    // Nothing is left to sync.
    let before = disk.operations();
    sync_through(&log, 400).unwrap();
    assert_eq!(disk.operations(), before);
}
