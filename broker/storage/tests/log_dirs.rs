//! Data directories over the real file system.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use ottla_records::{BuilderOptions, RecordBatch, RecordBatchBuilder};
use ottla_storage::{CreateError, DirsError, DirsOptions, FsDisk, LoadReport, LogConfig, LogDirs};
use ottla_types::{BrokerId, LeaderEpoch, TopicId, TopicPartition, Uuid};
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn options(dirs: &[PathBuf], boot_id: &str) -> DirsOptions {
    DirsOptions { dirs: dirs.to_vec(), node_id: BrokerId(1), cluster_id: None, boot_id: boot_id.to_owned() }
}

fn open(dirs: &[PathBuf], boot_id: &str) -> (LogDirs, LoadReport) {
    let dirs = LogDirs::open(Arc::new(FsDisk), &options(dirs, boot_id)).unwrap();
    let report = dirs.load(2, 1_000, &|_, _| Arc::new(LogConfig::default()));
    (dirs, report)
}

fn batch() -> RecordBatch {
    let mut builder = RecordBatchBuilder::new(BuilderOptions::default());
    builder.append(5, None, Some(&[1; 100]), &[]).unwrap();
    RecordBatch::new(&builder.build()).unwrap()
}

fn topic(number: u128) -> TopicId {
    TopicId(Uuid::from_u128(number))
}

fn partition(index: i32) -> TopicPartition {
    TopicPartition::new("topic", index)
}

fn create(dirs: &LogDirs, count: i32) {
    for index in 0..count {
        dirs.create(&partition(index), topic(1), None, Arc::new(LogConfig::default()), 1_000).unwrap();
    }
}

fn append_many(dirs: &LogDirs, index: i32, count: i32) {
    for _ in 0..count {
        append(dirs, index);
    }
}

fn append(dirs: &LogDirs, index: i32) {
    let log = dirs.get(&partition(index)).unwrap();
    log.lock().append_as_leader(&[batch()], LeaderEpoch(0), 1_000).unwrap();
}

#[test]
fn logs_spread_over_the_directories_and_are_found_again() {
    let root = tempfile::tempdir().unwrap();
    let paths = [root.path().join("a"), root.path().join("b")];
    let (dirs, _) = open(&paths, "boot");
    create(&dirs, 10);
    (0..10).for_each(|index| append_many(&dirs, index, index + 1));
    let cluster_id = dirs.cluster_id().to_owned();
    let ids = dirs.directory_ids();
    assert_eq!(dirs.describe().iter().map(|dir| dir.logs.len()).collect::<Vec<_>>(), [5, 5]);
    dirs.shutdown(2);
    drop(dirs);
    let (dirs, report) = open(&paths, "boot");
    assert_eq!((report.logs, report.verified_bytes, report.walked_bytes), (10, 0, 0));
    assert_eq!((dirs.cluster_id(), dirs.directory_ids()), (&cluster_id[..], ids));
    for index in 0..10 {
        assert_eq!(dirs.get(&partition(index)).unwrap().lock().log_end_offset(), i64::from(index) + 1);
    }
    assert!(dirs.logs().iter().all(|(_, hosted)| hosted.topic_id == Some(topic(1))));
}

#[test]
fn what_was_not_synced_is_verified_after_the_machine_restarted_and_only_then() {
    let root = tempfile::tempdir().unwrap();
    let paths = [root.path().join("a")];
    let (dirs, _) = open(&paths, "boot 1");
    create(&dirs, 2);
    append_many(&dirs, 0, 50);
    dirs.flush_all();
    append_many(&dirs, 0, 50);
    drop(dirs);
    let (dirs, report) = open(&paths, "boot 1");
    let one = batch().bytes.len() as u64;
    assert_eq!(report.verified_bytes, one);
    drop(dirs);
    let (dirs, report) = open(&paths, "boot 2");
    assert_eq!(report.verified_bytes, 51 * one);
    assert_eq!(dirs.get(&partition(0)).unwrap().lock().log_end_offset(), 100);
}

#[test]
fn a_damaged_log_stays_out_and_the_others_serve() {
    let root = tempfile::tempdir().unwrap();
    let paths = [root.path().join("a")];
    let (dirs, _) = open(&paths, "boot 1");
    create(&dirs, 3);
    (0..3).for_each(|index| append_many(&dirs, index, 10));
    drop(dirs);
    let file = paths[0].join("topic-1/00000000000000000000.log");
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[400] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    for _ in 0..2 {
        let (dirs, report) = open(&paths, "boot 2");
        assert_eq!((report.logs, report.failed.len()), (2, 1));
        assert!(dirs.failure(&partition(1)).unwrap().reason.contains("corrupt at byte"));
        assert!(dirs.get(&partition(1)).is_none());
        append(&dirs, 0);
        let again = dirs.create(&partition(1), topic(1), None, Arc::new(LogConfig::default()), 1_000);
        assert!(matches!(again, Err(CreateError::Offline { .. })));
    }
}

