//! Random lives of a log beside a model that is only a list.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use bytes::Bytes;
use ottla_records::{BuilderOptions, RecordBatch, RecordBatchBuilder};
use ottla_storage::sim_disk::SimDisk;
use ottla_storage::{Disk, Log, LogConfig, Recovery};
use ottla_types::{LeaderEpoch, Offset};
use proptest::prelude::*;
use std::path::Path;
use std::sync::Arc;

const NOW: i64 = 1_000;

#[derive(Debug, Clone)]
enum Step {
    Append { batches: Vec<(u8, u8)> },
    Truncate { back: u16 },
    Roll,
    Cool,
    Reopen { close: bool, trust: bool },
    DeleteRecords { ahead: u16 },
    Retain,
    StartAt { ahead: u16 },
    Flush,
    ReadFrom { at: u16, max_bytes: u16, bound: u16 },
}

fn step() -> impl Strategy<Value = Step> {
    let batch = (1..5u8, 0..200u8);
    prop_oneof![
        8 => prop::collection::vec(batch, 1..4).prop_map(|batches| Step::Append { batches }),
        1 => (0..40u16).prop_map(|back| Step::Truncate { back }),
        1 => Just(Step::Roll),
        1 => Just(Step::Cool),
        2 => (any::<bool>(), any::<bool>()).prop_map(|(close, trust)| Step::Reopen { close, trust }),
        1 => (0..20u16).prop_map(|ahead| Step::DeleteRecords { ahead }),
        1 => Just(Step::Retain),
        1 => (0..3u16).prop_map(|ahead| Step::StartAt { ahead }),
        1 => Just(Step::Flush),
        8 => (any::<u16>(), any::<u16>(), any::<u16>())
            .prop_map(|(at, max_bytes, bound)| Step::ReadFrom { at, max_bytes, bound }),
    ]
}

/// A batch in the model: its first offset, and the value of each record.
#[derive(Debug, Clone)]
struct ModelBatch {
    base_offset: Offset,
    records: u8,
    timestamp: i64,
}

struct Pair {
    disk: SimDisk,
    log: Option<Log>,
    batches: Vec<ModelBatch>,
    start: Offset,
    end: Offset,
    epoch: i32,
    clock: i64,
}

fn config() -> Arc<LogConfig> {
    Arc::new(LogConfig {
        segment_bytes: 1_500,
        index_interval_bytes: 100,
        segment_index_bytes: 400,
        file_delete_delay_ms: 0,
        ..LogConfig::default()
    })
}

fn build(records: u8, value_bytes: u8, timestamp: i64) -> RecordBatch {
    let mut builder = RecordBatchBuilder::new(BuilderOptions::default());
    for record in 0..records {
        let timestamp = timestamp + i64::from(record);
        builder.append(timestamp, None, Some(&vec![record; value_bytes.into()]), &[]).unwrap();
    }
    RecordBatch::new(&builder.build()).unwrap()
}

impl Pair {
    fn new() -> Self {
        let disk = SimDisk::new(1);
        disk.create_dir_all(Path::new("/d/t-0")).unwrap();
        let mut pair = Self { disk, log: None, batches: Vec::new(), start: 0, end: 0, epoch: 0, clock: 0 };
        pair.open(false);
        pair
    }

    fn open(&mut self, trust_written: bool) {
        let recovery = Recovery { log_start_offset: self.start, trust_written, ..Recovery::default() };
        let disk = Arc::new(self.disk.clone());
        let (log, report) = Log::open(disk, Path::new("/d/t-0"), config(), recovery, NOW).unwrap();
        assert_eq!(report.truncated_bytes, 0);
        self.log = Some(log);
    }

    fn log(&mut self) -> &mut Log {
        self.log.as_mut().unwrap()
    }

    fn apply(&mut self, step: &Step) {
        match step {
            Step::Append { batches } => self.append(batches),
            Step::Truncate { back } => self.truncate((self.end - i64::from(*back)).max(self.start)),
            Step::Roll => self.log().roll(NOW).unwrap(),
            Step::Cool => self.log().cool().unwrap(),
            Step::Flush => self.log().sync().unwrap(),
            Step::Reopen { close, trust } => {
                let log = self.log.take().unwrap();
                if *close {
                    log.close().unwrap()
                } else {
                    drop(log)
                }
                self.open(*trust);
            }
            Step::DeleteRecords { ahead } => {
                self.start = (self.start + i64::from(*ahead)).min(self.end);
                let start = self.start;
                assert_eq!(self.log().delete_records_before(start).unwrap(), start);
            }
            Step::Retain => {
                let end = self.end;
                self.log().apply_retention(end, NOW).unwrap();
            }
            Step::StartAt { ahead } => {
                let offset = self.end + i64::from(*ahead);
                self.log().truncate_fully_and_start_at(offset, NOW).unwrap();
                (self.start, self.end) = (offset, offset);
                self.batches.clear();
            }
            Step::ReadFrom { at, max_bytes, bound } => self.read(*at, u64::from(*max_bytes) / 16, *bound),
        }
        self.check_ends();
    }

