//! Topics: created, grown and deleted (Kafka's `ReplicationControlManager`).

mod create;
mod delete;
mod grow;
mod names;
mod place;

pub(super) use names::check as check_name;
pub use names::is_valid as is_valid_topic_name;

pub use grow::GrowTopic;
pub(super) use place::{brokers, check_assignment, new_directory};

use super::error::ApiError;
use ottla_types::{BrokerId, TopicId};

/// A topic to create.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct CreateTopic {
    /// Its name.
    pub name: String,
    /// How many partitions, or -1 for the default.
    pub partitions: i32,
    /// How many replicas of each, or -1 for the default.
    pub replication_factor: i16,
    /// Which broker holds what; then the two numbers are -1. Empty to let the controller decide.
    pub assignments: Vec<Assignment>,
    /// Its settings; a value of `None` is Kafka's null, which sets nothing.
    pub configs: Vec<(String, Option<String>)>,
}

impl CreateTopic {
    /// A topic with the cluster's defaults.
    pub fn with_defaults(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            partitions: -1,
            replication_factor: -1,
            assignments: Vec::new(),
            configs: Vec::new(),
        }
    }
}

/// The replicas that somebody wants a partition to have.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Assignment {
    /// The partition.
    pub partition: i32,
    /// Its replicas, the preferred leader first.
    pub brokers: Vec<BrokerId>,
}

/// A topic as it was created, or would be.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct CreatedTopic {
    /// Its id; zero if it was only validated.
    pub topic_id: TopicId,
    /// How many partitions it has.
    pub partitions: i32,
    /// How many replicas of each.
    pub replication_factor: i16,
}

/// What became of a topic that was to be deleted: its id and name.
pub type Deleted = (TopicRef, Result<(TopicId, String), ApiError>);

/// A topic by name or by id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub enum TopicRef {
    /// By name.
    Name(String),
    /// By id.
    Id(TopicId),
}
