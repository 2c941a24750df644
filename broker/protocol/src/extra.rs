//! Versions that Kafka 4.3.1 has and the `kafka-protocol` crate does not.
//!
//! OffsetCommit 10 and OffsetFetch 10 name topics by id in their requests (KIP-848's follow-up);
//! ListOffsets 11 has the bytes of version 10; DescribeLogDirs 5 says of each directory whether it is cordoned.
//! AddRaftVoter 1 lets the sender choose to be answered before the change is committed; here it is always after.

use crate::api::ApiKey;
use crate::response::{EncodeError, frame_with_header};
use crate::wire::{Reader, WireError, put_unsigned_varint};
use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::add_raft_voter_request::Listener;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use kafka_protocol::messages::{
    AddRaftVoterRequest, DescribeLogDirsResponse, GroupId, OffsetCommitRequest, OffsetFetchRequest,
};
use kafka_protocol::protocol::{Encodable, StrBytes};

/// The version of the generated codec that reads and writes the bytes of `version` of `key`.
#[must_use]
pub fn generated_version(key: ApiKey, version: i16) -> i16 {
    match key {
        ApiKey::ListOffsets => version.min(10),
        ApiKey::DescribeLogDirs => version.min(4),
        ApiKey::AddRaftVoter => version.min(0),
        _ => version,
    }
}

/// Reads an OffsetCommit request of version 10.
///
/// # Errors
/// For malformed bytes.
pub fn decode_offset_commit(body: Bytes) -> Result<OffsetCommitRequest, WireError> {
    let mut reader = Reader::new(body, true);
    let mut request = OffsetCommitRequest::default()
        .with_group_id(GroupId(reader.string()?))
        .with_generation_id_or_member_epoch(reader.i32()?)
        .with_member_id(reader.string()?)
        .with_group_instance_id(reader.nullable_string()?);
    for _ in 0..reader.count(18)? {
        let mut topic = OffsetCommitRequestTopic::default().with_topic_id(reader.uuid()?);
        for _ in 0..reader.count(18)? {
            let partition = OffsetCommitRequestPartition::default()
                .with_partition_index(reader.i32()?)
                .with_committed_offset(reader.i64()?)
                .with_committed_leader_epoch(reader.i32()?)
                .with_committed_metadata(reader.nullable_string()?);
            reader.skip_tagged_fields()?;
            topic.partitions.push(partition);
        }
        reader.skip_tagged_fields()?;
        request.topics.push(topic);
    }
    reader.skip_tagged_fields()?;
    Ok(request)
}

/// Writes an OffsetCommit request of version 10.
///
/// # Errors
/// If a topic has a name and no id.
pub fn encode_offset_commit(request: &OffsetCommitRequest, out: &mut BytesMut) -> Result<(), String> {
    put_string(out, Some(&request.group_id));
    out.put_i32(request.generation_id_or_member_epoch);
    put_string(out, Some(&request.member_id));
    put_string(out, request.group_instance_id.as_ref());
    put_unsigned_varint(out, request.topics.len() as u32 + 1);
    for topic in &request.topics {
        if topic.topic_id.is_nil() {
            return Err(format!("topic {:?} has no id", topic.name.as_str()));
        }
        out.put_slice(topic.topic_id.as_bytes());
        put_unsigned_varint(out, topic.partitions.len() as u32 + 1);
        for partition in &topic.partitions {
            out.put_i32(partition.partition_index);
            out.put_i64(partition.committed_offset);
            out.put_i32(partition.committed_leader_epoch);
            put_string(out, partition.committed_metadata.as_ref());
            out.put_u8(0);
        }
        out.put_u8(0);
    }
    out.put_u8(0);
    Ok(())
}

/// Reads an OffsetFetch request of version 10.
///
/// # Errors
/// For malformed bytes.
pub fn decode_offset_fetch(body: Bytes) -> Result<OffsetFetchRequest, WireError> {
    let mut reader = Reader::new(body, true);
    let mut request = OffsetFetchRequest::default();
    for _ in 0..reader.count(8)? {
        let group = OffsetFetchRequestGroup::default()
            .with_group_id(GroupId(reader.string()?))
            .with_member_id(reader.nullable_string()?)
            .with_member_epoch(reader.i32()?);
        let topics = match reader.nullable_count(18)? {
            None => None,
            Some(count) => Some(decode_offset_fetch_topics(&mut reader, count)?),
        };
        reader.skip_tagged_fields()?;
        request.groups.push(group.with_topics(topics));
    }
    request.require_stable = reader.bool()?;
    reader.skip_tagged_fields()?;
    Ok(request)
}

