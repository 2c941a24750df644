//! A consumer group as its records say, and nothing else that lasts.
//!
//! Invariants: changed by [`Group::apply`] alone (but for the soft fields at its end); `owners` has every
//! partition that a member owns or must still give up, so that nobody else gets it before; a static name maps to
//! a member.

use super::member::{Member, MemberState, target_from_record};
use super::request::Partitions;
use crate::group::records::{MemberValue, Record, RegexValue};
use crate::group::settings::AssignorName;
use ottla_types::{TimestampMs, TopicId};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// Where a group stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// No members; perhaps offsets.
    Empty,
    /// The target assignment is older than the group.
    Assigning,
    /// Members are on their way to the target.
    Reconciling,
    /// Everyone has arrived.
    Stable,
}

impl State {
    /// The name that tools show.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Assigning => "Assigning",
            Self::Reconciling => "Reconciling",
            Self::Stable => "Stable",
        }
    }
}

/// A group of the consumer protocol (KIP-848).
#[derive(Debug, Clone)]
pub struct Group {
    pub(super) id: Arc<str>,
    pub(super) epoch: i32,
    pub(super) metadata_hash: i64,
    pub(super) assignment_epoch: i32,
    pub(super) assignment_timestamp_ms: TimestampMs,
    pub(super) members: BTreeMap<Arc<str>, Arc<Member>>,
    pub(super) static_members: BTreeMap<Arc<str>, Arc<str>>,
    pub(super) targets: BTreeMap<Arc<str>, Arc<Partitions>>,
    pub(super) regexes: BTreeMap<Arc<str>, RegexValue>,
    /// Who owns, or still holds, a partition.
    owners: HashMap<(TopicId, i32), Arc<str>>,
    /// Kafka 4.0 left a record of this group's topics, which goes with the group.
    has_partition_metadata: bool,
    /// Soft: the version of the topics against which the group was last checked.
    pub(super) checked_version: Option<i64>,
    /// Soft: when that was, in milliseconds of the wall clock.
    pub(super) checked_at_ms: TimestampMs,
}

impl Group {
    /// A group without members.
    #[must_use]
    pub fn new(id: Arc<str>) -> Self {
        Self {
            id,
            epoch: 0,
            metadata_hash: 0,
            assignment_epoch: 0,
            assignment_timestamp_ms: 0,
            members: BTreeMap::new(),
            static_members: BTreeMap::new(),
            targets: BTreeMap::new(),
            regexes: BTreeMap::new(),
            owners: HashMap::new(),
            has_partition_metadata: false,
            checked_version: None,
            checked_at_ms: TimestampMs::MIN,
        }
    }

    /// Its epoch.
    #[must_use]
    pub const fn epoch(&self) -> i32 {
        self.epoch
    }

    /// Its members by id.
    #[must_use]
    pub const fn members(&self) -> &BTreeMap<Arc<str>, Arc<Member>> {
        &self.members
    }

    /// Where it stands.
    #[must_use]
    pub fn state(&self) -> State {
        if self.members.is_empty() {
            State::Empty
        } else if self.epoch > self.assignment_epoch {
            State::Assigning
        } else if self.members.values().all(|member| member.is_reconciled_to(self.assignment_epoch)) {
            State::Stable
        } else {
            State::Reconciling
        }
    }

    /// Is the target older than the group?
    pub(in crate::group) const fn needs_target(&self) -> bool {
        self.epoch > self.assignment_epoch
    }

    /// Nothing is to do for this version of the topics.
    pub(in crate::group) const fn topics_checked(&mut self, version: i64, at_ms: TimestampMs) {
        self.checked_version = Some(version);
        self.checked_at_ms = at_ms;
    }

    /// Who owns a partition, or still holds one it must give up.
    #[must_use]
    pub fn owner(&self, topic: TopicId, partition: i32) -> Option<&Arc<str>> {
        self.owners.get(&(topic, partition))
    }

