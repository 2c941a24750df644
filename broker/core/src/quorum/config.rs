//! How a node starts.

use super::codec::{self, CodecError};
use super::effect::{StoredEntry, StoredSnapshot};
use super::log::Log;
use crate::metadata::{Membership, NodeId};
use bytes::Bytes;
use raft::eraftpb::HardState;

/// What a node is told once.
#[derive(Debug, Clone)]
pub struct Config {
    /// This node.
    pub node: NodeId,
    /// Makes the election timeouts; nodes of one quorum should differ in it.
    pub seed: u64,
    /// Milliseconds from one tick to the next, for whoever calls [`super::Quorum::tick`].
    pub tick_ms: u64,
    /// Ticks from one heartbeat to the next.
    pub heartbeat_ticks: usize,
    /// A follower that hears nothing of its leader for this many ticks, and up to twice as many, wants to be elected; a
    /// leader that hears nothing of a majority for so many steps down.
    pub election_ticks: usize,
    /// Where nobody leads, the next campaign begins after this many ticks, and up to twice as many.
    pub campaign_ticks: usize,
    /// A snapshot is due when the entries since the last take more bytes than this, or than the last snapshot. An
    /// eighth of it is kept for nodes that are a little behind.
    pub snapshot_after_bytes: usize,
}

/// What [`Config::snapshot_after_bytes`] is unless somebody says otherwise.
pub const SNAPSHOT_AFTER_BYTES: usize = 4 << 20;

/// An hour and more: nobody is elected after so much silence, and nothing overflows.
const MOST_TICKS: usize = 100_000;

impl Config {
    /// Heartbeats every 100 ms, elections after 1.5 to 3 seconds of silence. A broken connection tells of a dead leader
    /// long before that; silence is also what a busy machine sounds like.
    #[must_use]
    pub const fn new(node: NodeId, seed: u64) -> Self {
        Self {
            node,
            seed,
            tick_ms: 50,
            heartbeat_ticks: 2,
            election_ticks: 30,
            campaign_ticks: 10,
            snapshot_after_bytes: SNAPSHOT_AFTER_BYTES,
        }
    }

    /// With other times: of silence before a follower wants to be elected, and to the next campaign where nobody leads;
    /// milliseconds. Less than three heartbeats of silence, or one of a campaign, says nothing and counts as so much.
    #[must_use]
    pub fn with_times(self, silence_ms: Option<u64>, campaign_ms: Option<u64>) -> Self {
        let ticks = |ms: u64, least: usize| {
            usize::try_from(ms.div_ceil(self.tick_ms)).unwrap_or(MOST_TICKS).clamp(least, MOST_TICKS)
        };
        let least = self.heartbeat_ticks;
        Self {
            election_ticks: silence_ms.map_or(self.election_ticks, |ms| ticks(ms, 3 * least)),
            campaign_ticks: campaign_ms.map_or(self.campaign_ticks, |ms| ticks(ms, least)),
            ..self
        }
    }

    /// The range of election timeouts in ticks, its end exclusive.
    pub(super) const fn election_ticks(&self) -> (usize, usize) {
        (self.election_ticks, 2 * self.election_ticks)
    }

    pub(super) fn library(&self, applied: u64) -> raft::Config {
        raft::Config {
            id: self.node.0,
            election_tick: self.election_ticks,
            heartbeat_tick: self.heartbeat_ticks,
            min_election_tick: self.election_ticks().0,
            max_election_tick: self.election_ticks().1,
            applied,
            max_size_per_msg: 1 << 20,
            max_inflight_msgs: 64,
            check_quorum: true,
            pre_vote: true,
            ..raft::Config::default()
        }
    }
}

/// What was found on disk.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Recovered {
    /// The last hard state that was persisted.
    pub hard_state: Option<Bytes>,
    /// The last snapshot that was persisted or saved.
    pub snapshot: Option<StoredSnapshot>,
    /// The entries, ascending; those that the snapshot covers may be among them.
    pub entries: Vec<StoredEntry>,
}

/// Why a node cannot start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// What is on disk cannot be read.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// What is on disk is of another node.
    #[error("the metadata log belongs to node {found}, this is node {expected}")]
    OtherNode {
        /// Whose it is.
        found: NodeId,
        /// Who we are.
        expected: NodeId,
    },
    /// Entries are missing.
    #[error("the metadata log has entry {found} where {expected} should be")]
    Gap {
        /// The index that should follow.
        expected: u64,
        /// The index that does.
        found: u64,
    },
    /// The library refuses the configuration.
    #[error("the consensus does not start: {0}")]
    Library(String),
}

impl Recovered {
    /// The beginning of a new cluster: `node` is its only voter and `data` its image. It must be persisted before
    /// it is used. Only one node of a cluster may begin like this, once.
    #[must_use]
    pub fn founding(node: NodeId, data: Bytes) -> Self {
        let membership = Membership { voters: [node].into(), ..Membership::default() };
        let bytes = codec::snapshot_to_bytes(&membership, data);
        let state = HardState { term: 1, vote: 0, commit: 1, ..HardState::default() };
        Self {
            hard_state: Some(codec::hard_state_to_bytes(node, &state)),
            snapshot: Some(StoredSnapshot { index: 1, term: 1, bytes }),
            entries: Vec::new(),
        }
    }

    /// True if there was nothing: a node that has never been part of a cluster.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The image of the snapshot, if there is one, and the index that it holds: what the machine that replays the
    /// entries begins with.
    ///
    /// # Errors
    /// When the snapshot cannot be read.
    pub fn image(&self) -> Result<Option<(u64, Membership, Bytes)>, CodecError> {
        let Some(snapshot) = &self.snapshot else { return Ok(None) };
        let (membership, data) = codec::snapshot_from_bytes(snapshot.bytes.clone())?;
        Ok(Some((snapshot.index, membership, data)))
    }

    pub(super) fn into_log(self, node: NodeId) -> Result<Log, StartError> {
        let mut log = Log::default();
        if let Some(bytes) = self.hard_state {
            let (found, state) = codec::hard_state_from_bytes(bytes)?;
            if found != node {
                return Err(StartError::OtherNode { found, expected: node });
            }
            log.hard_state = state;
        }
        if let Some(snapshot) = self.snapshot {
            let (membership, data) = codec::snapshot_from_bytes(snapshot.bytes)?;
            log.install(snapshot.index, snapshot.term, codec::conf_state(&membership), data);
        }
        let covered = log.last();
        for stored in self.entries.into_iter().filter(|entry| entry.index > covered) {
            if stored.index != log.last() + 1 {
                return Err(StartError::Gap { expected: log.last() + 1, found: stored.index });
            }
            log.append(&[codec::entry_from_bytes(stored.index, stored.term, &stored.bytes)?]);
        }
        log.hard_state.commit = log.hard_state.commit.min(log.last());
        log.recover_memberships()?;
        Ok(log)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_types::{BrokerId, DirectoryId};

    #[test]
    fn times_become_ticks_and_never_less_than_a_few_heartbeats() {
        let node = NodeId::new(BrokerId(1), DirectoryId::ZERO);
        let ticks = |silence_ms, campaign_ms| {
            let config = Config::new(node, 7).with_times(silence_ms, campaign_ms);
            (config.election_ticks, config.campaign_ticks)
        };
        assert_eq!(ticks(None, None), (30, 10));
        assert_eq!(ticks(Some(2_000), Some(1_000)), (40, 20));
        assert_eq!(ticks(Some(0), Some(0)), (6, 2));
        assert_eq!(ticks(Some(u64::MAX), Some(1)), (MOST_TICKS, 2));
    }
}
