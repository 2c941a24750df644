//! A member of a consumer group and its record forms.

use super::request::Partitions;
use crate::group::records::{ClassicMetadata, CurrentValue, MemberKey, MemberValue, Record, TopicPartitions};
use ottla_types::TopicId;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Partitions by topic, each with the member epoch at which it was given.
pub type Owned = BTreeMap<TopicId, BTreeMap<i32, i32>>;

/// Where a member is on its way to the target assignment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberState {
    /// It has what it should have at its epoch.
    Stable,
    /// It must give partitions up first.
    UnrevokedPartitions,
    /// Others must give partitions up that it will get.
    UnreleasedPartitions,
    /// A state that a newer coordinator wrote: the member must start over.
    Unknown,
}

impl MemberState {
    const fn from_code(code: i8) -> Self {
        match code {
            0 => Self::Stable,
            1 => Self::UnrevokedPartitions,
            2 => Self::UnreleasedPartitions,
            _ => Self::Unknown,
        }
    }

    const fn code(self) -> i8 {
        match self {
            Self::Stable => 0,
            Self::UnrevokedPartitions => 1,
            Self::UnreleasedPartitions => 2,
            Self::Unknown => 127,
        }
    }
}

/// A member of a consumer group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its id.
    pub id: Arc<str>,
    /// What it said of itself.
    pub about: MemberValue,
    /// The epoch expected from it.
    pub epoch: i32,
    /// The one before, for a member that lost the answer.
    pub previous_epoch: i32,
    /// Where it is.
    pub state: MemberState,
    /// What it owns.
    pub assigned: Owned,
    /// What it must give up before it goes on.
    pub pending_revocation: Owned,
}

impl Member {
    /// Someone new.
    #[must_use]
    pub fn new(id: Arc<str>) -> Self {
        let about = MemberValue { rebalance_timeout_ms: -1, ..MemberValue::default() };
        Self {
            id,
            about,
            epoch: 0,
            previous_epoch: 0,
            state: MemberState::Stable,
            assigned: Owned::new(),
            pending_revocation: Owned::new(),
        }
    }

    /// Has it arrived at that target?
    #[must_use]
    pub fn is_reconciled_to(&self, target_epoch: i32) -> bool {
        self.state == MemberState::Stable && self.epoch == target_epoch
    }

    /// Does it speak the classic protocol?
    #[must_use]
    pub const fn is_classic(&self) -> bool {
        self.about.classic.is_some()
    }

    /// Owns it the partition, or must it still give it up?
    pub(super) fn epoch_of(&self, topic: TopicId, partition: i32) -> Option<i32> {
        let of = |owned: &Owned| owned.get(&topic)?.get(&partition).copied();
        of(&self.assigned).or_else(|| of(&self.pending_revocation))
    }

    pub(super) fn advance(&mut self, epoch: i32) {
        self.previous_epoch = std::mem::replace(&mut self.epoch, epoch);
    }

    fn key(&self, group: &Arc<str>) -> MemberKey {
        MemberKey { group: Arc::clone(group), member: Arc::clone(&self.id) }
    }

    pub(super) fn about_record(&self, group: &Arc<str>) -> Record {
        Record::Member(self.key(group), Some(self.about.clone()))
    }

    pub(super) fn current_record(&self, group: &Arc<str>) -> Record {
        let value = CurrentValue {
            member_epoch: self.epoch,
            previous_member_epoch: self.previous_epoch,
            state: self.state.code(),
            assigned: owned_to_record(&self.assigned),
            pending_revocation: owned_to_record(&self.pending_revocation),
        };
        Record::Current(self.key(group), Some(value))
    }

    pub(super) fn target_record(&self, group: &Arc<str>, target: &Partitions) -> Record {
        Record::TargetMember(self.key(group), Some(target_to_record(target)))
    }

    pub(super) fn apply_current(&mut self, value: &CurrentValue) {
        self.epoch = value.member_epoch;
        self.previous_epoch = value.previous_member_epoch;
        self.state = MemberState::from_code(value.state);
        self.assigned = owned_from_record(&value.assigned, value.member_epoch);
        self.pending_revocation = owned_from_record(&value.pending_revocation, value.member_epoch);
    }

    /// How long a member of the classic protocol may be silent.
    pub(super) fn classic_session_timeout_ms(&self) -> Option<i32> {
        self.about.classic.as_ref().map(|classic: &ClassicMetadata| classic.session_timeout_ms)
    }
}

fn owned_to_record(owned: &Owned) -> Vec<TopicPartitions> {
    let topics = owned.iter().map(|(topic_id, partitions)| TopicPartitions {
        topic_id: *topic_id,
        partitions: partitions.keys().copied().collect(),
        assignment_epochs: partitions.values().copied().collect(),
    });
    topics.collect()
}

/// Records of before 4.3 have no epochs: the member's own is the best guess.
fn owned_from_record(topics: &[TopicPartitions], member_epoch: i32) -> Owned {
    let mut owned = Owned::new();
    for topic in topics {
        let epoch = |at: usize| topic.assignment_epochs.get(at).copied().unwrap_or(member_epoch);
        let partitions = topic.partitions.iter().enumerate().map(|(at, partition)| (*partition, epoch(at)));
        owned.entry(topic.topic_id).or_default().extend(partitions);
    }
    owned
}

fn target_to_record(target: &Partitions) -> Vec<TopicPartitions> {
    let topics = target.iter().map(|(topic_id, partitions)| TopicPartitions {
        topic_id: *topic_id,
        partitions: partitions.iter().copied().collect(),
        assignment_epochs: Vec::new(),
    });
    topics.collect()
}

pub(super) fn target_from_record(topics: &[TopicPartitions]) -> Partitions {
    topics.iter().map(|topic| (topic.topic_id, topic.partitions.iter().copied().collect())).collect()
}
