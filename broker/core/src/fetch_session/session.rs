//! One session's partitions, in an order that lets each have its turn.

use ottla_types::{ErrorCode, LeaderEpoch, Offset, TopicId};
use std::collections::HashMap;
use std::sync::Arc;

/// A topic as the client names it: by id from Fetch version 13 on, by name before.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TopicRef {
    /// By id.
    Id(TopicId),
    /// By name.
    Name(Arc<str>),
}

/// A partition as the client names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PartitionKey {
    /// The topic.
    pub topic: TopicRef,
    /// Index from 0.
    pub partition: i32,
}

impl PartitionKey {
    /// A partition of the topic with this id.
    #[must_use]
    pub fn by_id(topic: TopicId, partition: i32) -> Self {
        Self { topic: TopicRef::Id(topic), partition }
    }

    /// A partition of the topic with this name.
    pub fn by_name(topic: impl Into<Arc<str>>, partition: i32) -> Self {
        Self { topic: TopicRef::Name(topic.into()), partition }
    }
}

/// What is wanted of one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FetchPartition {
    /// From this offset on.
    pub fetch_offset: Offset,
    /// The first offset of the fetching replica's log; -1 from consumers.
    pub log_start_offset: Offset,
    /// At most so many bytes.
    pub max_bytes: i32,
    /// The leader epoch the client knows, or `LeaderEpoch::NONE`.
    pub current_leader_epoch: LeaderEpoch,
    /// The epoch of the last record it has, or `LeaderEpoch::NONE`.
    pub last_fetched_epoch: LeaderEpoch,
}

/// What the broker would answer for one partition, as far as it decides whether the answer must be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionAnswer {
    /// There are records in it.
    pub has_records: bool,
    /// The high watermark in it.
    pub high_watermark: Offset,
    /// The log's first offset in it.
    pub log_start_offset: Offset,
    /// It names a preferred read replica, a diverging epoch or a new leader.
    pub has_advice: bool,
    /// Its error.
    pub error: ErrorCode,
}

#[derive(Debug)]
struct Entry {
    key: PartitionKey,
    want: FetchPartition,
    /// As last told to the client; -1 if not told.
    high_watermark: Offset,
    log_start_offset: Offset,
}

/// The partitions of a session.
#[derive(Debug, Default)]
pub(super) struct Partitions {
    entries: Vec<Entry>,
    by_key: HashMap<PartitionKey, usize>,
    /// Where the next request begins to read.
    first: usize,
}

impl Partitions {
    pub(super) fn new(partitions: Vec<(PartitionKey, FetchPartition)>) -> Self {
        let mut all = Self::default();
        all.entries.reserve_exact(partitions.len());
        for (key, want) in partitions {
            all.set(key, want);
        }
        all
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn contains(&self, key: &PartitionKey) -> bool {
        self.by_key.contains_key(key)
    }

    pub(super) fn get(&self, key: &PartitionKey) -> Option<(usize, &FetchPartition)> {
        let index = *self.by_key.get(key)?;
        Some((index, &self.entries[index].want))
    }

    /// Adds or changes one.
    pub(super) fn set(&mut self, key: PartitionKey, want: FetchPartition) {
        match self.by_key.get(&key) {
            Some(&index) => self.entries[index].want = want,
            None => {
                self.by_key.insert(key.clone(), self.entries.len());
                self.entries.push(Entry { key, want, high_watermark: -1, log_start_offset: -1 });
            }
        }
    }

    pub(super) fn remove(&mut self, key: &PartitionKey) {
        let Some(index) = self.by_key.remove(key) else { return };
        self.entries.swap_remove(index);
        if let Some(moved) = self.entries.get(index) {
            self.by_key.insert(moved.key.clone(), index);
        }
        if self.first >= self.entries.len() {
            self.first = 0;
        }
    }

    /// All, from the one whose turn it is, with their indexes.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &PartitionKey, &FetchPartition)> {
        let (before, from) = self.entries.split_at(self.first);
        let from = from.iter().enumerate().map(|(index, entry)| (index + self.first, entry));
        from.chain(before.iter().enumerate()).map(|(index, entry)| (index, &entry.key, &entry.want))
    }

    /// Notes what is told to the client about one; true if anything in it is news. The partition after the last one
    /// that had records is read first next time, so none starves behind busy ones.
    pub(super) fn tell(&mut self, index: usize, answer: &PartitionAnswer) -> bool {
        let next = if index + 1 == self.entries.len() { 0 } else { index + 1 };
        let entry = &mut self.entries[index];
        let mut news = answer.has_records || answer.has_advice;
        if answer.has_records {
            self.first = next;
        }
        if entry.high_watermark != answer.high_watermark {
            entry.high_watermark = answer.high_watermark;
            news = true;
        }
        if entry.log_start_offset != answer.log_start_offset {
            entry.log_start_offset = answer.log_start_offset;
            news = true;
        }
        if answer.error != ErrorCode::None {
            // The next answer without an error must be sent.
            entry.high_watermark = -1;
            news = true;
        }
        news
    }
}
