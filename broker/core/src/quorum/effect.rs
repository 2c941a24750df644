//! What the quorum wants done.

use crate::metadata::{Membership, NodeId};
use bytes::Bytes;

/// Something to do, in the order in which it is given.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Write this to the metadata log, then call [`super::Quorum::persisted`]. Nothing else comes before that.
    Persist(Persist),
    /// Send this to another node. It may get lost, be late, or arrive twice.
    Send {
        /// Whom.
        to: NodeId,
        /// What [`super::Quorum::step`] takes there.
        bytes: Bytes,
    },
    /// These entries are committed: replay them. Each comes once since the last start, in order, without gaps.
    Apply(Vec<Committed>),
    /// Forget the image; this one is committed and takes its place.
    ApplySnapshot(Snapshot),
    /// Somebody leads, or nobody is known to.
    Leadership(Leadership),
    /// Save this snapshot of what was applied; when it is safe, entries up to `compact_to` may go.
    SaveSnapshot {
        /// What [`super::Recovered::snapshot`] takes at the next start.
        snapshot: StoredSnapshot,
        /// The last entry that is not needed any more.
        compact_to: u64,
    },
}

/// What must be on disk before the quorum goes on.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Persist {
    /// For [`super::Quorum::persisted`].
    pub number: u64,
    /// Replaces the whole log and every snapshot before it, if there is one.
    pub snapshot: Option<StoredSnapshot>,
    /// Entries to append; those that are there from the index of the first on are to be cut off before.
    pub entries: Vec<StoredEntry>,
    /// The new hard state, if it changed.
    pub hard_state: Option<Bytes>,
    /// It has to be synced to the disk, not only written.
    pub must_sync: bool,
}

/// An entry as it is stored: its bytes mean something to the quorum only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEntry {
    /// Its index, from 1, without gaps.
    pub index: u64,
    /// The term in which it was proposed.
    pub term: u64,
    /// Its bytes.
    pub bytes: Bytes,
}

/// A snapshot as it is stored: its bytes mean something to the quorum only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSnapshot {
    /// The last index that is in it.
    pub index: u64,
    /// That entry's term.
    pub term: u64,
    /// Its bytes.
    pub bytes: Bytes,
}

/// A committed entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// Its index: the offset of the metadata log.
    pub index: u64,
    /// The term in which it was proposed.
    pub term: u64,
    /// What was proposed.
    pub payload: Payload,
}

/// What an entry holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// What was given to [`super::Quorum::propose`].
    Data(Bytes),
    /// The quorum consists of these nodes from here on.
    Membership(Membership),
    /// Nothing: a leader begins its term with it.
    Empty,
}

/// A committed snapshot that came from the leader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The last index that is in it.
    pub index: u64,
    /// That entry's term.
    pub term: u64,
    /// Who took part then.
    pub membership: Membership,
    /// What was given to [`super::Quorum::snapshot`].
    pub data: Bytes,
}

/// Who leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leadership {
    /// The leader, if this node knows one.
    pub leader: Option<NodeId>,
    /// Its term; Kafka's controller epoch.
    pub term: u64,
    /// It is this node.
    pub am_leader: bool,
}
