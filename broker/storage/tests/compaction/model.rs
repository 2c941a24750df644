//! Random lives of a compacted log beside a model that keeps everything.

use crate::harness::*;
use ottla_records::Compression;
use ottla_storage::compaction::CleanOptions;
use ottla_storage::sim_disk::SimDisk;
use ottla_storage::{Disk, Log, Recovery};
use ottla_types::{LeaderEpoch, Offset};
use parking_lot::Mutex;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

#[derive(Debug, Clone)]
enum Step {
    Append { records: Vec<(u8, Option<u8>)>, codec: u8 },
    Roll,
    Clean { committed: u8, key_slots: u8, later_ms: i64, replicated: u8 },
    Truncate,
    Retain { ahead: u8 },
    Reopen { trust: bool },
    Crash { machine: bool },
}

fn step() -> impl Strategy<Value = Step> {
    let record = (0..12u8, prop::option::weighted(0.8, 0..90u8));
    prop_oneof![
        8 => (prop::collection::vec(record, 1..6), 0..5u8).prop_map(|(records, codec)| Step::Append { records, codec }),
        2 => Just(Step::Roll),
        4 => (any::<u8>(), 17..60u8, 0..1_500i64, any::<u8>()).prop_map(
            |(committed, key_slots, later_ms, replicated)| Step::Clean { committed, key_slots, later_ms, replicated }
        ),
        1 => Just(Step::Truncate),
        1 => (0..6u8).prop_map(|ahead| Step::Retain { ahead }),
        1 => any::<bool>().prop_map(|trust| Step::Reopen { trust }),
        1 => any::<bool>().prop_map(|machine| Step::Crash { machine }),
    ]
}

type Value = (String, Option<String>);

struct Pair {
    disk: SimDisk,
    log: Arc<Mutex<Log>>,
    records: Vec<Value>,
    /// Where batches end.
    ends: Vec<usize>,
    start: usize,
    committed: usize,
    synced: usize,
    untouched_from: usize,
    /// Tombstones below may be gone.
    expired_below: usize,
    now: i64,
    epoch: i32,
}

fn open(disk: &SimDisk, start: usize, trust_written: bool) -> Arc<Mutex<Log>> {
    let recovery = Recovery { log_start_offset: start as Offset, trust_written, ..Recovery::default() };
    let disk = Arc::new(disk.clone());
    shared(Log::open(disk, Path::new("/d/t-0"), Arc::new(config()), recovery, NOW).unwrap().0)
}

impl Pair {
    fn new() -> Self {
        let disk = SimDisk::new(1);
        disk.create_dir_all(Path::new("/d/t-0")).unwrap();
        disk.sync_dir(Path::new("/d")).unwrap();
        disk.sync_dir(Path::new("/")).unwrap();
        let log = open(&disk, 0, false);
        let (records, now) = (Vec::new(), NOW);
        Self {
            disk,
            log,
            records,
            ends: vec![0],
            start: 0,
            committed: 0,
            synced: 0,
            untouched_from: 0,
            expired_below: 0,
            now,
            epoch: 0,
        }
    }

    fn apply(&mut self, step: &Step) {
        match step {
            Step::Append { records, codec } => self.append(records, *codec),
            Step::Roll => self.log.lock().roll(NOW).unwrap(),
            Step::Clean { committed, key_slots, later_ms, replicated } => {
                self.now += later_ms;
                self.clean(*committed, *key_slots, *replicated);
            }
            Step::Truncate => {
                let to = self.committed.max(self.start);
                self.log.lock().truncate_to(to as Offset, NOW).unwrap();
                self.cut(to);
                self.epoch += 1;
            }
            Step::Retain { ahead } => {
                self.start = (self.start + usize::from(*ahead)).min(self.committed);
                let mut log = self.log.lock();
                log.delete_records_before(self.start as Offset).unwrap();
                log.apply_retention(self.committed as Offset, NOW).unwrap();
            }
            Step::Reopen { trust } => self.log = open(&self.disk, self.start, *trust),
            Step::Crash { machine } => {
                if *machine {
                    self.disk.crash_machine();
                } else {
                    self.disk.crash_process();
                }
                self.log = open(&self.disk, self.start, !machine);
                let end = self.log.lock().log_end_offset() as usize;
                assert!(end >= if *machine { self.synced } else { self.records.len() });
                self.cut(end);
                self.epoch += 1;
            }
        }
        self.check();
    }