    /// A member's target.
    #[must_use]
    pub fn target(&self, member_id: &str) -> Arc<Partitions> {
        self.targets.get(member_id).cloned().unwrap_or_default()
    }

    pub(super) fn static_member(&self, instance_id: &str) -> Option<&Member> {
        self.members.get(self.static_members.get(instance_id)?).map(AsRef::as_ref)
    }

    /// The names that a member's subscription stands for.
    pub(super) fn topics_of<'a>(&'a self, about: &'a MemberValue) -> impl Iterator<Item = &'a Arc<str>> {
        let regex = about.subscribed_regex.as_ref().and_then(|regex| self.regexes.get(regex));
        about.subscribed_topics.iter().chain(regex.into_iter().flat_map(|regex| &regex.topics))
    }

    /// Does any member consume the topic?
    #[must_use]
    pub fn is_subscribed_to(&self, topic: &str) -> bool {
        self.members.values().any(|member| self.topics_of(&member.about).any(|name| **name == *topic))
    }

    /// The names that all members together subscribe to.
    pub(super) fn subscribed_topics(&self) -> BTreeSet<&Arc<str>> {
        self.members.values().flat_map(|member| self.topics_of(&member.about)).collect()
    }

    /// The assignor that most members ask for; ties and silence go to the broker's first.
    pub(super) fn preferred_assignor(&self, known: &[AssignorName]) -> AssignorName {
        let asked = self.members.values().filter_map(|member| member.about.server_assignor.as_deref());
        let mut votes: BTreeMap<AssignorName, usize> = BTreeMap::new();
        for name in asked.filter_map(AssignorName::from_name).filter(|name| known.contains(name)) {
            *votes.entry(name).or_default() += 1;
        }
        let default = known.first().copied().unwrap_or(AssignorName::Uniform);
        votes.into_iter().rev().max_by_key(|(_, count)| *count).map_or(default, |(name, _)| name)
    }

    /// Replays a record of this group. Tombstones of what is not there are nothing.
    pub(in crate::group) fn apply(&mut self, record: &Record) {
        match record {
            Record::ConsumerGroup(_, Some(value)) => {
                self.epoch = value.epoch;
                self.metadata_hash = value.metadata_hash;
            }
            Record::PartitionMetadata(_, value) => self.has_partition_metadata = value.is_some(),
            Record::Member(key, Some(about)) => self.put_about(&key.member, about),
            Record::Member(key, None) => self.remove_member(&key.member),
            Record::Target(_, value) => {
                self.assignment_epoch = value.map_or(-1, |value| value.assignment_epoch);
                self.assignment_timestamp_ms = value.map_or(0, |value| value.assignment_timestamp_ms);
            }
            Record::TargetMember(key, Some(topics)) => {
                self.targets.insert(Arc::clone(&key.member), Arc::new(target_from_record(topics)));
            }
            Record::TargetMember(key, None) => drop(self.targets.remove(&key.member)),
            Record::Current(key, value) => {
                self.release(&key.member);
                if value.is_none() && !self.members.contains_key(&key.member) {
                    return;
                }
                let member = self.member_mut(&key.member);
                match value {
                    Some(value) => member.apply_current(value),
                    None => {
                        (member.epoch, member.previous_epoch) = (-1, -1);
                        member.state = MemberState::Stable;
                        member.assigned.clear();
                        member.pending_revocation.clear();
                    }
                }
                self.hold(&key.member);
            }
            Record::Regex { regex, value: Some(value), .. } => {
                self.regexes.insert(Arc::clone(regex), value.clone());
            }
            Record::Regex { regex, value: None, .. } => drop(self.regexes.remove(regex)),
            Record::ConsumerGroup(_, None) | Record::Offset(..) | Record::ClassicGroup(..) => {}
        }
    }