fn decode_offset_fetch_topics(
    reader: &mut Reader,
    count: usize,
) -> Result<Vec<OffsetFetchRequestTopics>, WireError> {
    let mut topics = Vec::new();
    for _ in 0..count {
        let mut topic = OffsetFetchRequestTopics::default().with_topic_id(reader.uuid()?);
        for _ in 0..reader.count(4)? {
            topic.partition_indexes.push(reader.i32()?);
        }
        reader.skip_tagged_fields()?;
        topics.push(topic);
    }
    Ok(topics)
}

/// Writes an OffsetFetch request of version 10.
///
/// # Errors
/// If a topic has a name and no id.
pub fn encode_offset_fetch(request: &OffsetFetchRequest, out: &mut BytesMut) -> Result<(), String> {
    put_unsigned_varint(out, request.groups.len() as u32 + 1);
    for group in &request.groups {
        put_string(out, Some(&group.group_id));
        put_string(out, group.member_id.as_ref());
        out.put_i32(group.member_epoch);
        let topics = group.topics.as_deref();
        put_unsigned_varint(out, topics.map_or(0, |topics| topics.len() as u32 + 1));
        for topic in topics.unwrap_or_default() {
            if topic.topic_id.is_nil() {
                return Err(format!("topic {:?} has no id", topic.name.as_str()));
            }
            out.put_slice(topic.topic_id.as_bytes());
            put_unsigned_varint(out, topic.partition_indexes.len() as u32 + 1);
            for &partition in &topic.partition_indexes {
                out.put_i32(partition);
            }
            out.put_u8(0);
        }
        out.put_u8(0);
    }
    out.put_u8(u8::from(request.require_stable));
    out.put_u8(0);
    Ok(())
}

/// Reads an AddRaftVoter request of version 1.
///
/// # Errors
/// For malformed bytes.
pub fn decode_add_raft_voter(body: Bytes) -> Result<AddRaftVoterRequest, WireError> {
    let mut reader = Reader::new(body, true);
    let mut request = AddRaftVoterRequest::default()
        .with_cluster_id(reader.nullable_string()?)
        .with_timeout_ms(reader.i32()?)
        .with_voter_id(reader.i32()?)
        .with_voter_directory_id(reader.uuid()?);
    for _ in 0..reader.count(5)? {
        let listener = Listener::default()
            .with_name(reader.string()?)
            .with_host(reader.string()?)
            .with_port(reader.i16()?.cast_unsigned());
        reader.skip_tagged_fields()?;
        request.listeners.push(listener);
    }
    reader.bool()?;
    reader.skip_tagged_fields()?;
    Ok(request)
}

/// Writes an AddRaftVoter request of version 1; it is to be answered after the change is committed.
///
/// # Errors
/// If a field is set that the version does not have.
pub fn encode_add_raft_voter(request: &AddRaftVoterRequest, out: &mut BytesMut) -> Result<(), String> {
    let mut untagged = request.clone();
    untagged.unknown_tagged_fields.clear();
    untagged.encode(out, 0).map_err(|error| error.to_string())?;
    // Version 0 ends with "no tagged fields"; the flag goes before that.
    out.truncate(out.len() - 1);
    out.put_slice(&[1, 0]);
    Ok(())
}

/// Writes a whole DescribeLogDirs response frame. `cordoned` says of each of `body.results`, in the same order,
/// whether its directory takes no new replicas; missing ones do. Seen from version 5 on.
///
/// # Errors
/// If `body` sets a field that `version` does not have.
pub fn encode_describe_log_dirs(
    version: i16,
    correlation_id: i32,
    body: &DescribeLogDirsResponse,
    cordoned: &[bool],
) -> Result<Bytes, EncodeError> {
    let key = ApiKey::DescribeLogDirs;
    let fail = |reason: String| EncodeError { key, version, reason };
    if version < 5 {
        return crate::response::encode_response(key, version, correlation_id, body);
    }
    let mut out = BytesMut::new();
    out.put_i32(body.throttle_time_ms);
    out.put_i16(body.error_code);
    put_unsigned_varint(&mut out, body.results.len() as u32 + 1);
    for (index, result) in body.results.iter().enumerate() {
        result.encode(&mut out, 4).map_err(|error| fail(error.to_string()))?;
        // Version 4 ends with "no tagged fields"; the new field goes before that.
        let end = out.len() - 1;
        out[end] = u8::from(cordoned.get(index).copied().unwrap_or(false));
        out.put_u8(0);
    }
    out.put_u8(0);
    let mut frame = frame_with_header(key, version, correlation_id, out.len()).map_err(fail)?;
    frame.put_slice(&out);
    Ok(frame.freeze())
}

