//! The bytes that the quorum stores.
//!
//! An entry is one byte for its kind and then its data. Hard state and snapshot are protobuf messages of our own, so
//! that what is on disk does not depend on the consensus library.

use crate::metadata::{Membership, NodeId};
use bytes::Bytes;
use prost::Message as _;
use raft::eraftpb;

/// Stored bytes that are not what the quorum stores.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// An entry of a kind that is not known.
    #[error("entry {index} of the metadata log is of kind {kind:?}, which this version does not know")]
    EntryKind {
        /// The entry.
        index: u64,
        /// Its kind, if it has any bytes at all.
        kind: Option<u8>,
    },
    /// Not the message it should be.
    #[error("the quorum's {what} is corrupt: {reason}")]
    Corrupt {
        /// Hard state, snapshot or message.
        what: &'static str,
        /// What the decoder says.
        reason: String,
    },
}

const DATA: u8 = 0;
const MEMBERSHIP_CHANGE: u8 = 1;

pub(super) fn corrupt(what: &'static str, error: impl ToString) -> CodecError {
    CodecError::Corrupt { what, reason: error.to_string() }
}

pub(super) fn entry_to_bytes(entry: &eraftpb::Entry) -> Bytes {
    let kind = match entry.get_entry_type() {
        eraftpb::EntryType::EntryNormal => DATA,
        eraftpb::EntryType::EntryConfChange | eraftpb::EntryType::EntryConfChangeV2 => MEMBERSHIP_CHANGE,
    };
    let mut bytes = Vec::with_capacity(1 + entry.data.len());
    bytes.push(kind);
    bytes.extend_from_slice(&entry.data);
    bytes.into()
}

pub(super) fn entry_from_bytes(index: u64, term: u64, bytes: &[u8]) -> Result<eraftpb::Entry, CodecError> {
    let entry_type = match bytes.first() {
        Some(&DATA) => eraftpb::EntryType::EntryNormal,
        Some(&MEMBERSHIP_CHANGE) => eraftpb::EntryType::EntryConfChangeV2,
        kind => return Err(CodecError::EntryKind { index, kind: kind.copied() }),
    };
    let data = Bytes::copy_from_slice(&bytes[1..]);
    let mut entry = eraftpb::Entry { index, term, data, ..Default::default() };
    entry.set_entry_type(entry_type);
    Ok(entry)
}

#[derive(Clone, PartialEq, prost::Message)]
struct StoredHardState {
    #[prost(uint64, tag = "1")]
    term: u64,
    #[prost(fixed64, tag = "2")]
    vote: u64,
    #[prost(uint64, tag = "3")]
    commit: u64,
    #[prost(fixed64, tag = "4")]
    node: u64,
}

pub(super) fn hard_state_to_bytes(node: NodeId, state: &eraftpb::HardState) -> Bytes {
    let stored = StoredHardState { term: state.term, vote: state.vote, commit: state.commit, node: node.0 };
    stored.encode_to_vec().into()
}

/// The hard state, and whose it is.
pub(super) fn hard_state_from_bytes(bytes: Bytes) -> Result<(NodeId, eraftpb::HardState), CodecError> {
    let stored = StoredHardState::decode(bytes).map_err(|error| corrupt("hard state", error))?;
    let (term, vote, commit) = (stored.term, stored.vote, stored.commit);
    let state = eraftpb::HardState { term, vote, commit, ..Default::default() };
    Ok((NodeId(stored.node), state))
}

#[derive(Clone, PartialEq, prost::Message)]
struct StoredSnapshotBody {
    #[prost(fixed64, repeated, tag = "1")]
    voters: Vec<u64>,
    #[prost(fixed64, repeated, tag = "2")]
    learners: Vec<u64>,
    #[prost(bytes = "bytes", tag = "3")]
    data: Bytes,
}

pub(super) fn snapshot_to_bytes(membership: &Membership, data: Bytes) -> Bytes {
    let body = StoredSnapshotBody {
        voters: membership.voters.iter().map(|node| node.0).collect(),
        learners: membership.learners.iter().map(|node| node.0).collect(),
        data,
    };
    body.encode_to_vec().into()
}

pub(super) fn snapshot_from_bytes(bytes: Bytes) -> Result<(Membership, Bytes), CodecError> {
    let body = StoredSnapshotBody::decode(bytes).map_err(|error| corrupt("snapshot", error))?;
    let membership = Membership {
        voters: body.voters.into_iter().map(NodeId).collect(),
        learners: body.learners.into_iter().map(NodeId).collect(),
    };
    Ok((membership, body.data))
}

pub(super) fn conf_state(membership: &Membership) -> eraftpb::ConfState {
    eraftpb::ConfState {
        voters: membership.voters.iter().map(|node| node.0).collect(),
        learners: membership.learners.iter().map(|node| node.0).collect(),
        ..Default::default()
    }
}

/// The members of a configuration that is not joint: changes are made one at a time.
pub(super) fn membership(state: &eraftpb::ConfState) -> Membership {
    Membership {
        voters: state.voters.iter().copied().map(NodeId).collect(),
        learners: state.learners.iter().copied().map(NodeId).collect(),
    }
}

#[derive(Clone, PartialEq, prost::Message)]
struct StoredMemberChange {
    #[prost(int32, tag = "1")]
    change_type: i32,
    #[prost(uint64, tag = "2")]
    node_id: u64,
}

/// The library's change of members, as it writes it into an entry's data.
#[derive(Clone, PartialEq, prost::Message)]
struct StoredMemberChanges {
    #[prost(int32, tag = "1")]
    transition: i32,
    #[prost(message, repeated, tag = "2")]
    changes: Vec<StoredMemberChange>,
}

/// The change that an entry holds. Entries of the library's first kind of change are never proposed here.
pub(super) fn conf_change_from_entry(entry: &eraftpb::Entry) -> Result<eraftpb::ConfChangeV2, CodecError> {
    const WHAT: &str = "membership change";
    if entry.get_entry_type() != eraftpb::EntryType::EntryConfChangeV2 {
        return Err(corrupt(WHAT, format!("entry {} is of another kind", entry.index)));
    }
    let stored = StoredMemberChanges::decode(entry.data.clone()).map_err(|error| corrupt(WHAT, error))?;
    if stored.transition != 0 {
        return Err(corrupt(WHAT, "changes in several steps are not known"));
    }
    let mut change = eraftpb::ConfChangeV2::default();
    for stored in stored.changes {
        let mut single = eraftpb::ConfChangeSingle { node_id: stored.node_id, ..Default::default() };
        single.set_change_type(match stored.change_type {
            0 => eraftpb::ConfChangeType::AddNode,
            1 => eraftpb::ConfChangeType::RemoveNode,
            2 => eraftpb::ConfChangeType::AddLearnerNode,
            other => return Err(corrupt(WHAT, format!("of kind {other}"))),
        });
        change.mut_changes().push(single);
    }
    Ok(change)
}
