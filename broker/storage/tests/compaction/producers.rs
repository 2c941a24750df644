//! Idempotent and transactional producers in a compacted log.

use crate::common::marker;
use crate::harness::*;
use ottla_records::control::Marker;
use ottla_records::{BuilderOptions, Compression, RecordBatch, RecordBatchBuilder};
use ottla_storage::sim_disk::SimDisk;
use ottla_storage::{Disk, Log, Recovery};
use ottla_types::{LeaderEpoch, Offset};
use parking_lot::Mutex;
use std::path::Path;
use std::sync::Arc;

const DIR: &str = "/d/t-0";

fn open(disk: &SimDisk) -> Arc<Mutex<Log>> {
    let recovery = Recovery::default();
    let log = Log::open(Arc::new(disk.clone()), Path::new(DIR), Arc::new(config()), recovery, NOW).unwrap().0;
    shared(log)
}

fn new_disk() -> SimDisk {
    let disk = SimDisk::new(1);
    disk.create_dir_all(Path::new(DIR)).unwrap();
    disk
}

fn transactional(records: &[KeyValue<'_>], producer_id: i64, sequence: i32) -> RecordBatch {
    let mut builder = RecordBatchBuilder::new(BuilderOptions {
        producer: Some((producer_id, 0, sequence)),
        transactional: true,
        ..BuilderOptions::default()
    });
    for (key, value) in records {
        builder.append(NOW, Some(key.as_bytes()), value.map(str::as_bytes), &[]).unwrap();
    }
    RecordBatch::new(&builder.build()).unwrap()
}

fn end(log: &Mutex<Log>, ending: Marker, producer_id: i64) -> Offset {
    append_batch(log, marker(producer_id, ending, NOW))
}

/// Records of clients, without markers.
fn data(log: &Mutex<Log>) -> Vec<(Offset, String)> {
    let batches = batches(log);
    let plain = batches.iter().filter(|batch| !batch.header.is_control());
    plain
        .flat_map(|batch| batch.records(1 << 20).unwrap())
        .map(|record| record.unwrap())
        .map(|record| (record.offset, String::from_utf8(record.value.unwrap().to_vec()).unwrap()))
        .collect()
}

fn markers(log: &Mutex<Log>) -> Vec<Offset> {
    let batches = batches(log);
    let with_record = |batch: &&RecordBatch| batch.header.is_control() && batch.header.record_count > 0;
    batches.iter().filter(with_record).map(|batch| batch.header.base_offset).collect()
}

#[test]
fn a_producers_last_batch_stays_so_that_its_sequence_is_known() {
    let disk = new_disk();
    let log = open(&disk);
    for sequence in 0..6 {
        append_batch(&log, batch(&[("a", Some("1"))], Compression::None, Some((7, 0, sequence))));
    }
    append(&log, &[("a", Some("latest"))]);
    roll(&log);
    append(&log, &[("z", Some("1"))]);
    clean_now(&log, &options(NOW)).unwrap().unwrap();
    let left: Vec<_> = batches(&log)
        .iter()
        .map(|batch| (batch.header.base_offset, batch.header.record_count, batch.header.base_sequence))
        .collect();
    assert_eq!(left, [(5, 0, 5), (6, 1, -1), (7, 1, -1)]);
    drop(log);
    // Without its snapshots the state comes from the batches alone.
    for entry in disk.list(Path::new(DIR)).unwrap() {
        if entry.name.ends_with(".snapshot") {
            disk.remove_file(&Path::new(DIR).join(entry.name)).unwrap();
        }
    }
    let log = open(&disk);
    let refused = batch(&[("a", Some("1"))], Compression::None, Some((7, 0, 9)));
    assert!(log.lock().append_as_leader(&[refused], LeaderEpoch(0), NOW).is_err());
    let again = batch(&[("a", Some("1"))], Compression::None, Some((7, 0, 5)));
    assert!(log.lock().append_as_leader(&[again], LeaderEpoch(0), NOW).unwrap().duplicate);
    append_batch(&log, batch(&[("a", Some("1"))], Compression::None, Some((7, 0, 6))));
}

#[test]
fn aborted_records_go_and_hide_nothing() {
    let log = open(&new_disk());
    append(&log, &[("a", Some("committed"))]);
    append_batch(&log, transactional(&[("a", Some("aborted"))], 7, 0));
    end(&log, Marker::Abort, 7);
    roll(&log);
    append(&log, &[("z", Some("1"))]);
    clean_now(&log, &options(NOW)).unwrap().unwrap();
    assert_eq!(data(&log), [(0, "committed".to_owned()), (3, "1".to_owned())]);
    assert_eq!(markers(&log), [2]);
}

#[test]
fn an_open_transaction_keeps_everything_behind_it() {
    let log = open(&new_disk());
    append(&log, &[("a", Some("1"))]);
    roll(&log);
    append_batch(&log, transactional(&[("a", Some("open"))], 7, 0));
    append(&log, &[("a", Some("2"))]);
    roll(&log);
    append(&log, &[("z", Some("1"))]);
    clean_now(&log, &options(NOW)).unwrap().unwrap();
    assert_eq!(data(&log).iter().map(|record| record.0).collect::<Vec<_>>(), [0, 1, 2, 3]);
}

#[test]
fn a_marker_goes_a_horizon_after_the_last_record_of_its_transaction() {
    let log = open(&new_disk());
    append_batch(&log, transactional(&[("a", Some("1"))], 7, 0));
    end(&log, Marker::Commit, 7);
    append_batch(&log, transactional(&[("b", Some("1"))], 7, 1));
    end(&log, Marker::Commit, 7);
    let clean_again = |now, key: &str| {
        append(&log, &[(key, Some("later"))]);
        roll(&log);
        append(&log, &[("z", Some("1"))]);
        clean_now(&log, &options(now)).unwrap().unwrap();
        markers(&log)
    };
    assert_eq!(clean_again(NOW, "x"), [1, 3]);
    assert_eq!(clean_again(NOW, "a"), [1, 3], "the record at 0 is gone in this pass");
    assert_eq!(clean_again(NOW, "x"), [1, 3], "now the marker at 1 has its horizon");
    assert_eq!(clean_again(NOW + 5_000, "x"), [3]);
}

#[test]
fn aborted_transactions_are_still_listed_while_their_records_may_be_read() {
    let disk = new_disk();
    let log = open(&disk);
    append(&log, &[("x", Some("1"))]);
    roll(&log);
    append_batch(&log, transactional(&[("a", Some("aborted"))], 7, 0));
    end(&log, Marker::Abort, 7);
    roll(&log);
    append(&log, &[("z", Some("1"))]);
    clean_now(&log, &options(NOW)).unwrap().unwrap();
    let listed = log.lock().aborted_transactions(0, 10).unwrap();
    assert_eq!(listed.iter().map(|aborted| aborted.first_offset).collect::<Vec<_>>(), [1]);
    drop(log);
    let log = open(&disk);
    assert_eq!(log.lock().aborted_transactions(0, 10).unwrap(), listed);
}
