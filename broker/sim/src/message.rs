//! What travels: consensus bytes, and requests with their answers in the words of the machines (not of the wire).

use bytes::Bytes;
use ottla_core::controller;
use ottla_core::fetch_session::{FetchPartition, PartitionKey, SessionHeader};
use ottla_core::replication::{EpochEnd, LeaderOffsets};
use ottla_types::{BrokerEpoch, BrokerId, ErrorCode, LeaderEpoch, Offset, TopicIdPartition};

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
    /// Of any broker: who leads what?
    Metadata,
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
    /// To `Metadata`: the leaders and their epochs.
    Metadata(Vec<(TopicIdPartition, BrokerId, LeaderEpoch)>),
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
