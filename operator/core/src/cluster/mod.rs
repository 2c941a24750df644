//! `Cluster`: brokers that belong together.
#![allow(clippy::duplicated_attributes, reason = "each printer column has a type")]

mod pods;
mod status;
mod storage;
#[cfg(test)]
mod tests;

pub use pods::{NetworkPolicySpec, PodTemplate};
pub use status::{BrokerStatus, ClusterStatus, PartitionCounts, StepStatus};
pub use storage::{Keep, Retention, Storage};

use k8s_openapi::api::core::v1::ResourceRequirements;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Most brokers of a cluster.
pub const MAX_REPLICAS: i32 = 100;
/// Longest name of a cluster; names of pods and services are made of it.
pub const MAX_NAME_CHARS: usize = 40;

/// What a cluster is to be.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "ottla.dev",
    version = "v1",
    kind = "Cluster",
    plural = "clusters",
    shortname = "ottla",
    category = "ottla",
    namespaced,
    derive = "PartialEq",
    status = "ClusterStatus",
    doc = "A cluster of Ottla brokers, which Kafka's clients take for Kafka.",
    validation = Rule::new("size(self.metadata.name) <= 40")
        .message("the name can have at most 40 characters: names of pods and services are made of it"),
    scale(
        spec_replicas_path = ".spec.replicas",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status"
    ),
    printcolumn(name = "Brokers", type_ = "string", json_path = ".status.readyBrokers"),
    printcolumn(name = "Version", type_ = "string", json_path = ".status.version"),
    printcolumn(
        name = "Under-replicated",
        type_ = "integer",
        json_path = ".status.partitions.underReplicated"
    ),
    printcolumn(
        name = "Status",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason",
        priority = 1
    ),
    printcolumn(name = "Bootstrap", type_ = "string", json_path = ".status.bootstrap", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[x_kube(
    validation = Rule::new("!(self.hibernate && self.storage.ephemeral)")
        .message("a cluster with ephemeral storage cannot hibernate: it would lose every record")
)]
#[serde(rename_all = "camelCase")]
pub struct ClusterSpec {
    /// Number of brokers. More: they join, and partitions are spread over them. Fewer: those with the highest ids are
    /// emptied first, and go only when nothing is left on them; putting the number back cancels that at any time.
    #[serde(default = "default_replicas")]
    #[schemars(range(min = 1, max = 100))]
    pub replicas: i32,

    /// Image of the brokers. A change restarts them one after the other. Without it a new cluster gets the image that
    /// the operator was told, and keeps it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 500))]
    pub image: Option<String>,

    /// Where records are kept.
    #[serde(default)]
    pub storage: Storage,

    /// What a broker may use of processors and memory. The memory limit is also the broker's own budget.
    #[serde(default = "default_resources")]
    pub resources: ResourceRequirements,

    /// Settings of the brokers, by Kafka's keys. What Kafka changes while running is changed while running, anything
    /// else by a restart of one broker after the other. Addresses, ids and directories are the operator's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 500))]
    #[x_kube(
        validation = Rule::new(
            "!self.exists(key, key in ['node.id', 'broker.id', 'broker.rack', 'log.dir', 'log.dirs', 'metadata.log.dir', \
             'process.roles', 'listeners', 'advertised.listeners', 'inter.broker.listener.name', \
             'ottla.cluster.id', 'ottla.founding.brokers', 'ottla.http.listener', \
             'ottla.shutdown.permit.timeout.ms'] || key.startsWith('controller.'))"
        )
        .message("ids, racks, directories, listeners and the quorum's addresses are set by the operator")
    )]
    pub config: BTreeMap<String, String>,

    /// How brokers learn where they are, so that replicas are spread over racks or zones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rack: Option<Rack>,

    /// How brokers are restarted and partitions are moved.
    #[serde(default)]
    pub rollout: Rollout,

    /// What else the brokers' pods have.
    #[serde(default)]
    pub pod_template: PodTemplate,

    /// Who may connect.
    #[serde(default)]
    pub network_policy: NetworkPolicySpec,

    /// Stops all brokers and keeps their volumes; turned off again, the cluster is back with every record.
    #[serde(default)]
    pub hibernate: bool,

    /// The operator looks and reports, and changes nothing.
    #[serde(default)]
    pub paused: bool,
}

fn default_replicas() -> i32 {
    3
}

fn default_resources() -> ResourceRequirements {
    let quantity = |text: &str| k8s_openapi::apimachinery::pkg::api::resource::Quantity(text.to_owned());
    ResourceRequirements {
        requests: Some(
            [("cpu", "100m"), ("memory", "64Mi")].map(|(k, v)| (k.to_owned(), quantity(v))).into(),
        ),
        limits: Some([("memory".to_owned(), quantity("512Mi"))].into()),
        claims: None,
    }
}

/// How brokers learn where they are.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Rack {
    /// Label of a broker's pod that names its rack. `topology.kubernetes.io/zone` is put on pods by Kubernetes from
    /// 1.35 on; before, the operator copies it from the node, for which it must be allowed to read nodes. A new broker
    /// waits some seconds for it, and remembers it.
    #[serde(default = "default_topology_key")]
    #[schemars(length(min = 1, max = 317))]
    pub topology_key: String,
}

fn default_topology_key() -> String {
    "topology.kubernetes.io/zone".to_owned()
}

/// How brokers are restarted and partitions are moved.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Rollout {
    /// No broker is restarted by the operator while this is set; everything else goes on.
    #[serde(default)]
    pub paused: bool,
    /// What to do about partitions with a single replica, which are away while their broker restarts.
    #[serde(default)]
    pub single_replica: SingleReplica,
    /// Whether partitions are spread over brokers that are new.
    #[serde(default = "yes")]
    pub spread: bool,
    /// Most partitions that move at a time.
    #[serde(default = "default_max_moves")]
    #[schemars(range(min = 1, max = 1000))]
    pub max_moves: i32,
}

impl Default for Rollout {
    fn default() -> Self {
        Self {
            paused: false,
            single_replica: SingleReplica::default(),
            spread: true,
            max_moves: default_max_moves(),
        }
    }
}

const fn yes() -> bool {
    true
}

const fn default_max_moves() -> i32 {
    20
}

/// What to do about partitions with a single replica when their broker is to restart.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SingleReplica {
    /// Restart: they are away for some seconds.
    #[default]
    Allow,
    /// Wait until they have more replicas or are gone.
    Refuse,
    /// Move them to other brokers first.
    MoveAway,
}
