//! Who is to take part in the metadata quorum: the voters follow the registered brokers.
//!
//! A plan function, without memory: from who takes part, who is registered and who has caught up to at most one
//! change. Every registered broker gets the log; one, three or five of them vote, never more than there are. A node
//! whose broker is not registered, or is registered with another disk, goes. Invariants: a node votes only after it
//! has caught up as a learner; a voter that can be spared goes only after the one that takes its place votes.
//!
//! A broker that is cordoned and holds no replica is on its way out of the cluster: it does not vote, so that nothing
//! of the cluster is on it when it goes; unless that is true of all. A broker that somebody barred does not vote
//! either, and one that somebody wants votes before others.

use crate::metadata::record::Preference;
use crate::metadata::{BrokerImage, Image, Membership, NodeId};
use crate::quorum::{Member, MembershipChange, Status};
use ottla_types::limits;
use std::collections::BTreeSet;

/// Entries that a learner may be behind and still become a voter.
const CAUGHT_UP_ENTRIES: u64 = 100;

/// The next change of the quorum's membership, if one is due. `status` is the leader's.
#[must_use]
pub fn plan(image: &Image, membership: &Membership, status: &Status) -> Option<MembershipChange> {
    let leader = status.leader?;
    let nodes = Nodes::of(image);
    let voters = &membership.voters;
    if let Some(new) = nodes.registered.iter().find(|node| !membership.contains(**node)) {
        return Some(MembershipChange::AddLearner(*new));
    }
    if let Some(gone) = membership.learners.iter().find(|node| !nodes.registered.contains(*node)) {
        return Some(MembershipChange::Remove(*gone));
    }
    let staying = voters.iter().filter(|node| nodes.may_vote(**node)).count();
    let candidate = nodes.candidate(membership, status);
    let wanted = voters_for(nodes.registered.len() - nodes.leaving.len());
    if let Some(candidate) = candidate.filter(|_| staying < wanted) {
        return Some(MembershipChange::AddVoter(candidate));
    }
    let mut others = voters.iter().copied().filter(|node| *node != leader);
    let mut gone = others.clone().filter(|node| !nodes.registered.contains(node)).peekable();
    if gone.peek().is_some() {
        // Whoever does not exist any more can only stand in the way of a majority; whoever was only unregistered may be
        // part of it.
        return gone.find(|node| keeps_majority(membership, *node, status)).map(MembershipChange::Remove);
    }
    if nodes.is_off(leader) && staying > 0 {
        // It hands over first (see `successor`); who leads then sends it away.
        return None;
    }
    if let Some(barred) = others.clone().find(|node| nodes.barred.contains(node)) {
        return Some(MembershipChange::AddLearner(barred));
    }
    if voters.len() > wanted {
        return others.max_by_key(|node| nodes.expendability(*node)).map(MembershipChange::AddLearner);
    }
    let candidate = candidate?;
    // Whoever comes makes one too many, and then the most expendable goes.
    let is_dead = |node: &NodeId| !nodes.active.contains(node);
    let has_majority_to_spare = voters.len() > 2;
    let replaces_dead = has_majority_to_spare && others.clone().any(|node| is_dead(&node));
    let is_wanted_more =
        nodes.wanted.contains(&candidate) && others.any(|node| !nodes.wanted.contains(&node));
    (replaces_dead || is_wanted_more).then_some(MembershipChange::AddVoter(candidate))
}

/// The nodes of the registered brokers, by what follows from the image for their votes.
struct Nodes {
    registered: BTreeSet<NodeId>,
    /// Not fenced, and may vote.
    active: BTreeSet<NodeId>,
    /// Nothing is left on them and nothing new comes to them.
    leaving: BTreeSet<NodeId>,
    /// Somebody said that they should not vote.
    barred: BTreeSet<NodeId>,
    /// Somebody said that they should.
    wanted: BTreeSet<NodeId>,
}

impl Nodes {
    fn of(image: &Image) -> Self {
        let those = |is: &dyn Fn(&BrokerImage) -> bool| -> BTreeSet<NodeId> {
            let brokers = image.brokers().values().filter(|broker| is(broker));
            brokers.map(|broker| broker.node()).collect()
        };
        let mut leaving = those(&|broker| broker.cordoned && image.replica_count(broker.id) == 0);
        if leaving.len() == image.brokers().len() {
            leaving.clear();
        }
        let barred = those(&|broker| broker.preference == Preference::Barred);
        let mut active = those(&|broker| !broker.fenced);
        active.retain(|node| !leaving.contains(node) && !barred.contains(node));
        let wanted = those(&|broker| broker.preference == Preference::Wanted);
        Self { registered: those(&|_| true), active, leaving, barred, wanted }
    }

    /// It should not vote.
    fn is_off(&self, node: NodeId) -> bool {
        self.leaving.contains(&node) || self.barred.contains(&node)
    }

    fn may_vote(&self, node: NodeId) -> bool {
        self.registered.contains(&node) && !self.is_off(node)
    }

    /// The learner that should vote next: one that is wanted before the others.
    fn candidate(&self, membership: &Membership, status: &Status) -> Option<NodeId> {
        let learners = membership.learners.iter().copied();
        let mut fit = learners.filter(|node| self.active.contains(node) && has_caught_up(*node, status));
        let first = fit.clone().find(|node| self.wanted.contains(node));
        first.or_else(|| fit.next())
    }

    /// Those that should not vote before the dead, the dead before the living, the high ids before the low.
    fn expendability(&self, node: NodeId) -> (bool, bool, bool, NodeId) {
        (self.is_off(node), !self.active.contains(&node), !self.wanted.contains(&node), node)
    }
}

/// To whom the leader should hand over because it should not vote; `None` if it should go on.
#[must_use]
pub fn successor(image: &Image, status: &Status) -> Option<NodeId> {
    let nodes = Nodes::of(image);
    let leader = status.leader.filter(|leader| nodes.is_off(*leader))?;
    let others = status.members.iter().filter(|member| member.is_voter && member.node != leader);
    let fit = others.filter(|member| nodes.may_vote(member.node) && is_caught_up(member, status));
    fit.max_by_key(|member| (member.matched, std::cmp::Reverse(member.node))).map(|member| member.node)
}

/// One, three or five, as many as there are brokers for; two brokers have one voter.
const fn voters_for(brokers: usize) -> usize {
    match brokers {
        0..3 => 1,
        3..5 => 3,
        _ => limits::VOTERS,
    }
}

/// Of the voters without `gone`, more than half were heard of lately.
fn keeps_majority(membership: &Membership, gone: NodeId, status: &Status) -> bool {
    let is_heard =
        |node: &NodeId| status.members.iter().any(|member| member.node == *node && member.is_recently_active);
    let left = membership.voters.iter().filter(|node| **node != gone);
    2 * left.clone().filter(|node| is_heard(node)).count() > left.count()
}

fn has_caught_up(node: NodeId, status: &Status) -> bool {
    status.members.iter().any(|member| member.node == node && is_caught_up(member, status))
}

fn is_caught_up(member: &Member, status: &Status) -> bool {
    member.is_recently_active && member.matched + CAUGHT_UP_ENTRIES >= status.committed
}

#[cfg(test)]
#[path = "membership_tests.rs"]
mod tests;