fn put_string(out: &mut BytesMut, text: Option<&StrBytes>) {
    match text {
        None => put_unsigned_varint(out, 0),
        Some(text) => {
            put_unsigned_varint(out, text.len() as u32 + 1);
            out.put_slice(text.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::header::decode_response_header;
    use kafka_protocol::messages::describe_log_dirs_response::DescribeLogDirsResult;
    use kafka_protocol::protocol::Decodable;
    use proptest::prelude::*;
    use uuid::Uuid;

    fn commit(group: String, id: u128, offset: i64, metadata: Option<String>) -> OffsetCommitRequest {
        let partition = OffsetCommitRequestPartition::default()
            .with_committed_offset(offset)
            .with_committed_metadata(metadata.map(StrBytes::from_string));
        let topic = OffsetCommitRequestTopic::default()
            .with_topic_id(Uuid::from_u128(id))
            .with_partitions(vec![partition.clone(), partition.with_partition_index(1)]);
        OffsetCommitRequest::default().with_group_id(GroupId(group.into())).with_topics(vec![topic])
    }

    proptest! {
        #[test]
        fn offset_commits_read_back(group: String, id in 1u128.., offset: i64, metadata: Option<String>) {
            let request = commit(group, id, offset, metadata);
            let mut out = BytesMut::new();
            encode_offset_commit(&request, &mut out).unwrap();
            prop_assert_eq!(decode_offset_commit(out.freeze()), Ok(request));
        }

        #[test]
        fn offset_fetches_read_back(group: String, id in 1u128.., partitions: Option<Vec<i32>>, stable: bool) {
            let topics = partitions.map(|partitions| {
                vec![OffsetFetchRequestTopics::default()
                    .with_topic_id(Uuid::from_u128(id))
                    .with_partition_indexes(partitions)]
            });
            let groups = vec![OffsetFetchRequestGroup::default()
                .with_group_id(GroupId(group.into()))
                .with_topics(topics)];
            let request = OffsetFetchRequest::default().with_groups(groups).with_require_stable(stable);
            let mut out = BytesMut::new();
            encode_offset_fetch(&request, &mut out).unwrap();
            prop_assert_eq!(decode_offset_fetch(out.freeze()), Ok(request));
        }

        #[test]
        fn any_bytes_are_a_request_or_an_error(bytes: Vec<u8>) {
            let _ = decode_offset_commit(Bytes::from(bytes.clone()));
            let _ = decode_offset_fetch(Bytes::from(bytes));
        }
    }

    #[test]
    fn an_add_raft_voter_request_of_version_1_has_one_more_flag_than_version_0() {
        let listener = Listener::default().with_name("A".into()).with_host("h".into()).with_port(65_000);
        let request = AddRaftVoterRequest::default()
            .with_cluster_id(Some("c".into()))
            .with_voter_id(3)
            .with_voter_directory_id(Uuid::from_u128(7))
            .with_listeners(vec![listener]);
        let mut bytes = BytesMut::new();
        request.encode(&mut bytes, 0).unwrap();
        // The flag goes before "no tagged fields".
        let end = bytes.len() - 1;
        bytes[end] = 1;
        bytes.put_u8(0);
        assert_eq!(decode_add_raft_voter(bytes.freeze()), Ok(request));
    }

    #[test]
    fn a_log_dirs_answer_of_version_5_says_who_is_cordoned() {
        let result = DescribeLogDirsResult::default().with_log_dir("/data".into()).with_total_bytes(7);
        let body = DescribeLogDirsResponse::default().with_results(vec![result.clone(), result]);
        let frame = encode_describe_log_dirs(5, 9, &body, &[true]).unwrap();
        let (_, rest) = decode_response_header(frame.slice(4..), ApiKey::DescribeLogDirs, 5).unwrap();
        // Each result ends with the flag and "no tagged fields", the body with the latter.
        let one_bytes = (rest.len() - 4 - 2 - 1 - 1) / 2;
        assert_eq!(&rest[7 + one_bytes - 2..7 + one_bytes], &[1, 0]);
        assert_eq!(&rest[rest.len() - 3..], &[0, 0, 0]);
        let mut older = encode_describe_log_dirs(4, 9, &body, &[]).unwrap().slice(9..);
        assert_eq!(DescribeLogDirsResponse::decode(&mut older, 4).unwrap(), body);
    }
}