    fn append(&mut self, batches: &[(u8, u8)]) {
        let mut built = Vec::new();
        for &(records, value_bytes) in batches {
            self.clock += i64::from(value_bytes) - 60;
            let timestamp = 10_000 + self.clock;
            built.push(build(records, value_bytes, timestamp));
            self.batches.push(ModelBatch { base_offset: self.end, records, timestamp });
            self.end += i64::from(records);
        }
        let bytes: usize = built.iter().map(|batch| batch.bytes.len()).sum();
        let epoch = LeaderEpoch(self.epoch);
        if bytes > 1_500 {
            for batch in built {
                self.log().append_as_leader(&[batch], epoch, NOW).unwrap();
            }
        } else {
            self.log().append_as_leader(&built, epoch, NOW).unwrap();
        }
    }

    fn truncate(&mut self, offset: Offset) {
        self.log().truncate_to(offset, NOW).unwrap();
        if offset >= self.end {
            return;
        }
        let cut = self.batches.iter().position(|batch| batch.base_offset + i64::from(batch.records) > offset);
        let cut = cut.unwrap_or(self.batches.len());
        self.end = self.batches.get(cut).map_or(offset, |batch| batch.base_offset.min(offset));
        self.batches.truncate(cut);
        self.start = self.start.min(self.end);
        self.epoch += 1;
    }

    fn check_ends(&mut self) {
        let (start, end) = (self.start, self.end);
        assert_eq!((self.log().log_start_offset(), self.log().log_end_offset()), (start, end));
    }

    /// One read, checked against what a linear walk over the model says.
    fn read(&mut self, at: u16, max_bytes: u64, bound: u16) {
        let span = self.end - self.start + 1;
        let offset = self.start + i64::from(at) % span;
        let boundaries: Vec<Offset> =
            self.batches.iter().map(|batch| batch.base_offset).chain([self.end]).collect();
        let bound = boundaries[usize::from(bound) % boundaries.len()].max(self.start);
        let slice = self.log().read(offset, max_bytes, true, bound).unwrap();
        let holds = |batch: &&ModelBatch| batch.base_offset + i64::from(batch.records) > offset;
        let Some(first) = self.batches.iter().find(holds).filter(|batch| batch.base_offset < bound) else {
            assert!(slice.is_empty());
            return;
        };
        if offset >= bound {
            assert!(slice.is_empty());
            return;
        }
        let mut expected = first.base_offset;
        let bytes = slice.read().unwrap();
        assert!(!bytes.is_empty());
        let found: Vec<RecordBatch> = ottla_records::split(Bytes::from(bytes)).map(Result::unwrap).collect();
        for batch in &found {
            batch.verify_crc().unwrap();
            assert_eq!(batch.header.base_offset, expected);
            expected = batch.header.next_offset();
        }
        assert!(expected <= bound && slice.next_offset == expected);
        assert!(found.len() == 1 || slice.bytes <= max_bytes);
    }

    fn check_times(&mut self) {
        let start = self.start;
        let records: Vec<(i64, Offset)> = self
            .batches
            .iter()
            .flat_map(|batch| {
                (0..i64::from(batch.records)).map(|i| (batch.timestamp + i, batch.base_offset + i))
            })
            .filter(|record| record.1 >= start)
            .collect();
        let targets: Vec<i64> =
            records.iter().step_by(3).flat_map(|record| [record.0, record.0 + 1]).collect();
        for target in targets {
            let expected = records.iter().find(|record| record.0 >= target).copied();
            let found = self.log().offset_for_timestamp(target).unwrap();
            assert_eq!(found.map(|found| (found.timestamp, found.offset)), expected, "time {target}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_log_is_a_list_whatever_happens_to_it(steps in prop::collection::vec(step(), 1..80)) {
        let mut pair = Pair::new();
        for step in &steps {
            pair.apply(step);
        }
        pair.check_times();
    }
}
