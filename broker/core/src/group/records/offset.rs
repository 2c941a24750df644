//! OffsetCommitKey (types 0 and 1) and OffsetCommitValue (versions 0 to 4).

use super::codec::{Reader, RecordError, Writer};
use bytes::Bytes;
use ottla_types::{Offset, TimestampMs, TopicId};
use std::sync::Arc;

/// The type of an offset commit's key as it is written; 0 is the same with an older value.
pub const KEY_TYPE: i16 = 1;

/// Which committed offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetKey {
    /// The group.
    pub group: Arc<str>,
    /// The topic's name.
    pub topic: Arc<str>,
    /// The partition's index.
    pub partition: i32,
}

/// A committed offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetValue {
    /// The next offset that the group wants to read.
    pub offset: Offset,
    /// The leader epoch of the last record read; -1 is unknown.
    pub leader_epoch: i32,
    /// What the client wants to keep with it; `None` is the empty text.
    pub metadata: Option<Arc<str>>,
    /// When it was committed.
    pub commit_timestamp_ms: TimestampMs,
    /// When it expires, for commits that named their own retention (OffsetCommit below version 5).
    pub expire_timestamp_ms: Option<TimestampMs>,
    /// The topic's id; zero is unknown.
    pub topic_id: TopicId,
}

impl OffsetValue {
    /// The metadata as text.
    #[must_use]
    pub fn metadata(&self) -> &str {
        self.metadata.as_deref().unwrap_or("")
    }
}

impl OffsetKey {
    pub(super) fn encode(&self) -> Bytes {
        let mut writer = Writer::new(KEY_TYPE, false, self.group.len() + self.topic.len() + 8);
        writer.str(&self.group);
        writer.str(&self.topic);
        writer.i32(self.partition);
        writer.finish()
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, RecordError> {
        Ok(Self {
            group: reader.str("group")?,
            topic: reader.str("topic")?,
            partition: reader.i32("partition")?,
        })
    }
}

impl OffsetValue {
    /// Version 1 when it names its own expiry, 4 when the topic's id is known, else 3, as Kafka chooses.
    pub(super) fn encode(&self) -> Bytes {
        let version = match self.expire_timestamp_ms {
            Some(_) => 1,
            None if !self.topic_id.is_zero() => 4,
            None => 3,
        };
        let mut writer = Writer::new(version, version >= 4, self.metadata().len() + 48);
        writer.i64(self.offset);
        if version >= 3 {
            writer.i32(self.leader_epoch);
        }
        writer.str(self.metadata());
        writer.i64(self.commit_timestamp_ms);
        if let Some(expire_timestamp_ms) = self.expire_timestamp_ms {
            writer.i64(expire_timestamp_ms);
        }
        if version >= 4 {
            writer.tag(0, Some(|tag: &mut Writer| tag.uuid(self.topic_id.0)));
        }
        writer.finish()
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let mut reader = Reader::new(bytes);
        let version = reader.i16("version")?;
        if !(0..=4).contains(&version) {
            return Err(RecordError::Version { record: "OffsetCommitValue", version });
        }
        reader.set_flexible(version >= 4);
        let offset = reader.i64("offset")?;
        let leader_epoch = if version >= 3 { reader.i32("leader epoch")? } else { -1 };
        let metadata = Some(reader.str("metadata")?).filter(|text| !text.is_empty());
        let commit_timestamp_ms = reader.i64("commit timestamp")?;
        let expire = if version == 1 { reader.i64("expire timestamp")? } else { -1 };
        let mut topic_id = TopicId::ZERO;
        reader.tags(|tag, body| {
            if tag == 0 {
                topic_id = TopicId(body.uuid("topic id")?);
            }
            Ok(())
        })?;
        let expire_timestamp_ms = (expire != -1).then_some(expire);
        Ok(Self { offset, leader_epoch, metadata, commit_timestamp_ms, expire_timestamp_ms, topic_id })
    }
}
