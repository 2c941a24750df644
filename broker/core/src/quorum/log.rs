//! The entries in memory since the last snapshot.
//!
//! The library reads its log from here; what is on disk is written by whoever runs the effects. Invariant: the
//! entries follow the snapshot or overlap it, without gaps. Bound: [`Log::is_snapshot_due`] says when a snapshot has
//! to be taken, and compaction keeps at most an eighth of that of entries that it covers.

use super::codec::{self, CodecError};
use super::effect::StoredSnapshot;
use crate::metadata::{Membership, NodeId};
use bytes::Bytes;
use raft::eraftpb::{ConfChangeType, ConfState, Entry, EntryType, HardState, Snapshot};
use raft::{Error, GetEntriesContext, RaftState, Storage, StorageError};
use std::cell::Cell;
use std::collections::VecDeque;

/// Of the bytes between two snapshots, the part that is kept for nodes that are a little behind.
const TRAILING_PART: usize = 8;
/// What an entry costs besides its data.
const ENTRY_OVERHEAD_BYTES: usize = 96;

/// The log as the library sees it.
#[derive(Debug, Default)]
pub(super) struct Log {
    pub hard_state: HardState,
    /// See [`super::Config::snapshot_after_bytes`].
    pub snapshot_after_bytes: usize,
    /// The members by the index from which they count, ascending; the first holds at the snapshot.
    memberships: VecDeque<(u64, ConfState)>,
    /// The changes of the members up to here are in `memberships` since the start.
    recovered_to: u64,
    snapshot_index: u64,
    snapshot_term: u64,
    snapshot_data: Bytes,
    /// The entry before `entries[0]`.
    base_index: u64,
    base_term: u64,
    entries: VecDeque<Entry>,
    bytes_since_snapshot: usize,
    /// A node needs a snapshot that knows it as a member, and the last one does not.
    newcomer_waits: Cell<bool>,
}

fn cost(entry: &Entry) -> usize {
    entry.data.len() + ENTRY_OVERHEAD_BYTES
}

impl Log {
    /// Takes the place of everything.
    pub fn install(&mut self, index: u64, term: u64, members: ConfState, data: Bytes) {
        self.entries.clear();
        (self.base_index, self.base_term) = (index, term);
        (self.snapshot_index, self.snapshot_term, self.snapshot_data) = (index, term, data);
        self.memberships = VecDeque::from([(index, members)]);
        self.recovered_to = self.recovered_to.min(index);
        self.bytes_since_snapshot = 0;
        self.newcomer_waits.set(false);
        self.hard_state.commit = self.hard_state.commit.max(index);
        self.hard_state.term = self.hard_state.term.max(term);
    }

    /// Appends, cutting off what is there from the first new index on.
    pub fn append(&mut self, entries: &[Entry]) {
        let Some(first) = entries.first() else { return };
        assert!(
            first.index > self.base_index && first.index <= self.last() + 1,
            "entry {} does not continue a log of {}..={}",
            first.index,
            self.base_index + 1,
            self.last()
        );
        while self.last() >= first.index {
            let Some(dropped) = self.entries.pop_back() else { break };
            self.bytes_since_snapshot = self.bytes_since_snapshot.saturating_sub(cost(&dropped));
        }
        for entry in entries {
            self.bytes_since_snapshot += cost(entry);
            self.entries.push_back(entry.clone());
        }
    }

    pub fn last(&self) -> u64 {
        self.base_index + self.entries.len() as u64
    }

    pub fn set_membership(&mut self, index: u64, members: ConfState) {
        self.memberships.push_back((index, members));
    }

    /// Takes over the changes of the members among the entries that are known to be committed. They are applied a
    /// second time later, but must count from the start: a node that goes by the members of an old snapshot could be
    /// elected by a majority that is none any more.
    pub fn recover_memberships(&mut self) -> Result<(), CodecError> {
        self.recovered_to = self.hard_state.commit;
        let mut members = self.membership();
        for entry in &self.entries {
            if entry.index <= self.snapshot_index || entry.index > self.recovered_to {
                continue;
            }
            if entry.get_entry_type() == EntryType::EntryNormal {
                continue;
            }
            let mut changed = members.clone();
            for change in codec::conf_change_from_entry(entry)?.changes {
                let node = NodeId(change.node_id);
                changed.voters.remove(&node);
                changed.learners.remove(&node);
                match change.get_change_type() {
                    ConfChangeType::AddNode => drop(changed.voters.insert(node)),
                    ConfChangeType::AddLearnerNode => drop(changed.learners.insert(node)),
                    ConfChangeType::RemoveNode => {}
                }
            }
            if !changed.voters.is_empty() {
                members = changed;
                self.memberships.push_back((entry.index, codec::conf_state(&members)));
            }
        }
        Ok(())
    }

