//! Who takes part in the metadata quorum.
//!
//! A node of the quorum is a broker id together with the directory that holds its metadata log. A broker that comes
//! back with an empty disk is a different node: it has forgotten its vote, so it may not use the old one's.

use ottla_types::{BrokerId, DirectoryId};
use std::collections::BTreeSet;
use std::fmt;

/// A node of the quorum: the broker id in the lower half, a fingerprint of the directory id in the upper. Never 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct NodeId(pub u64);

impl NodeId {
    /// The node of a broker whose metadata log is in `directory`.
    #[must_use]
    pub fn new(broker: BrokerId, directory: DirectoryId) -> Self {
        let (high, low) = directory.0.as_u64_pair();
        let mixed = crate::placement::mix(high ^ low.rotate_left(32));
        let fingerprint = ((mixed >> 32) as u32).max(1);
        Self(u64::from(fingerprint) << 32 | u64::from(broker.0 as u32))
    }

    /// The broker it runs in.
    #[must_use]
    pub const fn broker(self) -> BrokerId {
        BrokerId(self.0 as u32 as i32)
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{:08x}", self.broker(), self.0 >> 32)
    }
}

/// The nodes of the quorum. Voters decide, learners only follow; nobody is both.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Membership {
    /// A majority of these decides.
    pub voters: BTreeSet<NodeId>,
    /// These receive the log.
    pub learners: BTreeSet<NodeId>,
}

impl Membership {
    /// True if the node has a part in it.
    #[must_use]
    pub fn contains(&self, node: NodeId) -> bool {
        self.voters.contains(&node) || self.learners.contains(&node)
    }

    /// Everybody, in order.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.voters.union(&self.learners).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_types::Uuid;

    #[test]
    fn a_node_names_its_broker() {
        for id in [0, 1, 77, i32::MAX] {
            assert_eq!(NodeId::new(BrokerId(id), DirectoryId(Uuid::from_u128(5))).broker(), BrokerId(id));
        }
    }

    #[test]
    fn a_new_directory_is_another_node() {
        let node = |directory| NodeId::new(BrokerId(0), DirectoryId(Uuid::from_u128(directory)));
        assert_ne!(node(1), node(2));
        assert_eq!(node(1), node(1));
        assert_ne!(node(0).0, 0);
    }
}
