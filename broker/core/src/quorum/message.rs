//! What nodes of the quorum say to each other, as bytes of our own.
//!
//! The library's messages are its own types; these mirror them field by field (the tags are those of `eraftpb.proto`),
//! so that what comes from outside is decoded by the same code as all other metadata, with its limit on nesting.

use super::codec::{CodecError, corrupt};
use bytes::Bytes;
use prost::Message as _;
use raft::eraftpb;

#[derive(Clone, PartialEq, prost::Message)]
struct Entry {
    #[prost(int32, tag = "1")]
    entry_type: i32,
    #[prost(uint64, tag = "2")]
    term: u64,
    #[prost(uint64, tag = "3")]
    index: u64,
    #[prost(bytes = "bytes", tag = "4")]
    data: Bytes,
    #[prost(bytes = "bytes", tag = "6")]
    context: Bytes,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ConfState {
    #[prost(uint64, repeated, tag = "1")]
    voters: Vec<u64>,
    #[prost(uint64, repeated, tag = "2")]
    learners: Vec<u64>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct SnapshotMetadata {
    #[prost(message, optional, tag = "1")]
    conf_state: Option<ConfState>,
    #[prost(uint64, tag = "2")]
    index: u64,
    #[prost(uint64, tag = "3")]
    term: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Snapshot {
    #[prost(bytes = "bytes", tag = "1")]
    data: Bytes,
    #[prost(message, optional, tag = "2")]
    metadata: Option<SnapshotMetadata>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Message {
    #[prost(int32, tag = "1")]
    msg_type: i32,
    #[prost(uint64, tag = "2")]
    to: u64,
    #[prost(uint64, tag = "3")]
    from: u64,
    #[prost(uint64, tag = "4")]
    term: u64,
    #[prost(uint64, tag = "5")]
    log_term: u64,
    #[prost(uint64, tag = "6")]
    index: u64,
    #[prost(message, repeated, tag = "7")]
    entries: Vec<Entry>,
    #[prost(uint64, tag = "8")]
    commit: u64,
    #[prost(message, optional, tag = "9")]
    snapshot: Option<Snapshot>,
    #[prost(bool, tag = "10")]
    reject: bool,
    #[prost(uint64, tag = "11")]
    reject_hint: u64,
    #[prost(bytes = "bytes", tag = "12")]
    context: Bytes,
    #[prost(uint64, tag = "13")]
    request_snapshot: u64,
    #[prost(uint64, tag = "15")]
    commit_term: u64,
    #[prost(int64, tag = "16")]
    priority: i64,
}

pub(super) fn to_bytes(mut message: eraftpb::Message) -> Bytes {
    let entries = message.take_entries().into_iter().map(|entry| Entry {
        entry_type: entry.entry_type as i32,
        term: entry.term,
        index: entry.index,
        data: entry.data,
        context: entry.context,
    });
    let mirrored = Message {
        msg_type: message.msg_type as i32,
        to: message.to,
        from: message.from,
        term: message.term,
        log_term: message.log_term,
        index: message.index,
        entries: entries.collect(),
        commit: message.commit,
        snapshot: message.snapshot.take().map(snapshot_from),
        reject: message.reject,
        reject_hint: message.reject_hint,
        context: message.context,
        request_snapshot: message.request_snapshot,
        commit_term: message.commit_term,
        priority: message.priority,
    };
    mirrored.encode_to_vec().into()
}

fn snapshot_from(mut snapshot: eraftpb::Snapshot) -> Snapshot {
    let metadata = snapshot.get_metadata();
    let members = metadata.get_conf_state();
    let conf_state = ConfState { voters: members.voters.clone(), learners: members.learners.clone() };
    let (index, term) = (metadata.index, metadata.term);
    Snapshot {
        data: snapshot.take_data(),
        metadata: Some(SnapshotMetadata { conf_state: Some(conf_state), index, term }),
    }
}

pub(super) fn from_bytes(bytes: Bytes) -> Result<eraftpb::Message, CodecError> {
    let mirrored = Message::decode(bytes).map_err(|error| corrupt("message", error))?;
    let mut message = eraftpb::Message::default();
    message.set_msg_type(message_type(mirrored.msg_type)?);
    (message.to, message.from, message.term) = (mirrored.to, mirrored.from, mirrored.term);
    (message.log_term, message.index, message.commit) = (mirrored.log_term, mirrored.index, mirrored.commit);
    (message.reject, message.reject_hint) = (mirrored.reject, mirrored.reject_hint);
    (message.commit_term, message.priority) = (mirrored.commit_term, mirrored.priority);
    message.request_snapshot = mirrored.request_snapshot;
    message.context = mirrored.context;
    for entry in mirrored.entries {
        message.mut_entries().push(entry_into(entry)?);
    }
    if let Some(snapshot) = mirrored.snapshot {
        message.set_snapshot(snapshot_into(snapshot));
    }
    Ok(message)
}

fn entry_into(mirrored: Entry) -> Result<eraftpb::Entry, CodecError> {
    let mut entry = eraftpb::Entry::default();
    entry.set_entry_type(match mirrored.entry_type {
        0 => eraftpb::EntryType::EntryNormal,
        1 => eraftpb::EntryType::EntryConfChange,
        2 => eraftpb::EntryType::EntryConfChangeV2,
        other => return Err(corrupt("message", format!("an entry of kind {other}"))),
    });
    (entry.term, entry.index) = (mirrored.term, mirrored.index);
    (entry.data, entry.context) = (mirrored.data, mirrored.context);
    Ok(entry)
}

fn snapshot_into(mirrored: Snapshot) -> eraftpb::Snapshot {
    let mut snapshot = eraftpb::Snapshot { data: mirrored.data, ..Default::default() };
    let from = mirrored.metadata.unwrap_or_default();
    let members = from.conf_state.unwrap_or_default();
    let metadata = snapshot.mut_metadata();
    (metadata.index, metadata.term) = (from.index, from.term);
    metadata.mut_conf_state().set_voters(members.voters);
    metadata.mut_conf_state().set_learners(members.learners);
    snapshot
}

fn message_type(code: i32) -> Result<eraftpb::MessageType, CodecError> {
    let known = eraftpb::MessageType::MsgRequestPreVoteResponse as i32;
    let all = [
        eraftpb::MessageType::MsgHup,
        eraftpb::MessageType::MsgBeat,
        eraftpb::MessageType::MsgPropose,
        eraftpb::MessageType::MsgAppend,
        eraftpb::MessageType::MsgAppendResponse,
        eraftpb::MessageType::MsgRequestVote,
        eraftpb::MessageType::MsgRequestVoteResponse,
        eraftpb::MessageType::MsgSnapshot,
        eraftpb::MessageType::MsgHeartbeat,
        eraftpb::MessageType::MsgHeartbeatResponse,
        eraftpb::MessageType::MsgUnreachable,
        eraftpb::MessageType::MsgSnapStatus,
        eraftpb::MessageType::MsgCheckQuorum,
        eraftpb::MessageType::MsgTransferLeader,
        eraftpb::MessageType::MsgTimeoutNow,
        eraftpb::MessageType::MsgReadIndex,
        eraftpb::MessageType::MsgReadIndexResp,
        eraftpb::MessageType::MsgRequestPreVote,
        eraftpb::MessageType::MsgRequestPreVoteResponse,
    ];
    let found = all.into_iter().find(|kind| *kind as i32 == code);
    found.ok_or_else(|| corrupt("message", format!("of kind {code}, the last known is {known}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> eraftpb::Message {
        let mut entry = eraftpb::Entry::default();
        entry.set_entry_type(eraftpb::EntryType::EntryConfChangeV2);
        (entry.term, entry.index, entry.data) = (3, 9, Bytes::from_static(b"change"));
        let mut snapshot = eraftpb::Snapshot { data: Bytes::from_static(b"image"), ..Default::default() };
        let metadata = snapshot.mut_metadata();
        (metadata.index, metadata.term) = (8, 2);
        metadata.mut_conf_state().set_voters(vec![1, u64::MAX]);
        metadata.mut_conf_state().set_learners(vec![7]);
        let mut message = eraftpb::Message::default();
        message.set_msg_type(eraftpb::MessageType::MsgRequestPreVoteResponse);
        (message.to, message.from, message.term, message.log_term) = (1, 2, 3, 4);
        (message.index, message.commit, message.commit_term) = (5, 6, 7);
        (message.reject, message.reject_hint, message.request_snapshot) = (true, 8, 9);
        (message.priority, message.context) = (-1, Bytes::from_static(b"context"));
        message.mut_entries().push(entry);
        message.set_snapshot(snapshot);
        message
    }

    #[test]
    fn a_message_reads_back_as_it_was() {
        assert_eq!(from_bytes(to_bytes(message())).unwrap(), message());
        assert_eq!(from_bytes(to_bytes(eraftpb::Message::default())).unwrap(), eraftpb::Message::default());
    }

    #[test]
    fn kinds_that_nobody_knows_are_refused() {
        for code in 0..=18 {
            assert_eq!(message_type(code).unwrap() as i32, code);
        }
        assert!(message_type(19).is_err());
        assert!(message_type(-1).is_err());
        assert!(from_bytes(Bytes::from_static(b"\xff\xff")).is_err());
    }
}
