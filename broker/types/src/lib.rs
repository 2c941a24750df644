//! Ids, epochs, error codes, settings and limits shared by every crate.
//!
//! Nothing here does anything: no clock, no files, no sockets.

mod error_code;
mod ids;
pub mod limits;
pub mod settings;

pub use error_code::ErrorCode;
pub use ids::{
    BrokerEpoch, BrokerId, DirectoryId, InvalidUuid, LeaderEpoch, PartitionEpoch, ProducerEpoch, ProducerId,
    TopicId, TopicIdPartition, TopicPartition, base64_uuid,
};
pub use uuid::Uuid;

/// Milliseconds since the Unix epoch: record timestamps and wall-clock time handed to pure code.
pub type TimestampMs = i64;
/// A position in a partition's log.
pub type Offset = i64;
