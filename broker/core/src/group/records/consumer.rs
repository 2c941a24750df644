//! The records of a consumer group (KIP-848, KIP-1101, KIP-1263): key types 3 to 8 and 16, values of version 0.

use super::codec::{Reader, RecordError, Writer};
use bytes::Bytes;
use ottla_types::{TimestampMs, TopicId};
use std::sync::Arc;

/// The partitions of one topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicPartitions {
    /// The topic.
    pub topic_id: TopicId,
    /// Partition indexes, ascending.
    pub partitions: Vec<i32>,
    /// The member epoch at which each partition was given, in the order of `partitions`; empty when not kept.
    pub assignment_epochs: Vec<i32>,
}

/// Key type 3: the group's epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupValue {
    /// Counts the changes of members, subscriptions and subscribed topics.
    pub epoch: i32,
    /// A digest of the subscribed topics (KIP-1101); 0 is "not computed".
    pub metadata_hash: i64,
}

/// Key type 5: a member as it described itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MemberValue {
    /// The static member's name.
    pub instance_id: Option<Arc<str>>,
    /// The member's rack.
    pub rack_id: Option<Arc<str>>,
    /// Its `client.id`.
    pub client_id: Arc<str>,
    /// Where it came from.
    pub client_host: Arc<str>,
    /// Topics it named, ascending.
    pub subscribed_topics: Vec<Arc<str>>,
    /// The expression it subscribed to.
    pub subscribed_regex: Option<Arc<str>>,
    /// How long it may take to give partitions up.
    pub rebalance_timeout_ms: i32,
    /// The assignor it asks for.
    pub server_assignor: Option<Arc<str>>,
    /// Set while the member speaks the classic protocol.
    pub classic: Option<ClassicMetadata>,
}

/// What a member of the classic protocol brought along.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassicMetadata {
    /// How long it may be silent.
    pub session_timeout_ms: i32,
    /// Its protocols in the order it prefers them, with its metadata for each.
    pub protocols: Vec<(Arc<str>, Bytes)>,
}

/// Key type 6: the target assignment as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TargetValue {
    /// The group epoch it was computed for.
    pub assignment_epoch: i32,
    /// When it was computed; 0 is unknown.
    pub assignment_timestamp_ms: TimestampMs,
}

/// Key type 8: where a member is on its way to the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CurrentValue {
    /// The epoch expected from the member.
    pub member_epoch: i32,
    /// The epoch before, for a member that lost the answer.
    pub previous_member_epoch: i32,
    /// Kafka's MemberState: 0 stable, 1 unrevoked partitions, 2 unreleased partitions.
    pub state: i8,
    /// The partitions it owns.
    pub assigned: Vec<TopicPartitions>,
    /// The partitions it must give up.
    pub pending_revocation: Vec<TopicPartitions>,
}

/// Key type 16: what an expression matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegexValue {
    /// Topic names, ascending.
    pub topics: Vec<Arc<str>>,
    /// The version of the metadata that was matched.
    pub version: i64,
    /// When it was matched.
    pub timestamp_ms: TimestampMs,
}

fn start<'a>(bytes: &'a [u8], record: &'static str) -> Result<Reader<'a>, RecordError> {
    let mut reader = Reader::new(bytes);
    let version = reader.i16("version")?;
    if version != 0 {
        return Err(RecordError::Version { record, version });
    }
    reader.set_flexible(true);
    Ok(reader)
}

fn read_partitions(reader: &mut Reader<'_>) -> Result<TopicPartitions, RecordError> {
    let topic_id = TopicId(reader.uuid("topic id")?);
    let partitions = reader.list("partitions", |reader| reader.i32("partition"))?;
    let mut assignment_epochs = Vec::new();
    reader.tags(|tag, body| {
        if tag == 0 {
            assignment_epochs = body.list("assignment epochs", |body| body.i32("epoch"))?;
        }
        Ok(())
    })?;
    Ok(TopicPartitions { topic_id, partitions, assignment_epochs })
}

fn write_partitions(writer: &mut Writer, topic: &TopicPartitions) {
    writer.uuid(topic.topic_id.0);
    writer.list(topic.partitions.iter(), |writer, partition| writer.i32(*partition));
    let epochs = (!topic.assignment_epochs.is_empty()).then_some(|tag: &mut Writer| {
        tag.list(topic.assignment_epochs.iter(), |tag, epoch| tag.i32(*epoch));
    });
    writer.tag(0, epochs);
}

impl GroupValue {
    pub(super) fn encode(&self) -> Bytes {
        let mut writer = Writer::new(0, true, 20);
        writer.i32(self.epoch);
        writer.tag(0, (self.metadata_hash != 0).then_some(|tag: &mut Writer| tag.i64(self.metadata_hash)));
        writer.finish()
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let mut reader = start(bytes, "ConsumerGroupMetadataValue")?;
        let epoch = reader.i32("epoch")?;
        let mut metadata_hash = 0;
        reader.tags(|tag, body| {
            if tag == 0 {
                metadata_hash = body.i64("metadata hash")?;
            }
            Ok(())
        })?;
        Ok(Self { epoch, metadata_hash })
    }
}

