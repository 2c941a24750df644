//! The consensus of the metadata quorum, around the `raft` crate.
//!
//! [`Quorum`] decides which entry is at which index of the metadata log, and who leads. It has no clock, no disk and
//! no network: what is to be done comes out of [`Quorum::drain`] as data. Pre-vote and check-quorum are on: a node
//! that was cut off neither disturbs the others nor goes on believing that it leads.
//!
//! How to run it:
//! ```text
//! loop {
//!     let effects = quorum.drain()?;
//!     if effects.is_empty() { break }
//!     for effect in effects {
//!         match effect {
//!             Persist(it) => { write it; if it.must_sync { sync }; quorum.persisted(it.number) }
//!             Send { to, bytes } => hand to the connection to that node, never wait
//!             Apply(entries) => replay each into the image
//!             ApplySnapshot(it) => the image is what the snapshot says
//!             Leadership(it) => drop the controller; make one once `is_in_control`
//!             SaveSnapshot { .. } => save, then drop the entries up to `compact_to`
//!         }
//!     }
//!     if quorum.is_snapshot_due() { quorum.snapshot(image.offset(), image.to_snapshot()) }
//! }
//! ```
//!
//! Invariants: nothing is sent or applied that depends on bytes which are not on disk yet; entries come out once, in
//! order; the same seed, messages and ticks make the same effects. Membership changes one node at a time.

mod codec;
mod config;
mod effect;
mod log;
mod message;
mod node;
mod status;
#[cfg(test)]
mod tests;

pub use codec::CodecError;
pub use config::{Config, Recovered, SNAPSHOT_AFTER_BYTES, StartError};
pub use effect::{Committed, Effect, Leadership, Payload, Persist, Snapshot, StoredEntry, StoredSnapshot};
pub use node::Quorum;
pub use status::{Member, Status};

use crate::metadata::NodeId;
use ottla_types::ErrorCode;

/// A change of who takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum MembershipChange {
    /// The node votes from now on; it should have the log already.
    AddVoter(NodeId),
    /// The node gets the log; a voter that becomes a learner stops voting.
    AddLearner(NodeId),
    /// The node gets nothing any more.
    Remove(NodeId),
}

/// Why a proposal was not taken; nothing of it is in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProposeError {
    /// Another node leads, or none.
    #[error("this node does not lead the metadata quorum")]
    NotLeader {
        /// Who does, if known.
        leader: Option<NodeId>,
    },
    /// It hands over leadership, or too much is under way, or an earlier membership change is not through.
    #[error("the metadata quorum cannot take more now")]
    Busy,
}

impl ProposeError {
    /// Kafka's error code.
    #[must_use]
    pub const fn code(self) -> ErrorCode {
        match self {
            ProposeError::NotLeader { .. } => ErrorCode::NotController,
            ProposeError::Busy => ErrorCode::ThrottlingQuotaExceeded,
        }
    }
}

/// Why a message was ignored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StepError {
    /// It cannot be read.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// It is for a node that had another disk, perhaps.
    #[error("a message for node {to} came to node {node}")]
    NotForThisNode {
        /// Whom it is for.
        to: NodeId,
        /// Who we are.
        node: NodeId,
    },
    /// The consensus does not take it.
    #[error("the message was refused: {0}")]
    Refused(String),
}
