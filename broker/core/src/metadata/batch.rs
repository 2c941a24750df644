//! A batch of records: the bytes of one entry of the metadata log.
//!
//! The first byte is the format version of the batch; the rest is a protobuf message. A batch is atomic: all of its
//! records are committed together or none is.

use super::record::MetadataRecord;
use bytes::Bytes;
use ottla_types::ErrorCode;
use prost::Message;

/// The format version that this version writes.
pub const FORMAT_VERSION: u8 = 1;

#[derive(Clone, PartialEq, prost::Message)]
struct Batch {
    #[prost(message, repeated, tag = "1")]
    records: Vec<MetadataRecord>,
}

/// Bytes that are not a batch of records this version can read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Not even a format version.
    #[error("the batch of metadata records is empty")]
    Empty,
    /// Written by a version with another format.
    #[error("metadata records of format {0} are not known to this version")]
    Format(u8),
    /// Not a protobuf message.
    #[error("metadata records are corrupt: {0}")]
    Corrupt(String),
    /// A record whose kind is not known: a newer version wrote it and the feature level was raised.
    #[error("record {index} of the batch is of a kind that this version does not know")]
    UnknownRecord {
        /// Its place in the batch.
        index: usize,
    },
    /// A record that says what cannot be.
    #[error("record {index} of the batch is invalid: {reason}")]
    Invalid {
        /// Its place in the batch.
        index: usize,
        /// What is wrong with it.
        reason: String,
    },
}

impl DecodeError {
    /// Kafka's error code.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            DecodeError::Format(_) | DecodeError::UnknownRecord { .. } => ErrorCode::UnsupportedVersion,
            _ => ErrorCode::CorruptMessage,
        }
    }
}

/// The bytes of one entry.
#[must_use]
pub fn encode(records: &[MetadataRecord]) -> Bytes {
    let batch = BatchRef(records);
    let mut bytes = Vec::with_capacity(1 + batch.encoded_len());
    bytes.push(FORMAT_VERSION);
    batch.encode(&mut bytes);
    bytes.into()
}

/// The records of one entry.
///
/// # Errors
/// When the bytes are not a batch, or hold a record that this version does not know.
pub fn decode(mut bytes: Bytes) -> Result<Vec<MetadataRecord>, DecodeError> {
    if bytes.is_empty() {
        return Err(DecodeError::Empty);
    }
    let version = bytes.split_to(1)[0];
    if version != FORMAT_VERSION {
        return Err(DecodeError::Format(version));
    }
    let batch = Batch::decode(bytes).map_err(|error| DecodeError::Corrupt(error.to_string()))?;
    match batch.records.iter().position(|record| record.kind.is_none()) {
        Some(index) => Err(DecodeError::UnknownRecord { index }),
        None => Ok(batch.records),
    }
}

/// A batch that borrows its records.
struct BatchRef<'a>(&'a [MetadataRecord]);

impl BatchRef<'_> {
    fn encoded_len(&self) -> usize {
        prost::encoding::message::encoded_len_repeated(1, self.0)
    }

    fn encode(&self, bytes: &mut Vec<u8>) {
        prost::encoding::message::encode_repeated(1, self.0, bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::{FeatureLevel, Topic};
    use super::*;

    #[test]
    fn a_batch_reads_back_as_it_was_written() {
        let records = vec![
            FeatureLevel { name: "x".into(), level: 3 }.into(),
            Topic { name: "t".into(), topic_id: Bytes::from_static(&[7; 16]) }.into(),
        ];
        assert_eq!(decode(encode(&records)).unwrap(), records);
    }

    #[test]
    fn a_batch_of_nothing_is_a_batch() {
        assert_eq!(decode(encode(&[])).unwrap(), vec![]);
    }

    #[test]
    fn another_format_is_refused() {
        assert_eq!(decode(Bytes::from_static(&[9, 1, 2])), Err(DecodeError::Format(9)));
    }

    #[test]
    fn a_record_of_an_unknown_kind_is_refused_and_not_skipped() {
        // Field 1 of the batch (a record of two bytes), with field 2000 in it.
        let record = [0x82u8, 0x7d, 0x00];
        let mut bytes = vec![FORMAT_VERSION, 0x0a, 3];
        bytes.extend(record);
        assert_eq!(decode(bytes.into()), Err(DecodeError::UnknownRecord { index: 0 }));
    }

    #[test]
    fn garbage_is_corrupt_and_never_a_panic() {
        assert!(matches!(decode(Bytes::from_static(&[1, 0x0a, 0xff])), Err(DecodeError::Corrupt(_))));
        assert_eq!(decode(Bytes::new()), Err(DecodeError::Empty));
    }
}
