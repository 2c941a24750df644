//! What metrics show.

use super::{Group, GroupType, Shard};
use crate::group::offsets::Topics;
use crate::group::turn::Counters;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Counts over all groups of a shard.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stats {
    /// Groups by type and state.
    pub groups: BTreeMap<(GroupType, &'static str), usize>,
    /// Committed offsets.
    pub offsets: usize,
    /// Members of all groups.
    pub members: usize,
    /// What happened since the shard was made.
    pub counters: Counters,
}

impl Stats {
    /// Adds the counts of another shard.
    pub fn add(&mut self, other: &Self) {
        for (kind, count) in &other.groups {
            *self.groups.entry(*kind).or_default() += count;
        }
        self.offsets += other.offsets;
        self.members += other.members;
        self.counters.add(&other.counters);
    }
}

/// One group.
#[derive(Debug, Clone, Copy)]
pub struct Observed<'a> {
    /// Its id.
    pub group_id: &'a Arc<str>,
    /// Which protocol it follows.
    pub group_type: GroupType,
    /// Its state's name.
    pub state: &'static str,
    /// How many members it has.
    pub members: usize,
    /// What it has committed.
    pub offsets: Option<&'a Topics>,
}

impl Shard {
    /// Counts over all groups.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let mut stats = Stats { offsets: self.offsets.count(), counters: self.counters, ..Stats::default() };
        for group in self.groups.values() {
            *stats.groups.entry((group.group_type(), group.state_name())).or_default() += 1;
            stats.members += group.member_count();
        }
        stats
    }

    /// Every group, by id; none while loading.
    pub fn observe(&self) -> impl Iterator<Item = Observed<'_>> {
        self.groups.iter().filter(|_| self.active).map(|(group_id, group)| Observed {
            group_id,
            group_type: group.group_type(),
            state: group.state_name(),
            members: group.member_count(),
            offsets: self.offsets.group(group_id),
        })
    }
}

impl Group {
    fn member_count(&self) -> usize {
        match self {
            Self::Classic(group) => group.members().len(),
            Self::Consumer(group) => group.members().len(),
        }
    }
}
