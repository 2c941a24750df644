//! Crashes at every operation of what happens once in a log's life: it is made, rolled with snapshots of its producers,
//! emptied to start elsewhere, deleted, and made again under the same name.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use bytes::Bytes;
use ottla_records::{BuilderOptions, RecordBatch, RecordBatchBuilder};
use ottla_storage::sim_disk::SimDisk;
use ottla_storage::{DirsOptions, Disk, Log, LogConfig, LogDirs, LogHandle};
use ottla_types::{BrokerId, LeaderEpoch, Offset, TopicId, TopicPartition, Uuid};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const NOW: i64 = 1_000;
/// Where the emptied log goes on.
const RESTART: Offset = 500;
const PRODUCERS: i64 = 2;

fn config() -> Arc<LogConfig> {
    Arc::new(LogConfig {
        segment_bytes: 1_500,
        index_interval_bytes: 200,
        file_delete_delay_ms: 10,
        ..LogConfig::default()
    })
}

fn partition() -> TopicPartition {
    TopicPartition::new("t", 0)
}

fn options(boot: u32) -> DirsOptions {
    DirsOptions {
        dirs: vec![PathBuf::from("/data")],
        node_id: BrokerId(1),
        cluster_id: Some("c".to_owned()),
        boot_id: boot.to_string(),
    }
}

fn start(disk: &SimDisk, boot: u32) -> LogDirs {
    let dirs = LogDirs::open(Arc::new(disk.clone()), &options(boot)).unwrap();
    let report = dirs.load(1, NOW, &|_, _| config());
    assert!(report.failed.is_empty(), "{report:?}");
    dirs
}

/// A batch of one record that says which life of the log it is of, and as the how manieth.
fn batch(life: usize, ordinal: usize) -> RecordBatch {
    let producer = ordinal as i64 % PRODUCERS;
    let sequence = (ordinal as i64 / PRODUCERS) as i32;
    let options = BuilderOptions {
        producer: Some((producer + 10 * life as i64, 0, sequence)),
        ..BuilderOptions::default()
    };
    let mut builder = RecordBatchBuilder::new(options);
    let mut value = vec![life as u8, ordinal as u8];
    value.resize(30 + ordinal % 40, 7);
    builder.append(10, None, Some(&value), &[]).unwrap();
    RecordBatch::new(&builder.build()).unwrap()
}

/// The lives of the log: as it was made, after it was emptied, after it was deleted and made again.
#[derive(Debug, Default)]
struct Model {
    /// The life that began, or tried to.
    begun: usize,
    /// The life whose beginning has returned; `None` before the first.
    reached: Option<usize>,
    /// Appends that returned, by life.
    acked: [usize; 3],
    /// What was synced, by life.
    synced: [usize; 3],
    /// The newest high watermark that was saved, or that saving began for, by life.
    high_watermarks: [Offset; 3],
}

struct Run {
    dirs: LogDirs,
    model: Model,
}

impl Run {
    fn log(&self) -> LogHandle {
        self.dirs.get(&partition()).unwrap()
    }

    fn begin(&mut self, life: usize, how: impl FnOnce(&Self) -> Option<()>) -> Option<()> {
        self.model.begun = life;
        how(self)?;
        self.model.reached = Some(life);
        Some(())
    }

    fn append(&mut self, life: usize, count: usize) -> Option<()> {
        for _ in 0..count {
            let next = batch(life, self.model.acked[life]);
            self.log().lock().append_as_leader(&[next], LeaderEpoch(life as i32), NOW).ok()?;
            self.model.acked[life] += 1;
        }
        Some(())
    }

    fn sync(&mut self, life: usize) -> Option<()> {
        self.log().lock().sync().ok()?;
        self.model.synced[life] = self.model.acked[life];
        Some(())
    }

