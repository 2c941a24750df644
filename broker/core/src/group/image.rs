//! The cluster's metadata as group coordination sees it.

use super::topics::{Topic, Topics};
use crate::metadata::{Image, TopicImage};
use ottla_types::TopicId;
use std::sync::Arc;

/// The racks of each partition's replicas; empty if no broker of the topic has one.
fn racks(image: &Image, topic: &TopicImage) -> Vec<Vec<Arc<str>>> {
    if image.brokers().values().all(|broker| broker.rack.is_none()) {
        return Vec::new();
    }
    let of_partition = |replicas: &[ottla_types::BrokerId]| {
        let racks = replicas.iter().filter_map(|id| image.broker(*id)?.rack.as_deref());
        let mut racks: Vec<Arc<str>> = racks.map(Arc::from).collect();
        racks.sort_unstable();
        racks.dedup();
        racks
    };
    topic.partitions.iter().map(|partition| of_partition(&partition.replicas)).collect()
}

fn topic(image: &Image, topic: &TopicImage) -> Topic {
    Topic {
        id: topic.id,
        name: Arc::clone(&topic.name),
        partitions: i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX),
        racks: racks(image, topic),
    }
}

impl Topics for Image {
    fn by_name(&self, name: &str) -> Option<Topic> {
        self.topic_by_name(name).map(|found| topic(self, found))
    }

    fn by_id(&self, id: TopicId) -> Option<Topic> {
        self.topic(id).map(|found| topic(self, found))
    }

    fn has(&self, name: &str, id: TopicId) -> bool {
        self.topic_id(name).is_some_and(|found| id.is_zero() || found == id)
    }

    fn names(&self) -> Vec<Arc<str>> {
        self.topic_ids().keys().cloned().collect()
    }

    fn version(&self) -> i64 {
        i64::try_from(self.offset()).unwrap_or(i64::MAX)
    }
}
