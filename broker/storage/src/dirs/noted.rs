//! A checkpoint of offsets, one for each log of a data directory. Saved now and then as a whole, or set for one log, and
//! lowered at once where a log goes back: it must not promise more than the log has.

use crate::checkpoint::{Durability, format_offsets, replace_file};
use crate::disk::Disk;
use crate::error::DiskError;
use ottla_types::{Offset, TopicPartition};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What a checkpoint's file says.
#[derive(Debug)]
pub(super) struct Noted {
    /// `None` if nothing is written down.
    path: Option<PathBuf>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    offsets: BTreeMap<TopicPartition, Offset>,
    /// Counts the times a single offset was set or lowered, so that a slow collection does not undo it.
    changed: u64,
}

impl Noted {
    pub(super) fn new(path: Option<PathBuf>, offsets: BTreeMap<TopicPartition, Offset>) -> Self {
        Self { path, state: Mutex::new(State { offsets, changed: 0 }) }
    }

    pub(super) fn get(&self, partition: &TopicPartition) -> Option<Offset> {
        self.state.lock().offsets.get(partition).copied()
    }

    /// Durably notes a partition's offset.
    pub(super) fn set(
        &self,
        disk: &dyn Disk,
        partition: &TopicPartition,
        offset: Offset,
    ) -> Result<(), DiskError> {
        let mut state = self.state.lock();
        state.changed += 1;
        if state.offsets.insert(partition.clone(), offset) == Some(offset) {
            return Ok(());
        }
        self.write(disk, &state.offsets)
    }

    /// Durably lowers a partition's offset, before the log goes back. With 0 nothing is known of it any more.
    pub(super) fn lower(
        &self,
        disk: &dyn Disk,
        partition: &TopicPartition,
        offset: Offset,
    ) -> Result<(), DiskError> {
        let mut state = self.state.lock();
        state.changed += 1;
        if state.offsets.get(partition).is_none_or(|&noted| noted <= offset) {
            return Ok(());
        }
        if offset > 0 {
            state.offsets.insert(partition.clone(), offset);
        } else {
            state.offsets.remove(partition);
        }
        self.write(disk, &state.offsets)
    }

    /// Durably replaces everything by what `collect` finds, if that is something else.
    pub(super) fn save(
        &self,
        disk: &dyn Disk,
        collect: impl Fn() -> BTreeMap<TopicPartition, Offset>,
    ) -> Result<(), DiskError> {
        loop {
            let changed = self.state.lock().changed;
            let current = collect();
            let mut state = self.state.lock();
            if state.changed != changed {
                continue;
            }
            if state.offsets != current {
                self.write(disk, &current)?;
                state.offsets = current;
            }
            return Ok(());
        }
    }

    fn write(&self, disk: &dyn Disk, offsets: &BTreeMap<TopicPartition, Offset>) -> Result<(), DiskError> {
        match &self.path {
            Some(path) => replace_file(disk, path, format_offsets(offsets).as_bytes(), Durability::Synced),
            None => Ok(()),
        }
    }
}
