//! What became of a topic.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// What became of a topic, as the operator last saw it.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct TopicStatus {
    /// The generation of the resource that this is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Id that the cluster gave the topic. A topic of the same name and another id is another topic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic_id: Option<String>,
    /// The topic is about to be created by this resource; what appears under its name is its own.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub creating: bool,
    /// Its partitions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partitions: Option<TopicPartitions>,
    /// Keys of the settings that this resource has set, so that it can take them back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub config_keys: Vec<String>,
    /// Ready and Progressing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// A topic's partitions in summary.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct TopicPartitions {
    /// How many there are.
    pub count: i32,
    /// Replicas of each; of the partition that has fewest.
    pub replication_factor: i32,
    /// Those with replicas that are not in sync.
    pub under_replicated: i32,
    /// Those without a leader.
    pub offline: i32,
    /// Those whose replicas are moving.
    pub moving: i32,
}
