//! What was seen of a cluster, in Kubernetes and at its brokers. Everything a plan may depend on is here.

use crate::cluster::Cluster;
use crate::config::Settings;
use std::collections::BTreeMap;

/// What was seen of a cluster.
#[derive(Debug, Clone)]
pub struct Observed<'a> {
    /// The resource.
    pub cluster: &'a Cluster,
    /// Image of clusters that name none.
    pub default_image: &'a str,
    /// Its StatefulSet.
    pub set: Option<SetView>,
    /// Its pods, by broker.
    pub pods: BTreeMap<i32, PodView>,
    /// Its claims, by broker.
    pub claims: BTreeMap<i32, ClaimView>,
    /// What the brokers say, or why they say nothing.
    pub brokers: Result<BrokersView, String>,
}

/// A StatefulSet.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SetView {
    /// Pods that it is to have.
    pub replicas: i32,
    /// Image of its template.
    pub image: String,
    /// Hash of its template.
    pub hash: String,
    /// When `kubectl rollout restart` was last called.
    pub restarted_at: Option<String>,
    /// Kubernetes makes new pods as the template is now.
    pub is_settled: bool,
    /// Size of the volumes it makes.
    pub claim_size: Option<String>,
    /// It is on its way out.
    pub is_deleting: bool,
}

/// A broker's pod.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PodView {
    /// Name.
    pub name: String,
    /// Its uid: another pod of the same name has another.
    pub uid: String,
    /// The state of it that was seen.
    pub resource_version: String,
    /// What it was made from.
    pub hash: Option<String>,
    /// The `kubectl rollout restart` that it was made after.
    pub restarted_at: Option<String>,
    /// Image of its broker.
    pub image: String,
    /// Kubernetes takes it for ready.
    pub is_ready: bool,
    /// Its container runs.
    pub is_running: bool,
    /// It is being stopped.
    pub is_deleting: bool,
    /// Why it does not run, if it does not.
    pub problem: Option<String>,
    /// Its node, once it has one.
    pub node: Option<String>,
    /// The rack that its label names.
    pub rack: Option<String>,
}

/// A broker's claim.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClaimView {
    /// Name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// The state of it that was seen.
    pub resource_version: String,
    /// Size that it asks for.
    pub size: Option<String>,
    /// It goes when the cluster goes.
    pub is_owned: bool,
    /// It is on its way out.
    pub is_deleting: bool,
}

/// What the brokers say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BrokersView {
    /// The cluster's id.
    pub cluster_id: String,
    /// The broker in control of the metadata.
    pub controller: i32,
    /// The registered brokers.
    pub brokers: BTreeMap<i32, BrokerView>,
    /// All partitions, by topic and index.
    pub partitions: Vec<PartitionView>,
    /// Partitions with fewer replicas in sync than they must have.
    pub under_min_isr: i32,
    /// Settings that were set as the default of all brokers.
    pub dynamic: Settings,
}

/// A registered broker.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BrokerView {
    /// Its registration.
    pub epoch: i64,
    /// Id of its disk.
    pub directory_id: String,
    /// Version of its software.
    pub version: String,
    /// Its rack.
    pub rack: Option<String>,
    /// Neither taken for dead nor stopping.
    pub is_active: bool,
    /// In sync with every replica that it holds.
    pub is_caught_up: bool,
    /// It gets no new replicas.
    pub is_cordoned: bool,
    /// It votes in the metadata quorum.
    pub is_voter: bool,
    /// Replicas that it holds.
    pub replicas: i32,
    /// Partitions that it leads.
    pub leaders: i32,
    /// The permit that it holds.
    pub permit: Option<i64>,
    /// Bytes of its replicas, if they were asked for.
    pub bytes: Option<i64>,
}

/// A partition.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PartitionView {
    /// Its topic.
    pub topic: String,
    /// Its index.
    pub partition: i32,
    /// Its leader, or -1.
    pub leader: i32,
    /// The replicas that it has when nothing moves any more, preferred leader first.
    pub replicas: Vec<i32>,
    /// Those that go.
    pub removing: Vec<i32>,
    /// Those in sync.
    pub isr: Vec<i32>,
    /// Its replicas move.
    pub is_moving: bool,
}

impl PartitionView {
    /// True if a broker holds a replica of it, or is to hold one, or has not got rid of one.
    #[must_use]
    pub fn is_on(&self, broker: i32) -> bool {
        self.replicas.contains(&broker) || self.removing.contains(&broker) || self.isr.contains(&broker)
    }
}

impl BrokersView {
    /// The largest number of replicas of any partition, and its topic.
    #[must_use]
    pub fn largest_replication_factor(&self) -> Option<(usize, &str)> {
        let largest = self.partitions.iter().max_by_key(|partition| partition.replicas.len())?;
        Some((largest.replicas.len(), &largest.topic))
    }

    /// True if nothing of the cluster is on a broker: no replica, no vote. Only then may its disk go.
    #[must_use]
    pub fn is_empty(&self, broker: i32) -> bool {
        let holds = self.brokers.get(&broker).is_some_and(|view| view.replicas > 0 || view.is_voter);
        !holds && !self.partitions.iter().any(|partition| partition.is_on(broker))
    }

    /// Partitions whose replicas move.
    #[must_use]
    pub fn moving(&self) -> usize {
        self.partitions.iter().filter(|partition| partition.is_moving).count()
    }
}
