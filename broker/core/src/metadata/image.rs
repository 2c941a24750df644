//! The cluster's metadata at one offset of its log.
//!
//! An image is made of persistent maps: a clone costs nothing and shares what it does not change, so that readers
//! keep the one they began with while the next is made. Only [`replay`](Image::replay) changes it. Indexes (by name,
//! by broker, without leader) are derived and always agree with the rest. 10,000 partitions cost a few megabytes.

use super::config::ConfigResource;
use super::membership::{Membership, NodeId};
use super::record::{Endpoint, FeatureRange, Preference};
use imbl::{OrdMap, OrdSet, Vector};
use ottla_types::{
    BrokerEpoch, BrokerId, DirectoryId, LeaderEpoch, PartitionEpoch, ProducerId, TopicId, TopicIdPartition,
    Uuid,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The directory of a replica that may have been on a disk which is gone (Kafka's `DirectoryId.LOST`).
pub const LOST_DIRECTORY: DirectoryId = DirectoryId(Uuid::from_u128(1));

/// The cluster's metadata at one offset of its log.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Image {
    pub(super) offset: u64,
    pub(super) cluster_id: Arc<str>,
    pub(super) brokers: OrdMap<BrokerId, Arc<BrokerImage>>,
    pub(super) topics: OrdMap<TopicId, Arc<TopicImage>>,
    pub(super) topic_ids: OrdMap<Arc<str>, TopicId>,
    pub(super) by_broker: OrdMap<BrokerId, OrdSet<TopicIdPartition>>,
    pub(super) leaderless: OrdSet<TopicIdPartition>,
    pub(super) reassigning: OrdSet<TopicIdPartition>,
    pub(super) partition_count: usize,
    pub(super) configs: OrdMap<ConfigResource, Arc<BTreeMap<String, String>>>,
    pub(super) features: OrdMap<Arc<str>, i32>,
    pub(super) next_producer_id: i64,
    pub(super) permits: OrdMap<BrokerId, Permit>,
    pub(super) last_permit_epoch: i64,
    pub(super) last_broker_epoch: i64,
    pub(super) membership: Arc<Membership>,
}

/// A registered broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerImage {
    /// `node.id`.
    pub id: BrokerId,
    /// This registration.
    pub epoch: BrokerEpoch,
    /// Made anew each time the process starts.
    pub incarnation_id: Uuid,
    /// Where it is reached.
    pub endpoints: Vec<Endpoint>,
    /// What it can run at.
    pub features: Vec<FeatureRange>,
    /// `broker.rack`.
    pub rack: Option<String>,
    /// It may not lead nor be in an ISR.
    pub fenced: bool,
    /// It is moving its leaders away in order to stop.
    pub in_controlled_shutdown: bool,
    /// It gets no new replicas.
    pub cordoned: bool,
    /// Its data directories that are online, in order.
    pub directories: Vec<DirectoryId>,
    /// The directory that holds its metadata log.
    pub metadata_directory: DirectoryId,
    /// Whether it should vote in the metadata quorum.
    pub preference: Preference,
}

impl BrokerImage {
    /// It may lead and be in an ISR: neither fenced nor shutting down.
    #[must_use]
    pub const fn is_active(&self) -> bool {
        !self.fenced && !self.in_controlled_shutdown
    }

    /// True if a replica in this directory can be used: it is online, or it is not known where the replica is.
    #[must_use]
    pub fn is_online(&self, directory: DirectoryId) -> bool {
        directory.is_zero() || self.directories.binary_search(&directory).is_ok()
    }

    /// Its address at a listener.
    #[must_use]
    pub fn endpoint(&self, listener: &str) -> Option<&Endpoint> {
        self.endpoints.iter().find(|endpoint| endpoint.listener == listener)
    }

    /// Its node in the quorum.
    #[must_use]
    pub fn node(&self) -> NodeId {
        NodeId::new(self.id, self.metadata_directory)
    }
}

/// A topic and its partitions.
#[derive(Debug, Clone, PartialEq)]
pub struct TopicImage {
    /// Its name.
    pub name: Arc<str>,
    /// Its id.
    pub id: TopicId,
    /// Its partitions by index.
    pub partitions: Vector<Arc<PartitionImage>>,
}

