//! The cluster's topics as the group machines want them.

use ottla_core::group::{Topic, Topics};
use ottla_core::metadata::{Image, TopicImage};
use ottla_types::TopicId;
use std::sync::Arc;

/// An image, seen as topics.
#[derive(Debug, Clone)]
pub struct ImageTopics(pub Arc<Image>);

impl ImageTopics {
    fn topic(&self, topic: &TopicImage) -> Topic {
        let image = &self.0;
        let has_racks = image.brokers().values().any(|broker| broker.rack.is_some());
        let racks = |broker: &ottla_types::BrokerId| image.broker(*broker)?.rack.as_deref().map(Arc::from);
        let of_partition = |partition: &Arc<ottla_core::metadata::PartitionImage>| {
            partition.replicas.iter().filter_map(racks).collect()
        };
        Topic {
            id: topic.id,
            name: topic.name.clone(),
            partitions: i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX),
            racks: if has_racks { topic.partitions.iter().map(of_partition).collect() } else { Vec::new() },
        }
    }
}

impl Topics for ImageTopics {
    fn by_name(&self, name: &str) -> Option<Topic> {
        self.0.topic_by_name(name).map(|topic| self.topic(topic))
    }

    fn by_id(&self, id: TopicId) -> Option<Topic> {
        self.0.topic(id).map(|topic| self.topic(topic))
    }

    fn names(&self) -> Vec<Arc<str>> {
        self.0.topic_ids().keys().cloned().collect()
    }

    fn version(&self) -> i64 {
        i64::try_from(self.0.offset()).unwrap_or(i64::MAX)
    }
}
