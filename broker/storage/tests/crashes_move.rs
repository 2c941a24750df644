//! Crashes at every operation while a log moves from one data directory to another, each on a disk of its own, and back:
//! what opens afterwards is one log that has all that was promised.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod common;

use common::values::{Model, batch, check, next_value};
use common::{Machine, first_that_runs_through, partition};
use ottla_storage::{Copied, Disk, LogConfig, LogDirs, LogHandle};
use ottla_types::{LeaderEpoch, Offset, TopicId, Uuid};
use std::path::Path;
use std::sync::Arc;

const NOW: i64 = 1_000;
const ROOTS: [&str; 2] = ["/a", "/b"];

fn config() -> Arc<LogConfig> {
    Arc::new(LogConfig {
        segment_bytes: 1_200,
        index_interval_bytes: 200,
        file_delete_delay_ms: 10,
        ..LogConfig::default()
    })
}

struct Run {
    dirs: LogDirs,
    model: Model,
    value: u8,
    epoch: i32,
}

impl Run {
    fn log(&self) -> LogHandle {
        self.dirs.get(&partition()).unwrap()
    }

    fn append(&mut self, count: usize) -> Option<()> {
        for _ in 0..count {
            let value = next_value(&mut self.value);
            self.model.appending(value, self.epoch);
            self.log().lock().append_as_leader(&[batch(value)], LeaderEpoch(self.epoch), NOW).ok()?;
            self.model.appended();
        }
        Some(())
    }

    fn sync(&mut self) -> Option<()> {
        self.log().lock().sync().ok()?;
        self.model.flushed();
        Some(())
    }

    fn delete_records(&mut self, start: usize) -> Option<()> {
        self.model.start = start;
        self.log().lock().delete_records_before(start as Offset).ok().map(drop)
    }

    fn checkpoint(&mut self) -> Option<()> {
        self.dirs.flush_all();
        self.dirs.offline_dirs().is_empty().then_some(())?;
        self.model.start_noted = self.model.start;
        self.model.flushed();
        Some(())
    }

    fn truncate(&mut self, offset: usize) -> Option<()> {
        self.model.truncating(offset);
        self.log().lock().truncate_to(offset as Offset, NOW).ok()?;
        self.model.truncated(offset);
        self.epoch += 1;
        Some(())
    }

    fn begin_move(&self, to: &str) -> Option<()> {
        self.dirs.begin_move(&partition(), Path::new(to), NOW).ok().filter(|begun| *begun).map(drop)
    }

    fn copy_step(&self) -> Option<Copied> {
        self.dirs.copy_some(&partition(), 500, NOW).ok()
    }

    fn finish_move(&self) -> Option<()> {
        while self.copy_step()? != Copied::CaughtUp {}
        self.dirs.sync_move(&partition()).ok()?;
        self.dirs.finish_move(&partition(), NOW).ok()?.map(drop)
    }

    fn live(&mut self) -> Option<()> {
        self.dirs.create(&partition(), TopicId(Uuid::from_u128(1)), None, config(), NOW).ok()?;
        self.append(14)?;
        self.delete_records(7)?;
        self.checkpoint()?;
        self.append(5)?;
        self.begin_move("/b")?;
        self.copy_step()?;
        self.dirs.cancel_move(&partition());
        self.dirs.maintain(NOW);
        self.append(8)?;
        self.checkpoint()?;
        self.begin_move("/b")?;
        self.copy_step()?;
        self.copy_step()?;
        self.append(3)?;
        self.delete_records(11)?;
        self.checkpoint()?;
        self.finish_move()?;
        self.append(3)?;
        self.sync()?;
        self.dirs.maintain(NOW + 10);
        // The first directory's checkpoints still say what was true when the log left.
        self.truncate(22)?;
        self.append(2)?;
        self.sync()?;
        self.begin_move("/a")?;
        self.finish_move()?;
        self.append(3)?;
        self.sync()?;
        self.append(2)?;
        self.dirs.maintain(NOW + 10);
        self.dirs.shutdown(1);
        Some(())
    }
}

/// There is one directory of the log, and nothing of those that are gone.
fn check_directories(machine: &Machine, dirs: &LogDirs, trace: &str) {
    dirs.maintain(NOW + 1_000);
    let list = |root: &&str| machine.disk.list(Path::new(root)).unwrap();
    let all: Vec<String> = ROOTS.iter().flat_map(list).map(|entry| entry.name).collect();
    let logs = all.iter().filter(|name| **name == partition().to_string()).count();
    assert_eq!(logs, dirs.logs().len(), "{trace}: {all:?}");
    let left = all.iter().any(|name| name.ends_with("-delete") || name.ends_with("-future"));
    assert!(!left, "{trace}: {all:?}");
}

fn run_with_crash(seed: u64, at: u64, loses_power: bool) -> bool {
    let machine = Machine::new(seed, 16 << 20, config(), NOW, loses_power);
    let mut machine = machine.with_disks(&ROOTS);
    let mut run = Run { dirs: machine.start(), model: Model::default(), value: 0, epoch: 0 };
    machine.disk.crash_at(at);
    let lived = run.live().is_some();
    let stopped = machine.disk.has_stopped();
    assert!(lived || stopped);
    let Run { dirs, model, .. } = run;
    drop(dirs);
    let trace = format!("seed {seed}, operation {at}, machine {loses_power}");
    machine.crash();
    for step in [2, 5] {
        machine.open_until_crash(step + at % 7);
        machine.crash();
    }
    let dirs = machine.start();
    let end = check(&dirs, &model, model.promised(loses_power), &trace);
    check_directories(&machine, &dirs, &trace);
    drop(dirs);
    machine.crash();
    let dirs = machine.start();
    assert_eq!(check(&dirs, &model, 0, &trace), end, "{trace}: opening again finds something else");
    stopped
}

#[test]
fn a_process_that_dies_while_a_log_moves_leaves_one_whole_log() {
    let operations = first_that_runs_through(0, 1, |at| run_with_crash(0, at, false));
    assert!(operations > 200, "only {operations} operations");
}

#[test]
fn a_machine_that_dies_while_a_log_moves_keeps_what_was_synced() {
    for seed in 0..4 {
        first_that_runs_through(0, 1, |at| run_with_crash(seed, at, true));
    }
}
