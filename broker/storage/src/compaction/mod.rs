//! Compaction: a log is rewritten so that of each key only the latest record is left (`LogCleaner`, `Cleaner`).
//!
//! A pass has two parts. First the keys of the records that were never cleaned go into a map of bounded size, up to
//! where it is full. Then every segment up to there is read again, from the log's start, and what survives goes to new
//! segments, several small ones into one. Each takes the place of its sources at once, before the next one is begun.
//! Where the pass ended is noted last, so that a pass that was cut short is done again and never half believed.
//!
//! The log is locked to plan and to replace, never while something is read or written. What happens to it meanwhile
//! is found out when a segment is to be replaced: truncated or gone, the pass ends there.
//!
//! Invariants:
//! - the active segment, and whatever may still be cut off (not committed, not synced), is never touched;
//! - every record that is left keeps its offset; a segment's last batch stays, without records if need be, so that it
//!   still reaches to the next segment;
//! - a producer's last batch stays, without records if need be;
//! - tombstones and markers stay until their delete horizon (KIP-534) has passed and every replica has them;
//! - the new segment is on disk before it is named, and named before the old ones are gone.

mod clean;
mod fate;
mod filter;
mod groups;
mod key_map;
mod output;
mod reader;
mod standing;
mod transactions;

pub use clean::{CleanOptions, CleanReport, clean};
pub(crate) use fate::LastBatch;
pub(crate) use groups::{Sizes, group};
pub use key_map::HashKey;
pub(crate) use output::SUFFIXES;
pub use standing::Standing;
pub(crate) use standing::{Facts, Sealed};

use crate::error::{DiskError, LogError};
use ottla_types::{ErrorCode, limits};
use std::path::PathBuf;

/// A batch that decompresses to more cannot be cleaned.
const MAX_DECOMPRESSED_BYTES: usize = limits::DECOMPRESSED_BATCH_BYTES;

/// Why a pass ended early. What was replaced before stays replaced; the log is whole.
#[derive(Debug, thiserror::Error)]
pub enum CleanError {
    /// Whoever asked for it wants it to end.
    #[error("cleaning was stopped")]
    Stopped,
    /// The log was truncated, or segments of it were deleted, meanwhile. The next pass sees what is left.
    #[error("the log was changed while it was cleaned")]
    Changed,
    /// The volume has no room for a second copy of a segment.
    #[error(
        "no room for a second copy of a segment: {needed_bytes} bytes are needed and {free_bytes} are free"
    )]
    NoRoom {
        /// Bytes of the copy.
        needed_bytes: u64,
        /// Bytes that are free.
        free_bytes: u64,
    },
    /// A batch does not read back as it was written. Cleaning again would find the same.
    #[error("{}: corrupt at byte {position}: {reason}", path.display())]
    Corrupt {
        /// The segment.
        path: PathBuf,
        /// Where the batch begins.
        position: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// The disk refused.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The log refused.
    #[error(transparent)]
    Log(#[from] LogError),
}

impl CleanError {
    /// Kafka's error code.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Corrupt { .. } => ErrorCode::CorruptMessage,
            _ => ErrorCode::KafkaStorageError,
        }
    }

    /// True if the next pass may well succeed.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Stopped | Self::Changed | Self::NoRoom { .. } => true,
            Self::Corrupt { .. } | Self::Log(_) => false,
            Self::Disk(error) => error.is_full() || error.is_passing(),
        }
    }
}
