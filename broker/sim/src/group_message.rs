//! What members of groups and their coordinators say to each other. All groups here read one topic, [`TOPIC`].

use bytes::Bytes;
use ottla_core::group::classic::{JoinReply, SyncReply};
use ottla_core::group::consumer::HeartbeatReply;
use ottla_types::{ErrorCode, Offset};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The topic that groups read.
pub const TOPIC: &str = "t";
/// The topic that keeps groups and offsets.
pub const OFFSETS_TOPIC: &str = "__consumer_offsets";

/// Who asks, and what it believes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Empty for a member that has no id yet.
    pub member: Arc<str>,
    /// The generation (classic) or member epoch.
    pub epoch: i32,
}

/// A request to the coordinator of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupRequest {
    /// The group.
    pub group: Arc<str>,
    /// Who asks.
    pub claim: Claim,
    /// What for.
    pub what: GroupQuestion,
}

/// What a member asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupQuestion {
    /// Classic: JoinGroup.
    Join,
    /// Classic: SyncGroup, from the leader with everybody's partitions.
    Sync(Vec<(Arc<str>, Bytes)>),
    /// Classic: Heartbeat.
    Heartbeat,
    /// Classic: LeaveGroup.
    Leave,
    /// ConsumerGroupHeartbeat: the partitions it owns, if that is to be said.
    ConsumerHeartbeat(Option<BTreeSet<i32>>),
    /// OffsetCommit.
    Commit(Vec<(i32, Offset)>),
    /// OffsetFetch.
    FetchOffsets(Vec<i32>),
}

/// What a coordinator answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupAnswer {
    /// Why there is no other answer.
    Failed(ErrorCode),
    /// To `Join`.
    Joined(JoinReply),
    /// To `Sync`.
    Synced(SyncReply),
    /// To `Heartbeat` and `Leave`.
    Done,
    /// To `ConsumerHeartbeat`.
    Beat(HeartbeatReply),
    /// To `Commit`: a verdict for each partition.
    Committed(Vec<ErrorCode>),
    /// To `FetchOffsets`: -1 where there is none.
    Offsets(Vec<(i32, Offset)>),
}
