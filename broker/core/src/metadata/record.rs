//! What the metadata log is made of.
//!
//! Each record is one fact. The messages are protobuf: fields and variants are only ever added, a tag is never used
//! again for something else, and a variant that an older broker would not know may be written only when the feature
//! level [`super::feature`] says that every broker knows it. A snapshot is nothing but the records that lead to the
//! same image.
//!
//! Ids are plain integers and bytes here; [`super::Image`] has them as types.

use bytes::Bytes;
use ottla_types::{BrokerId, DirectoryId, TopicId, Uuid};

/// One fact of the cluster's metadata.
#[derive(Clone, PartialEq, prost::Message)]
pub struct MetadataRecord {
    /// What it says; `None` only while a record of a newer version is being decoded.
    #[prost(oneof = "Kind", tags = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14")]
    pub kind: Option<Kind>,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $tag:literal $name:ident,)*) => {
        /// The kinds of record.
        #[derive(Clone, PartialEq, prost::Oneof)]
        pub enum Kind {
            $($(#[$doc])* #[prost(message, tag = $tag)] $name($name),)*
        }
        $(impl From<$name> for MetadataRecord {
            fn from(record: $name) -> Self {
                Self { kind: Some(Kind::$name(record)) }
            }
        })*
    };
}

kinds! {
    /// The cluster was formatted.
    "1" Cluster,
    /// A broker registered.
    "2" RegisterBroker,
    /// A broker was taken out of the cluster for good.
    "3" UnregisterBroker,
    /// A registered broker's state changed.
    "4" BrokerChange,
    /// A topic was created.
    "5" Topic,
    /// Partitions of a topic were created.
    "6" Partitions,
    /// Partitions of a topic changed.
    "7" PartitionChanges,
    /// A topic was deleted, and all of its partitions.
    "8" RemoveTopic,
    /// A setting of a resource was set or removed.
    "9" Config,
    /// A feature's finalized level.
    "10" FeatureLevel,
    /// Producer ids were handed out.
    "11" ProducerIds,
    /// A broker may restart.
    "12" GrantPermit,
    /// That permission is over.
    "13" EndPermit,
    /// Somebody said whether a broker should vote in the metadata quorum. From level 2 on.
    "14" VotePreference,
}

/// Who this cluster is; the first record of its log.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Cluster {
    /// Kafka's cluster id: 22 characters.
    #[prost(string, tag = "1")]
    pub cluster_id: String,
}

/// A named address of a broker.
#[derive(Clone, PartialEq, Eq, prost::Message, serde::Serialize, serde::Deserialize)]
pub struct Endpoint {
    /// The listener's name, `PLAINTEXT` for one.
    #[prost(string, tag = "1")]
    pub listener: String,
    /// The name or address that clients are told.
    #[prost(string, tag = "2")]
    pub host: String,
    /// Its port.
    #[prost(uint32, tag = "3")]
    pub port: u32,
    /// Kafka's `SecurityProtocol` id: 0 `PLAINTEXT`, 1 `SSL`, 2 `SASL_PLAINTEXT`, 3 `SASL_SSL`.
    #[prost(int32, tag = "4")]
    pub security_protocol: i32,
}

/// The levels of a feature that a broker can run at.
#[derive(Clone, PartialEq, Eq, prost::Message, serde::Serialize, serde::Deserialize)]
pub struct FeatureRange {
    /// The feature's name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// The lowest level.
    #[prost(int32, tag = "2")]
    pub min: i32,
    /// The highest level.
    #[prost(int32, tag = "3")]
    pub max: i32,
}

/// A broker registered; it begins fenced, unless the record says otherwise.
#[derive(Clone, PartialEq, prost::Message)]
pub struct RegisterBroker {
    /// `node.id`.
    #[prost(int32, tag = "1")]
    pub broker_id: i32,
    /// This registration's epoch; higher than every one before.
    #[prost(int64, tag = "2")]
    pub broker_epoch: i64,
    /// Made anew each time the process starts (16 bytes).
    #[prost(bytes = "bytes", tag = "3")]
    pub incarnation_id: Bytes,
    /// Where it is reached.
    #[prost(message, repeated, tag = "4")]
    pub endpoints: Vec<Endpoint>,
    /// What it can run at.
    #[prost(message, repeated, tag = "5")]
    pub features: Vec<FeatureRange>,
    /// `broker.rack`.
    #[prost(string, optional, tag = "6")]
    pub rack: Option<String>,
    /// It may not lead nor be in an ISR.
    #[prost(bool, tag = "7")]
    pub fenced: bool,
    /// It is moving its leaders away in order to stop.
    #[prost(bool, tag = "8")]
    pub in_controlled_shutdown: bool,
    /// The ids of its data directories that are online, 16 bytes each.
    #[prost(bytes = "bytes", tag = "9")]
    pub directories: Bytes,
    /// The directory of those that holds its metadata log (16 bytes): with the broker id its name in the quorum.
    #[prost(bytes = "bytes", tag = "10")]
    pub metadata_directory: Bytes,
    /// It gets no new replicas.
    #[prost(bool, tag = "11")]
    pub cordoned: bool,
}

