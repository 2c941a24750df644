//! What the machines must know of the cluster's topics.

use ottla_types::TopicId;
use std::sync::Arc;

/// A topic as group coordination sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// Its id.
    pub id: TopicId,
    /// Its name.
    pub name: Arc<str>,
    /// How many partitions it has.
    pub partitions: i32,
    /// The racks of each partition's replicas, by partition; empty where racks are not known.
    pub racks: Vec<Vec<Arc<str>>>,
}

/// The cluster's topics at one moment.
pub trait Topics {
    /// The topic of that name.
    fn by_name(&self, name: &str) -> Option<Topic>;
    /// The topic of that id.
    fn by_id(&self, id: TopicId) -> Option<Topic>;
    /// Is there this topic? An id of zero is any.
    fn has(&self, name: &str, id: TopicId) -> bool;
    /// All names, ascending.
    fn names(&self) -> Vec<Arc<str>>;
    /// Grows with every change of topics, partitions or racks: the offset of the metadata log will do.
    fn version(&self) -> i64;
}

/// No topics at all.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoTopics;

impl Topics for NoTopics {
    fn by_name(&self, _: &str) -> Option<Topic> {
        None
    }

    fn by_id(&self, _: TopicId) -> Option<Topic> {
        None
    }

    fn has(&self, _: &str, _: TopicId) -> bool {
        false
    }

    fn names(&self) -> Vec<Arc<str>> {
        Vec::new()
    }

    fn version(&self) -> i64 {
        0
    }
}
