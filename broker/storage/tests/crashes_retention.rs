//! Crashes at every operation while the beginning of a log goes, by size and by time, and while the log goes back to before
//! it: what opens afterwards is what was written behind some start.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod common;

use common::life::{Life, run_with_crash};
use common::{Machine, first_that_runs_through};
use ottla_storage::LogConfig;
use std::sync::Arc;

const NOW: i64 = 1_000;
const RETENTION_MS: i64 = 5_000;
/// The records of before are too old by then.
const LATER: i64 = NOW + 2 * RETENTION_MS;

fn config(retention_bytes: i64, retention_ms: i64) -> Arc<LogConfig> {
    Arc::new(LogConfig {
        segment_bytes: 900,
        index_interval_bytes: 200,
        file_delete_delay_ms: 10,
        retention_bytes,
        retention_ms,
        ..LogConfig::default()
    })
}

/// Retention raises the log's start.
fn let_go(life: &mut Life, now: i64) -> Option<()> {
    let before = life.log()?.lock().log_start_offset();
    life.let_go(now, now + 10)?;
    let start = life.log()?.lock().log_start_offset();
    assert!(start > before, "nothing went");
    if !life.loses_power {
        life.model.start_noted = start as usize;
    }
    Some(())
}

fn live_with_retention(life: &mut Life) -> Option<()> {
    life.create(&config(2_000, -1))?;
    life.append(25)?;
    let_go(life, NOW)?;
    life.append(9)?;
    life.sync()?;
    let_go(life, NOW + 20)?;
    life.checkpoint()?;
    life.append(11)?;
    life.sync()?;
    life.log()?.lock().set_config(config(-1, RETENTION_MS));
    // The active segment too.
    life.retain(LATER)?;
    assert_eq!(life.model.start, life.model.acked);
    life.append(5)?;
    life.sync()?;
    life.append(3)?;
    life.retain(LATER + 20)?;
    life.append(2)?;
    life.dirs.shutdown(1);
    Some(())
}

fn live_and_go_back(life: &mut Life) -> Option<()> {
    life.create(&config(-1, -1))?;
    life.append(30)?;
    life.sync()?;
    life.delete_records(50)?;
    life.checkpoint()?;
    life.truncate(40)?;
    life.append(20)?;
    life.sync()?;
    life.delete_records(70)?;
    life.retain(NOW)?;
    life.checkpoint()?;
    life.append(2)?;
    let first_left = life.model.start - 30;
    life.truncate(first_left)?;
    assert_eq!(life.model.start, first_left, "it begins anew");
    life.append(7)?;
    life.sync()?;
    life.append(2)?;
    life.checkpoint()?;
    life.dirs.shutdown(1);
    Some(())
}

fn retention(seed: u64, at: u64, loses_power: bool) -> bool {
    let machine = Machine::new(seed, 16 << 20, config(2_000, -1), NOW, loses_power);
    run_with_crash(machine, at, live_with_retention)
}

fn going_back(seed: u64, at: u64, loses_power: bool) -> bool {
    let machine = Machine::new(seed, 16 << 20, config(-1, -1), NOW, loses_power);
    run_with_crash(machine, at, live_and_go_back)
}

#[test]
fn a_process_that_dies_while_segments_go_keeps_everything_behind_them() {
    let operations = first_that_runs_through(0, 1, |at| retention(0, at, false));
    assert!(operations > 100, "only {operations} operations");
}

#[test]
fn a_machine_that_dies_while_segments_go_keeps_what_was_synced_behind_them() {
    for seed in 0..2 {
        first_that_runs_through(0, 1, |at| retention(seed, at, true));
    }
}

#[test]
fn a_log_that_goes_back_to_before_its_start_has_what_was_promised_after_any_crash() {
    first_that_runs_through(0, 1, |at| going_back(0, at, false));
    for seed in 0..2 {
        first_that_runs_through(0, 1, |at| going_back(seed, at, true));
    }
}