    fn cut(&mut self, end: usize) {
        self.records.truncate(end);
        self.ends.retain(|batch| *batch <= end);
        self.committed = self.committed.min(end);
        self.synced = self.synced.min(end);
        self.untouched_from = self.untouched_from.min(end);
        self.start = self.start.min(end);
    }

    fn append(&mut self, records: &[(u8, Option<u8>)], codec: u8) {
        let codec = Compression::from_id(codec).unwrap();
        let number = self.records.len();
        let new: Vec<Value> = records
            .iter()
            .map(|(key, value)| {
                let value =
                    value.map(|length| format!("{number}/{}{}", self.epoch, "v".repeat(length.into())));
                (format!("key-{key}"), value)
            })
            .collect();
        let pairs: Vec<KeyValue<'_>> = new.iter().map(|(key, value)| (&**key, value.as_deref())).collect();
        let batch = batch(&pairs, codec, None);
        self.log.lock().append_as_leader(&[batch], LeaderEpoch(self.epoch), NOW).unwrap();
        self.records.extend(new);
        self.ends.push(self.records.len());
    }

    fn clean(&mut self, committed: u8, key_slots: u8, replicated: u8) {
        let wanted = (self.records.len() - self.committed) * usize::from(committed) / 255 + self.committed;
        let whole = self.ends.iter().copied().filter(|end| *end <= wanted).max().unwrap_or(0);
        self.committed = self.committed.max(whole);
        let replicated = self.committed * usize::from(replicated) / 255;
        let options = CleanOptions {
            high_watermark: self.committed as Offset,
            replicated_offset: replicated as Offset,
            key_bytes: usize::from(key_slots) * 16,
            ..options(self.now)
        };
        let before = self.log.lock().standing(options.high_watermark, self.now).unwrap();
        let report = clean_now(&self.log, &options).unwrap();
        if report.is_some() {
            self.synced = self.synced.max(before.end_offset as usize);
            self.untouched_from = self.untouched_from.max(before.end_offset as usize);
            self.expired_below = self.expired_below.max(replicated);
        }
    }

    fn check(&self) {
        let end = self.log.lock().log_end_offset() as usize;
        assert_eq!(end, self.records.len());
        let found: BTreeMap<usize, Value> = content(&self.log)
            .into_iter()
            .map(|(offset, key, value)| (offset as usize, (key, value)))
            .collect();
        // A batch that holds the log's start is read whole.
        let found: BTreeMap<usize, Value> =
            found.into_iter().filter(|(offset, _)| *offset >= self.start).collect();
        for (offset, value) in &found {
            assert_eq!(value, &self.records[*offset]);
        }
        let latest: BTreeMap<&str, usize> =
            self.records.iter().enumerate().map(|(offset, record)| (&*record.0, offset)).collect();
        for (key, offset) in latest.into_iter().filter(|(_, offset)| *offset >= self.start) {
            let may_be_gone = self.records[offset].1.is_none() && offset < self.expired_below;
            assert!(found.contains_key(&offset) || may_be_gone, "the latest of {key} at {offset} is gone");
            if !found.contains_key(&offset) {
                let older = found.iter().any(|(at, record)| *at < offset && record.0 == key);
                assert!(!older, "the tombstone of {key} is gone before what it deletes");
            }
        }
        for offset in self.untouched_from.max(self.start)..end {
            assert!(found.contains_key(&offset), "{offset} is gone, and no pass saw it");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_latest_of_each_key_is_always_there(steps in prop::collection::vec(step(), 1..60)) {
        let mut pair = Pair::new();
        for step in &steps {
            pair.apply(step);
        }
    }
}
