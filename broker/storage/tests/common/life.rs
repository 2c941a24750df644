//! The life of a log until the disk stops, and what must be found afterwards.

use super::values::{Model, batch, check, content};
use super::{Machine, partition};
use ottla_storage::sim_disk::SimDisk;
use ottla_storage::{Disk, LogConfig, LogDirs, LogHandle};
use ottla_types::{LeaderEpoch, Offset, TimestampMs, TopicId, Uuid};
use std::sync::Arc;

/// A log in use. Whatever returns `None` met the stopped disk.
pub struct Life {
    pub dirs: LogDirs,
    pub model: Model,
    pub loses_power: bool,
    disk: SimDisk,
    now: TimestampMs,
    value: u8,
    epoch: i32,
}

impl Life {
    pub fn new(machine: &Machine) -> Self {
        let (dirs, model) = (machine.start(), Model::default());
        let (disk, now) = (machine.disk.clone(), machine.now);
        Self { dirs, model, loses_power: machine.loses_power, disk, now, value: 0, epoch: 0 }
    }

    pub fn log(&self) -> Option<LogHandle> {
        self.dirs.get(&partition())
    }

    pub fn create(&self, config: &Arc<LogConfig>) -> Option<()> {
        let id = TopicId(Uuid::from_u128(1));
        self.dirs.create(&partition(), id, None, Arc::clone(config), self.now).ok().map(drop)
    }

    /// Appends batches of two records.
    pub fn append(&mut self, count: usize) -> Option<()> {
        for _ in 0..count {
            self.value = self.value % 250 + 1;
            self.model.appending(self.value, self.epoch);
            let (new, epoch) = (batch(self.value), LeaderEpoch(self.epoch));
            self.log()?.lock().append_as_leader(&[new], epoch, self.now).ok()?;
            self.model.appended();
        }
        Some(())
    }

    pub fn sync(&mut self) -> Option<()> {
        self.log()?.lock().sync().ok()?;
        self.model.synced = self.model.acked;
        Some(())
    }

    /// Syncs everything and saves recovery point and start.
    pub fn checkpoint(&mut self) -> Option<()> {
        self.dirs.flush_all();
        let reached = self.log()?.lock().recovery_point() as usize;
        self.model.synced = self.model.synced.max(reached.min(self.model.acked));
        self.dirs.offline_dirs().is_empty().then_some(())?;
        self.model.start_noted = self.log()?.lock().log_start_offset() as usize;
        Some(())
    }

    pub fn truncate(&mut self, offset: usize) -> Option<()> {
        self.model.truncating(offset);
        let log = self.log()?;
        let mut log = log.lock();
        log.truncate_to(offset as Offset, self.now).ok()?;
        self.model.truncated(offset, log.log_start_offset() as usize);
        self.epoch += 1;
        Some(())
    }

    pub fn delete_records(&mut self, start: usize) -> Option<()> {
        self.model.start = start;
        self.log()?.lock().delete_records_before(start as Offset).ok().map(drop)
    }

    /// Lets segments go.
    pub fn retain(&mut self, now: TimestampMs) -> Option<()> {
        let log = self.log()?;
        let mut log = log.lock();
        let end = log.log_end_offset();
        let before = std::mem::replace(&mut self.model.start, end as usize);
        log.apply_retention(end, now).ok()?;
        self.model.start = before.max(log.log_start_offset() as usize);
        Some(())
    }

    /// Segments go now, and their files at `later`.
    pub fn let_go(&mut self, now: TimestampMs, later: TimestampMs) -> Option<()> {
        self.retain(now)?;
        let files = self.deleted_files()?;
        assert!(!files.is_empty(), "nothing went");
        self.append(3)?;
        self.retain(later)?;
        // Files are removed without a word where the disk refuses.
        let left = self.deleted_files()?;
        assert!(files.iter().all(|file| !left.contains(file)), "{files:?} of {left:?}");
        Some(())
    }

    fn deleted_files(&self) -> Option<Vec<String>> {
        let dir = self.log()?.lock().dir().to_owned();
        let names = self.disk.list(&dir).ok()?.into_iter().map(|entry| entry.name);
        Some(names.filter(|name| name.ends_with(".deleted")).collect())
    }
}

/// Lives until operation `at`, and opens the log a few times not to the end. What opens then must have what was promised,
/// again and again, and life must go on. True if the disk was stopped.
pub fn run_with_crash(mut machine: Machine, at: u64, live: impl FnOnce(&mut Life) -> Option<()>) -> bool {
    let mut life = Life::new(&machine);
    machine.disk.crash_at(at);
    let lived = live(&mut life).is_some();
    let stopped = machine.disk.has_stopped();
    assert!(lived || stopped, "operation {at}: it did not live to its end");
    let Life { dirs, model, loses_power, .. } = life;
    drop(dirs);
    let trace = format!("seed {}, operation {at}, machine {loses_power}", machine.seed);
    machine.crash();
    for step in [1, 3, 6, 11] {
        machine.open_until_crash(step + at % 5);
        machine.crash();
    }
    let dirs = machine.start();
    let end = check(&dirs, &model, model.promised(loses_power), &trace);
    machine.check_directories(&dirs, &trace);
    drop(dirs);
    machine.disk.crash_process();
    let mut life = Life::new(&machine);
    assert_eq!(check(&life.dirs, &model, 0, &trace), end, "{trace}: opening again finds something else");
    life.model = model;
    go_on(life, &machine.config, &trace);
    stopped
}

fn go_on(mut life: Life, config: &Arc<LogConfig>, trace: &str) {
    (life.value, life.epoch) = (200, 99);
    life.create(config).unwrap();
    let (start, found, end) = {
        let log = life.log().unwrap();
        let mut log = log.lock();
        (log.log_start_offset() as usize, content(&mut log), log.log_end_offset() as usize)
    };
    life.model.values = vec![(0, 0); start];
    life.model.values.extend(found);
    assert_eq!(life.model.values.len(), end, "{trace}");
    life.model.appended();
    life.append(20).unwrap_or_else(|| panic!("{trace}: cannot append after the crash"));
    life.sync().unwrap();
    check(&life.dirs, &life.model, end + 40, trace);
}
