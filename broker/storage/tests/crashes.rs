//! Crashes at every operation of the disk: what opens afterwards has all that was promised and nothing else.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod common;

use common::life::{Life, run_with_crash};
use common::{Machine, first_that_runs_through};
use ottla_storage::LogConfig;
use std::sync::Arc;

const NOW: i64 = 1_000;

fn config() -> Arc<LogConfig> {
    Arc::new(LogConfig {
        segment_bytes: 2_500,
        index_interval_bytes: 200,
        file_delete_delay_ms: 10,
        ..LogConfig::default()
    })
}

/// The whole life of a log.
fn live(life: &mut Life) -> Option<()> {
    life.create(&config())?;
    life.append(12)?;
    life.sync()?;
    life.append(15)?;
    life.checkpoint()?;
    life.append(20)?;
    life.truncate(62)?;
    life.append(7)?;
    life.truncate(40)?;
    life.append(30)?;
    life.delete_records(67)?;
    life.let_go(NOW, NOW + 100)?;
    life.checkpoint()?;
    life.append(5)?;
    life.log()?.lock().roll(NOW).ok()?;
    life.append(3)?;
    life.dirs.maintain(NOW);
    life.append(3)?;
    life.sync()?;
    life.dirs.shutdown(1);
    Some(())
}

fn run(seed: u64, at: u64, loses_power: bool) -> bool {
    run_with_crash(Machine::new(seed, 16 << 20, config(), NOW, loses_power), at, live)
}

#[test]
fn a_process_that_dies_at_any_operation_loses_nothing_it_acknowledged() {
    for seed in 0..2 {
        let operations = first_that_runs_through(0, 1, |at| run(seed, at, false));
        assert!(operations > 100, "only {operations} operations");
    }
}

#[test]
fn a_machine_that_dies_at_any_operation_loses_nothing_that_was_synced() {
    for seed in 0..6 {
        first_that_runs_through(0, 1, |at| run(seed, at, true));
    }
}