    fn put_about(&mut self, id: &Arc<str>, about: &MemberValue) {
        if let Some(instance_id) = &about.instance_id {
            self.static_members.insert(Arc::clone(instance_id), Arc::clone(id));
        }
        let member = self.member_mut(id);
        member.about = about.clone();
        // Kafka keeps the order of the request; the same names in another order are the same subscription.
        member.about.subscribed_topics.sort_unstable();
    }

    fn member_mut(&mut self, id: &Arc<str>) -> &mut Member {
        let new = || Arc::new(Member::new(Arc::clone(id)));
        Arc::make_mut(self.members.entry(Arc::clone(id)).or_insert_with(new))
    }

    fn remove_member(&mut self, id: &str) {
        self.release(id);
        let Some(member) = self.members.remove(id) else { return };
        if let Some(instance_id) = &member.about.instance_id
            && self.static_members.get(instance_id).is_some_and(|current| **current == *id)
        {
            self.static_members.remove(instance_id);
        }
    }

    fn release(&mut self, id: &str) {
        let Some(member) = self.members.get(id) else { return };
        for (topic, partitions) in member.assigned.iter().chain(&member.pending_revocation) {
            for partition in partitions.keys() {
                let key = (*topic, *partition);
                if self.owners.get(&key).is_some_and(|owner| **owner == *id) {
                    self.owners.remove(&key);
                }
            }
        }
    }

    fn hold(&mut self, id: &Arc<str>) {
        let Some(member) = self.members.get(id) else { return };
        for (topic, partitions) in member.assigned.iter().chain(&member.pending_revocation) {
            for partition in partitions.keys() {
                self.owners.insert((*topic, *partition), Arc::clone(id));
            }
        }
    }

    /// What removes the group from the log; offsets are not touched.
    pub(in crate::group) fn tombstones(&self) -> Vec<Record> {
        let keys: Vec<_> = self.members.keys().map(|member| self.member_key(member)).collect();
        let mut records: Vec<Record> = keys.iter().map(|key| Record::Current(key.clone(), None)).collect();
        records.extend(keys.iter().map(|key| Record::TargetMember(key.clone(), None)));
        records.push(Record::Target(Arc::clone(&self.id), None));
        records.extend(keys.iter().map(|key| Record::Member(key.clone(), None)));
        records.extend(self.regexes.keys().map(|regex| self.regex_tombstone(regex)));
        if self.has_partition_metadata {
            records.push(Record::PartitionMetadata(Arc::clone(&self.id), None));
        }
        records.push(Record::ConsumerGroup(Arc::clone(&self.id), None));
        records
    }

    pub(super) fn member_key(&self, member: &Arc<str>) -> crate::group::records::MemberKey {
        crate::group::records::MemberKey { group: Arc::clone(&self.id), member: Arc::clone(member) }
    }

    pub(super) fn regex_tombstone(&self, regex: &Arc<str>) -> Record {
        Record::Regex { group: Arc::clone(&self.id), regex: Arc::clone(regex), value: None }
    }

    /// The invariants of the module's comment, and that nobody owns what another holds.
    #[cfg(test)]
    pub(in crate::group) fn assert_consistent(&self) {
        let mut held = BTreeMap::new();
        for member in self.members.values() {
            for (topic, partitions) in member.assigned.iter().chain(&member.pending_revocation) {
                for partition in partitions.keys() {
                    let before = held.insert((*topic, *partition), Arc::clone(&member.id));
                    assert_eq!(before, None, "two members hold partition {partition}");
                }
            }
        }
        assert_eq!(held, self.owners.clone().into_iter().collect::<BTreeMap<_, _>>(), "owners");
        for (name, id) in &self.static_members {
            let member = self.members.get(id).unwrap_or_else(|| panic!("static {name} is not a member"));
            assert_eq!(member.about.instance_id.as_ref(), Some(name));
        }
        assert!(self.assignment_epoch <= self.epoch, "the target is not ahead of the group");
    }
}
