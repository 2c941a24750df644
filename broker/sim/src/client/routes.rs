//! Who leads what, as a client knows it.

use super::ClientContext;
use crate::message::{Metadata, TopicMetadata};
use crate::trace::Address;
use ottla_types::{BrokerId, LeaderEpoch, TopicIdPartition};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Who leads what.
#[derive(Debug, Default)]
pub(super) struct Routes {
    leaders: BTreeMap<TopicIdPartition, BrokerId>,
    /// The newest epoch heard of: an older leader is not believed any more (KIP-320).
    epochs: BTreeMap<TopicIdPartition, LeaderEpoch>,
    metadata: Arc<Metadata>,
}

impl Routes {
    pub fn epoch(&self, partition: TopicIdPartition) -> LeaderEpoch {
        self.epochs.get(&partition).copied().unwrap_or(LeaderEpoch::NONE)
    }

    pub fn leader(&self, partition: TopicIdPartition) -> Option<Address> {
        self.leaders.get(&partition).map(|leader| Address::Broker(leader.0))
    }

    /// Partitions whose leader is known, with it.
    pub fn leaders(&self) -> impl Iterator<Item = (TopicIdPartition, BrokerId)> {
        self.leaders.iter().map(|(partition, leader)| (*partition, *leader))
    }

    pub fn forget(&mut self, partition: TopicIdPartition) {
        self.leaders.remove(&partition);
    }

    /// Nothing is believed any more.
    pub fn forget_all(&mut self) {
        self.leaders.clear();
    }

    pub fn topic(&self, name: &str) -> Option<&TopicMetadata> {
        self.metadata.topics.iter().find(|topic| &*topic.name == name)
    }

    /// The topics that are not the cluster's own.
    pub fn topics(&self) -> impl Iterator<Item = &TopicMetadata> {
        self.metadata.topics.iter().filter(|topic| !topic.is_internal())
    }

    pub fn metadata(&self) -> &Arc<Metadata> {
        &self.metadata
    }

    pub fn take(&mut self, metadata: &Arc<Metadata>) {
        self.metadata = Arc::clone(metadata);
        let mut leaders = BTreeMap::new();
        for (partition, known) in metadata.topics.iter().flat_map(TopicMetadata::with_ids) {
            if known.leader_epoch < self.epoch(partition) {
                // A broker that is behind: what was known before counts.
                if let Some(&leader) = self.leaders.get(&partition) {
                    leaders.insert(partition, leader);
                }
                continue;
            }
            self.epochs.insert(partition, known.leader_epoch);
            if !known.leader.is_none() {
                leaders.insert(partition, known.leader);
            }
        }
        self.leaders = leaders;
    }

    /// Somebody to ask for metadata.
    pub fn anybody(cx: &mut ClientContext<'_>) -> Option<Address> {
        cx.random.pick(cx.brokers).map(|broker| Address::Broker(broker.0))
    }
}