/// A broker was taken out of the cluster for good.
#[derive(Clone, PartialEq, prost::Message)]
pub struct UnregisterBroker {
    /// Its id.
    #[prost(int32, tag = "1")]
    pub broker_id: i32,
    /// The registration that ends.
    #[prost(int64, tag = "2")]
    pub broker_epoch: i64,
}

/// A registered broker's state; fields that are absent stay as they are.
#[derive(Clone, PartialEq, prost::Message)]
pub struct BrokerChange {
    /// Its id.
    #[prost(int32, tag = "1")]
    pub broker_id: i32,
    /// The registration that this is about.
    #[prost(int64, tag = "2")]
    pub broker_epoch: i64,
    /// It may not lead nor be in an ISR.
    #[prost(bool, optional, tag = "3")]
    pub fenced: Option<bool>,
    /// It is moving its leaders away in order to stop.
    #[prost(bool, optional, tag = "4")]
    pub in_controlled_shutdown: Option<bool>,
    /// It gets no new replicas.
    #[prost(bool, optional, tag = "5")]
    pub cordoned: Option<bool>,
    /// The ids of its data directories that are online, 16 bytes each.
    #[prost(bytes = "bytes", optional, tag = "6")]
    pub directories: Option<Bytes>,
}

/// A topic was created; its partitions follow in the same batch.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Topic {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Its id (16 bytes).
    #[prost(bytes = "bytes", tag = "2")]
    pub topic_id: Bytes,
}

/// The whole state of a partition.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Partition {
    /// Index from 0; a topic's indexes have no gaps.
    #[prost(int32, tag = "1")]
    pub partition: i32,
    /// Brokers, the preferred leader first.
    #[prost(int32, repeated, tag = "2")]
    pub replicas: Vec<i32>,
    /// The replicas in sync.
    #[prost(int32, repeated, tag = "3")]
    pub isr: Vec<i32>,
    /// Replicas that a reassignment adds.
    #[prost(int32, repeated, tag = "4")]
    pub adding: Vec<i32>,
    /// Replicas that a reassignment removes.
    #[prost(int32, repeated, tag = "5")]
    pub removing: Vec<i32>,
    /// The leader or -1.
    #[prost(sint32, tag = "6")]
    pub leader: i32,
    /// Counts leaders.
    #[prost(int32, tag = "7")]
    pub leader_epoch: i32,
    /// Counts changes.
    #[prost(int32, tag = "8")]
    pub partition_epoch: i32,
    /// Eligible leader replicas (KIP-966).
    #[prost(int32, repeated, tag = "9")]
    pub elr: Vec<i32>,
    /// The last known ELR (KIP-966).
    #[prost(int32, repeated, tag = "10")]
    pub last_known_elr: Vec<i32>,
    /// The data directory of each replica, in the order of `replicas`, 16 bytes each.
    #[prost(bytes = "bytes", tag = "11")]
    pub directories: Bytes,
    /// The leader was elected uncleanly and has not recovered yet.
    #[prost(bool, tag = "12")]
    pub recovering: bool,
}

/// Partitions of a topic were created.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Partitions {
    /// The topic (16 bytes).
    #[prost(bytes = "bytes", tag = "1")]
    pub topic_id: Bytes,
    /// In the order of their indexes, following those that there are.
    #[prost(message, repeated, tag = "2")]
    pub partitions: Vec<Partition>,
}

/// A list of brokers that may be absent.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Brokers {
    /// Their ids.
    #[prost(int32, repeated, tag = "1")]
    pub ids: Vec<i32>,
}

/// A partition's change; fields that are absent stay as they are. Its partition epoch grows by one; if `leader` is
/// there, so does its leader epoch, even when the leader is the same.
#[derive(Clone, PartialEq, prost::Message)]
pub struct PartitionChange {
    /// Index from 0.
    #[prost(int32, tag = "1")]
    pub partition: i32,
    /// The new leader or -1.
    #[prost(sint32, optional, tag = "2")]
    pub leader: Option<i32>,
    /// The new ISR.
    #[prost(message, optional, tag = "3")]
    pub isr: Option<Brokers>,
    /// The new replicas.
    #[prost(message, optional, tag = "4")]
    pub replicas: Option<Brokers>,
    /// The replicas that a reassignment adds.
    #[prost(message, optional, tag = "5")]
    pub adding: Option<Brokers>,
    /// The replicas that a reassignment removes.
    #[prost(message, optional, tag = "6")]
    pub removing: Option<Brokers>,
    /// The new eligible leader replicas.
    #[prost(message, optional, tag = "7")]
    pub elr: Option<Brokers>,
    /// The new last known ELR.
    #[prost(message, optional, tag = "8")]
    pub last_known_elr: Option<Brokers>,
    /// The directory of each replica, 16 bytes each.
    #[prost(bytes = "bytes", optional, tag = "9")]
    pub directories: Option<Bytes>,
    /// The leader was elected uncleanly and has not recovered yet.
    #[prost(bool, optional, tag = "10")]
    pub recovering: Option<bool>,
}

