//! From the log to the state that lasts; the only place that changes it.

use super::{Group, Shard};
use crate::group::records::{ClassicGroupValue, OffsetKey, OffsetValue, Record};
use crate::group::{classic, consumer};
use ottla_types::{Offset, ProducerId};
use std::sync::Arc;

impl Shard {
    /// Replays a record that is in the log at `record_offset`, written by `producer` if by a transaction (else
    /// [`ProducerId::NONE`]).
    pub fn replay(&mut self, record: &Record, record_offset: Offset, producer: ProducerId) {
        match record {
            Record::Offset(key, value) => self.replay_offset(key, value.as_ref(), record_offset, producer),
            Record::ClassicGroup(group, value) => self.replay_classic(group, value.as_ref()),
            Record::ConsumerGroup(group, None) => {
                if matches!(self.groups.get(group), Some(Group::Consumer(_))) {
                    self.groups.remove(group);
                }
            }
            Record::ConsumerGroup(group, value) => self.replay_consumer(group, record, value.is_some()),
            Record::PartitionMetadata(group, value) => self.replay_consumer(group, record, value.is_some()),
            Record::Target(group, value) => self.replay_consumer(group, record, value.is_some()),
            Record::Member(key, value) => self.replay_consumer(&key.group, record, value.is_some()),
            Record::TargetMember(key, value) => self.replay_consumer(&key.group, record, value.is_some()),
            Record::Current(key, value) => self.replay_consumer(&key.group, record, value.is_some()),
            Record::Regex { group, value, .. } => self.replay_consumer(group, record, value.is_some()),
        }
    }

    /// Records of a consumer group make it, in place of an empty classic one; tombstones do not.
    fn replay_consumer(&mut self, id: &Arc<str>, record: &Record, makes: bool) {
        if makes && !matches!(self.groups.get(id), Some(Group::Consumer(_))) {
            let group = consumer::Group::new(Arc::clone(id));
            self.groups.insert(Arc::clone(id), Group::Consumer(Box::new(group)));
        }
        if let Some(Group::Consumer(group)) = self.groups.get_mut(id) {
            group.apply(record);
        }
    }

    fn replay_offset(
        &mut self,
        key: &OffsetKey,
        value: Option<&OffsetValue>,
        record_offset: Offset,
        producer: ProducerId,
    ) {
        if value.is_some() && !self.groups.contains_key(&key.group) {
            let commit_timestamp_ms = value.map_or(-1, |value| value.commit_timestamp_ms);
            let group = classic::Group::new(Arc::clone(&key.group), commit_timestamp_ms);
            self.groups.insert(Arc::clone(&key.group), Group::Classic(Box::new(group)));
        }
        self.offsets.replay(key, value, record_offset, producer);
    }

    /// A live group is ahead of its record and stays as it is; the record is for those who load it.
    fn replay_classic(&mut self, id: &Arc<str>, value: Option<&ClassicGroupValue>) {
        let live = matches!(self.groups.get(id), Some(Group::Classic(_)));
        let Some(value) = value else {
            if live {
                self.groups.remove(id);
            }
            return;
        };
        if self.active && live {
            return;
        }
        let prepared = self.prepared.remove(id);
        let group = prepared.unwrap_or_else(|| classic::Group::from_record(Arc::clone(id), value));
        self.groups.insert(Arc::clone(id), Group::Classic(Box::new(group)));
    }

    /// Replays the end of a transaction (a control batch).
    pub fn end_transaction(&mut self, producer: ProducerId, committed: bool) {
        self.offsets.end_transaction(producer, committed);
    }
}
