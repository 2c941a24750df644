//! The codecs of record batches, as Kafka's clients and brokers write and read them.
//!
//! Decompression never makes more than its caller allows, whatever the bytes claim.

mod gzip;
mod lz4;
mod snappy;
mod zstd;

use ottla_types::ErrorCode;
use std::io::{self, Read};

/// A batch's codec.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Compression {
    /// Records lie there as they are.
    #[default]
    None,
    /// RFC 1952, one or more members.
    Gzip,
    /// Snappy blocks in the framing of snappy-java ("xerial"); a bare block is read too.
    Snappy,
    /// The LZ4 frame format, independent blocks of 64 KiB.
    Lz4,
    /// Zstandard frames (KIP-110).
    Zstd,
}

/// Why records do not decompress, or cannot be compressed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CompressionError {
    /// More would come out than allowed.
    #[error("records decompress to more than {max_bytes} bytes")]
    TooLarge {
        /// The caller's limit.
        max_bytes: usize,
    },
    /// The bytes are not what the codec writes.
    #[error("{codec} cannot decompress the records: {reason}")]
    Corrupt {
        /// The codec's name.
        codec: &'static str,
        /// In the codec's words.
        reason: String,
    },
    /// The codec did not do its work.
    #[error("{codec} cannot compress the records: {reason}")]
    Failed {
        /// The codec's name.
        codec: &'static str,
        /// In the codec's words.
        reason: String,
    },
}

impl CompressionError {
    /// Kafka's error code for a client.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::TooLarge { .. } => ErrorCode::MessageTooLarge,
            Self::Corrupt { .. } => ErrorCode::InvalidRecord,
            Self::Failed { .. } => ErrorCode::UnknownServerError,
        }
    }
}

impl Compression {
    /// All of them, by their number on the wire.
    pub const ALL: [Self; 5] = [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd];

    /// The codec with that number in the batch's attributes.
    #[must_use]
    pub const fn from_id(id: u8) -> Option<Self> {
        match id {
            0 => Some(Self::None),
            1 => Some(Self::Gzip),
            2 => Some(Self::Snappy),
            3 => Some(Self::Lz4),
            4 => Some(Self::Zstd),
            _ => None,
        }
    }

    /// Its number in the batch's attributes.
    #[must_use]
    pub const fn id(self) -> u8 {
        self as u8
    }

    /// The codec that `compression.type` names (`uncompressed` and `none` are the same; `producer` is no codec).
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "none" | "uncompressed" => Some(Self::None),
            _ => Self::ALL.into_iter().find(|codec| codec.name() == name),
        }
    }

    /// Its name in settings and in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }

    /// Compresses `bytes` behind `reserve` zero bytes. `level` out of the codec's range is moved into it; `None` is
    /// Kafka's default (gzip 6, zstd 3, lz4 9, which is the fast compressor there and here; others are the high one's).
    /// Snappy has no levels.
    ///
    /// # Errors
    /// [`CompressionError::Failed`] if the codec has no memory.
    pub fn compress(
        self,
        bytes: &[u8],
        level: Option<i32>,
        reserve: usize,
    ) -> Result<Vec<u8>, CompressionError> {
        let mut out = Vec::with_capacity(reserve + bytes.len() / 2 + 64);
        out.resize(reserve, 0);
        let done = match self {
            Self::None => {
                out.extend_from_slice(bytes);
                Ok(())
            }
            Self::Gzip => gzip::compress(bytes, level, &mut out),
            Self::Snappy => snappy::compress(bytes, &mut out),
            Self::Lz4 => lz4::compress(bytes, level, &mut out),
            Self::Zstd => zstd::compress(bytes, level, &mut out),
        };
        done.map_err(|error| CompressionError::Failed { codec: self.name(), reason: error.to_string() })?;
        Ok(out)
    }

    /// Decompresses `bytes` into at most `max_bytes`.
    ///
    /// # Errors
    /// [`CompressionError::TooLarge`] or [`CompressionError::Corrupt`].
    pub fn decompress(self, bytes: &[u8], max_bytes: usize) -> Result<Vec<u8>, CompressionError> {
        let done = match self {
            Self::None => read_bounded(bytes, max_bytes),
            Self::Gzip => gzip::decompress(bytes, max_bytes),
            Self::Snappy => snappy::decompress(bytes, max_bytes),
            Self::Lz4 => lz4::decompress(bytes, max_bytes),
            Self::Zstd => zstd::decompress(bytes, max_bytes),
        };
        done.map_err(|stop| match stop {
            Stop::TooLarge => CompressionError::TooLarge { max_bytes },
            Stop::Corrupt(reason) => CompressionError::Corrupt { codec: self.name(), reason },
        })
    }
}

/// Why a codec stopped.
enum Stop {
    TooLarge,
    Corrupt(String),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Corrupt(error.to_string())
    }
}

/// Reads all of `reader`, but never more than one byte above `max_bytes`.
fn read_bounded(reader: impl Read, max_bytes: usize) -> Result<Vec<u8>, Stop> {
    let mut out = Vec::new();
    reader.take((max_bytes as u64).saturating_add(1)).read_to_end(&mut out)?;
    if out.len() > max_bytes { Err(Stop::TooLarge) } else { Ok(out) }
}
