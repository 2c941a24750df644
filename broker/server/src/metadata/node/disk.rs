//! What the quorum wants on disk, written; and what becomes of it while there is no room.
//!
//! A full disk is a state that passes, and to the others a node that waits for room is one whose disk is slow. Nothing
//! of what could not be written has left this node: the quorum goes on only when it is told that it is there.

use super::{NodeError, Running};
use ottla_core::quorum::{Persist, StoredSnapshot};
use ottla_storage::MetadataLogError;

impl Running {
    pub(super) fn persist(&mut self, persist: Persist) -> Result<(), NodeError> {
        match self.write(&persist) {
            Ok(()) => self.node.quorum.persisted(persist.number),
            Err(error) if error.is_full() => {
                tracing::error!(%error, "no room for the metadata log: this broker takes no part until there is");
                self.unwritten = Some(persist);
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Writes what there was no room for, if there is some now.
    pub(super) fn persist_again(&mut self) -> Result<(), NodeError> {
        let Some(persist) = self.unwritten.take() else { return Ok(()) };
        match self.write(&persist) {
            Ok(()) => {
                tracing::info!("there is room for the metadata log again");
                self.node.quorum.persisted(persist.number);
            }
            Err(error) if error.is_full() => self.unwritten = Some(persist),
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Saves a snapshot; without room for it the entries stay instead, and the next one takes their place.
    pub(super) fn save_snapshot(
        &mut self,
        snapshot: &StoredSnapshot,
        compact_to: u64,
    ) -> Result<(), NodeError> {
        let now = self.node.clock.wall_ms();
        let log = &mut self.node.log;
        let saved = log.save_snapshot(snapshot.index, snapshot.term, &snapshot.bytes, now);
        match saved.and_then(|()| log.compact_to(compact_to, now)) {
            Err(error) if error.is_full() => tracing::warn!(%error, "no room for a snapshot of the metadata"),
            done => done?,
        }
        Ok(())
    }

    fn write(&mut self, persist: &Persist) -> Result<(), MetadataLogError> {
        let now = self.node.clock.wall_ms();
        let log = &mut self.node.log;
        if let Some(snapshot) = &persist.snapshot {
            log.save_snapshot(snapshot.index, snapshot.term, &snapshot.bytes, now)?;
        }
        if let Some(first) = persist.entries.first() {
            if first.index < log.end_index() {
                log.truncate_from(first.index, now)?;
            }
            let entries: Vec<_> =
                persist.entries.iter().map(|entry| (entry.index, entry.term, entry.bytes.clone())).collect();
            log.append(&entries, now)?;
        }
        if let Some(state) = &persist.hard_state {
            log.save_hard_state(state, persist.must_sync)?;
        }
        if persist.must_sync && !persist.entries.is_empty() {
            log.sync()?;
        }
        Ok(())
    }
}
