//! Crashes at every operation of the first start, which makes and formats two data directories, each on a disk of its own.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod common;

use common::{Machine, first_that_runs_through};
use ottla_storage::{Disk, LogConfig, LogDirs};
use ottla_types::DirectoryId;
use std::collections::BTreeSet;
use std::sync::Arc;

const NOW: i64 = 1_000;
const RESERVE_BYTES: u64 = 8 << 20;

/// Everything is there that a first start makes; the directories' ids.
fn check(machine: &Machine, dirs: &LogDirs, trace: &str) -> Vec<DirectoryId> {
    assert_eq!(dirs.cluster_id(), "c", "{trace}");
    assert!(dirs.offline_dirs().is_empty(), "{trace}: {:?}", dirs.offline_dirs());
    let ids = dirs.directory_ids();
    let different: BTreeSet<_> = ids.iter().filter(|id| **id != DirectoryId::ZERO).collect();
    assert_eq!(different.len(), machine.dirs.len(), "{trace}: {ids:?}");
    for dir in &machine.dirs {
        let entries = machine.disk.list(dir).unwrap();
        let reserves = entries.iter().filter(|entry| entry.len_bytes == RESERVE_BYTES).count();
        assert_eq!(reserves, 1, "{trace}: {entries:?}");
    }
    ids
}

fn run_with_crash(seed: u64, at: u64, loses_power: bool) -> bool {
    let config = Arc::new(LogConfig::default());
    let machine = Machine::new(seed, 100 << 20, config, NOW, loses_power);
    let mut machine = machine.with_disks(&["/a", "/b"]);
    machine.dirs.iter_mut().for_each(|dir| dir.push("data"));
    let stopped = machine.open_until_crash(at);
    machine.crash();
    machine.open_until_crash(at / 2);
    machine.crash();
    let trace = format!("seed {seed}, operation {at}, machine {loses_power}");
    let dirs = machine.start();
    let ids = check(&machine, &dirs, &trace);
    drop(dirs);
    machine.crash();
    // What was made lasts: the cluster's id need not be given any more.
    machine.cluster_id = None;
    assert_eq!(check(&machine, &machine.start(), &trace), ids, "{trace}");
    stopped
}

#[test]
fn a_first_start_that_is_cut_at_any_operation_is_made_up_for_by_the_next() {
    for loses_power in [false, true] {
        let operations = first_that_runs_through(0, 1, |at| run_with_crash(at, at, loses_power));
        assert!(operations > 20, "only {operations} operations");
    }
}
