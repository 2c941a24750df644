//! What travels: consensus bytes, and requests with their answers in the words of the machines (not of the wire).

use crate::group_message::{GroupAnswer, GroupRequest};
use bytes::Bytes;
use ottla_core::controller;
use ottla_core::fetch_session::{FetchPartition, PartitionKey, SessionHeader};
use ottla_core::replication::{EpochEnd, LeaderOffsets};
use ottla_types::{BrokerEpoch, BrokerId, ErrorCode, LeaderEpoch, Offset, TopicId, TopicIdPartition};
use std::sync::Arc;

/// A message.
#[derive(Debug, Clone)]
pub enum Body {
    /// For the quorum.
    Consensus(Bytes),
    /// Asks; the number comes back with the answer.
    Request(u64, Request),
    /// Answers.
    Answer(u64, Answer),
    /// The connection to the sender broke: what was asked of it will not be answered.
    ConnectionLost,
}

/// What can be asked.
#[derive(Debug, Clone)]
pub enum Request {
    /// Of the controller.
    Control(Box<controller::Request>),
    /// Of any broker: which topics are there, and who leads what?
    Metadata,
    /// Of a group's coordinator.
    Group(Box<GroupRequest>),
    /// Of a leader: records.
    Fetch {
        /// Session id and epoch.
        header: SessionHeader,
        /// The partitions named.
        partitions: Vec<(PartitionKey, FetchPartition)>,
        /// The partitions dropped.
        forgotten: Vec<PartitionKey>,
        /// The follower and its registration; `None` from a consumer.
        follower: Option<(BrokerId, BrokerEpoch)>,
        /// How long it may wait for records.
        max_wait_us: u64,
    },
    /// Of a leader by a follower: the ends of its log.
    LeaderOffsets {
        /// Which one.
        partition: TopicIdPartition,
        /// The leader's epoch, as the follower knows it.
        leader_epoch: LeaderEpoch,
    },
    /// Of a leader: append this batch.
    Produce {
        /// Where.
        partition: TopicIdPartition,
        /// 0, 1 or -1.
        acks: i16,
        /// The batch.
        batch: Bytes,
    },
}

/// What can be answered.
#[derive(Debug, Clone)]
pub enum Answer {
    /// To anything that went wrong as a whole.
    Failed(ErrorCode),
    /// To `Control`.
    Control(Box<controller::Reply>),
    /// To `Metadata`.
    Metadata(Arc<Metadata>),
    /// To `Group`.
    Group(Box<GroupAnswer>),
    /// To `Fetch`.
    Fetched {
        /// Top-level error.
        error: ErrorCode,
        /// The session.
        session: i32,
        /// The partitions that have news.
        partitions: Vec<(PartitionKey, FetchedPartition)>,
    },
    /// To `LeaderOffsets`.
    LeaderOffsets(LeaderOffsets),
    /// To `Produce`: the offset of the batch's first record.
    Produced(Offset),
}

/// One partition of a Fetch answer.
#[derive(Debug, Clone)]
pub struct FetchedPartition {
    /// Its error.
    pub error: ErrorCode,
    /// High watermark.
    pub high_watermark: Offset,
    /// First offset.
    pub log_start_offset: Offset,
    /// The logs diverge here.
    pub diverging: Option<EpochEnd>,
    /// Batches.
    pub records: Bytes,
}

/// The cluster as one broker sees it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Metadata {
    /// The topics.
    pub topics: Vec<TopicMetadata>,
    /// The brokers that are there and may get replicas.
    pub active: Vec<BrokerId>,
}

/// One topic of [`Metadata`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicMetadata {
    /// Its id.
    pub id: TopicId,
    /// Its name.
    pub name: Arc<str>,
    /// Its partitions, by index.
    pub partitions: Vec<PartitionMetadata>,
}

impl TopicMetadata {
    /// Is it the cluster's own, and not for producers and consumers?
    #[must_use]
    pub fn is_internal(&self) -> bool {
        self.name.starts_with("__")
    }

    /// Its partitions with their ids.
    pub fn with_ids(&self) -> impl Iterator<Item = (TopicIdPartition, &PartitionMetadata)> {
        (0..)
            .zip(&self.partitions)
            .map(|(partition, known)| (TopicIdPartition { topic_id: self.id, partition }, known))
    }
}

/// One partition of [`TopicMetadata`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionMetadata {
    /// Its leader, or none.
    pub leader: BrokerId,
    /// The leader's epoch.
    pub leader_epoch: LeaderEpoch,
    /// Its replicas.
    pub replicas: Vec<BrokerId>,
    /// A reassignment is under way.
    pub is_moving: bool,
}
