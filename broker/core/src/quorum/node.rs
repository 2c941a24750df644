//! A node of the quorum.

use super::codec::{self, CodecError};
use super::config::{Config, Recovered, StartError};
use super::effect::{Committed, Effect, Leadership, Payload, Persist, Snapshot, StoredEntry, StoredSnapshot};
use super::log::Log;
use super::message;
use super::{MembershipChange, ProposeError, StepError};
use crate::metadata::{Membership, NodeId};
use crate::placement::mix;
use bytes::Bytes;
use raft::eraftpb::{self, ConfChangeSingle, ConfChangeType, ConfChangeV2, Entry};
use raft::{ProgressState, RawNode, SnapshotStatus, StateRole};
use std::collections::BTreeMap;

/// Entries that may be proposed and not committed; more are refused until some are.
const MAX_UNCOMMITTED_ENTRIES: u64 = 4096;
/// A snapshot that is not acknowledged for so many ticks is sent again.
const SNAPSHOT_RETRY_TICKS: u32 = 150;

/// A node of the metadata quorum: the consensus as a machine without clock, disk or network.
///
/// Give it messages ([`step`](Self::step)), time ([`tick`](Self::tick)) and proposals, then do what
/// [`drain`](Self::drain) says until it says nothing more.
pub struct Quorum {
    pub(super) raft: RawNode<Log>,
    pub(super) node: NodeId,
    config: Config,
    campaigns: u64,
    last_role: StateRole,
    next_number: u64,
    persisting: Option<Persisting>,
    outbox: Vec<Effect>,
    leadership: Leadership,
    /// The last index that was handed out to be applied.
    applied: u64,
    /// Ticks since a snapshot went to a node that has not acknowledged it.
    snapshots_sent: BTreeMap<u64, u32>,
}

/// A node that lost the connection to its leader waits at most so many ticks before it wants to be elected.
const SUSPECTED_TICKS: u64 = 4;

/// What has to wait until something is on disk.
struct Persisting {
    number: u64,
    ready: u64,
    then: Vec<Effect>,
}

impl std::fmt::Debug for Quorum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let raft = &self.raft.raft;
        write!(
            f,
            "Quorum({} {:?} term {} last {})",
            self.node,
            raft.state,
            raft.term,
            raft.raft_log.last_index()
        )
    }
}

impl Quorum {
    /// A node that goes on where it stopped. The only voter of its quorum begins an election at once; a node that
    /// recovered nothing waits for a leader that has added it.
    ///
    /// # Errors
    /// When what was recovered is not this node's or is corrupt.
    pub fn start(config: Config, recovered: Recovered) -> Result<Self, StartError> {
        let node = config.node;
        let mut log = recovered.into_log(node)?;
        log.snapshot_after_bytes = config.snapshot_after_bytes;
        let applied = log.snapshot_index();
        let logger = slog::Logger::root(slog::Discard, slog::o!());
        let raft = RawNode::new(&config.library(applied), log, &logger)
            .map_err(|error| StartError::Library(error.to_string()))?;
        let mut quorum = Self {
            raft,
            node,
            config,
            campaigns: 0,
            last_role: StateRole::Follower,
            next_number: 0,
            persisting: None,
            outbox: Vec::new(),
            leadership: Leadership { leader: None, term: 0, am_leader: false },
            applied,
            snapshots_sent: BTreeMap::new(),
        };
        quorum.set_election_timeout();
        let members = quorum.membership();
        if members.voters.len() == 1 && members.voters.contains(&node) {
            // Nobody else can have a say, so there is nothing to wait for.
            let _ = quorum.raft.campaign();
        }
        quorum.after();
        Ok(quorum)
    }

    /// This node.
    #[must_use]
    pub const fn node(&self) -> NodeId {
        self.node
    }

    /// Who leads, as far as this node knows.
    #[must_use]
    pub const fn leadership(&self) -> Leadership {
        self.leadership
    }

    /// Who takes part, as far as this node has applied the log.
    #[must_use]
    pub fn membership(&self) -> Membership {
        self.raft.store().membership()
    }

    /// True if this node leads and its whole log was handed out to be applied: a controller may begin its work on the
    /// image that results. One that began before decides things that are in the log and not in the image.
    #[must_use]
    pub fn is_in_control(&self) -> bool {
        self.leads_settled() && self.applied == self.raft.raft.raft_log.last_index()
    }

    /// True if this node leads and everything from before its term was handed out to be applied.
    fn leads_settled(&self) -> bool {
        let raft = &self.raft.raft;
        raft.state == StateRole::Leader
            && raft.raft_log.term(self.applied).is_ok_and(|term| term == raft.term)
    }

