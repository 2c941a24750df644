//! GroupMetadataKey (type 2) and GroupMetadataValue (versions 0 to 4): a classic group between rebalances.

use super::codec::{Reader, RecordError, Writer};
use bytes::Bytes;
use ottla_types::TimestampMs;
use std::sync::Arc;

/// The type of a classic group's key.
pub const KEY_TYPE: i16 = 2;
/// The version that Kafka 4.3 writes.
const VERSION: i16 = 3;

/// A classic group as it was when its last rebalance ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassicGroupValue {
    /// `consumer`, `connect` ...; empty for a group that only commits offsets.
    pub protocol_type: Arc<str>,
    /// The generation.
    pub generation_id: i32,
    /// The assignor chosen by votes.
    pub protocol: Option<Arc<str>>,
    /// The leader's member id.
    pub leader: Option<Arc<str>>,
    /// When the group entered its state; -1 is unknown.
    pub state_timestamp_ms: TimestampMs,
    /// The members with their assignments.
    pub members: Vec<ClassicMemberValue>,
}

/// A member of a classic group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassicMemberValue {
    /// The member's id.
    pub member_id: Arc<str>,
    /// The static member's name.
    pub group_instance_id: Option<Arc<str>>,
    /// `client.id` of the member.
    pub client_id: Arc<str>,
    /// Where it came from.
    pub client_host: Arc<str>,
    /// How long it may take to rejoin; -1 means as long as the session.
    pub rebalance_timeout_ms: i32,
    /// How long it may be silent.
    pub session_timeout_ms: i32,
    /// Its metadata for the chosen protocol.
    pub subscription: Bytes,
    /// What the leader gave it.
    pub assignment: Bytes,
}

impl ClassicGroupValue {
    pub(super) fn encode(&self) -> Bytes {
        let size =
            self.members.iter().map(|m| m.subscription.len() + m.assignment.len() + 160).sum::<usize>();
        let mut writer = Writer::new(VERSION, false, size + 64);
        writer.str(&self.protocol_type);
        writer.i32(self.generation_id);
        writer.nullable_str(self.protocol.as_deref());
        writer.nullable_str(self.leader.as_deref());
        writer.i64(self.state_timestamp_ms);
        writer.list(self.members.iter(), |writer, member| {
            writer.str(&member.member_id);
            writer.nullable_str(member.group_instance_id.as_deref());
            writer.str(&member.client_id);
            writer.str(&member.client_host);
            writer.i32(member.rebalance_timeout_ms);
            writer.i32(member.session_timeout_ms);
            writer.bytes(&member.subscription);
            writer.bytes(&member.assignment);
        });
        writer.finish()
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let mut reader = Reader::new(bytes);
        let version = reader.i16("version")?;
        if !(0..=4).contains(&version) {
            return Err(RecordError::Version { record: "GroupMetadataValue", version });
        }
        reader.set_flexible(version >= 4);
        let value = Self {
            protocol_type: reader.str("protocol type")?,
            generation_id: reader.i32("generation")?,
            protocol: reader.nullable_str("protocol")?,
            leader: reader.nullable_str("leader")?,
            state_timestamp_ms: if version >= 2 { reader.i64("state timestamp")? } else { -1 },
            members: reader.list("members", |reader| ClassicMemberValue::read(reader, version))?,
        };
        reader.tags(|_, _| Ok(()))?;
        Ok(value)
    }
}

impl ClassicMemberValue {
    fn read(reader: &mut Reader<'_>, version: i16) -> Result<Self, RecordError> {
        let value = Self {
            member_id: reader.str("member id")?,
            group_instance_id: if version >= 3 { reader.nullable_str("group instance id")? } else { None },
            client_id: reader.str("client id")?,
            client_host: reader.str("client host")?,
            rebalance_timeout_ms: if version >= 1 { reader.i32("rebalance timeout")? } else { -1 },
            session_timeout_ms: reader.i32("session timeout")?,
            subscription: reader.bytes("subscription")?,
            assignment: reader.bytes("assignment")?,
        };
        reader.tags(|_, _| Ok(()))?;
        Ok(value)
    }
}
