//! The cluster's metadata: records, and the image they add up to.
//!
//! The metadata log is a sequence of [`MetadataRecord`]s, one batch for each entry of the quorum's log. Replaying
//! them in order makes the [`Image`], the same on every broker. Invariants: replay is a function of the records
//! alone; a snapshot followed by the records after it makes the same image as all the records; what a version does
//! not know is an error and never skipped.

mod batch;
mod config;
mod delta;
pub mod feature;
mod image;
mod membership;
pub mod record;
mod replay;
mod since;
mod snapshot;
#[cfg(test)]
mod tests;

pub use batch::{DecodeError, FORMAT_VERSION, decode, encode};
pub use config::{ConfigResource, ConfigResourceKind, ConfigSource, ConfigSynonym, StaticSettings};
pub use delta::ImageDelta;
pub use image::{BrokerImage, Image, LOST_DIRECTORY, PartitionImage, Permit, TopicImage};
pub use membership::{Membership, NodeId};
pub use record::MetadataRecord;
pub use replay::ReplayError;