    /// True if [`propose`](Self::propose) would be taken now. Ask before a controller decides something: what it
    /// decides must be proposed.
    #[must_use]
    pub fn can_propose(&self) -> bool {
        let raft = &self.raft.raft;
        let in_flight = raft.raft_log.last_index().saturating_sub(raft.raft_log.committed);
        self.leads_settled() && raft.lead_transferee.is_none() && in_flight < MAX_UNCOMMITTED_ENTRIES
    }

    /// True if time matters: false for the only node of its quorum, that has nobody to talk to.
    #[must_use]
    pub fn needs_ticks(&self) -> bool {
        let tracker = self.raft.raft.prs();
        self.raft.raft.state != StateRole::Leader || tracker.iter().count() > 1
    }

    /// Time has passed: [`Config::tick_ms`].
    pub fn tick(&mut self) {
        if self.persisting.is_some() && self.raft.raft.state != StateRole::Leader {
            // Its vote or its entries are not on disk yet: it may not want to be elected with them.
            return;
        }
        self.raft.tick();
        self.retry_snapshots();
        self.after();
    }

    /// A message from another node.
    ///
    /// # Errors
    /// When it is not for this node or makes no sense; it is then ignored.
    pub fn step(&mut self, bytes: &[u8]) -> Result<(), StepError> {
        let message = message::from_bytes(Bytes::copy_from_slice(bytes))?;
        if message.to != self.node.0 {
            return Err(StepError::NotForThisNode { to: NodeId(message.to), node: self.node });
        }
        if matches!(message.get_msg_type(), eraftpb::MessageType::MsgPropose) {
            return Err(StepError::Refused("proposals are not forwarded".to_owned()));
        }
        let result = self.raft.step(message).map_err(|error| StepError::Refused(error.to_string()));
        self.after();
        result
    }

    /// A node cannot be reached now: send it less until it answers.
    pub fn unreachable(&mut self, node: NodeId) {
        self.raft.report_unreachable(node.0);
        self.fail_snapshot(node.0);
        self.after();
    }

    /// The connection to `node` broke. If it leads, this node forgets it and wants to be elected soon; a leader that is
    /// alive after all is followed again with its next message.
    pub fn suspect(&mut self, node: NodeId) {
        let raft = &mut self.raft.raft;
        if raft.leader_id != node.0 || raft.state != StateRole::Follower {
            return;
        }
        let term = raft.term;
        raft.become_follower(term, 0);
        self.after();
        // Not all at once: the draw differs from node to node.
        let drawn = self.drawn_election_timeout();
        let wait = 1 + (mix(drawn as u64 ^ self.node.0) % SUSPECTED_TICKS) as usize;
        self.raft.raft.election_elapsed = drawn.saturating_sub(wait);
    }

    /// Puts a batch into the log; returns the index it has if it is committed. It is committed when it comes out as
    /// [`Effect::Apply`] with the term of now, and lost if another term took its index.
    ///
    /// # Errors
    /// When this node does not lead, is handing over, or has too much under way.
    pub fn propose(&mut self, data: Bytes) -> Result<u64, ProposeError> {
        self.check_leader()?;
        let proposed = self.raft.propose(Vec::new(), data.into());
        self.after();
        proposed.map_err(|_| ProposeError::Busy)?;
        Ok(self.raft.raft.raft_log.last_index())
    }

    /// Changes who takes part, one node at a time; it counts when it comes out as [`Payload::Membership`].
    ///
    /// # Errors
    /// When this node does not lead, is handing over, or an earlier change is not applied yet.
    pub fn propose_membership(&mut self, change: MembershipChange) -> Result<u64, ProposeError> {
        self.check_leader()?;
        if self.raft.raft.has_pending_conf() {
            return Err(ProposeError::Busy);
        }
        let (change_type, node) = match change {
            MembershipChange::AddVoter(node) => (ConfChangeType::AddNode, node),
            MembershipChange::AddLearner(node) => (ConfChangeType::AddLearnerNode, node),
            MembershipChange::Remove(node) => (ConfChangeType::RemoveNode, node),
        };
        let mut single = ConfChangeSingle { node_id: node.0, ..Default::default() };
        single.set_change_type(change_type);
        let change = ConfChangeV2 { changes: vec![single].into(), ..Default::default() };
        let proposed = self.raft.propose_conf_change(Vec::new(), change);
        self.after();
        proposed.map_err(|_| ProposeError::Busy)?;
        Ok(self.raft.raft.raft_log.last_index())
    }

    fn check_leader(&self) -> Result<(), ProposeError> {
        let raft = &self.raft.raft;
        if raft.state != StateRole::Leader {
            return Err(ProposeError::NotLeader { leader: self.leadership.leader });
        }
        let in_flight = raft.raft_log.last_index().saturating_sub(raft.raft_log.committed);
        if raft.lead_transferee.is_some() || in_flight >= MAX_UNCOMMITTED_ENTRIES {
            return Err(ProposeError::Busy);
        }
        Ok(())
    }