/// Partitions of a topic changed.
#[derive(Clone, PartialEq, prost::Message)]
pub struct PartitionChanges {
    /// The topic (16 bytes).
    #[prost(bytes = "bytes", tag = "1")]
    pub topic_id: Bytes,
    /// What changed.
    #[prost(message, repeated, tag = "2")]
    pub changes: Vec<PartitionChange>,
}

/// A topic was deleted, and all of its partitions and settings.
#[derive(Clone, PartialEq, prost::Message)]
pub struct RemoveTopic {
    /// The topic (16 bytes).
    #[prost(bytes = "bytes", tag = "1")]
    pub topic_id: Bytes,
}

/// A setting of a resource was set, or removed when `value` is absent.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Config {
    /// Kafka's `ConfigResource.Type` id: 2 topic, 4 broker, 16 client metrics, 32 group.
    #[prost(int32, tag = "1")]
    pub resource_type: i32,
    /// The resource's name; a broker's id as text, empty for the default of all brokers.
    #[prost(string, tag = "2")]
    pub resource_name: String,
    /// The setting's key.
    #[prost(string, tag = "3")]
    pub key: String,
    /// Its value.
    #[prost(string, optional, tag = "4")]
    pub value: Option<String>,
}

/// A feature's finalized level; 0 removes it.
#[derive(Clone, PartialEq, prost::Message)]
pub struct FeatureLevel {
    /// The feature's name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Its level.
    #[prost(int32, tag = "2")]
    pub level: i32,
}

/// Producer ids below `next_producer_id` are handed out.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ProducerIds {
    /// Who got the last block.
    #[prost(int32, tag = "1")]
    pub broker_id: i32,
    /// Its registration.
    #[prost(int64, tag = "2")]
    pub broker_epoch: i64,
    /// The first id that nobody has.
    #[prost(int64, tag = "3")]
    pub next_producer_id: i64,
}

/// A broker may stop and start again.
#[derive(Clone, PartialEq, prost::Message)]
pub struct GrantPermit {
    /// The broker that may.
    #[prost(int32, tag = "1")]
    pub broker_id: i32,
    /// Its registration when it was granted.
    #[prost(int64, tag = "2")]
    pub broker_epoch: i64,
    /// This permit's epoch; higher than every one before.
    #[prost(int64, tag = "3")]
    pub permit_epoch: i64,
    /// How long it holds, milliseconds from when a controller first sees it.
    #[prost(int64, tag = "4")]
    pub duration_ms: i64,
    /// Granted although partitions may lose their minimum of in-sync replicas.
    #[prost(bool, tag = "5")]
    pub forced: bool,
    /// Who asked and why, for people.
    #[prost(string, tag = "6")]
    pub reason: String,
}

/// A permit is over.
#[derive(Clone, PartialEq, prost::Message)]
pub struct EndPermit {
    /// The broker that had it.
    #[prost(int32, tag = "1")]
    pub broker_id: i32,
    /// The permit that ends.
    #[prost(int64, tag = "2")]
    pub permit_epoch: i64,
    /// Why.
    #[prost(enumeration = "EndOfPermit", tag = "3")]
    pub cause: i32,
}

/// Somebody said whether a broker should vote in the metadata quorum; it holds until the broker is unregistered.
#[derive(Clone, PartialEq, prost::Message)]
pub struct VotePreference {
    /// The broker.
    #[prost(int32, tag = "1")]
    pub broker_id: i32,
    /// What was said.
    #[prost(enumeration = "Preference", tag = "2")]
    pub preference: i32,
}

/// Whether a broker should vote.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    prost::Enumeration,
    serde::Serialize,
    serde::Deserialize,
)]
#[repr(i32)]
pub enum Preference {
    /// Nobody has said anything.
    None = 0,
    /// Before others.
    Wanted = 1,
    /// Never.
    Barred = 2,
}

/// Why a permit ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum EndOfPermit {
    /// The broker is back and caught up.
    Completed = 0,
    /// The deadline passed.
    Expired = 1,
    /// Somebody gave it back.
    Released = 2,
    /// The broker was unregistered.
    Unregistered = 3,
}

/// Broker ids as the records have them.
#[must_use]
pub fn broker_list(brokers: &[BrokerId]) -> Vec<i32> {
    brokers.iter().map(|broker| broker.0).collect()
}

/// Broker ids as a list that may be absent.
#[must_use]
pub fn brokers(brokers: &[BrokerId]) -> Brokers {
    Brokers { ids: broker_list(brokers) }
}

/// Directory ids, 16 bytes each.
#[must_use]
pub fn directory_bytes(directories: &[DirectoryId]) -> Bytes {
    directories.iter().flat_map(|directory| *directory.0.as_bytes()).collect::<Vec<u8>>().into()
}

/// A UUID's 16 bytes.
#[must_use]
pub fn uuid_bytes(uuid: Uuid) -> Bytes {
    Bytes::copy_from_slice(uuid.as_bytes())
}

/// A topic id's 16 bytes.
#[must_use]
pub fn topic_id_bytes(topic_id: TopicId) -> Bytes {
    uuid_bytes(topic_id.0)
}
