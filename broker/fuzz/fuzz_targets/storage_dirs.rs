//! A whole data directory: identity, checkpoints, shutdown markers, two partitions, the metadata log with its hard
//! state and snapshot. First byte: bit 0 puts checksums right.

#![no_main]

mod files;

use libfuzzer_sys::fuzz_target;
use ottla_storage::{DirsOptions, LogConfig, LogDirs, MetadataLog};
use ottla_types::BrokerId;
use std::sync::Arc;

const NOW: i64 = 1_700_000_000_000;
const NAMES: &[&str] = &[
    "/data/meta.properties",
    "/data/recovery-point-offset-checkpoint",
    "/data/log-start-offset-checkpoint",
    "/data/replication-offset-checkpoint",
    "/data/.kafka_cleanshutdown",
    "/data/.ottla_boot",
    "/data/topic-0/00000000000000000000.log",
    "/data/topic-0/00000000000000000000.index",
    "/data/topic-0/leader-epoch-checkpoint",
    "/data/topic-0/partition.metadata",
    "/data/topic-1/00000000000000000000.log",
    "/data/topic-1/00000000000000000010.snapshot",
    "/data/topic-2.0123456789abcdef0123456789abcdef-delete/00000000000000000000.log",
    "/data/__cluster_metadata-0/00000000000000000000.log",
    "/data/__cluster_metadata-0/quorum-state",
    "/data/__cluster_metadata-0/00000000000000000003-0000000001.checkpoint",
];

fuzz_target!(|data: &[u8]| {
    let Some((&flags, bytes)) = data.split_first() else { return };
    let disk = files::disk_of(bytes, NAMES, flags & 1 != 0);
    let options = DirsOptions {
        dirs: vec!["/data".into()],
        node_id: BrokerId(1),
        cluster_id: None,
        boot_id: "boot-1".into(),
    };
    let Ok(dirs) = LogDirs::open(disk, &options) else { return };
    let config = Arc::new(LogConfig::default());
    let report = dirs.load(1, NOW, &|_, _| Arc::clone(&config));
    assert_eq!(report.logs, dirs.logs().len());
    for (_, hosted) in dirs.logs() {
        let mut log = hosted.log.lock();
        let start = log.log_start_offset();
        assert!(start <= log.log_end_offset());
        let _ = log.read(start, 1_000, true, i64::MAX);
    }
    let Some((dir, trust_written)) = dirs.metadata_dir() else { return };
    let Ok((mut log, recovered)) = MetadataLog::open(dir, trust_written, NOW) else { return };
    assert!(recovered.entries.windows(2).all(|pair| pair[0].0 < pair[1].0), "indexes rise");
    let next = log.end_index();
    let term = recovered.entries.last().map_or(0, |entry| entry.1);
    if log.append(&[(next, term, files::some_batch())], NOW).is_ok() {
        let _ = log.save_hard_state(b"state", true);
        let _ = log.sync();
        assert_eq!(log.end_index(), next + 1);
    }
});
