//! Which offsets have become too old (KIP-211).

use super::store::{Committed, Store};
use crate::group::records::{OffsetKey, Record};
use ottla_types::TimestampMs;
use std::sync::Arc;

/// Since when an offset ages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpiryBase {
    /// Since it was committed.
    Commit,
    /// Since the group became empty.
    Since(TimestampMs),
}

/// How old is too old.
#[derive(Debug, Clone, Copy)]
pub struct ExpiryRules {
    /// The wall clock.
    pub wall_ms: TimestampMs,
    /// `offsets.retention.minutes`.
    pub retention_ms: i64,
    /// Since when the group's offsets age.
    pub base: ExpiryBase,
}

impl ExpiryRules {
    fn is_expired(&self, committed: &Committed) -> bool {
        if let Some(expire_timestamp_ms) = committed.value.expire_timestamp_ms {
            return self.wall_ms >= expire_timestamp_ms;
        }
        let since = match self.base {
            ExpiryBase::Commit => committed.value.commit_timestamp_ms,
            // A commit after the group became empty (by a tool) is kept its full time.
            ExpiryBase::Since(empty) => empty.max(committed.value.commit_timestamp_ms),
        };
        self.wall_ms.saturating_sub(since) >= self.retention_ms
    }
}

/// What decides over the offsets of one group.
pub struct ExpiryOf<'a> {
    /// How old is too old; `None` while the group's offsets do not age.
    pub rules: Option<ExpiryRules>,
    /// Whether the group reads a topic: then what it committed there does not age.
    pub is_subscribed_to: &'a dyn Fn(&str) -> bool,
    /// Offsets of a topic that there is not are always too old.
    pub topics: &'a dyn crate::group::Topics,
}

/// Tombstones for the group's expired offsets, `room` at the most, and whether nothing of the group stays.
pub fn expired(store: &Store, group: &Arc<str>, of: &ExpiryOf<'_>, room: usize) -> (Vec<Record>, bool) {
    let mut tombstones = Vec::new();
    let mut all = !store.has_open_transactions(group);
    for (topic, partitions) in store.group(group).into_iter().flatten() {
        let ages = of.rules.filter(|_| !(of.is_subscribed_to)(topic));
        for (partition, committed) in partitions {
            let pending = store.is_pending(group, topic, *partition);
            let is_old = !of.topics.has(topic, committed.value.topic_id)
                || ages.is_some_and(|rules| rules.is_expired(committed));
            if pending || tombstones.len() >= room || !is_old {
                all = false;
                continue;
            }
            let key = OffsetKey { group: Arc::clone(group), topic: Arc::clone(topic), partition: *partition };
            tombstones.push(Record::Offset(key, None));
        }
    }
    (tombstones, all)
}
