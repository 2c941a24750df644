//! Where each leader epoch starts (`LeaderEpochFileCache`, KIP-101).
//!
//! Invariant: epochs and start offsets both rise strictly from entry to entry.

use ottla_types::{LeaderEpoch, Offset};

/// The leader epochs of one log, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LeaderEpochCache {
    entries: Vec<(LeaderEpoch, Offset)>,
}

impl LeaderEpochCache {
    /// A cache of entries read from a checkpoint; those that break the order are dropped.
    #[must_use]
    pub fn from_entries(entries: Vec<(LeaderEpoch, Offset)>) -> Self {
        let mut cache = Self::default();
        for (epoch, start_offset) in entries {
            cache.assign(epoch, start_offset);
        }
        cache
    }

    /// All entries, oldest first.
    #[must_use]
    pub fn entries(&self) -> &[(LeaderEpoch, Offset)] {
        &self.entries
    }

    /// The newest epoch.
    #[must_use]
    pub fn latest(&self) -> Option<LeaderEpoch> {
        self.entries.last().map(|entry| entry.0)
    }

    /// Whether the record at `offset` is the first of the newest epoch.
    #[must_use]
    pub fn latest_begins_at(&self, offset: Offset) -> bool {
        self.entries.last().is_some_and(|last| last.1 == offset)
    }

    /// Notes that `epoch` starts at `start_offset`; returns true if that was news. An epoch that is already there keeps
    /// its start; epochs that would start at or after the new one never got a record and go.
    pub fn assign(&mut self, epoch: LeaderEpoch, start_offset: Offset) -> bool {
        if epoch.is_none() || self.latest().is_some_and(|latest| latest >= epoch) {
            return false;
        }
        while self.entries.last().is_some_and(|last| last.1 >= start_offset) {
            self.entries.pop();
        }
        self.entries.push((epoch, start_offset));
        true
    }

    /// Drops epochs that start at or after `end_offset`; true if any did.
    pub fn truncate_from_end(&mut self, end_offset: Offset) -> bool {
        let before = self.entries.len();
        self.entries.retain(|entry| entry.1 < end_offset);
        self.entries.len() != before
    }

    /// Forgets what lies wholly before `start_offset`; the epoch in force there starts there. True if anything changed.
    pub fn truncate_from_start(&mut self, start_offset: Offset) -> bool {
        let in_force = self.entries.partition_point(|entry| entry.1 <= start_offset);
        if in_force == 0 || (in_force == 1 && self.entries[0].1 == start_offset) {
            return false;
        }
        self.entries.drain(..in_force - 1);
        self.entries[0].1 = start_offset;
        true
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.entries.clear();
    }

    /// The largest epoch not above `epoch`, and where it ends (`OffsetForLeaderEpoch`). `None` if unknown:
    /// no epochs at all, or `epoch` is newer than all of them.
    #[must_use]
    pub fn end_offset_for(
        &self,
        epoch: LeaderEpoch,
        log_end_offset: Offset,
    ) -> Option<(LeaderEpoch, Offset)> {
        let latest = self.latest()?;
        if epoch.is_none() || epoch > latest {
            return None;
        }
        if epoch == latest {
            return Some((epoch, log_end_offset));
        }
        let next = self.entries.partition_point(|entry| entry.0 <= epoch);
        let end_offset = self.entries[next].1;
        // Older than everything we know: Kafka answers the asked epoch and the first start.
        let found = if next == 0 { epoch } else { self.entries[next - 1].0 };
        Some((found, end_offset))
    }

    /// The epoch of the record at `offset`.
    #[must_use]
    pub fn epoch_at(&self, offset: Offset) -> Option<LeaderEpoch> {
        let after = self.entries.partition_point(|entry| entry.1 <= offset);
        after.checked_sub(1).map(|index| self.entries[index].0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache() -> LeaderEpochCache {
        LeaderEpochCache::from_entries(vec![(LeaderEpoch(2), 10), (LeaderEpoch(4), 20), (LeaderEpoch(7), 35)])
    }

    #[test]
    fn an_epoch_ends_where_the_next_one_starts() {
        assert_eq!(cache().end_offset_for(LeaderEpoch(2), 50), Some((LeaderEpoch(2), 20)));
        assert_eq!(cache().end_offset_for(LeaderEpoch(3), 50), Some((LeaderEpoch(2), 20)));
        assert_eq!(cache().end_offset_for(LeaderEpoch(7), 50), Some((LeaderEpoch(7), 50)));
        assert_eq!(cache().end_offset_for(LeaderEpoch(8), 50), None);
        assert_eq!(cache().end_offset_for(LeaderEpoch(1), 50), Some((LeaderEpoch(1), 10)));
    }

    #[test]
    fn an_epoch_without_records_gives_way() {
        let mut cache = cache();
        assert!(cache.assign(LeaderEpoch(8), 35));
        assert_eq!(cache.entries().last(), Some(&(LeaderEpoch(8), 35)));
        assert_eq!(cache.entries().len(), 3);
        assert!(!cache.assign(LeaderEpoch(8), 40));
        assert!(!cache.assign(LeaderEpoch(5), 60));
    }

    #[test]
    fn truncation_keeps_the_epoch_in_force() {
        let mut cache = cache();
        assert!(cache.truncate_from_start(25));
        assert_eq!(cache.entries(), [(LeaderEpoch(4), 25), (LeaderEpoch(7), 35)]);
        assert!(cache.truncate_from_end(35));
        assert_eq!(cache.entries(), [(LeaderEpoch(4), 25)]);
        assert_eq!(cache.epoch_at(30), Some(LeaderEpoch(4)));
        assert_eq!(cache.epoch_at(3), None);
    }
}
