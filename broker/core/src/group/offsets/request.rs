//! OffsetCommit, TxnOffsetCommit, OffsetFetch and OffsetDelete in core's words.

use ottla_types::{ErrorCode, Offset, TimestampMs, TopicId};
use std::sync::Arc;

/// Who commits.
#[derive(Debug, Clone, Copy)]
pub struct Committer<'a> {
    /// Empty for a client outside of the group's membership.
    pub member_id: &'a str,
    /// The static member's name.
    pub group_instance_id: Option<&'a str>,
    /// The generation or member epoch it believes in; negative without membership.
    pub generation_id_or_member_epoch: i32,
    /// A TxnOffsetCommit.
    pub transactional: bool,
    /// The client knows consumer groups: OffsetCommit from version 9 on. Others are told
    /// `UNSUPPORTED_VERSION` or `ILLEGAL_GENERATION` where these get `STALE_MEMBER_EPOCH` or
    /// `GROUP_ID_NOT_FOUND`.
    pub knows_member_epochs: bool,
}

/// An OffsetCommit (versions 2 to 10) or TxnOffsetCommit (0 to 5).
#[derive(Debug, Clone)]
pub struct CommitRequest<'a> {
    /// The group.
    pub group_id: &'a str,
    /// Who commits.
    pub from: Committer<'a>,
    /// How long to keep the offsets, from clients that say so (versions 2 to 4); `None` for -1.
    pub retention_ms: Option<i64>,
    /// What to commit. Topics that do not exist or may not be read are the caller's to take out.
    pub topics: Vec<CommitTopic<'a>>,
}

/// A topic of a commit.
#[derive(Debug, Clone)]
pub struct CommitTopic<'a> {
    /// Its name (the caller resolves ids).
    pub name: &'a str,
    /// Its id where known, else zero.
    pub topic_id: TopicId,
    /// Its partitions.
    pub partitions: Vec<CommitPartition<'a>>,
}

/// A partition of a commit.
#[derive(Debug, Clone, Copy)]
pub struct CommitPartition<'a> {
    /// Its index.
    pub partition: i32,
    /// The next offset to read.
    pub offset: Offset,
    /// The leader epoch of the last record read, or -1.
    pub leader_epoch: i32,
    /// What the client wants to keep with it.
    pub metadata: &'a str,
}

/// The verdicts on a commit: by topic, then by partition, in the order of the request.
pub type CommitReply = Vec<Vec<ErrorCode>>;

/// One group of an OffsetFetch (versions 1 to 10; below 8 there is one group).
#[derive(Debug, Clone)]
pub struct FetchGroup<'a> {
    /// The group.
    pub group_id: &'a str,
    /// The asking member (from version 9), if it says.
    pub member_id: Option<&'a str>,
    /// Its epoch; negative if it does not say.
    pub member_epoch: i32,
    /// What to fetch; `None` is everything.
    pub topics: Option<Vec<FetchTopic<'a>>>,
    /// Offsets that an open transaction may change are refused (KIP-447).
    pub require_stable: bool,
}

/// A topic of an OffsetFetch.
#[derive(Debug, Clone)]
pub struct FetchTopic<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its partitions.
    pub partitions: Vec<i32>,
}

/// A topic of an OffsetFetch's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchedTopic {
    /// Its name.
    pub name: Arc<str>,
    /// Its partitions.
    pub partitions: Vec<FetchedPartition>,
}

/// A partition of an OffsetFetch's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchedPartition {
    /// Its index.
    pub partition: i32,
    /// The committed offset; -1 if there is none.
    pub offset: Offset,
    /// The leader epoch, or -1.
    pub leader_epoch: i32,
    /// The metadata; `None` is empty.
    pub metadata: Option<Arc<str>>,
    /// When it was committed; -1 if there is none (lag metrics and tools).
    pub commit_timestamp_ms: TimestampMs,
    /// `None` also when nothing was committed.
    pub error: ErrorCode,
}

/// An OffsetDelete.
#[derive(Debug, Clone)]
pub struct DeleteRequest<'a> {
    /// The group.
    pub group_id: &'a str,
    /// What to delete.
    pub topics: Vec<FetchTopic<'a>>,
}
