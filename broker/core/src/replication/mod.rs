//! One partition's replication, as step machines: who leads, who follows, and what counts as committed.
//!
//! [`Leader`] decides what may be appended, who is in sync and how far the high watermark goes. [`Follower`]
//! decides where one replica continues to fetch and when it must truncate; [`Fetcher`] holds the followers of one
//! leader broker and decides what to ask of it next.
//!
//! Invariants: the high watermark never moves back while one machine lives; it never passes the end of any
//! member of the maximal ISR; the ISR is a subset of the replicas; nothing is decided on a stale leader epoch.

mod fetcher;
mod follower;
mod leader;
mod partition_state;

pub use fetcher::{Fetcher, FetcherConfig};
pub use follower::{
    AppendFailure, Fetched, Follow, Follower, FollowerEffect, FollowerLog, LeaderOffsets, truncation_offset,
};
pub use leader::{
    Ack, AckState, AlterPartition, Altered, AppendRefused, Config, Effect, FetchRefused, FollowerFetch,
    FollowerProgress, IsrMember, Leader, LogPosition,
};
pub use partition_state::{
    BrokerStatus, Brokers, EpochEnd, InvalidEpoch, PartitionChange, PartitionState, check_leader_epoch,
    diverging,
};
