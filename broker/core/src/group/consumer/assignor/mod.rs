//! Server-side assignors: who should own which partition.
//!
//! Both are pure functions of members, subscriptions, topics and what members have. Invariants: every partition
//! of a subscribed topic has exactly one owner, who subscribes to it; nothing else is given.

mod range;
#[cfg(test)]
mod tests;
mod uniform;

use super::request::Partitions;
use crate::group::settings::AssignorName;
use ottla_types::TopicId;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A member as an assignor sees it.
#[derive(Debug, Clone)]
pub struct MemberSpec {
    /// Its id.
    pub id: Arc<str>,
    /// The static member's name.
    pub instance_id: Option<Arc<str>>,
    /// Its rack.
    pub rack_id: Option<Arc<str>>,
    /// Topics it subscribes to, of those that exist.
    pub topics: BTreeSet<TopicId>,
    /// What it is meant to own now.
    pub current: Arc<Partitions>,
}

/// A topic as an assignor sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicSpec {
    /// How many partitions it has.
    pub partitions: i32,
    /// The racks of each partition's replicas; empty where they are not known.
    pub racks: Vec<Vec<Arc<str>>>,
}

impl TopicSpec {
    /// Has the partition a replica in the rack?
    fn is_in_rack(&self, partition: i32, rack: Option<&Arc<str>>) -> bool {
        let racks = usize::try_from(partition).ok().and_then(|at| self.racks.get(at));
        rack.is_some_and(|rack| racks.is_some_and(|racks| racks.contains(rack)))
    }
}

/// Topics by id.
pub type TopicSpecs = BTreeMap<TopicId, TopicSpec>;

/// Computes the target of every member, in the order of `members`.
#[must_use]
pub fn assign(assignor: AssignorName, members: &[MemberSpec], topics: &TopicSpecs) -> Vec<Partitions> {
    match assignor {
        AssignorName::Uniform => uniform::assign(members, topics),
        AssignorName::Range => range::assign(members, topics),
    }
}
