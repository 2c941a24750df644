//! The records of `__consumer_offsets`, byte for byte as Apache Kafka 4.3 writes them, so that its tools decode
//! them and a log written by either is read by the other.
//!
//! Keys begin with their type (two bytes), values with their version. Invariant: what [`Record::encode`] gives,
//! [`Record::decode`] reads back to an equal record. Types this code does not use (share and streams groups)
//! are [`Decoded::Unknown`]: they are left alone.

mod classic;
mod codec;
mod consumer;
mod offset;
#[cfg(test)]
pub(in crate::group) mod tests;

pub use classic::{ClassicGroupValue, ClassicMemberValue};
pub use codec::{Reader, RecordError, Writer};
pub use consumer::{
    ClassicMetadata, CurrentValue, GroupValue, MemberValue, RegexValue, TargetValue, TopicPartitions,
};
pub use offset::{OffsetKey, OffsetValue};

use bytes::Bytes;
use std::sync::Arc;

/// A member of a consumer group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberKey {
    /// The group.
    pub group: Arc<str>,
    /// The member's id.
    pub member: Arc<str>,
}

/// One record; a value of `None` is a tombstone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// A committed offset (types 0 and 1).
    Offset(OffsetKey, Option<OffsetValue>),
    /// A classic group (type 2).
    ClassicGroup(Arc<str>, Option<ClassicGroupValue>),
    /// A consumer group's epoch (type 3).
    ConsumerGroup(Arc<str>, Option<GroupValue>),
    /// The subscribed topics as Kafka 4.0 kept them (type 4); only their tombstone is written.
    PartitionMetadata(Arc<str>, Option<Bytes>),
    /// A consumer group's member (type 5).
    Member(MemberKey, Option<MemberValue>),
    /// The target assignment's epoch (type 6).
    Target(Arc<str>, Option<TargetValue>),
    /// A member's target (type 7).
    TargetMember(MemberKey, Option<Vec<TopicPartitions>>),
    /// A member's progress (type 8).
    Current(MemberKey, Option<CurrentValue>),
    /// What a regular expression of a group matched (type 16).
    Regex {
        /// The group.
        group: Arc<str>,
        /// The expression.
        regex: Arc<str>,
        /// What it matched.
        value: Option<RegexValue>,
    },
}

/// What bytes of the log turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decoded {
    /// A record of this code's.
    Known(Record),
    /// A key of another type, left alone.
    Unknown(i16),
}

fn name_key(key_type: i16, names: &[&str]) -> Bytes {
    let mut writer = Writer::new(key_type, false, names.iter().map(|name| name.len() + 2).sum());
    for name in names {
        writer.str(name);
    }
    writer.finish()
}

impl Record {
    /// Key and value as bytes of the log.
    #[must_use]
    pub fn encode(&self) -> (Bytes, Option<Bytes>) {
        let member_key = |key_type, key: &MemberKey| name_key(key_type, &[&key.group, &key.member]);
        match self {
            Self::Offset(key, value) => (key.encode(), value.as_ref().map(OffsetValue::encode)),
            Self::ClassicGroup(group, value) => {
                (name_key(classic::KEY_TYPE, &[group]), value.as_ref().map(ClassicGroupValue::encode))
            }
            Self::ConsumerGroup(group, value) => {
                (name_key(3, &[group]), value.as_ref().map(GroupValue::encode))
            }
            Self::PartitionMetadata(group, value) => (name_key(4, &[group]), value.clone()),
            Self::Member(key, value) => (member_key(5, key), value.as_ref().map(MemberValue::encode)),
            Self::Target(group, value) => (name_key(6, &[group]), value.map(TargetValue::encode)),
            Self::TargetMember(key, value) => {
                (member_key(7, key), value.as_deref().map(consumer::encode_target))
            }
            Self::Current(key, value) => (member_key(8, key), value.as_ref().map(CurrentValue::encode)),
            Self::Regex { group, regex, value } => {
                (name_key(16, &[group, regex]), value.as_ref().map(RegexValue::encode))
            }
        }
    }

    /// Reads a record of the log.
    ///
    /// # Errors
    /// [`RecordError`] for bytes that Kafka would not have written.
    pub fn decode(key: &[u8], value: Option<&[u8]>) -> Result<Decoded, RecordError> {
        let mut reader = Reader::new(key);
        let key_type = reader.i16("key type")?;
        let mut member_key =
            || Ok(MemberKey { group: reader.str("group")?, member: reader.str("member id")? });
        let record = match key_type {
            0 | 1 => Self::Offset(OffsetKey::read(&mut reader)?, value.map(OffsetValue::decode).transpose()?),
            2 => Self::ClassicGroup(reader.str("group")?, value.map(ClassicGroupValue::decode).transpose()?),
            3 => Self::ConsumerGroup(reader.str("group")?, value.map(GroupValue::decode).transpose()?),
            4 => Self::PartitionMetadata(reader.str("group")?, value.map(Bytes::copy_from_slice)),
            5 => Self::Member(member_key()?, value.map(MemberValue::decode).transpose()?),
            6 => Self::Target(reader.str("group")?, value.map(TargetValue::decode).transpose()?),
            7 => Self::TargetMember(member_key()?, value.map(consumer::decode_target).transpose()?),
            8 => Self::Current(member_key()?, value.map(CurrentValue::decode).transpose()?),
            16 => Self::Regex {
                group: reader.str("group")?,
                regex: reader.str("regular expression")?,
                value: value.map(RegexValue::decode).transpose()?,
            },
            other => return Ok(Decoded::Unknown(other)),
        };
        Ok(Decoded::Known(record))
    }
}
