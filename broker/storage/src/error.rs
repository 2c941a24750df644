//! What can go wrong, one enum for each kind of operation. Corruption is never reported as an IO error.

use crate::producer_state::ProducerStateError;
use ottla_records::BatchError;
use ottla_types::{ErrorCode, LeaderEpoch, Offset};
use std::io;
use std::path::{Path, PathBuf};

/// A failed call to the disk.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}: {source}", path.display())]
pub struct DiskError {
    /// What was tried, as in "cannot {action} ...".
    pub action: &'static str,
    /// The file or directory.
    pub path: PathBuf,
    /// The system's error.
    pub source: io::Error,
}

impl DiskError {
    pub(crate) fn new(action: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self { action, path: path.into(), source }
    }

    /// True if there was no room (volume full or quota used up).
    #[must_use]
    pub fn is_full(&self) -> bool {
        is_full(&self.source)
    }

    /// True if it is not the disk's fault: too many files are open. Nothing was changed; it may work in a moment.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(self.source.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
    }

    /// Kafka's error code.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        ErrorCode::KafkaStorageError
    }
}

/// True if an IO error means that there is no room.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Adds what was tried to an IO result.
pub(crate) trait IoContext<T> {
    fn during(self, action: &'static str, path: &Path) -> Result<T, DiskError>;
}

impl<T> IoContext<T> for io::Result<T> {
    fn during(self, action: &'static str, path: &Path) -> Result<T, DiskError> {
        self.map_err(|source| DiskError::new(action, path, source))
    }
}

/// Why a log cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The disk refused.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// Data that was written completely does not read back as it was. The log must not serve.
    #[error("{}: corrupt at byte {position}: {reason}", path.display())]
    Corrupt {
        /// The segment.
        path: PathBuf,
        /// Where the bad batch begins.
        position: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// Its data directory is offline.
    #[error("log directory {} is offline: {reason}", dir.display())]
    Offline {
        /// The data directory.
        dir: PathBuf,
        /// The error that took it offline.
        reason: String,
    },
}

impl OpenError {
    /// Kafka's error code.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        ErrorCode::KafkaStorageError
    }
}

/// Why an append did not happen. The log is as it was before.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// No room on the volume; nothing of the append is left. Try again later.
    #[error("log directory {} is full", dir.display())]
    DiskFull {
        /// The data directory.
        dir: PathBuf,
    },
    /// The disk refused; the data directory is offline from now on.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The log or its data directory is offline.
    #[error("{} is offline: {reason}", path.display())]
    Offline {
        /// The data directory or the log.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// All batches of one append must fit into one segment.
    #[error("an append of {bytes} bytes does not fit into a segment of {segment_bytes} bytes")]
    TooLarge {
        /// Bytes of the append.
        bytes: u64,
        /// The topic's `segment.bytes`.
        segment_bytes: u64,
    },
    /// A follower's append that does not continue its log.
    #[error("batch at offset {base_offset} does not follow log end offset {log_end_offset}")]
    OutOfOrder {
        /// The batch's first offset.
        base_offset: Offset,
        /// Where the log ends.
        log_end_offset: Offset,
    },
    /// A batch of an older leader than the log already has.
    #[error("batch of leader epoch {epoch} after leader epoch {latest}")]
    StaleEpoch {
        /// The batch's.
        epoch: LeaderEpoch,
        /// The log's latest.
        latest: LeaderEpoch,
    },
    /// The bytes are not whole record batches.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// Sequence, epoch or transaction state of the producer does not allow it.
    #[error(transparent)]
    Producer(#[from] ProducerStateError),
    /// A batch of the same producer that comes before it was refused with this, and has to be taken first.
    #[error("the batch before it was refused: {0}")]
    Behind(ErrorCode),
}

impl AppendError {
    /// Kafka's error code.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            AppendError::DiskFull { .. } | AppendError::Disk(_) | AppendError::Offline { .. } => {
                ErrorCode::KafkaStorageError
            }
            AppendError::TooLarge { .. } => ErrorCode::RecordListTooLarge,
            AppendError::OutOfOrder { .. } => ErrorCode::UnknownServerError,
            AppendError::StaleEpoch { .. } => ErrorCode::FencedLeaderEpoch,
            AppendError::Batch(_) => ErrorCode::CorruptMessage,
            AppendError::Producer(error) => error.code(),
            AppendError::Behind(code) => *code,
        }
    }
}

/// Why a look into the log failed.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Below the log start offset or above the log end offset.
    #[error("offset {offset} is outside of {log_start_offset}..{log_end_offset}")]
    OffsetOutOfRange {
        /// Asked for.
        offset: Offset,
        /// First readable offset.
        log_start_offset: Offset,
        /// One past the last offset.
        log_end_offset: Offset,
    },
    /// The disk refused; the data directory is offline from now on.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The log or its data directory is offline.
    #[error("{} is offline: {reason}", path.display())]
    Offline {
        /// The data directory or the log.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The log does not read back as it was written; it is offline from now on.
    #[error("{}: corrupt at byte {position}: {reason}", path.display())]
    Corrupt {
        /// The segment.
        path: PathBuf,
        /// Where the bad batch begins.
        position: u64,
        /// What is wrong with it.
        reason: String,
    },
}

impl ReadError {
    /// Kafka's error code.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            ReadError::OffsetOutOfRange { .. } => ErrorCode::OffsetOutOfRange,
            ReadError::Disk(_) | ReadError::Offline { .. } | ReadError::Corrupt { .. } => {
                ErrorCode::KafkaStorageError
            }
        }
    }
}

/// Why the log could not be changed (truncated, rolled, flushed, cleaned).
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The disk refused; the data directory is offline from now on (unless it was only full).
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// Looking into the log failed.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The log or its data directory is offline.
    #[error("{} is offline: {reason}", path.display())]
    Offline {
        /// The data directory or the log.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

impl LogError {
    /// True if it is for want of room alone, so that the same may be tried again when there is some.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Disk(error) | Self::Read(ReadError::Disk(error)) if error.is_full())
    }

    /// Kafka's error code.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            LogError::Read(error) => error.code(),
            LogError::Disk(_) | LogError::Offline { .. } => ErrorCode::KafkaStorageError,
        }
    }
}