impl MemberValue {
    pub(super) fn encode(&self) -> Bytes {
        let mut writer = Writer::new(0, true, 128);
        writer.nullable_str(self.instance_id.as_deref());
        writer.nullable_str(self.rack_id.as_deref());
        writer.str(&self.client_id);
        writer.str(&self.client_host);
        writer.list(self.subscribed_topics.iter(), |writer, topic| writer.str(topic));
        // Kafka writes the empty text for none.
        writer.str(self.subscribed_regex.as_deref().unwrap_or_default());
        writer.i32(self.rebalance_timeout_ms);
        writer.nullable_str(self.server_assignor.as_deref());
        // Kafka writes the tag for null too.
        let classic = |tag: &mut Writer| match &self.classic {
            None => tag.i8(0),
            Some(classic) => classic.write(tag),
        };
        writer.tag(0, Some(classic));
        writer.finish()
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let mut reader = start(bytes, "ConsumerGroupMemberMetadataValue")?;
        let mut value = Self {
            instance_id: reader.nullable_str("instance id")?,
            rack_id: reader.nullable_str("rack id")?,
            client_id: reader.str("client id")?,
            client_host: reader.str("client host")?,
            subscribed_topics: reader.list("topic names", |reader| reader.str("topic name"))?,
            subscribed_regex: reader.nullable_str("topic regex")?.filter(|regex| !regex.is_empty()),
            rebalance_timeout_ms: reader.i32("rebalance timeout")?,
            server_assignor: reader.nullable_str("server assignor")?,
            classic: None,
        };
        reader.tags(|tag, body| {
            if tag == 0 && body.present("classic member metadata")? {
                value.classic = Some(ClassicMetadata::read(body)?);
            }
            Ok(())
        })?;
        Ok(value)
    }
}

impl ClassicMetadata {
    fn write(&self, writer: &mut Writer) {
        writer.i8(1);
        writer.i32(self.session_timeout_ms);
        writer.list(self.protocols.iter(), |writer, (name, metadata)| {
            writer.str(name);
            writer.bytes(metadata);
            writer.no_tags();
        });
        writer.no_tags();
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, RecordError> {
        let session_timeout_ms = reader.i32("session timeout")?;
        let protocols = reader.list("protocols", |reader| {
            let protocol = (reader.str("protocol")?, reader.bytes("protocol metadata")?);
            reader.tags(|_, _| Ok(()))?;
            Ok(protocol)
        })?;
        reader.tags(|_, _| Ok(()))?;
        Ok(Self { session_timeout_ms, protocols })
    }
}

impl TargetValue {
    pub(super) fn encode(self) -> Bytes {
        let mut writer = Writer::new(0, true, 20);
        writer.i32(self.assignment_epoch);
        let timestamp = self.assignment_timestamp_ms;
        writer.tag(0, (timestamp != 0).then_some(|tag: &mut Writer| tag.i64(timestamp)));
        writer.finish()
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let mut reader = start(bytes, "ConsumerGroupTargetAssignmentMetadataValue")?;
        let assignment_epoch = reader.i32("assignment epoch")?;
        let mut assignment_timestamp_ms = 0;
        reader.tags(|tag, body| {
            if tag == 0 {
                assignment_timestamp_ms = body.i64("assignment timestamp")?;
            }
            Ok(())
        })?;
        Ok(Self { assignment_epoch, assignment_timestamp_ms })
    }
}

pub(super) fn encode_target(topics: &[TopicPartitions]) -> Bytes {
    let mut writer = Writer::new(0, true, topics.len() * 32 + 8);
    writer.list(topics.iter(), write_partitions);
    writer.no_tags();
    writer.finish()
}

pub(super) fn decode_target(bytes: &[u8]) -> Result<Vec<TopicPartitions>, RecordError> {
    let mut reader = start(bytes, "ConsumerGroupTargetAssignmentMemberValue")?;
    let topics = reader.list("target assignment", read_partitions)?;
    reader.tags(|_, _| Ok(()))?;
    Ok(topics)
}

impl CurrentValue {
    pub(super) fn encode(&self) -> Bytes {
        let mut writer = Writer::new(0, true, 64);
        writer.i32(self.member_epoch);
        writer.i32(self.previous_member_epoch);
        writer.i8(self.state);
        writer.list(self.assigned.iter(), write_partitions);
        writer.list(self.pending_revocation.iter(), write_partitions);
        writer.no_tags();
        writer.finish()
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let mut reader = start(bytes, "ConsumerGroupCurrentMemberAssignmentValue")?;
        let value = Self {
            member_epoch: reader.i32("member epoch")?,
            previous_member_epoch: reader.i32("previous member epoch")?,
            state: reader.i8("state")?,
            assigned: reader.list("assigned partitions", read_partitions)?,
            pending_revocation: reader.list("partitions pending revocation", read_partitions)?,
        };
        reader.tags(|_, _| Ok(()))?;
        Ok(value)
    }
}

impl RegexValue {
    pub(super) fn encode(&self) -> Bytes {
        let mut writer = Writer::new(0, true, 64);
        writer.list(self.topics.iter(), |writer, topic| writer.str(topic));
        writer.i64(self.version);
        writer.i64(self.timestamp_ms);
        writer.no_tags();
        writer.finish()
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let mut reader = start(bytes, "ConsumerGroupRegularExpressionValue")?;
        let value = Self {
            topics: reader.list("topics", |reader| reader.str("topic"))?,
            version: reader.i64("version")?,
            timestamp_ms: reader.i64("timestamp")?,
        };
        reader.tags(|_, _| Ok(()))?;
        Ok(value)
    }
}
