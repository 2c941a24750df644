//! Committed offsets, and those of transactions that are still open.
//!
//! Invariants: changed by replay alone; a topic's or group's name is kept once per group; `count` is the number
//! of committed offsets; a transaction's offset replaces a committed one only if its record came later.

use crate::group::records::{OffsetKey, OffsetValue};
use ottla_types::{Offset, ProducerId, TopicId};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// A committed offset and where its record is in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// What was committed.
    pub value: OffsetValue,
    /// The record's offset in `__consumer_offsets`.
    pub record_offset: Offset,
}

/// Offsets by topic and partition.
pub type Topics = BTreeMap<Arc<str>, BTreeMap<i32, Committed>>;

/// All offsets of a shard.
#[derive(Debug, Default)]
pub struct Store {
    groups: HashMap<Arc<str>, Topics>,
    transactions: BTreeMap<ProducerId, BTreeMap<Arc<str>, Topics>>,
    open_by_group: BTreeMap<Arc<str>, BTreeSet<ProducerId>>,
    count: usize,
}

fn remove(topics: &mut Topics, topic: &str, partition: i32) -> bool {
    let Some(partitions) = topics.get_mut(topic) else { return false };
    let removed = partitions.remove(&partition).is_some();
    if partitions.is_empty() {
        topics.remove(topic);
    }
    removed
}

impl Store {
    /// How many offsets are committed.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.count
    }

    /// A group's committed offsets.
    #[must_use]
    pub fn group(&self, group: &str) -> Option<&Topics> {
        self.groups.get(group)
    }

    /// A committed offset.
    #[must_use]
    pub fn get(&self, group: &str, topic: &str, partition: i32) -> Option<&Committed> {
        self.groups.get(group)?.get(topic)?.get(&partition)
    }

    /// Has the group a transaction that is not finished?
    #[must_use]
    pub fn has_open_transactions(&self, group: &str) -> bool {
        self.open_by_group.contains_key(group)
    }

    /// Will an open transaction perhaps change this offset?
    #[must_use]
    pub fn is_pending(&self, group: &str, topic: &str, partition: i32) -> bool {
        let Some(producers) = self.open_by_group.get(group) else { return false };
        let offset = |topics: &Topics| topics.get(topic).is_some_and(|known| known.contains_key(&partition));
        let pending = |producer| self.transactions.get(producer).and_then(|groups| groups.get(group));
        producers.iter().any(|producer| pending(producer).is_some_and(offset))
    }

    /// Every offset of the group, committed or pending, each once.
    #[must_use]
    pub fn all_keys(&self, group: &str) -> BTreeSet<(Arc<str>, i32)> {
        let producers = self.open_by_group.get(group).into_iter().flatten();
        let pending = producers.filter_map(|producer| self.transactions.get(producer)?.get(group));
        let mut keys = BTreeSet::new();
        for topics in self.groups.get(group).into_iter().chain(pending) {
            for (topic, partitions) in topics {
                keys.extend(partitions.keys().map(|partition| (Arc::clone(topic), *partition)));
            }
        }
        keys
    }

    /// Groups that have offsets of one of these topics, ascending.
    #[must_use]
    pub fn groups_with_topics(&self, names: &BTreeMap<&str, TopicId>) -> BTreeSet<Arc<str>> {
        let concerned = |topics: &Topics| topics.keys().any(|topic| names.contains_key(&**topic));
        let committed = self.groups.iter().filter(|(_, topics)| concerned(topics)).map(|(group, _)| group);
        let pending = self.transactions.values().flatten().filter(|(_, topics)| concerned(topics));
        committed.chain(pending.map(|(group, _)| group)).cloned().collect()
    }

    /// The topic's name as the group keeps it.
    #[must_use]
    pub fn topic_name(&self, group: &str, topic: &str) -> Arc<str> {
        let known = self.groups.get(group).and_then(|topics| topics.get_key_value(topic));
        known.map_or_else(|| Arc::from(topic), |(name, _)| Arc::clone(name))
    }

    /// Replays a record of an offset.
    pub(in crate::group) fn replay(
        &mut self,
        key: &OffsetKey,
        value: Option<&OffsetValue>,
        record_offset: Offset,
        producer: ProducerId,
    ) {
        match value {
            Some(value) if producer.is_none() => {
                self.put(key, Committed { value: value.clone(), record_offset });
            }
            Some(value) => {
                let pending = self.transactions.entry(producer).or_default();
                let topics = pending.entry(Arc::clone(&key.group)).or_default();
                let partitions = topics.entry(Arc::clone(&key.topic)).or_default();
                partitions.insert(key.partition, Committed { value: value.clone(), record_offset });
                self.open_by_group.entry(Arc::clone(&key.group)).or_default().insert(producer);
            }
            None => self.delete(key),
        }
    }

    fn put(&mut self, key: &OffsetKey, committed: Committed) {
        if let Some(topics) = self.groups.get_mut(&key.group)
            && let Some(partitions) = topics.get_mut(&key.topic)
        {
            self.count += usize::from(partitions.insert(key.partition, committed).is_none());
            return;
        }
        let topics = self.groups.entry(Arc::clone(&key.group)).or_default();
        topics.entry(Arc::clone(&key.topic)).or_default().insert(key.partition, committed);
        self.count += 1;
    }

    fn delete(&mut self, key: &OffsetKey) {
        if let Some(topics) = self.groups.get_mut(&key.group) {
            self.count -= usize::from(remove(topics, &key.topic, key.partition));
            if topics.is_empty() {
                self.groups.remove(&key.group);
            }
        }
        for producer in self.open_by_group.get(&key.group).into_iter().flatten() {
            let pending = self.transactions.get_mut(producer);
            if let Some(topics) = pending.and_then(|groups| groups.get_mut(&key.group)) {
                remove(topics, &key.topic, key.partition);
            }
        }
    }

    /// Replays the end of a producer's transaction.
    pub(in crate::group) fn end_transaction(&mut self, producer: ProducerId, committed: bool) {
        for (group, topics) in self.transactions.remove(&producer).unwrap_or_default() {
            if let Some(open) = self.open_by_group.get_mut(&group) {
                open.remove(&producer);
                if open.is_empty() {
                    self.open_by_group.remove(&group);
                }
            }
            if committed {
                self.commit_pending(&group, topics);
            }
        }
    }

    fn commit_pending(&mut self, group: &Arc<str>, topics: Topics) {
        for (topic, partitions) in topics {
            for (partition, pending) in partitions {
                let later = |known: &Committed| known.record_offset >= pending.record_offset;
                if self.get(group, &topic, partition).is_some_and(later) {
                    continue;
                }
                let key = OffsetKey { group: Arc::clone(group), topic: Arc::clone(&topic), partition };
                self.put(&key, pending);
            }
        }
    }
}
