//! A client of Kafka's protocol for Ottla's own tools, its operator, and its brokers among themselves.
//!
//! [`Connection`] is one pipelined connection; [`Client`] knows a cluster and keeps one connection to each broker;
//! [`Admin`], [`Producer`] and [`Consumer`] stand on it. All time-outs are in [`ClientOptions`]; nothing waits for ever
//! and nothing is queued without a bound.

mod admin;
mod client;
mod connection;
mod consumer;
mod error;
mod options;
mod partitioner;
mod producer;
mod socket;

pub use admin::{
    Admin, AlterOp, ClusterDescription, CommittedOffset, ConfigEntry, ConfigResource, ConfigSynonym,
    CreatedTopic, GroupDescription, GroupListing, GroupMember, LogDir, NewTopic, NodeDescription, OffsetSpec,
    PartitionDescription, PartitionGrowth, QuorumDescription, QuorumReplica, Reassignment, ReplicaSize,
    ResolvedOffset, ResourceKind, TopicDescription,
};
pub use client::Client;
pub use connection::Connection;
pub use consumer::{Consumer, ConsumerOptions, Fetched, FetchedRecord, Isolation, Start};
pub use error::{ApiError, ClientError};
pub use options::ClientOptions;
/// Words of [`Admin::cluster_status`], [`Admin::ask_permit`] and what goes with them.
pub use ottla_protocol::cluster_admin::{
    AskPermit, BrokerStatus, ClusterStatus, HeldPermit, PartitionCounts, Permit, Reason, ReasonKind, Reasons,
    SingleReplica,
};
pub use partitioner::murmur2;
pub use producer::{Acks, Delivered, Delivery, OutgoingRecord, Producer, ProducerOptions};
pub use socket::notice_silence;
