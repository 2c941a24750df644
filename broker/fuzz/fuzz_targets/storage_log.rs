//! The files of one partition after anything may have happened to them: segments, indexes, producer snapshots, the
//! leader epochs. A log that opens is read and asked in every way, written to, closed and opened again.
//!
//! First byte: bit 0 puts checksums right; bits 1 to 3 say what recovery is told.

#![no_main]

mod files;

use libfuzzer_sys::fuzz_target;
use ottla_records::RecordBatch;
use ottla_storage::{Disk, Log, LogConfig, Recovery};
use ottla_types::LeaderEpoch;
use std::path::Path;
use std::sync::Arc;

const DIR: &str = "/data/topic-0";
const NOW: i64 = 1_700_000_000_000;
const NAMES: &[&str] = &[
    "/data/topic-0/00000000000000000000.log",
    "/data/topic-0/00000000000000000000.index",
    "/data/topic-0/00000000000000000000.timeindex",
    "/data/topic-0/00000000000000000000.txnindex",
    "/data/topic-0/00000000000000000010.log",
    "/data/topic-0/00000000000000000010.index",
    "/data/topic-0/00000000000000000010.timeindex",
    "/data/topic-0/00000000000000000010.snapshot",
    "/data/topic-0/00000000000000000020.snapshot",
    "/data/topic-0/leader-epoch-checkpoint",
    "/data/topic-0/partition.metadata",
];

fuzz_target!(|data: &[u8]| {
    let Some((&flags, bytes)) = data.split_first() else { return };
    let disk = files::disk_of(bytes, NAMES, flags & 1 != 0);
    disk.create_dir_all(Path::new(DIR)).unwrap();
    let recovery = Recovery {
        recovery_point: if flags & 2 != 0 { 10 } else { 0 },
        log_start_offset: if flags & 8 != 0 { 5 } else { 0 },
        trust_written: flags & 4 != 0,
        clean: flags & 12 == 12,
        has_segments: flags & 16 != 0,
    };
    let Some(mut log) = open(&disk, recovery) else { return };
    ask(&mut log);
    if append(&mut log).is_none() {
        return;
    }
    let end = log.log_end_offset();
    if log.close().is_err() {
        return;
    }
    let everything_was_verified = recovery.recovery_point == 0 && !recovery.trust_written;
    match open(&disk, Recovery { log_start_offset: recovery.log_start_offset, ..Recovery::default() }) {
        Some(mut log) => {
            if everything_was_verified {
                assert_eq!(log.log_end_offset(), end, "what was appended is lost");
            }
            ask(&mut log);
        }
        None => assert!(!everything_was_verified, "a log that was whole does not open again"),
    }
});

fn open(disk: &Arc<dyn Disk>, recovery: Recovery) -> Option<Log> {
    let config = LogConfig { segment_bytes: 4_096, index_interval_bytes: 100, ..LogConfig::default() };
    let (log, _) = Log::open(Arc::clone(disk), Path::new(DIR), Arc::new(config), recovery, NOW).ok()?;
    assert!(log.log_start_offset() <= log.log_end_offset());
    Some(log)
}

/// Reads from start to end, then asks for everything else.
fn ask(log: &mut Log) {
    let end = log.log_end_offset();
    let mut next = log.log_start_offset();
    while next < end {
        let Ok(slice) = log.read(next, 300, true, i64::MAX) else { break };
        if slice.is_empty() {
            break;
        }
        assert!(slice.next_offset > next, "a read makes no progress at {next}");
        let Ok(bytes) = slice.read() else { break };
        assert_eq!(bytes.len() as u64, slice.bytes);
        next = slice.next_offset;
    }
    for timestamp in [i64::MIN, 0, NOW - 1_000, i64::MAX] {
        let _ = log.offset_for_timestamp(timestamp);
    }
    let _ = log.max_timestamp_offset();
    let _ = log.aborted_transactions(log.log_start_offset(), end);
    assert!(log.last_stable_offset(end) <= end);
    assert!(log.producers().count() < 10_000);
    let _ = (log.end_offset_for_epoch(LeaderEpoch(1)), log.epoch_at(3), log.latest_epoch());
}

/// Appends a batch and reads it back. `None` if the log refuses, as it may once it was found to be damaged.
fn append(log: &mut Log) -> Option<()> {
    let epoch = log.latest_epoch().map_or(LeaderEpoch(0), |epoch| LeaderEpoch(epoch.0.max(0)));
    let batch = RecordBatch::new(&files::some_batch()).unwrap();
    let end = log.log_end_offset();
    let appended = log.append_as_leader(&[batch], epoch, NOW).ok()?;
    assert_eq!((appended.base_offset, appended.last_offset), (end, end));
    assert_eq!(log.log_end_offset(), end + 1);
    let slice = log.read(end, 1_000, true, i64::MAX).expect("what was just appended");
    let bytes = bytes::Bytes::from(slice.read().unwrap());
    let read = RecordBatch::new(&bytes).unwrap();
    read.verify_crc().unwrap();
    assert_eq!(read.header.base_offset, end);
    Some(())
}
