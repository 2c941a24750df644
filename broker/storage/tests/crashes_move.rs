//! Crashes at every operation while a log moves from one data directory to another, each on a disk of its own, and back:
//! what opens afterwards is one log that has all that was promised.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod common;

use common::life::{Life, run_with_crash};
use common::values::check;
use common::{Machine, first_that_runs_through, partition};
use ottla_storage::{Copied, LogConfig};
use std::path::Path;
use std::sync::Arc;

const NOW: i64 = 1_000;

fn config() -> Arc<LogConfig> {
    Arc::new(LogConfig {
        segment_bytes: 1_200,
        index_interval_bytes: 200,
        file_delete_delay_ms: 10,
        ..LogConfig::default()
    })
}

fn begin_move(life: &Life, to: &str) -> Option<()> {
    life.dirs.begin_move(&partition(), Path::new(to), NOW).ok().filter(|begun| *begun).map(drop)
}

fn copy_step(life: &Life) -> Option<Copied> {
    life.dirs.copy_some(&partition(), 500, NOW).ok()
}

fn finish_move(life: &Life) -> Option<()> {
    while copy_step(life)? != Copied::CaughtUp {}
    life.dirs.sync_move(&partition()).ok()?;
    life.dirs.finish_move(&partition(), NOW).ok()?.map(drop)
}

fn live(life: &mut Life) -> Option<()> {
    life.create(&config())?;
    life.append(14)?;
    life.delete_records(7)?;
    life.checkpoint()?;
    life.append(5)?;
    begin_move(life, "/b")?;
    copy_step(life)?;
    life.dirs.cancel_move(&partition());
    life.dirs.maintain(NOW);
    life.append(8)?;
    life.checkpoint()?;
    begin_move(life, "/b")?;
    copy_step(life)?;
    copy_step(life)?;
    life.append(3)?;
    life.delete_records(11)?;
    life.checkpoint()?;
    finish_move(life)?;
    life.append(3)?;
    life.sync()?;
    life.dirs.maintain(NOW + 10);
    // The first directory's checkpoints still say what was true when the log left.
    life.truncate(22)?;
    life.append(2)?;
    life.sync()?;
    begin_move(life, "/a")?;
    finish_move(life)?;
    life.append(3)?;
    life.sync()?;
    life.append(2)?;
    life.dirs.maintain(NOW + 10);
    life.dirs.shutdown(1);
    Some(())
}

fn run(seed: u64, at: u64, loses_power: bool) -> bool {
    let machine = Machine::new(seed, 16 << 20, config(), NOW, loses_power);
    run_with_crash(machine.with_disks(&["/a", "/b"]), at, live)
}

#[test]
fn a_process_that_dies_while_a_log_moves_leaves_one_whole_log() {
    let operations = first_that_runs_through(0, 1, |at| run(0, at, false));
    assert!(operations > 200, "only {operations} operations");
}

#[test]
fn a_machine_that_dies_while_a_log_moves_keeps_what_was_synced() {
    for seed in 0..4 {
        first_that_runs_through(0, 1, |at| run(seed, at, true));
    }
}

#[test]
fn a_copy_whose_name_may_not_be_on_disk_does_not_take_the_logs_place() {
    let machine = Machine::new(0, 16 << 20, config(), NOW, false).with_disks(&["/a", "/b"]);
    let mut life = Life::new(&machine);
    life.create(&config()).unwrap();
    life.append(5).unwrap();
    begin_move(&life, "/b").unwrap();
    finish_move(&life).unwrap();
    // Of two logs the first directory's would be kept.
    begin_move(&life, "/a").unwrap();
    while copy_step(&life) != Some(Copied::CaughtUp) {}
    life.dirs.sync_move(&partition()).unwrap();
    machine.disk.fail_syncs(true);
    assert!(life.dirs.finish_move(&partition(), NOW).is_err());
    machine.disk.fail_syncs(false);
    // The old one is written to, and nobody may take the copy for it.
    life.append(3).unwrap();
    drop(life.dirs);
    machine.disk.crash_process();
    let dirs = machine.start();
    assert_eq!(check(&dirs, &life.model, 16, "after the failure"), Some(16));
    machine.check_directories(&dirs, "after the failure");
}
