//! The consumer's embedded protocol: what classic members put into their metadata and get as assignment
//! (`ConsumerProtocolSubscription` and `ConsumerProtocolAssignment`, versions 0 to 3).

use super::records::{Reader, RecordError, Writer};
use bytes::Bytes;
use std::sync::Arc;

/// The protocol type of consumers.
pub const PROTOCOL_TYPE: &str = "consumer";
/// The newest version that is understood; later ones only append fields.
const MAX_VERSION: i16 = 3;

/// What a consumer subscribes to and owns.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Subscription {
    /// The version it was written in.
    pub version: i16,
    /// Topic names.
    pub topics: Vec<Arc<str>>,
    /// What the client's assignor added; such a group cannot be assigned by the server.
    pub user_data: Option<Bytes>,
    /// Partitions it still owns, by topic (from version 1).
    pub owned_partitions: Vec<(Arc<str>, Vec<i32>)>,
    /// The generation in which it got them (from version 2).
    pub generation_id: i32,
    /// Its rack (from version 3).
    pub rack_id: Option<Arc<str>>,
}

/// Partitions by topic name.
pub type Assignment = Vec<(Arc<str>, Vec<i32>)>;

fn nullable_bytes(reader: &mut Reader<'_>) -> Result<Option<Bytes>, RecordError> {
    // The old form's bytes are a list of single bytes with a four-byte length; -1 is null.
    let length = reader.i32("user data")?;
    if length < 0 {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    for _ in 0..length {
        bytes.push(reader.i8("user data")? as u8);
    }
    Ok(Some(Bytes::from(bytes)))
}

fn topic_partitions(reader: &mut Reader<'_>) -> Result<(Arc<str>, Vec<i32>), RecordError> {
    Ok((reader.str("topic")?, reader.list("partitions", |reader| reader.i32("partition"))?))
}

impl Subscription {
    /// Reads a member's metadata.
    ///
    /// # Errors
    /// [`RecordError`] for bytes that are not a consumer's subscription.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let mut reader = Reader::new(bytes);
        let version = reader.i16("version")?;
        if version < 0 {
            return Err(RecordError::Version { record: "ConsumerProtocolSubscription", version });
        }
        let known = version.min(MAX_VERSION);
        Ok(Self {
            version,
            topics: reader.list("topics", |reader| reader.str("topic"))?,
            user_data: nullable_bytes(&mut reader)?,
            owned_partitions: if known >= 1 { reader.list("owned", topic_partitions)? } else { Vec::new() },
            generation_id: if known >= 2 { reader.i32("generation")? } else { -1 },
            rack_id: if known >= 3 { reader.nullable_str("rack")? } else { None },
        })
    }

    /// Writes a member's metadata (tests and conversions).
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut writer = Writer::new(self.version, false, 64);
        writer.list(self.topics.iter(), |writer, topic| writer.str(topic));
        match &self.user_data {
            Some(data) => writer.bytes(data),
            None => writer.i32(-1),
        }
        if self.version >= 1 {
            writer.list(self.owned_partitions.iter(), |writer, (topic, partitions)| {
                writer.str(topic);
                writer.list(partitions.iter(), |writer, partition| writer.i32(*partition));
            });
        }
        if self.version >= 2 {
            writer.i32(self.generation_id);
        }
        if self.version >= 3 {
            writer.nullable_str(self.rack_id.as_deref());
        }
        writer.finish()
    }
}

/// The topics of a member's metadata, in any version.
///
/// # Errors
/// [`RecordError`] for bytes that are not a consumer's subscription.
pub fn subscribed_topics(bytes: &[u8]) -> Result<Vec<Arc<str>>, RecordError> {
    let mut reader = Reader::new(bytes);
    let version = reader.i16("version")?;
    if version < 0 {
        return Err(RecordError::Version { record: "ConsumerProtocolSubscription", version });
    }
    reader.list("topics", |reader| reader.str("topic"))
}

/// Writes an assignment as a member of that version reads it.
#[must_use]
pub fn encode_assignment(version: i16, topics: &[(Arc<str>, Vec<i32>)]) -> Bytes {
    let mut writer = Writer::new(version.clamp(0, MAX_VERSION), false, 64);
    writer.list(topics.iter(), |writer, (topic, partitions)| {
        writer.str(topic);
        writer.list(partitions.iter(), |writer, partition| writer.i32(*partition));
    });
    writer.i32(-1);
    writer.finish()
}

/// Reads an assignment: partitions by topic, and whether the client's assignor added data of its own.
///
/// # Errors
/// [`RecordError`] for bytes that are not a consumer's assignment.
pub fn decode_assignment(bytes: &[u8]) -> Result<(Assignment, bool), RecordError> {
    let mut reader = Reader::new(bytes);
    reader.i16("version")?;
    let assignment = reader.list("topics", topic_partitions)?;
    let user_data = nullable_bytes(&mut reader)?;
    Ok((assignment, user_data.is_some_and(|data| !data.is_empty())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subscriptions_of_all_versions_read_back() {
        for version in 0..=3 {
            let mut subscription = Subscription {
                version,
                topics: vec!["a".into(), "b".into()],
                user_data: Some(Bytes::from_static(b"x")),
                generation_id: -1,
                ..Subscription::default()
            };
            if version >= 1 {
                subscription.owned_partitions = vec![("a".into(), vec![0, 2])];
            }
            if version >= 2 {
                subscription.generation_id = 7;
            }
            if version >= 3 {
                subscription.rack_id = Some("r1".into());
            }
            assert_eq!(Subscription::decode(&subscription.encode()), Ok(subscription.clone()));
            assert_eq!(subscribed_topics(&subscription.encode()), Ok(subscription.topics));
        }
    }

    #[test]
    fn a_length_beyond_the_bytes_is_refused() {
        assert!(Subscription::decode(&[0, 0, 0x7f, 0xff, 0xff, 0xff]).is_err());
        assert!(Subscription::decode(&[]).is_err());
    }
}