    /// Hands leadership to a voter, once it has the whole log. Nothing happens if this node does not lead.
    pub fn transfer_leader(&mut self, to: NodeId) {
        self.raft.transfer_leader(to.0);
        self.after();
    }

    /// True if [`snapshot`](Self::snapshot) should be called soon: the log has grown, or a newcomer waits.
    #[must_use]
    pub fn is_snapshot_due(&self) -> bool {
        let newest = self.raft.store().snapshot_index();
        self.applied > newest && self.raft.store().is_snapshot_due()
    }

    /// Takes the image as it is after `index` in place of the entries up to there.
    pub fn snapshot(&mut self, index: u64, data: Bytes) {
        assert!(index <= self.applied, "a snapshot at {index}, but only {} is applied", self.applied);
        if let Some((snapshot, compact_to)) = self.raft.mut_store().snapshot_at(index, data) {
            self.outbox.push(Effect::SaveSnapshot { snapshot, compact_to });
        }
    }

    /// What [`Effect::Persist`] of this number asked for is on disk.
    pub fn persisted(&mut self, number: u64) {
        let Some(done) = self.persisting.take_if(|waiting| waiting.number == number) else {
            panic!("nothing of number {number} was to be persisted");
        };
        self.raft.on_persist_ready(done.ready);
        self.outbox.extend(done.then);
        self.after();
    }

    /// What to do next, in this order; empty when there is nothing until something happens, or until
    /// [`persisted`](Self::persisted) is called.
    ///
    /// # Errors
    /// When a committed entry cannot be read: this node cannot go on.
    pub fn drain(&mut self) -> Result<Vec<Effect>, CodecError> {
        while self.persisting.is_none() && self.raft.has_ready() {
            self.handle_ready()?;
        }
        self.note_leadership();
        Ok(std::mem::take(&mut self.outbox))
    }

    fn handle_ready(&mut self) -> Result<(), CodecError> {
        let mut ready = self.raft.ready();
        self.note_leadership();
        self.send_all(ready.take_messages());
        let committed = ready.take_committed_entries();
        let commits_members = committed.iter().any(changes_members);
        self.apply(committed)?;
        let held = ready.take_persisted_messages();

        let mut persist = Persist { must_sync: ready.must_sync() || commits_members, ..Persist::default() };
        let mut then = Vec::new();
        if !ready.snapshot().is_empty() {
            let snapshot = self.install(ready.snapshot());
            let bytes = codec::snapshot_to_bytes(&snapshot.membership, snapshot.data.clone());
            persist.snapshot = Some(StoredSnapshot { index: snapshot.index, term: snapshot.term, bytes });
            then.push(Effect::ApplySnapshot(snapshot));
        }
        self.raft.mut_store().append(ready.entries());
        persist.entries = ready.entries().iter().map(stored_entry).collect();
        // The commit index alone is not worth a write: a leader tells it again. But who the members are has to be known
        // after a restart: by those before, too many of whom may be gone, there may be no majority to elect a leader.
        let appends_members = ready.entries().iter().any(changes_members);
        if persist.must_sync && (ready.hs().is_some() || appends_members || commits_members) {
            persist.hard_state = Some(codec::hard_state_to_bytes(self.node, &self.raft.raft.hard_state()));
        }

        let number = ready.number();
        self.raft.advance_append_async(ready);
        if persist.must_sync {
            self.next_number += 1;
            persist.number = self.next_number;
            let before = self.outbox.len();
            self.send_all(held);
            then.extend(self.outbox.drain(before..));
            self.persisting = Some(Persisting { number: persist.number, ready: number, then });
            self.outbox.push(Effect::Persist(persist));
        } else {
            self.raft.on_persist_ready(number);
            self.send_all(held);
        }
        Ok(())
    }

    fn send_all(&mut self, messages: Vec<eraftpb::Message>) {
        for message in messages {
            if message.get_msg_type() == eraftpb::MessageType::MsgSnapshot {
                self.snapshots_sent.insert(message.to, 0);
            }
            let to = NodeId(message.to);
            self.outbox.push(Effect::Send { to, bytes: message::to_bytes(message) });
        }
    }

    fn apply(&mut self, entries: Vec<Entry>) -> Result<(), CodecError> {
        let Some(last) = entries.last().map(|entry| entry.index) else { return Ok(()) };
        let mut committed = Vec::with_capacity(entries.len());
        for entry in entries {
            committed.push(self.commit(entry)?);
        }
        self.applied = last;
        self.raft.advance_apply_to(last);
        self.outbox.push(Effect::Apply(committed));
        Ok(())
    }

