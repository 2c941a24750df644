//! What became of a cluster.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// What became of a cluster, as the operator last saw it.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ClusterStatus {
    /// The generation of the resource that this is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Pods of brokers that there are.
    #[serde(default)]
    pub replicas: i32,
    /// Selector of the brokers' pods, for `kubectl scale` and autoscalers.
    #[serde(default)]
    pub selector: String,
    /// Brokers that are ready, of how many: `3/3`.
    #[serde(default)]
    pub ready_brokers: String,
    /// Image of the brokers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Image of the brokers whenever the spec names none: the operator's idea when the cluster was new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_image: Option<String>,
    /// Version that the image's tag names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The cluster's id, once it is founded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_id: Option<String>,
    /// Where clients connect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bootstrap: Option<String>,
    /// The broker that is in control of the metadata.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub controller: Option<i32>,
    /// Brokers that vote in the metadata quorum.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub voters: Vec<i32>,
    /// Each broker.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub brokers: Vec<BrokerStatus>,
    /// Partitions of all topics.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partitions: Option<PartitionCounts>,
    /// What the operator does now, and what that waits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<StepStatus>,
    /// Brokers that partitions are being spread over since they are new.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spreading: Vec<i32>,
    /// Brokers that are on their way out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub leaving: Vec<i32>,
    /// Keys of the settings that the operator has set while the brokers run, so that it can take them back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dynamic_config_keys: Vec<String>,
    /// Ready, Healthy, Progressing, ConfigurationApplied and Quiesced.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// A broker.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct BrokerStatus {
    /// Its id, which is the ordinal of its pod.
    pub id: i32,
    /// Its pod.
    pub pod: String,
    /// Id of the directory that its metadata are in: another one is another disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory_id: Option<String>,
    /// Version that its image's tag names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Its pod is ready.
    #[serde(default)]
    pub ready: bool,
    /// It is in sync with every replica that it holds.
    #[serde(default)]
    pub in_sync: bool,
    /// Partitions that it leads.
    #[serde(default)]
    pub leaders: i32,
    /// Replicas that it holds.
    #[serde(default)]
    pub replicas: i32,
    /// It gets no new replicas.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cordoned: bool,
    /// Why it has to restart, if it has to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart_reason: Option<String>,
    /// What is wrong with its pod, if anything is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// Partitions of all topics.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct PartitionCounts {
    /// All.
    pub total: i32,
    /// Those with replicas that are not in sync.
    pub under_replicated: i32,
    /// Those with fewer replicas in sync than `min.insync.replicas`.
    pub under_min_isr: i32,
    /// Those without a leader.
    pub offline: i32,
    /// Those with a single replica, which are away whenever their broker is.
    pub single_replica: i32,
}

/// What the operator does now.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct StepStatus {
    /// Roll, ScaleUp, ScaleDown, Spread, Hibernate, Wake or StorageResize.
    pub kind: String,
    /// The broker that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broker: Option<i32>,
    /// What it waits for, in a word; the same word as in the metric.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting_for: Option<String>,
    /// What it waits for, in a sentence.
    #[serde(default)]
    pub message: String,
    /// Since when it is at this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// Brokers or partitions left.
    #[serde(default)]
    pub remaining: i32,
    /// How many that were in the beginning.
    #[serde(default)]
    pub total: i32,
    /// Bytes left to move.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remaining_bytes: Option<i64>,
    /// When it will be done, if it goes on like this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimated_end: Option<Time>,
}