    /// For an entry that changes the members: `None` if it has to be applied, else what came of it before the start.
    pub fn recovered_membership(&self, index: u64) -> Option<Option<Membership>> {
        let known = || self.memberships.iter().find(|(since, _)| *since == index);
        (index <= self.recovered_to).then(|| known().map(|(_, members)| codec::membership(members)))
    }

    pub fn conf_state(&self) -> ConfState {
        self.memberships.back().map(|(_, members)| members.clone()).unwrap_or_default()
    }

    fn conf_state_at(&self, index: u64) -> ConfState {
        let known = self.memberships.iter().rev().find(|(since, _)| *since <= index);
        known.map(|(_, members)| members.clone()).unwrap_or_default()
    }

    pub fn is_snapshot_due(&self) -> bool {
        self.newcomer_waits.get()
            || self.bytes_since_snapshot > self.snapshot_after_bytes.max(self.snapshot_data.len())
    }

    pub fn snapshot_index(&self) -> u64 {
        self.snapshot_index
    }

    /// Keeps a snapshot of what is applied up to `index`; returns it as stored, and up to where entries are gone.
    pub fn snapshot_at(&mut self, index: u64, data: Bytes) -> Option<(StoredSnapshot, u64)> {
        if index <= self.snapshot_index || index > self.last() {
            return None;
        }
        let term = self.term(index).ok()?;
        let members = self.conf_state_at(index);
        let bytes = codec::snapshot_to_bytes(&codec::membership(&members), data.clone());
        (self.snapshot_index, self.snapshot_term, self.snapshot_data) = (index, term, data);
        self.memberships.retain(|(since, _)| *since > index);
        self.memberships.push_front((index, members));
        let after = self.entries.iter().rev().take_while(|entry| entry.index > index);
        self.bytes_since_snapshot = after.map(cost).sum();
        self.newcomer_waits.set(false);
        self.compact();
        Some((StoredSnapshot { index, term, bytes }, self.base_index))
    }

    fn compact(&mut self) {
        let covered = self.entries.iter().take_while(|entry| entry.index <= self.snapshot_index);
        let mut covered_bytes: usize = covered.map(cost).sum();
        while covered_bytes > self.snapshot_after_bytes / TRAILING_PART {
            let Some(dropped) = self.entries.pop_front() else { break };
            covered_bytes -= cost(&dropped);
            (self.base_index, self.base_term) = (dropped.index, dropped.term);
        }
    }

    pub fn membership(&self) -> Membership {
        codec::membership(&self.conf_state())
    }
}

impl Storage for Log {
    fn initial_state(&self) -> raft::Result<RaftState> {
        Ok(RaftState::new(self.hard_state.clone(), self.conf_state()))
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        max_size: impl Into<Option<u64>>,
        _context: GetEntriesContext,
    ) -> raft::Result<Vec<Entry>> {
        if low <= self.base_index {
            return Err(Error::Store(StorageError::Compacted));
        }
        if high > self.last() + 1 {
            return Err(Error::Store(StorageError::Unavailable));
        }
        let from = (low - self.base_index - 1) as usize;
        let to = (high - self.base_index - 1) as usize;
        let limit = max_size.into().unwrap_or(u64::MAX);
        let mut total = 0u64;
        let wanted = self.entries.range(from..to).take_while(|entry| {
            let is_first = total == 0;
            total = total.saturating_add(cost(entry) as u64);
            is_first || total <= limit
        });
        Ok(wanted.cloned().collect())
    }

    fn term(&self, index: u64) -> raft::Result<u64> {
        if index == self.base_index {
            return Ok(self.base_term);
        }
        if index < self.base_index {
            return Err(Error::Store(StorageError::Compacted));
        }
        let entry = self.entries.get((index - self.base_index - 1) as usize);
        entry.map(|entry| entry.term).ok_or(Error::Store(StorageError::Unavailable))
    }

    fn first_index(&self) -> raft::Result<u64> {
        Ok(self.base_index + 1)
    }

    fn last_index(&self) -> raft::Result<u64> {
        Ok(self.last())
    }

    fn snapshot(&self, request_index: u64, to: u64) -> raft::Result<Snapshot> {
        let members = self.conf_state_at(self.snapshot_index);
        // A node refuses a snapshot that does not know it.
        let knows_node = members.voters.contains(&to) || members.learners.contains(&to);
        if request_index > self.snapshot_index || !knows_node {
            self.newcomer_waits.set(true);
            return Err(Error::Store(StorageError::SnapshotTemporarilyUnavailable));
        }
        let mut snapshot = Snapshot { data: self.snapshot_data.clone(), ..Default::default() };
        let metadata = snapshot.mut_metadata();
        metadata.index = self.snapshot_index;
        metadata.term = self.snapshot_term;
        metadata.set_conf_state(members);
        Ok(snapshot)
    }
}
