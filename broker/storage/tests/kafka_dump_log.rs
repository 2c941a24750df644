//! Kafka's own tool reads what is written here. Needs that tool: a command in `KAFKA_DUMP_LOG` that takes its arguments.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use ottla_records::control::{Marker, MarkerOptions, marker_batch};
use ottla_records::{BuilderOptions, Compression, RecordBatch, RecordBatchBuilder, TimestampType};
use ottla_storage::{FsDisk, Log, LogConfig, Recovery};
use ottla_types::LeaderEpoch;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

const NOW: i64 = 1_700_000_000_000;

fn batch(index: i32) -> RecordBatch {
    let codecs =
        [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];
    let producer = (index % 3 == 0).then_some((i64::from(index % 2) + 10, 0, index / 6 * 4));
    let mut builder = RecordBatchBuilder::new(BuilderOptions {
        compression: codecs[index as usize % codecs.len()],
        producer,
        transactional: producer.is_some(),
        ..BuilderOptions::default()
    });
    for record in 0..4 {
        let timestamp = NOW + i64::from(index * 37 % 100 + index * 3 + record);
        builder.append(timestamp, Some(b"key"), Some(&[record as u8; 90]), &[]).unwrap();
    }
    RecordBatch::new(&builder.build()).unwrap()
}

fn marker(index: i32) -> RecordBatch {
    let kind = if index % 8 == 6 { Marker::Abort } else { Marker::Commit };
    let options = MarkerOptions {
        base_offset: 0,
        leader_epoch: 0,
        timestamp: NOW + i64::from(index),
        producer_id: i64::from(index % 2) + 10,
        producer_epoch: 0,
        coordinator_epoch: 3,
    };
    RecordBatch::new(&marker_batch(kind, &options).unwrap()).unwrap()
}

/// A log of several segments with everything that a log can hold.
fn write_log(dir: &Path, timestamp_type: TimestampType) {
    std::fs::create_dir(dir).unwrap();
    let config = LogConfig {
        segment_bytes: 20_000,
        index_interval_bytes: 500,
        timestamp_type,
        ..LogConfig::default()
    };
    let recovery = Recovery { trust_written: true, ..Recovery::default() };
    let (mut log, _) = Log::open(Arc::new(FsDisk), dir, Arc::new(config), recovery, NOW).unwrap();
    for index in 0..300 {
        log.append_as_leader(&[batch(index)], LeaderEpoch(index / 90), NOW + i64::from(index)).unwrap();
        if index % 12 == 6 || index % 12 == 9 {
            log.append_as_leader(&[marker(index)], LeaderEpoch(index / 90), NOW + i64::from(index)).unwrap();
        }
    }
    assert!(log.segment_count() > 3);
    log.close().unwrap();
}

#[test]
#[ignore = "needs Kafka's dump-log tool in KAFKA_DUMP_LOG"]
fn kafkas_dump_log_finds_nothing_wrong() {
    let tool = std::env::var("KAFKA_DUMP_LOG").unwrap();
    for timestamp_type in [TimestampType::CreateTime, TimestampType::LogAppendTime] {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("topic-0");
        write_log(&dir, timestamp_type);
        let mut files: Vec<String> = std::fs::read_dir(&dir)
            .unwrap()
            .map(|entry| entry.unwrap().path().to_str().unwrap().to_owned())
            .filter(|path| !path.ends_with("checkpoint"))
            .collect();
        files.sort();
        assert!(
            [".log", ".index", ".timeindex", ".txnindex", ".snapshot"]
                .iter()
                .all(|suffix| files.iter().any(|file| file.ends_with(suffix)))
        );
        let output = Command::new("sh")
            .args(["-c", &format!("{tool} --deep-iteration --files {}", files.join(","))])
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{errors}");
        for shown in
            [" position: ", "timestamp: ", "producerId: 10", "lastStableOffset", "endTxnMarker: ABORT"]
        {
            assert!(text.contains(shown), "{shown} is not shown");
        }
        for bad in [
            "mismatch",
            "Mismatch",
            "Found",
            "isvalid: false",
            "Exception",
            "non consecutive",
            "out of order",
        ] {
            let lines: Vec<&str> =
                text.lines().chain(errors.lines()).filter(|line| line.contains(bad)).collect();
            assert!(lines.is_empty(), "{timestamp_type:?}: {lines:#?}");
        }
        let records = text.lines().filter(|line| line.starts_with('|')).count();
        assert_eq!(records, 1_250, "{}", &text[..4_000.min(text.len())]);
    }
}
