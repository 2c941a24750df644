//! What a request is about to change.

use crate::metadata::record::{PartitionChange, PartitionChanges, topic_id_bytes};
use crate::metadata::{Image, MetadataRecord, record::Kind};
use ottla_types::TopicIdPartition;

/// An image with the records that led to it: each one is replayed as it is added, so what follows sees it.
///
/// Records that were added stay; whoever adds one has checked everything before.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    pub image: Image,
    pub records: Vec<MetadataRecord>,
}

impl Draft {
    pub const fn new(image: Image) -> Self {
        Self { image, records: Vec::new() }
    }

    /// Adds a record.
    pub fn push(&mut self, record: impl Into<MetadataRecord>) {
        let record = record.into();
        self.replay(&record);
        self.records.push(record);
    }

    /// Adds the change of a partition, to the record before if that is of the same topic.
    pub fn change_partition(&mut self, partition: TopicIdPartition, change: PartitionChange) {
        debug_assert_eq!(partition.partition, change.partition);
        let topic_id = topic_id_bytes(partition.topic_id);
        let single: MetadataRecord =
            PartitionChanges { topic_id: topic_id.clone(), changes: vec![change.clone()] }.into();
        self.replay(&single);
        match self.records.last_mut().and_then(|last| last.kind.as_mut()) {
            Some(Kind::PartitionChanges(last)) if last.topic_id == topic_id => last.changes.push(change),
            _ => self.records.push(single),
        }
    }

    fn replay(&mut self, record: &MetadataRecord) {
        if let Err(error) = self.image.replay(record) {
            panic!("the controller made a record that does not fit its image: {error}");
        }
    }
}
