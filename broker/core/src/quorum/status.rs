//! What a node knows of the others.

use super::node::Quorum;
use crate::metadata::NodeId;

/// What a node knows of its quorum, for `DescribeQuorum` and for planning its membership.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Status {
    /// The leader, if known.
    pub leader: Option<NodeId>,
    /// Its term.
    pub term: u64,
    /// The last committed index.
    pub committed: u64,
    /// The last index in this node's log.
    pub last_index: u64,
    /// Every member; positions are known to the leader only.
    pub members: Vec<Member>,
}

/// A member of the quorum.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Member {
    /// The node.
    pub node: NodeId,
    /// It votes.
    pub is_voter: bool,
    /// The last index it is known to have; 0 if not known.
    pub matched: u64,
    /// It was heard of within the last election timeout.
    pub is_recently_active: bool,
}

impl Quorum {
    /// What this node knows.
    #[must_use]
    pub fn status(&self) -> Status {
        let raft = &self.raft.raft;
        let leadership = self.leadership();
        let membership = self.membership();
        let last_index = raft.raft_log.last_index();
        let members = membership.nodes().map(|node| {
            let progress = raft.prs().get(node.0);
            let is_self = node == self.node;
            Member {
                node,
                is_voter: membership.voters.contains(&node),
                matched: if is_self { last_index } else { progress.map_or(0, |progress| progress.matched) },
                is_recently_active: is_self || progress.is_some_and(|progress| progress.recent_active),
            }
        });
        Status {
            leader: leadership.leader,
            term: leadership.term,
            committed: raft.raft_log.committed,
            last_index,
            members: members.collect(),
        }
    }

    /// The voter that should lead after this one: active, and the furthest along.
    #[must_use]
    pub fn successor(&self) -> Option<NodeId> {
        let members = self.status().members.into_iter();
        let fit =
            members.filter(|member| member.is_voter && member.is_recently_active && member.node != self.node);
        fit.max_by_key(|member| (member.matched, std::cmp::Reverse(member.node))).map(|member| member.node)
    }
}