    /// Saves the high watermark, and the other checkpoints.
    fn checkpoint(&mut self, life: usize) -> Option<()> {
        let end = self.log().lock().log_end_offset();
        self.model.high_watermarks[life] = end;
        self.dirs.save_high_watermarks(&BTreeMap::from([(partition(), end)]));
        self.dirs.checkpoint();
        self.dirs.offline_dirs().is_empty().then_some(())
    }

    fn create(&self, id: u128) -> Option<()> {
        self.dirs.create(&partition(), TopicId(Uuid::from_u128(id)), None, config(), NOW).ok().map(drop)
    }

    fn live(&mut self) -> Option<()> {
        self.begin(0, |run| run.create(1))?;
        self.append(0, 14)?;
        self.log().lock().roll(NOW).ok()?;
        self.append(0, 9)?;
        self.sync(0)?;
        self.append(0, 3)?;
        self.checkpoint(0)?;
        self.begin(1, |run| run.log().lock().truncate_fully_and_start_at(RESTART, NOW).ok())?;
        self.append(1, 11)?;
        self.log().lock().roll(NOW).ok()?;
        self.sync(1)?;
        self.append(1, 4)?;
        self.dirs.flush_all();
        self.checkpoint(1)?;
        self.begin(2, |run| {
            run.dirs.delete(&partition(), NOW).ok().filter(|deleted| *deleted)?;
            run.create(2)
        })?;
        self.append(2, 8)?;
        self.sync(2)?;
        self.dirs.maintain(NOW + 1_000);
        self.append(2, 5)?;
        self.checkpoint(2)?;
        self.dirs.shutdown(1);
        None
    }
}

/// Life and ordinal of every record.
fn content(log: &mut Log) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut next = log.log_start_offset();
    while next < log.log_end_offset() {
        let slice = log.read(next, 1_000, true, i64::MAX).unwrap();
        assert!(!slice.is_empty());
        next = slice.next_offset;
        for batch in ottla_records::split(Bytes::from(slice.read().unwrap())) {
            let batch = batch.unwrap();
            batch.verify_crc().unwrap();
            for record in batch.records(1 << 20).unwrap() {
                let value = record.unwrap().value.unwrap();
                found.push((usize::from(value[0]), usize::from(value[1])));
            }
        }
    }
    found
}

fn check(dirs: &LogDirs, model: &Model, machine: bool, trace: &str) {
    let promised = if machine { model.synced } else { model.acked };
    let settled = model.reached.filter(|reached| *reached == model.begun);
    let Some(log) = dirs.get(&partition()) else {
        let lost = settled.map_or(0, |life| promised[life]);
        assert_eq!(lost, 0, "{trace}: the log is gone, {model:?}");
        return;
    };
    let mut log = log.lock();
    let found = content(&mut log);
    let lives: Vec<usize> = found.iter().map(|(life, _)| *life).collect();
    assert!(lives.windows(2).all(|pair| pair[0] == pair[1]), "{trace}: lives are mixed: {found:?}");
    assert!(found.iter().enumerate().all(|(at, (_, ordinal))| at == *ordinal), "{trace}: {found:?}");
    if let Some(&life) = lives.first() {
        assert!(life <= model.begun, "{trace}: {found:?}");
        assert_eq!(log.log_start_offset(), if life == 1 { RESTART } else { 0 }, "{trace}");
        let high_watermark = dirs.high_watermarks().get(&partition()).copied().unwrap_or(0);
        let saved = model.high_watermarks[..=life].iter().copied().max().unwrap_or(0);
        let saved = if life == 2 { model.high_watermarks[2] } else { saved };
        assert!(
            high_watermark <= saved,
            "{trace}: high watermark {high_watermark} of life {life}, {model:?}"
        );
    }
    if let Some(life) = settled.filter(|life| promised[*life] > 0) {
        assert_eq!(lives.first(), Some(&life), "{trace}: another life of the log, {model:?}");
        assert!(found.len() >= promised[life], "{trace}: {} of {promised:?}", found.len());
    }
    check_producers(&mut log, &found, trace);
}

