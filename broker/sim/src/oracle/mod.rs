//! What clients were promised and what they saw, kept outside the system.

mod groups;

pub use groups::{Groups, Owner};

use crate::records::{Parsed, parse};
use bytes::Bytes;
use ottla_types::{BrokerId, LeaderEpoch, Offset, TopicIdPartition};
use std::collections::BTreeMap;

/// A record's identity: who sent it, and as the how manieth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Value {
    /// The producer's client.
    pub producer: u32,
    /// Counts up.
    pub sequence: u32,
}

impl Value {
    /// The sender of the cluster's own records.
    pub const INTERNAL: u32 = u32::MAX;
}

/// A committed record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// What it is.
    pub value: Value,
    /// The epoch of the leader that appended it.
    pub epoch: LeaderEpoch,
    /// The epoch of the leader that first called it committed.
    pub committed_in: LeaderEpoch,
}

/// A promise: `acks=all` was answered with success.
#[derive(Debug, Clone)]
pub struct Promise {
    /// Where.
    pub partition: TopicIdPartition,
    /// The first record's offset.
    pub base_offset: Offset,
    /// The records.
    pub values: Vec<Value>,
}

/// Everything known from outside.
#[derive(Debug, Default)]
pub struct Oracle {
    /// By partition: what some leader called committed, by offset.
    pub committed: BTreeMap<TopicIdPartition, Vec<Committed>>,
    /// What was acknowledged with `acks=all`.
    pub promises: Vec<Promise>,
    /// What was acknowledged by a leader alone (`acks=1`).
    pub hopes: Vec<Promise>,
    /// What groups were promised.
    pub groups: Groups,
    /// The partitions' leaders by epoch.
    pub leaders: BTreeMap<(TopicIdPartition, LeaderEpoch), BrokerId>,
    /// How many records were acknowledged, whatever the acks.
    pub acknowledged: u64,
    /// How many records consumers have read.
    pub consumed: u64,
}

impl Oracle {
    /// The committed records of one partition.
    #[must_use]
    pub fn of(&self, partition: TopicIdPartition) -> &[Committed] {
        self.committed.get(&partition).map_or(&[], Vec::as_slice)
    }

    /// Records that a leader alone acknowledged and that are not where it said.
    #[must_use]
    pub fn lost_hopes(&self) -> u64 {
        let is_lost = |promise: &&Promise| {
            let mut broken = Vec::new();
            crate::invariants::acknowledged::check(self, promise, &mut broken);
            !broken.is_empty()
        };
        self.hopes.iter().filter(is_lost).map(|promise| promise.values.len() as u64).sum()
    }

    /// Takes over what a leader calls committed.
    ///
    /// # Errors
    /// If it contradicts what was committed before.
    pub fn note_committed(
        &mut self,
        (partition, committed_in): (TopicIdPartition, LeaderEpoch),
        (from, to): (Offset, Offset),
        records: &Bytes,
    ) -> Result<(), String> {
        let known = self.committed.entry(partition).or_default();
        let mut next = from;
        for record in parse(records)? {
            let Parsed { offset, value, epoch } = record;
            if offset < from || offset >= to {
                continue;
            }
            if offset != next {
                return Err(format!("offset {next} is called committed but is not in the leader's log"));
            }
            next = offset + 1;
            let record = Committed { value, epoch, committed_in };
            let index = usize::try_from(offset).unwrap_or(usize::MAX);
            match known.get(index) {
                Some(before) if (before.value, before.epoch) != (value, epoch) => {
                    return Err(format!("offset {offset} was committed as {before:?} and is {record:?} now"));
                }
                Some(_) => {}
                None if index == known.len() => known.push(record),
                None => return Err(format!("offset {offset} is committed before {}", known.len())),
            }
        }
        if next < to {
            return Err(format!("offset {next} is called committed but is not in the leader's log"));
        }
        Ok(())
    }
}