#[test]
fn a_deleted_partition_is_gone_at_once_and_its_successor_starts_at_zero() {
    let root = tempfile::tempdir().unwrap();
    let paths = [root.path().join("a")];
    let (dirs, _) = open(&paths, "boot");
    create(&dirs, 1);
    append_many(&dirs, 0, 9);
    dirs.flush_all();
    let old = dirs.get(&partition(0)).unwrap();
    assert!(dirs.delete(&partition(0), 1_000).unwrap());
    assert!(!dirs.delete(&partition(0), 1_000).unwrap());
    assert!(old.lock().append_as_leader(&[batch()], LeaderEpoch(0), 1_000).is_err());
    let new = dirs.create(&partition(0), topic(2), None, Arc::new(LogConfig::default()), 1_000).unwrap();
    assert_eq!(new.lock().log_end_offset(), 0);
    dirs.maintain(1_000_000);
    assert!(
        std::fs::read_dir(&paths[0]).unwrap().all(|e| !e
            .unwrap()
            .file_name()
            .to_string_lossy()
            .contains("delete"))
    );
    drop((dirs, new));
    let (dirs, _) = open(&paths, "boot");
    assert_eq!(dirs.get(&partition(0)).unwrap().lock().recovery_point(), 0);
}

#[test]
fn a_directory_in_use_of_another_cluster_or_of_another_broker_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let paths = [root.path().join("a")];
    let (dirs, _) = open(&paths, "boot");
    let again = LogDirs::open(Arc::new(FsDisk), &options(&paths, "boot"));
    assert!(matches!(again, Err(DirsError::Locked { .. })));
    drop(dirs);
    let other = DirsOptions { cluster_id: Some("other".to_owned()), ..options(&paths, "boot") };
    assert!(matches!(LogDirs::open(Arc::new(FsDisk), &other), Err(DirsError::OtherCluster { .. })));
    let other = DirsOptions { node_id: BrokerId(2), ..options(&paths, "boot") };
    assert!(matches!(LogDirs::open(Arc::new(FsDisk), &other), Err(DirsError::OtherNode { .. })));
}

#[test]
fn a_directory_that_cannot_be_made_is_offline_and_the_other_one_serves() {
    let root = tempfile::tempdir().unwrap();
    std::fs::write(root.path().join("file"), b"").unwrap();
    let (bad, good) = (root.path().join("file/below"), root.path().join("good"));
    let (dirs, _) = open(&[bad.clone(), good], "boot");
    create(&dirs, 2);
    append(&dirs, 1);
    assert_eq!(dirs.offline_dirs()[0].1, bad);
    let none = LogDirs::open(Arc::new(FsDisk), &options(&[bad], "boot"));
    assert!(none.unwrap_err().to_string().contains("no data directory can be used: cannot create"));
}

#[test]
fn a_thousand_partitions_are_made_and_found_quickly() {
    let root = tempfile::tempdir().unwrap();
    let paths = [root.path().join("a")];
    let (dirs, _) = open(&paths, "boot");
    let started = std::time::Instant::now();
    create(&dirs, 1_000);
    let created = started.elapsed();
    (0..1_000).for_each(|index| append_many(&dirs, index, 1));
    drop(dirs);
    let started = std::time::Instant::now();
    let (dirs, report) = open(&paths, "boot");
    println!("created in {created:?}, opened in {:?}", started.elapsed());
    assert_eq!(report.logs, 1_000);
    drop(dirs);
    assert!(Path::new(&paths[0]).join("topic-999/partition.metadata").exists());
}

#[test]
fn a_lost_topic_id_is_written_again_and_a_stray_directory_is_set_aside() {
    let root = tempfile::tempdir().unwrap();
    let paths = [root.path().join("a")];
    let (dirs, _) = open(&paths, "boot");
    create(&dirs, 1);
    append_many(&dirs, 0, 3);
    drop(dirs);
    std::fs::write(paths[0].join("topic-0/partition.metadata"), "").unwrap();
    let (dirs, _) = open(&paths, "boot");
    assert_eq!(dirs.logs()[0].1.topic_id, None);
    create(&dirs, 1);
    let other = dirs.create(&partition(0), topic(2), None, Arc::new(LogConfig::default()), 1_000);
    assert!(matches!(other, Err(CreateError::OtherTopic { .. })));
    std::fs::create_dir(paths[0].join("topic-1")).unwrap();
    create(&dirs, 2);
    append_many(&dirs, 1, 1);
    drop(dirs);
    let (dirs, report) = open(&paths, "boot");
    assert_eq!(report.logs, 2);
    assert!(dirs.logs().iter().all(|(_, hosted)| hosted.topic_id == Some(topic(1))));
}

#[test]
fn syncing_in_the_background_counts_only_what_came_since() {
    let root = tempfile::tempdir().unwrap();
    let (dirs, _) = open(&[root.path().join("a")], "boot");
    create(&dirs, 1);
    append_many(&dirs, 0, 10);
    let log = dirs.get(&partition(0)).unwrap();
    let before = log.lock().dirty_bytes();
    assert_eq!(before, log.lock().size_bytes());
    dirs.flush_all();
    assert_eq!(log.lock().dirty_bytes(), 0);
    append_many(&dirs, 0, 1);
    assert_eq!(log.lock().dirty_bytes(), before / 10);
}