/// The producers' state is that of the records: their last batches are known, the next ones fit.
fn check_producers(log: &mut Log, found: &[(usize, usize)], trace: &str) {
    let Some(&(life, _)) = found.first() else { return };
    let epoch = log.latest_epoch().unwrap_or(LeaderEpoch(life as i32));
    let end = log.log_end_offset();
    for ordinal in found.len().saturating_sub(PRODUCERS as usize)..found.len() {
        let again = log.append_as_leader(&[batch(life, ordinal)], epoch, NOW);
        let appended = again.unwrap_or_else(|error| panic!("{trace}: batch {ordinal} again: {error}"));
        assert!(appended.duplicate, "{trace}: batch {ordinal} of {} was forgotten", found.len());
    }
    assert_eq!(log.log_end_offset(), end, "{trace}");
    for ordinal in found.len()..found.len() + 2 {
        let next = log.append_as_leader(&[batch(life, ordinal)], epoch, NOW);
        let appended = next.unwrap_or_else(|error| panic!("{trace}: batch {ordinal} does not fit: {error}"));
        assert!(!appended.duplicate, "{trace}");
    }
    log.truncate_to(end, NOW).unwrap();
}

fn crash(disk: &SimDisk, machine: bool, boot: &mut u32) {
    if machine {
        disk.crash_machine();
        *boot += 1;
    } else {
        disk.crash_process();
    }
}

/// Opens everything until the disk stops; true if it did.
fn open_until_crash(disk: &SimDisk, boot: u32, operation: u64) -> bool {
    disk.crash_at(operation);
    if let Ok(dirs) = LogDirs::open(Arc::new(disk.clone()), &options(boot)) {
        dirs.load(1, NOW, &|_, _| config());
    }
    disk.has_stopped()
}

/// Lives until operation `at`, then opens until each of `openings`, then looks. True if all of them stopped the disk.
fn run_with_crashes(seed: u64, at: u64, openings: &[u64], machine: bool) -> bool {
    let disk = SimDisk::new(seed);
    disk.set_capacity(16 << 20);
    disk.create_dir_all(Path::new("/data")).unwrap();
    disk.sync_dir(Path::new("/")).unwrap();
    let mut boot = 0;
    let mut run = Run { dirs: start(&disk, boot), model: Model::default() };
    disk.crash_at(at);
    run.live();
    let mut stopped = disk.has_stopped();
    let Run { dirs, model } = run;
    drop(dirs);
    let trace = format!("seed {seed}, operation {at}, openings {openings:?}, machine {machine}");
    crash(&disk, machine, &mut boot);
    for operation in openings {
        stopped &= open_until_crash(&disk, boot, *operation);
        crash(&disk, machine, &mut boot);
    }
    check(&start(&disk, boot), &model, machine, &trace);
    stopped
}

#[test]
fn a_process_that_dies_while_a_log_begins_or_ends_leaves_one_life_of_it() {
    for seed in 0..2 {
        let mut at = 0;
        while run_with_crashes(seed, at, &[], false) {
            at += 1;
        }
        assert!(at > 60, "only {at} operations");
    }
}

#[test]
fn a_machine_that_dies_while_a_log_begins_or_ends_keeps_what_was_synced() {
    for seed in 0..6 {
        let mut at = 0;
        while run_with_crashes(seed, at, &[], true) {
            at += 1;
        }
    }
}

#[test]
fn recovery_that_is_cut_at_any_operation_and_again_loses_nothing_either() {
    for (seed, machine) in [(0, false), (1, true), (2, true)] {
        for at in (seed..).step_by(5) {
            let mut opening = 0;
            while run_with_crashes(seed, at, &[opening, opening / 2], machine) {
                opening += 1;
            }
            if opening == 0 {
                break;
            }
        }
    }
}
