//! What a batch of records changes, so that a broker acts on that alone.

use super::config::ConfigResource;
use super::image::{Image, TopicImage};
use super::record::{Kind, MetadataRecord};
use super::replay::{ReplayError, topic_id};
use ottla_types::{BrokerId, TopicId, TopicIdPartition};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What changed between two images. Naming something that stayed the same is allowed; leaving out what changed is not.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ImageDelta {
    /// Topics that are new; all of their partitions are in `partitions`.
    pub topics_created: BTreeSet<TopicId>,
    /// Topics that are gone, as they were.
    pub topics_deleted: BTreeMap<TopicId, Arc<TopicImage>>,
    /// Partitions that are new or changed.
    pub partitions: BTreeSet<TopicIdPartition>,
    /// Resources whose own settings changed.
    pub configs: BTreeSet<ConfigResource>,
    /// Brokers that registered, changed or went.
    pub brokers: BTreeSet<BrokerId>,
    /// The cluster id or a feature's level changed.
    pub cluster: bool,
    /// Producer ids were handed out.
    pub producer_ids: bool,
    /// A restart permit was granted or ended.
    pub permits: bool,
}

impl ImageDelta {
    /// True if nothing changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What changed after this; the sum is what changed over both.
    pub fn merge(&mut self, later: Self) {
        for (id, topic) in later.topics_deleted {
            self.partitions.retain(|partition| partition.topic_id != id);
            // A topic that came and went was never there.
            if !self.topics_created.remove(&id) {
                self.topics_deleted.insert(id, topic);
            }
        }
        self.topics_created.extend(later.topics_created);
        self.partitions.extend(later.partitions);
        self.configs.extend(later.configs);
        self.brokers.extend(later.brokers);
        self.cluster |= later.cluster;
        self.producer_ids |= later.producer_ids;
        self.permits |= later.permits;
    }

    /// Everything: from nothing to `image`.
    #[must_use]
    pub fn everything(image: &Image) -> Self {
        Self::between(&Image::default(), image)
    }

    /// What differs between two images; takes time in proportion to their size. For a snapshot that replaces the
    /// image; from one entry to the next use [`Image::apply`].
    #[must_use]
    pub fn between(old: &Image, new: &Image) -> Self {
        let mut delta = Self {
            cluster: old.cluster_id != new.cluster_id || old.features != new.features,
            producer_ids: old.next_producer_id != new.next_producer_id,
            permits: old.permits != new.permits,
            ..Self::default()
        };
        for (id, topic) in old.topics.iter().filter(|(id, _)| !new.topics.contains_key(*id)) {
            delta.topics_deleted.insert(*id, topic.clone());
        }
        for (id, topic) in &new.topics {
            delta.note_topic(old.topics.get(id), topic);
        }
        let brokers = old.brokers.keys().chain(new.brokers.keys());
        delta.brokers.extend(brokers.filter(|id| old.brokers.get(*id) != new.brokers.get(*id)));
        let configs = old.configs.keys().chain(new.configs.keys());
        delta.configs.extend(configs.filter(|key| old.configs.get(*key) != new.configs.get(*key)).cloned());
        delta
    }

    fn note_topic(&mut self, old: Option<&Arc<TopicImage>>, new: &Arc<TopicImage>) {
        if old.is_none() {
            self.topics_created.insert(new.id);
        }
        if old.is_some_and(|old| Arc::ptr_eq(old, new)) {
            return;
        }
        for (index, partition) in new.partitions.iter().enumerate() {
            let index = index as i32;
            if old.and_then(|old| old.partition(index)).is_none_or(|known| known != partition) {
                self.partitions.insert(TopicIdPartition { topic_id: new.id, partition: index });
            }
        }
    }

    /// Notes what a record is about to change in `image`.
    pub(super) fn note(&mut self, image: &Image, record: &MetadataRecord) -> Result<(), ReplayError> {
        match record.kind.as_ref().ok_or(ReplayError::UnknownKind)? {
            Kind::Cluster(_) | Kind::FeatureLevel(_) => self.cluster = true,
            Kind::RegisterBroker(broker) => {
                self.brokers.insert(BrokerId(broker.broker_id));
            }
            Kind::UnregisterBroker(broker) => {
                self.brokers.insert(BrokerId(broker.broker_id));
            }
            Kind::BrokerChange(change) => {
                self.brokers.insert(BrokerId(change.broker_id));
            }
            Kind::VotePreference(said) => {
                self.brokers.insert(BrokerId(said.broker_id));
            }
            Kind::Topic(topic) => {
                self.topics_created.insert(topic_id(&topic.topic_id)?);
            }
            Kind::Partitions(new) => {
                let topic_id = topic_id(&new.topic_id)?;
                let indexes = new.partitions.iter().map(|partition| partition.partition);
                self.partitions.extend(indexes.map(|partition| TopicIdPartition { topic_id, partition }));
            }
            Kind::PartitionChanges(changes) => {
                let topic_id = topic_id(&changes.topic_id)?;
                let indexes = changes.changes.iter().map(|change| change.partition);
                self.partitions.extend(indexes.map(|partition| TopicIdPartition { topic_id, partition }));
            }
            Kind::RemoveTopic(topic) => self.note_removal(image, topic_id(&topic.topic_id)?),
            Kind::Config(config) => {
                self.configs.insert(ConfigResource::from_record(config)?);
            }
            Kind::ProducerIds(_) => self.producer_ids = true,
            Kind::GrantPermit(_) | Kind::EndPermit(_) => self.permits = true,
        }
        Ok(())
    }

    fn note_removal(&mut self, image: &Image, id: TopicId) {
        let Some(topic) = image.topics.get(&id) else { return };
        self.configs.insert(ConfigResource::topic(&*topic.name));
        for partition in 0..topic.partitions.len() as i32 {
            self.partitions.remove(&TopicIdPartition { topic_id: id, partition });
        }
        // A topic that came and went within the delta was never there.
        if !self.topics_created.remove(&id) {
            self.topics_deleted.insert(id, topic.clone());
        }
    }
}
