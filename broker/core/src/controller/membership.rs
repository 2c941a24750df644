//! Who is to take part in the metadata quorum: the voters follow the registered brokers.
//!
//! A plan function, without memory: from who takes part, who is registered and who has caught up to at most one
//! change. Every registered broker gets the log; one, three or five of them vote, never more than there are. A node
//! whose broker is not registered, or is registered with another disk, goes. Invariants: a node votes only after it
//! has caught up as a learner; a voter that can be spared goes only after the one that takes its place votes.

use crate::metadata::{Image, Membership, NodeId};
use crate::quorum::{Member, MembershipChange, Status};
use ottla_types::limits;
use std::collections::BTreeSet;

/// Entries that a learner may be behind and still become a voter.
const CAUGHT_UP_ENTRIES: u64 = 100;

/// The next change of the quorum's membership, if one is due. `status` is the leader's.
#[must_use]
pub fn plan(image: &Image, membership: &Membership, status: &Status) -> Option<MembershipChange> {
    let leader = status.leader?;
    let registered: BTreeSet<NodeId> = image.brokers().values().map(|broker| broker.node()).collect();
    let active: BTreeSet<NodeId> =
        image.brokers().values().filter(|broker| !broker.fenced).map(|broker| broker.node()).collect();
    let is_up = |node: &NodeId| {
        status.members.iter().any(|member| member.node == *node && is_caught_up(member, status))
    };

    if let Some(new) = registered.iter().find(|node| !membership.contains(**node)) {
        return Some(MembershipChange::AddLearner(*new));
    }
    if let Some(gone) = membership.learners.iter().find(|node| !registered.contains(*node)) {
        return Some(MembershipChange::Remove(*gone));
    }
    let gone: Vec<NodeId> = membership
        .voters
        .iter()
        .copied()
        .filter(|node| !registered.contains(node) && *node != leader)
        .collect();
    let candidate = membership.learners.iter().copied().find(|node| active.contains(node) && is_up(node));
    let wanted = voters_for(registered.len());
    let staying = membership.voters.len() - gone.len();
    if let Some(candidate) = candidate.filter(|_| staying < wanted) {
        return Some(MembershipChange::AddVoter(candidate));
    }
    if let Some(gone) = gone.first() {
        // Whoever does not exist any more can only stand in the way of a majority.
        return Some(MembershipChange::Remove(*gone));
    }
    if membership.voters.len() > wanted {
        let spare = membership.voters.iter().copied().filter(|node| *node != leader);
        // The dead before the living, the high ids before the low.
        let spare = spare.max_by_key(|node| (!active.contains(node), *node));
        return spare.map(MembershipChange::AddLearner);
    }
    let dead = membership.voters.iter().copied().find(|node| *node != leader && !active.contains(node));
    let has_no_majority_to_lose = membership.voters.len() > 2;
    match (dead, candidate) {
        // One is away for longer than a session, and another could vote: it does, and then there is one too many.
        (Some(_), Some(candidate)) if has_no_majority_to_lose => Some(MembershipChange::AddVoter(candidate)),
        _ => None,
    }
}

/// One, three or five, as many as there are brokers for; two brokers have one voter.
const fn voters_for(brokers: usize) -> usize {
    match brokers {
        0..3 => 1,
        3..5 => 3,
        _ => limits::VOTERS,
    }
}

fn is_caught_up(member: &Member, status: &Status) -> bool {
    member.is_recently_active && member.matched + CAUGHT_UP_ENTRIES >= status.committed
}

#[cfg(test)]
#[path = "membership_tests.rs"]
mod tests;
