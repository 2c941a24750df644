//! `Topic`: a topic of a cluster.
#![allow(clippy::duplicated_attributes, reason = "each printer column has a type")]

mod status;
#[cfg(test)]
mod tests;

pub use status::{TopicPartitions, TopicStatus};

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// On a Topic with `deletionPolicy: Delete`: the topic goes before the resource does.
pub const FINALIZER: &str = "ottla.dev/topic";

/// What a topic is to be.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "ottla.dev",
    version = "v1",
    kind = "Topic",
    plural = "topics",
    shortname = "ot",
    category = "ottla",
    namespaced,
    derive = "PartialEq",
    status = "TopicStatus",
    doc = "A topic of a Cluster in the same namespace.",
    selectable = ".spec.clusterRef.name",
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status"
    ),
    printcolumn(name = "Partitions", type_ = "integer", json_path = ".status.partitions.count"),
    printcolumn(name = "Replicas", type_ = "integer", json_path = ".status.partitions.replicationFactor"),
    printcolumn(name = "Cluster", type_ = "string", json_path = ".spec.clusterRef.name"),
    printcolumn(
        name = "Status",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason",
        priority = 1
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[x_kube(
    validation = Rule::new(
        "has(self.topicName) == has(oldSelf.topicName) && \
         (!has(self.topicName) || self.topicName == oldSelf.topicName)"
    )
    .message("topicName cannot be changed: a topic cannot be renamed"),
    validation = Rule::new("self.partitions >= oldSelf.partitions")
        .message("partitions can only grow: Kafka cannot take partitions away")
)]
#[serde(rename_all = "camelCase")]
pub struct TopicSpec {
    /// The Cluster, in the same namespace. It cannot be changed.
    #[x_kube(
        validation = Rule::new("self == oldSelf").message("clusterRef cannot be changed: a topic stays where it is")
    )]
    pub cluster_ref: ClusterRef,

    /// The topic's name, if it is not the resource's. It cannot be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 249), regex(pattern = r"^[a-zA-Z0-9._-]+$"))]
    #[x_kube(
        validation = Rule::new("self != '.' && self != '..'").message("\".\" and \"..\" are no names of topics"),
        validation = Rule::new("!self.startsWith('__')")
            .message("names that begin with __ belong to the brokers")
    )]
    pub topic_name: Option<String>,

    /// Number of partitions. It can only grow.
    #[serde(default = "default_partitions")]
    #[schemars(range(min = 1, max = 10_000))]
    pub partitions: i32,

    /// Replicas of each partition; a change moves replicas. Without it the cluster's default counts when the topic is
    /// created, and it is left alone afterwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 15))]
    pub replication_factor: Option<i32>,

    /// Settings, by Kafka's keys.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 100))]
    pub config: BTreeMap<String, String>,

    /// What becomes of settings that this resource does not name.
    #[serde(default)]
    pub config_policy: ConfigPolicy,

    /// Where replicas may be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placement: Option<Placement>,

    /// What becomes of the topic when this resource is deleted.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,

    /// What to do if the topic is there already when this resource is created.
    #[serde(default)]
    pub adoption_policy: AdoptionPolicy,
}

const fn default_partitions() -> i32 {
    1
}

/// A Cluster in the same namespace.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ClusterRef {
    /// Its name.
    #[schemars(length(min = 1, max = 40))]
    pub name: String,
}

/// What becomes of settings that the resource does not name.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ConfigPolicy {
    /// They stay, but for those that the resource named before.
    #[default]
    Additive,
    /// They are taken away: the topic has the settings named here and no others.
    Exact,
}

/// Where replicas may be.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Placement {
    /// Only on brokers in these racks. Counts for new partitions and new replicas.
    #[schemars(length(min = 1, max = 50))]
    pub racks: Vec<String>,
}

/// What becomes of the topic when the resource is deleted.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeletionPolicy {
    /// The topic stays, with every record.
    #[default]
    Retain,
    /// The topic is deleted, with every record.
    Delete,
}

/// What to do if the topic is there already.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AdoptionPolicy {
    /// Take it over as it is, and change what differs.
    #[default]
    Adopt,
    /// Leave it alone and say so.
    Refuse,
}

impl Topic {
    /// The topic's name in the cluster.
    #[must_use]
    pub fn topic_name(&self) -> &str {
        self.spec.topic_name.as_deref().or(self.metadata.name.as_deref()).unwrap_or_default()
    }

    /// Whether it carries our [`FINALIZER`].
    #[must_use]
    pub fn has_finalizer(&self) -> bool {
        self.metadata.finalizers.iter().flatten().any(|name| name == FINALIZER)
    }
}
