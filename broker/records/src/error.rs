//! What can be wrong with a batch.

use crate::compression::CompressionError;
use ottla_types::ErrorCode;

/// Why bytes are not a batch that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// The bytes end before the header or the batch does.
    #[error("batch needs {needed} bytes, only {available} are there")]
    Truncated {
        /// Bytes that the header or the batch takes.
        needed: usize,
        /// Bytes that are there.
        available: usize,
    },
    /// The length field cannot be that of a batch.
    #[error("batch length {batch_length} is invalid")]
    InvalidLength {
        /// The length field: bytes after itself.
        batch_length: i32,
    },
    /// A message set of the old formats v0 or v1, written by clients before Kafka 0.11.
    #[error("message format v{magic} is not supported, only v2 is")]
    OldFormat {
        /// 0 or 1.
        magic: i8,
    },
    /// No format that ever was.
    #[error("unknown message format {magic}")]
    UnknownMagic {
        /// The magic byte.
        magic: i8,
    },
    /// The three codec bits name no codec.
    #[error("unknown compression codec {id}")]
    UnknownCompression {
        /// 5, 6 or 7.
        id: u8,
    },
    /// The bytes are not those that the CRC was made of.
    #[error("CRC is {computed:#010x}, the batch says {stored:#010x}")]
    CrcMismatch {
        /// The header's CRC field.
        stored: u32,
        /// CRC of the bytes that are there.
        computed: u32,
    },
    /// A record does not decode, or the records are not those the header tells of.
    #[error("invalid record at index {index}: {reason}")]
    InvalidRecord {
        /// Position in the batch, from 0.
        index: i32,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The records do not decompress.
    #[error(transparent)]
    Compression(#[from] CompressionError),
}

impl BatchError {
    /// Kafka's error code for a client.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Truncated { .. }
            | Self::InvalidLength { .. }
            | Self::UnknownMagic { .. }
            | Self::CrcMismatch { .. } => ErrorCode::CorruptMessage,
            Self::OldFormat { .. } => ErrorCode::UnsupportedForMessageFormat,
            Self::UnknownCompression { .. } => ErrorCode::UnsupportedCompressionType,
            Self::InvalidRecord { .. } => ErrorCode::InvalidRecord,
            Self::Compression(error) => error.code(),
        }
    }
}
