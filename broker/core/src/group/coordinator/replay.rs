//! From the log to the state that lasts; the only place that changes it.

use super::{Group, Shard};
use crate::group::classic;
use crate::group::records::{ClassicGroupValue, OffsetKey, OffsetValue, Record};
use ottla_types::{Offset, ProducerId};
use std::sync::Arc;

impl Shard {
    /// Replays a record that is in the log at `record_offset`, written by `producer` if by a transaction (else
    /// [`ProducerId::NONE`]).
    pub fn replay(&mut self, record: &Record, record_offset: Offset, producer: ProducerId) {
        match record {
            Record::Offset(key, value) => self.replay_offset(key, value.as_ref(), record_offset, producer),
            Record::ClassicGroup(group, value) => self.replay_classic(group, value.as_ref()),
            _ => {}
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
        let Some(value) = value else {
            self.groups.remove(id);
            return;
        };
        if self.active && matches!(self.groups.get(id), Some(Group::Classic(_))) {
            return;
        }
        let group = classic::Group::from_record(Arc::clone(id), value);
        self.groups.insert(Arc::clone(id), Group::Classic(Box::new(group)));
    }

    /// Replays the end of a transaction (a control batch).
    pub fn end_transaction(&mut self, producer: ProducerId, committed: bool) {
        self.offsets.end_transaction(producer, committed);
    }
}