impl TopicImage {
    /// A partition, if there is one of this index.
    #[must_use]
    pub fn partition(&self, partition: i32) -> Option<&Arc<PartitionImage>> {
        self.partitions.get(usize::try_from(partition).ok()?)
    }
}

/// A partition: who holds it, who is in sync, who leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionImage {
    /// Brokers that hold it, the preferred leader first. Never empty, no broker twice.
    pub replicas: Vec<BrokerId>,
    /// The replicas in sync; empty only if there is no leader.
    pub isr: Vec<BrokerId>,
    /// Replicas that a reassignment adds; all of them are in `replicas`.
    pub adding: Vec<BrokerId>,
    /// Replicas that a reassignment removes; all of them are in `replicas`.
    pub removing: Vec<BrokerId>,
    /// Replicas out of the ISR that have all that was acknowledged (KIP-966).
    pub elr: Vec<BrokerId>,
    /// If ISR and ELR are empty: the last leader; else former ELR members that stopped uncleanly (KIP-966).
    pub last_known_elr: Vec<BrokerId>,
    /// The data directory of each replica, in the order of `replicas`; zero if not known.
    pub directories: Vec<DirectoryId>,
    /// The leader, or [`BrokerId::NONE`].
    pub leader: BrokerId,
    /// Counts leaders.
    pub leader_epoch: LeaderEpoch,
    /// Counts changes.
    pub partition_epoch: PartitionEpoch,
    /// The leader was elected uncleanly and has not recovered yet (Kafka's `LeaderRecoveryState`).
    pub recovering: bool,
}

impl PartitionImage {
    /// The broker that should lead: the first replica.
    #[must_use]
    pub fn preferred_leader(&self) -> BrokerId {
        self.replicas.first().copied().unwrap_or(BrokerId::NONE)
    }

    /// True if its preferred replica leads.
    #[must_use]
    pub fn has_preferred_leader(&self) -> bool {
        self.leader == self.preferred_leader()
    }

    /// True while a reassignment is under way.
    #[must_use]
    pub fn is_reassigning(&self) -> bool {
        !self.adding.is_empty() || !self.removing.is_empty()
    }

    /// The data directory of a replica; zero if not known.
    #[must_use]
    pub fn directory(&self, broker: BrokerId) -> DirectoryId {
        let index = self.replicas.iter().position(|&replica| replica == broker);
        index.and_then(|index| self.directories.get(index)).copied().unwrap_or(DirectoryId::ZERO)
    }
}

/// A broker's permission to stop and start again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permit {
    /// The broker that may.
    pub broker_id: BrokerId,
    /// Its registration when it was granted.
    pub broker_epoch: BrokerEpoch,
    /// This permit; a later one has a higher epoch.
    pub epoch: i64,
    /// How long it holds, milliseconds from when a controller first sees it.
    pub duration_ms: i64,
    /// Granted although partitions may lose their minimum of in-sync replicas.
    pub forced: bool,
    /// Who asked and why, for people.
    pub reason: String,
}

impl Image {
    /// The last offset (raft index) that is in it; 0 before the first.
    #[must_use]
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// Kafka's cluster id; empty before the first record.
    #[must_use]
    pub fn cluster_id(&self) -> &str {
        &self.cluster_id
    }

    /// The registered brokers by id.
    #[must_use]
    pub const fn brokers(&self) -> &OrdMap<BrokerId, Arc<BrokerImage>> {
        &self.brokers
    }

    /// A registered broker.
    #[must_use]
    pub fn broker(&self, id: BrokerId) -> Option<&Arc<BrokerImage>> {
        self.brokers.get(&id)
    }

    /// True if the broker may lead and be in an ISR.
    #[must_use]
    pub fn is_active(&self, id: BrokerId) -> bool {
        self.brokers.get(&id).is_some_and(|broker| broker.is_active())
    }

    /// The topics by id.
    #[must_use]
    pub const fn topics(&self) -> &OrdMap<TopicId, Arc<TopicImage>> {
        &self.topics
    }

