//! Committed offsets: commit, fetch, delete, expire.
//!
//! Offsets change by replay alone. A commit is checked against the group (is this member, in this generation,
//! still the one that reads?) and becomes one record per partition. Rules: Kafka's `OffsetMetadataManager`,
//! KIP-211 (retention), KIP-447 (stable offsets), KIP-709 (several groups).

mod expiry;
mod plan;
mod request;
mod store;
#[cfg(test)]
mod tests;

pub use expiry::ExpiryBase;
pub(in crate::group) use expiry::{ExpiryOf, ExpiryRules, expired};
pub(in crate::group) use plan::{commit, delete, fetch};
pub use request::{
    CommitPartition, CommitReply, CommitRequest, CommitTopic, Committer, DeleteRequest, FetchGroup,
    FetchTopic, FetchedPartition, FetchedTopic,
};
pub use store::{Committed, Store, Topics};
