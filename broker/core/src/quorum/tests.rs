//! Several nodes over a network that loses and cuts.

use super::*;
use crate::metadata::{Membership, NodeId};
use bytes::Bytes;
use ottla_types::{BrokerId, DirectoryId, Uuid};

mod alone;
mod network;
mod together;

fn node(id: i32) -> NodeId {
    NodeId::new(BrokerId(id), DirectoryId(Uuid::from_u128(id as u128 + 1)))
}

/// A disk that keeps what was persisted.
#[derive(Debug, Clone, Default)]
struct Disk(Recovered);

impl Disk {
    fn persist(&mut self, it: &Persist) {
        if let Some(snapshot) = &it.snapshot {
            self.0.snapshot = Some(snapshot.clone());
            self.0.entries.clear();
        }
        if let Some(first) = it.entries.first() {
            self.0.entries.retain(|entry| entry.index < first.index);
            self.0.entries.extend(it.entries.iter().cloned());
        }
        if it.hard_state.is_some() {
            self.0.hard_state = it.hard_state.clone();
        }
    }

    fn save(&mut self, snapshot: StoredSnapshot, compact_to: u64) {
        self.0.snapshot = Some(snapshot);
        self.0.entries.retain(|entry| entry.index > compact_to);
    }
}