    /// The ids of the topics by name, in the order of the names.
    #[must_use]
    pub const fn topic_ids(&self) -> &OrdMap<Arc<str>, TopicId> {
        &self.topic_ids
    }

    /// A topic.
    #[must_use]
    pub fn topic(&self, id: TopicId) -> Option<&Arc<TopicImage>> {
        self.topics.get(&id)
    }

    /// The id of the topic that has this name.
    #[must_use]
    pub fn topic_id(&self, name: &str) -> Option<TopicId> {
        self.topic_ids.get(name).copied()
    }

    /// A topic by its name.
    #[must_use]
    pub fn topic_by_name(&self, name: &str) -> Option<&Arc<TopicImage>> {
        self.topics.get(self.topic_ids.get(name)?)
    }

    /// A partition.
    #[must_use]
    pub fn partition(&self, partition: TopicIdPartition) -> Option<&Arc<PartitionImage>> {
        self.topics.get(&partition.topic_id)?.partition(partition.partition)
    }

    /// How many partitions there are in all topics.
    #[must_use]
    pub const fn partition_count(&self) -> usize {
        self.partition_count
    }

    /// The partitions of which a broker holds a replica, in order.
    pub fn partitions_of(&self, broker: BrokerId) -> impl Iterator<Item = TopicIdPartition> + '_ {
        self.by_broker.get(&broker).into_iter().flat_map(|set| set.iter().copied())
    }

    /// How many partitions a broker holds a replica of.
    #[must_use]
    pub fn replica_count(&self, broker: BrokerId) -> usize {
        self.by_broker.get(&broker).map_or(0, OrdSet::len)
    }

    /// The partitions that have no leader, in order.
    #[must_use]
    pub const fn leaderless(&self) -> &OrdSet<TopicIdPartition> {
        &self.leaderless
    }

    /// The partitions whose replicas are being reassigned, in order.
    #[must_use]
    pub const fn reassigning(&self) -> &OrdSet<TopicIdPartition> {
        &self.reassigning
    }

    /// The settings that were set on a resource (not those it inherits).
    #[must_use]
    pub fn config(&self, resource: &ConfigResource) -> Option<&BTreeMap<String, String>> {
        self.configs.get(resource).map(|settings| &**settings)
    }

    /// Every resource that has settings of its own.
    #[must_use]
    pub const fn configs(&self) -> &OrdMap<ConfigResource, Arc<BTreeMap<String, String>>> {
        &self.configs
    }

    /// The finalized features.
    #[must_use]
    pub const fn features(&self) -> &OrdMap<Arc<str>, i32> {
        &self.features
    }

    /// A feature's finalized level; 0 if it has none.
    #[must_use]
    pub fn feature(&self, name: &str) -> i32 {
        self.features.get(name).copied().unwrap_or(0)
    }

    /// The first producer id that nobody has.
    #[must_use]
    pub const fn next_producer_id(&self) -> ProducerId {
        ProducerId(self.next_producer_id)
    }

    /// The restart permits that are out.
    #[must_use]
    pub const fn permits(&self) -> &OrdMap<BrokerId, Permit> {
        &self.permits
    }

    /// Every broker that is there has a permit to stop: the whole cluster stops, and nobody stays to hand over to.
    #[must_use]
    pub fn everybody_stops(&self) -> bool {
        let mut there = self.brokers.values().filter(|broker| !broker.fenced).peekable();
        let may_stop = |broker: &Arc<BrokerImage>| {
            self.permits.get(&broker.id).is_some_and(|permit| permit.broker_epoch == broker.epoch)
        };
        there.peek().is_some() && there.all(may_stop)
    }

    /// The highest epoch that any permit had; 0 before the first.
    #[must_use]
    pub const fn last_permit_epoch(&self) -> i64 {
        self.last_permit_epoch
    }

    /// The highest epoch that any broker registered with; 0 before the first.
    #[must_use]
    pub const fn last_broker_epoch(&self) -> BrokerEpoch {
        BrokerEpoch(self.last_broker_epoch)
    }

    /// Who takes part in the metadata quorum.
    #[must_use]
    pub fn membership(&self) -> &Membership {
        &self.membership
    }
}