    fn commit(&mut self, entry: Entry) -> Result<Committed, CodecError> {
        let (index, term) = (entry.index, entry.term);
        let payload = match entry.get_entry_type() {
            eraftpb::EntryType::EntryNormal if entry.data.is_empty() => Payload::Empty,
            eraftpb::EntryType::EntryNormal => Payload::Data(entry.data),
            _ => {
                if let Some(recovered) = self.raft.store().recovered_membership(index) {
                    let payload = recovered.map_or(Payload::Empty, Payload::Membership);
                    return Ok(Committed { index, term, payload });
                }
                let change = codec::conf_change_from_entry(&entry)?;
                // A change that makes no sense (the last voter removed) is refused by every node alike.
                match self.raft.apply_conf_change(&change) {
                    Ok(members) => {
                        let membership = codec::membership(&members);
                        self.raft.mut_store().set_membership(index, members);
                        Payload::Membership(membership)
                    }
                    Err(_) => Payload::Empty,
                }
            }
        };
        Ok(Committed { index, term, payload })
    }

    fn install(&mut self, snapshot: &eraftpb::Snapshot) -> Snapshot {
        let metadata = snapshot.get_metadata();
        let members = metadata.get_conf_state().clone();
        let membership = codec::membership(&members);
        let data = snapshot.data.clone();
        self.raft.mut_store().install(metadata.index, metadata.term, members, data.clone());
        self.applied = metadata.index;
        Snapshot { index: metadata.index, term: metadata.term, membership, data }
    }

    fn note_leadership(&mut self) {
        let raft = &self.raft.raft;
        let leader = (raft.leader_id != 0).then_some(NodeId(raft.leader_id));
        let now = Leadership { leader, term: raft.term, am_leader: raft.state == StateRole::Leader };
        if now != self.leadership {
            self.leadership = now;
            self.outbox.push(Effect::Leadership(now));
        }
    }

    /// After everything that may have begun a new election timeout.
    fn after(&mut self) {
        let role = self.raft.raft.state;
        let campaigns = |role| matches!(role, StateRole::Candidate | StateRole::PreCandidate);
        if role != self.last_role && campaigns(role) {
            self.campaigns += 1;
        }
        self.last_role = role;
        self.set_election_timeout();
        self.hasten_campaign();
    }

    /// Where nobody leads there is no reason to wait as long as for a leader that is only slow.
    fn hasten_campaign(&mut self) {
        let drawn = self.drawn_election_timeout();
        let ticks = self.config.campaign_ticks;
        let raft = &mut self.raft.raft;
        if raft.leader_id == 0 && raft.state != StateRole::Leader {
            let wait = ticks + (mix(drawn as u64 ^ self.node.0 ^ raft.term) % ticks as u64) as usize;
            raft.election_elapsed = raft.election_elapsed.max(drawn.saturating_sub(wait));
        }
    }

    /// The library draws its own random timeout at every reset; this one takes its place, so that a run depends on
    /// the seed alone.
    fn set_election_timeout(&mut self) {
        let drawn = self.drawn_election_timeout();
        self.raft.raft.set_randomized_election_timeout(drawn);
    }

    fn drawn_election_timeout(&self) -> usize {
        let (from, to) = self.config.election_ticks();
        let term = self.raft.raft.term;
        let drawn = mix(self.config.seed ^ mix(self.node.0 ^ mix(term ^ mix(self.campaigns))));
        from + (drawn % (to - from) as u64) as usize
    }

    fn retry_snapshots(&mut self) {
        if self.snapshots_sent.is_empty() {
            return;
        }
        let mut failed = Vec::new();
        let tracker = self.raft.raft.prs();
        self.snapshots_sent.retain(|&node, ticks| {
            *ticks += 1;
            let waits = tracker.get(node).is_some_and(|progress| progress.state == ProgressState::Snapshot);
            if waits && *ticks > SNAPSHOT_RETRY_TICKS {
                failed.push(node);
            }
            waits && *ticks <= SNAPSHOT_RETRY_TICKS
        });
        for node in failed {
            self.raft.report_snapshot(node, SnapshotStatus::Failure);
        }
    }

    fn fail_snapshot(&mut self, node: u64) {
        if self.snapshots_sent.remove(&node).is_some() {
            self.raft.report_snapshot(node, SnapshotStatus::Failure);
        }
    }
}

fn changes_members(entry: &Entry) -> bool {
    entry.get_entry_type() != eraftpb::EntryType::EntryNormal
}

fn stored_entry(entry: &Entry) -> StoredEntry {
    StoredEntry { index: entry.index, term: entry.term, bytes: codec::entry_to_bytes(entry) }
}
