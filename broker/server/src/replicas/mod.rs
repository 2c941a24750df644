//! The replicas on this broker: a registry of topics and partitions, and what is done with them.
//!
//! Lock order: the registry, then nothing. A partition's lock is taken without the registry's.

pub mod append;
pub mod apply;
pub mod fetch;
pub mod move_dirs;
pub mod partition;
pub mod quota;
pub mod read;
pub mod tasks;
pub mod waiters;
pub mod watch;

pub use append::{Now, ProduceFailed, Produced};
pub use partition::{IsrProposal, Outbox, Partition, Placed, Role, Wait, lock_log};

use crate::metrics::TopicMetrics;
use crate::topic_settings::TopicSettings;
use arc_swap::ArcSwap;
use ottla_types::{TopicId, TopicIdPartition};
use parking_lot::RwLock;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// A topic of which this broker has replicas.
#[derive(Debug)]
pub struct Topic {
    /// Its id.
    pub id: TopicId,
    /// Its name.
    pub name: Arc<str>,
    /// Its settings, resolved; replaced whole when they change.
    pub settings: ArcSwap<TopicSettings>,
    /// Its counters.
    pub metrics: Arc<TopicMetrics>,
    partitions: RwLock<BTreeMap<i32, Arc<Partition>>>,
}

impl Topic {
    /// A topic without replicas yet.
    pub fn new(
        id: TopicId,
        name: Arc<str>,
        settings: Arc<TopicSettings>,
        metrics: Arc<TopicMetrics>,
    ) -> Self {
        Self { id, name, settings: ArcSwap::new(settings), metrics, partitions: RwLock::default() }
    }

    /// The replica of a partition, if it is here.
    pub fn partition(&self, index: i32) -> Option<Arc<Partition>> {
        self.partitions.read().get(&index).cloned()
    }

    /// All replicas here, by index.
    pub fn partitions(&self) -> Vec<Arc<Partition>> {
        self.partitions.read().values().cloned().collect()
    }
}

#[derive(Debug, Default)]
struct Registry {
    by_id: HashMap<TopicId, Arc<Topic>>,
    by_name: HashMap<Arc<str>, Arc<Topic>>,
}

/// All replicas on this broker.
#[derive(Debug, Default)]
pub struct Replicas {
    registry: RwLock<Registry>,
    /// Of throttled replication.
    pub quotas: quota::Quotas,
}

impl Replicas {
    /// The topic of that name.
    pub fn topic(&self, name: &str) -> Option<Arc<Topic>> {
        self.registry.read().by_name.get(name).cloned()
    }

    /// The topic of that id.
    pub fn topic_by_id(&self, id: TopicId) -> Option<Arc<Topic>> {
        self.registry.read().by_id.get(&id).cloned()
    }

    /// The replica of a partition.
    pub fn get(&self, id: TopicIdPartition) -> Option<Arc<Partition>> {
        self.topic_by_id(id.topic_id)?.partition(id.partition)
    }

    /// All topics here, by name.
    pub fn topics(&self) -> Vec<Arc<Topic>> {
        let mut topics: Vec<_> = self.registry.read().by_id.values().cloned().collect();
        topics.sort_by(|a, b| a.name.cmp(&b.name));
        topics
    }

    /// All replicas here, by topic and index.
    pub fn partitions(&self) -> Vec<Arc<Partition>> {
        self.topics().iter().flat_map(|topic| topic.partitions()).collect()
    }

    /// Adds a topic, or finds the one that is there.
    pub fn add_topic(&self, topic: Topic) -> Arc<Topic> {
        let mut registry = self.registry.write();
        if let Some(known) = registry.by_id.get(&topic.id) {
            return known.clone();
        }
        let topic = Arc::new(topic);
        registry.by_id.insert(topic.id, topic.clone());
        registry.by_name.insert(topic.name.clone(), topic.clone());
        topic
    }

    /// Adds a replica to its topic.
    pub fn add(&self, topic: &Topic, partition: Arc<Partition>) {
        topic.partitions.write().insert(partition.id.partition, partition);
    }

    /// Takes a replica out; the topic goes with its last one.
    pub fn remove(&self, id: TopicIdPartition) -> Option<Arc<Partition>> {
        let mut registry = self.registry.write();
        let topic = registry.by_id.get(&id.topic_id)?.clone();
        let mut partitions = topic.partitions.write();
        let removed = partitions.remove(&id.partition);
        if partitions.is_empty() {
            registry.by_id.remove(&topic.id);
            // A topic of the same name may have been created since.
            if registry.by_name.get(&topic.name).is_some_and(|named| named.id == topic.id) {
                registry.by_name.remove(&topic.name);
            }
        }
        removed
    }
}
