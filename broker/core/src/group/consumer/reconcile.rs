//! One member's next step towards the target assignment (Kafka's `CurrentAssignmentBuilder`).
//!
//! Invariant: a partition is given only when nobody holds it; a partition that must go is taken off the member
//! only when the member says that it no longer owns it.

use super::member::{Member, MemberState, Owned};
use super::request::Partitions;
use crate::group::turn::Refusal;
use ottla_types::{ErrorCode, TopicId};
use std::collections::BTreeSet;

/// What the step depends on besides the member.
pub(super) struct Reconciliation<'a> {
    pub(super) target_epoch: i32,
    pub(super) target: &'a Partitions,
    /// While a newer target is being waited for, partitions of topics that are no longer subscribed go at once.
    pub(super) subscribed: Option<&'a BTreeSet<TopicId>>,
    /// What the member says that it owns; `None` if it did not say.
    pub(super) owned: Option<&'a Partitions>,
    /// Does someone (else) hold the partition?
    pub(super) is_held: &'a dyn Fn(TopicId, i32) -> bool,
}

impl Reconciliation<'_> {
    /// Takes the next step.
    ///
    /// # Errors
    /// `FENCED_MEMBER_EPOCH` for a member in a state that this coordinator does not know.
    pub(super) fn step(&self, member: &mut Member) -> Result<(), Refusal> {
        match member.state {
            MemberState::Stable if member.epoch == self.target_epoch && self.subscribed.is_none() => {}
            MemberState::Stable | MemberState::UnreleasedPartitions => self.advance(member, member.epoch),
            MemberState::UnrevokedPartitions => {
                if !self.still_owns(&member.pending_revocation) {
                    self.advance(member, member.epoch + 1);
                }
            }
            MemberState::Unknown => {
                if self.owned.is_none_or(|owned| !owned.is_empty()) {
                    let why = "The consumer group member is in a unknown state. \
                               The member must abandon all its partitions and rejoin.";
                    return Err(Refusal::new(ErrorCode::FencedMemberEpoch, why));
                }
                self.advance(member, self.target_epoch);
            }
        }
        Ok(())
    }

    fn still_owns(&self, revoked: &Owned) -> bool {
        let Some(owned) = self.owned else { return true };
        let owns =
            |topic, partition| owned.get(topic).is_some_and(|own: &BTreeSet<i32>| own.contains(partition));
        revoked.iter().any(|(topic, partitions)| partitions.keys().any(|partition| owns(topic, partition)))
    }

    fn wants(&self, topic: TopicId, partition: i32) -> bool {
        self.subscribed.is_none_or(|topics| topics.contains(&topic))
            && self.target.get(&topic).is_some_and(|partitions| partitions.contains(&partition))
    }

    fn advance(&self, member: &mut Member, epoch_meanwhile: i32) {
        let mut kept = Owned::new();
        let mut revoked = Owned::new();
        for (topic, partitions) in &member.assigned {
            for (partition, epoch) in partitions {
                let to = if self.wants(*topic, *partition) { &mut kept } else { &mut revoked };
                to.entry(*topic).or_default().insert(*partition, *epoch);
            }
        }
        if !revoked.is_empty() && self.still_owns(&revoked) {
            member.state = MemberState::UnrevokedPartitions;
            member.advance(epoch_meanwhile);
            member.assigned = kept;
            member.pending_revocation = revoked;
            return;
        }
        let unreleased = self.give_free(&mut kept, member);
        member.state = if unreleased { MemberState::UnreleasedPartitions } else { MemberState::Stable };
        member.advance(self.target_epoch);
        member.assigned = kept;
        member.pending_revocation = Owned::new();
    }

    /// Adds what is free of the target; true if something is still held by another member.
    fn give_free(&self, kept: &mut Owned, member: &Member) -> bool {
        let mut unreleased = false;
        for (topic, partitions) in self.target {
            for partition in partitions {
                let has = kept.get(topic).is_some_and(|kept| kept.contains_key(partition));
                if has || !self.wants(*topic, *partition) {
                    continue;
                }
                // What the member itself gave up a moment ago is free for it.
                if member.epoch_of(*topic, *partition).is_none() && (self.is_held)(*topic, *partition) {
                    unreleased = true;
                } else {
                    kept.entry(*topic).or_default().insert(*partition, self.target_epoch);
                }
            }
        }
        unreleased
    }
}
