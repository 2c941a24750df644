//! Data directories over the real file system.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use ottla_records::{BuilderOptions, RecordBatch, RecordBatchBuilder};
use ottla_storage::{
    Copied, CreateError, DirsError, DirsOptions, FsDisk, LoadReport, LogConfig, LogDirs, MoveError,
};
use ottla_types::{BrokerId, LeaderEpoch, TopicId, TopicPartition, Uuid};
use std::collections::BTreeMap;
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

/// One data directory with nothing in it, opened.
fn fresh(boot_id: &str) -> (tempfile::TempDir, [PathBuf; 1], LogDirs) {
    let root = tempfile::tempdir().unwrap();
    let paths = [root.path().join("a")];
    let (dirs, _) = open(&paths, boot_id);
    (root, paths, dirs)
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
    let (_root, paths, dirs) = fresh("boot 1");
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
fn a_log_that_lost_what_was_on_disk_stays_out_however_often_it_is_opened() {
    let (_root, paths, dirs) = fresh("boot 1");
    create(&dirs, 2);
    append_many(&dirs, 0, 50);
    dirs.flush_all();
    drop(dirs);
    let file = paths[0].join("topic-0/00000000000000000000.log");
    std::fs::File::options().write(true).open(file).unwrap().set_len(0).unwrap();
    for boot_id in ["boot 2", "boot 2", "boot 3"] {
        let (dirs, report) = open(&paths, boot_id);
        assert_eq!(report.failed.len(), 1, "{boot_id}: {report:?}");
        append(&dirs, 1);
        dirs.flush_all();
    }
}

#[test]
fn a_log_made_anew_has_nothing_of_the_one_before() {
    let (_root, paths, dirs) = fresh("boot");
    create(&dirs, 1);
    append_many(&dirs, 0, 9);
    dirs.get(&partition(0)).unwrap().lock().delete_records_before(7).unwrap();
    dirs.save_high_watermarks(&BTreeMap::from([(partition(0), 9)]));
    dirs.flush_all();
    assert!(dirs.delete(&partition(0), 1_000).unwrap());
    dirs.create(&partition(0), topic(2), None, Arc::new(LogConfig::default()), 1_000).unwrap();
    append_many(&dirs, 0, 3);
    drop(dirs);
    // The process died, and no checkpoint was written since.
    let (dirs, _) = open(&paths, "boot");
    let log = dirs.get(&partition(0)).unwrap();
    let log = log.lock();
    assert_eq!((log.log_start_offset(), log.log_end_offset()), (0, 3));
    assert_eq!(dirs.high_watermarks().get(&partition(0)), None);
}

#[test]
fn a_damaged_log_stays_out_and_the_others_serve() {
    let (_root, paths, dirs) = fresh("boot 1");
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
    let (_root, paths, dirs) = fresh("boot");
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
    let (_root, paths, dirs) = fresh("boot");
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
    let (_root, paths, dirs) = fresh("boot");
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
    let (_root, paths, dirs) = fresh("boot");
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

fn create_again(dirs: &LogDirs) -> Result<(), CreateError> {
    dirs.create(&partition(0), topic(1), None, Arc::new(LogConfig::default()), 1_000).map(|_| ())
}

#[test]
fn a_log_whose_files_are_gone_is_not_made_again_before_it_is_given_up() {
    let root = tempfile::tempdir().unwrap();
    let paths = [root.path().join("a"), root.path().join("b")];
    for boot in ["boot 1", "boot 2"] {
        let (dirs, _) = open(&paths, "boot 1");
        create(&dirs, 2);
        append_many(&dirs, 0, 5);
        dirs.flush_all();
        drop(dirs);
        for path in &paths {
            let _ = std::fs::remove_dir_all(path.join("topic-0"));
        }
        let (dirs, report) = open(&paths, boot);
        assert_eq!((report.logs, report.failed.len()), (1, 0));
        assert!(matches!(create_again(&dirs), Err(CreateError::Lost { .. })), "{boot}");
        drop(dirs);
        let (dirs, _) = open(&paths, boot);
        assert!(matches!(create_again(&dirs), Err(CreateError::Lost { .. })), "after one more start");
        dirs.give_up(&partition(0), topic(1)).unwrap();
        create_again(&dirs).unwrap();
        // Another topic of that name is another matter.
        assert!(dirs.delete(&partition(0), 1_000).unwrap());
        dirs.create(&partition(0), topic(2), None, Arc::new(LogConfig::default()), 1_000).unwrap();
        assert!(dirs.delete(&partition(0), 1_000).unwrap());
    }
}

#[test]
fn what_was_never_flushed_may_be_gone_with_the_machine() {
    let (_root, paths, dirs) = fresh("boot 1");
    create(&dirs, 1);
    append_many(&dirs, 0, 5);
    drop(dirs);
    std::fs::remove_dir_all(paths[0].join("topic-0")).unwrap();
    let (dirs, _) = open(&paths, "boot 2");
    create_again(&dirs).unwrap();
}

#[test]
fn a_log_that_lost_its_segments_or_what_was_flushed_of_it_stays_out_until_it_is_given_up() {
    let root = tempfile::tempdir().unwrap();
    let paths = [root.path().join("a")];
    let segment = paths[0].join("topic-0/00000000000000000000.log");
    type Damage = fn(&Path);
    let damages: [(&str, Damage); 2] = [
        ("its segments are missing", |path| std::fs::remove_file(path).unwrap()),
        ("more was on disk", |path| {
            std::fs::File::options().write(true).open(path).unwrap().set_len(0).unwrap()
        }),
    ];
    for (reason, damage) in damages {
        let (dirs, _) = open(&paths, "boot");
        create(&dirs, 1);
        append_many(&dirs, 0, 5);
        dirs.flush_all();
        drop(dirs);
        damage(&segment);
        let (dirs, report) = open(&paths, "boot");
        assert_eq!(report.logs, 0);
        assert!(report.failed[0].1.contains(reason), "{:?}", report.failed);
        assert!(matches!(create_again(&dirs), Err(CreateError::Offline { .. })));
        dirs.give_up(&partition(0), topic(1)).unwrap();
        create_again(&dirs).unwrap();
        let aside = std::fs::read_dir(&paths[0])
            .unwrap()
            .filter_map(|entry| entry.unwrap().file_name().into_string().ok());
        assert!(aside.into_iter().any(|name| name.ends_with("-stray")));
        assert!(dirs.delete(&partition(0), 1_000).unwrap());
    }
}

fn copy_all(dirs: &LogDirs) {
    while let Copied::Bytes(_) = dirs.copy_some(&partition(0), 300, 1_000).unwrap() {}
}

#[test]
fn a_log_moves_to_another_directory_while_it_is_written_to() {
    let root = tempfile::tempdir().unwrap();
    let paths = [root.path().join("a"), root.path().join("b")];
    let (dirs, _) = open(&paths, "boot");
    create(&dirs, 1);
    append_many(&dirs, 0, 20);
    dirs.get(&partition(0)).unwrap().lock().delete_records_before(3).unwrap();
    let ids = dirs.directory_ids();
    assert_eq!(dirs.directory_of(&partition(0)), Some(ids[0]));
    assert!(dirs.begin_move(&partition(0), &paths[1], 1_000).unwrap());
    copy_all(&dirs);
    append(&dirs, 0);
    assert!(dirs.finish_move(&partition(0), 1_000).unwrap().is_none(), "it lacks a record");
    let view = dirs.describe().remove(1).future.remove(0);
    assert_eq!((view.partition, view.lag), (partition(0), 1));
    copy_all(&dirs);
    dirs.sync_move(&partition(0)).unwrap();
    let (log, directory) = dirs.finish_move(&partition(0), 1_000).unwrap().unwrap();
    assert_eq!((directory, dirs.directory_of(&partition(0))), (ids[1], Some(ids[1])));
    assert_eq!(log.lock().log_start_offset(), 3);
    assert_eq!(log.lock().log_end_offset(), 21);
    append(&dirs, 0);
    drop((log, dirs));
    let (dirs, report) = open(&paths, "boot");
    assert_eq!(report.logs, 1);
    assert_eq!(dirs.get(&partition(0)).unwrap().lock().log_end_offset(), 22);
    assert_eq!(dirs.directory_of(&partition(0)), Some(ids[1]));
}

#[test]
fn what_is_cut_off_meanwhile_is_not_in_the_copy() {
    let root = tempfile::tempdir().unwrap();
    let paths = [root.path().join("a"), root.path().join("b")];
    let (dirs, _) = open(&paths, "boot");
    create(&dirs, 1);
    append_many(&dirs, 0, 20);
    dirs.begin_move(&partition(0), &paths[1], 1_000).unwrap();
    copy_all(&dirs);
    dirs.get(&partition(0)).unwrap().lock().truncate_to(10, 1_000).unwrap();
    append_many(&dirs, 0, 10);
    assert!(dirs.finish_move(&partition(0), 1_000).unwrap().is_none(), "the same end, and other records");
    copy_all(&dirs);
    let (log, _) = dirs.finish_move(&partition(0), 1_000).unwrap().unwrap();
    assert_eq!(log.lock().log_end_offset(), 20);
}

#[test]
fn moves_are_refused_cancelled_and_found_again() {
    let root = tempfile::tempdir().unwrap();
    let paths = [root.path().join("a"), root.path().join("b")];
    let (dirs, _) = open(&paths, "boot");
    create(&dirs, 1);
    append_many(&dirs, 0, 5);
    let nowhere = dirs.begin_move(&partition(0), &root.path().join("c"), 1_000);
    assert!(matches!(nowhere, Err(MoveError::NoDirectory { .. })));
    assert!(matches!(dirs.begin_move(&partition(7), &paths[1], 1_000), Err(MoveError::NotHere { .. })));
    assert!(!dirs.begin_move(&partition(0), &paths[0], 1_000).unwrap(), "it is there");
    dirs.begin_move(&partition(0), &paths[1], 1_000).unwrap();
    assert!(!dirs.begin_move(&partition(0), &paths[0], 1_000).unwrap(), "back again");
    assert_eq!(dirs.copy_some(&partition(0), 300, 1_000).unwrap(), Copied::Cancelled);
    dirs.begin_move(&partition(0), &paths[1], 1_000).unwrap();
    dirs.copy_some(&partition(0), 300, 1_000).unwrap();
    drop(dirs);
    let (dirs, _) = open(&paths, "boot");
    assert_eq!(dirs.interrupted_moves(), [(partition(0), paths[1].clone())]);
    assert_eq!(dirs.get(&partition(0)).unwrap().lock().log_end_offset(), 5);
    dirs.maintain(2_000);
    assert!(std::fs::read_dir(&paths[1]).unwrap().all(|entry| entry.unwrap().file_type().unwrap().is_file()));
}
