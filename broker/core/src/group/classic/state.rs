//! A classic group's members, votes and waiting requests, and the changes that keep them consistent.
//!
//! Invariants: `votes` counts the members that support a protocol; `joining` counts the members whose JoinGroup
//! waits; the leader is a member; a static name maps to a member; a pending id is not a member.

use super::member::Member;
use super::request::{JoinReply, JoinRequest, JoinedMember, SyncReply};
use crate::group::consumer_protocol;
use crate::group::turn::{Token, Turn};
use bytes::Bytes;
use ottla_types::{ErrorCode, TimestampMs};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Where a group stands between two generations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// No members; perhaps offsets.
    Empty,
    /// Waiting for members to (re)join.
    PreparingRebalance,
    /// Waiting for the leader's assignment.
    CompletingRebalance,
    /// Every member has, or may fetch, its assignment.
    Stable,
}

impl State {
    /// The name that tools show.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::PreparingRebalance => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Stable => "Stable",
        }
    }
}

/// A group of the classic protocol, or one that only commits offsets (no protocol type, always empty).
#[derive(Debug, Clone)]
pub struct Group {
    pub(super) id: Arc<str>,
    pub(super) state: State,
    pub(super) previous_state: State,
    /// When it entered its state.
    pub(super) state_timestamp_ms: Option<TimestampMs>,
    pub(super) generation_id: i32,
    pub(super) protocol_type: Option<Arc<str>>,
    pub(super) protocol_name: Option<Arc<str>>,
    pub(super) leader: Option<Arc<str>>,
    pub(super) members: BTreeMap<Arc<str>, Member>,
    /// Member ids by static name.
    pub(super) static_members: BTreeMap<Arc<str>, Arc<str>>,
    /// Ids given out that have not come back yet.
    pub(super) pending_join: BTreeSet<Arc<str>>,
    /// Members of the new generation that have not asked for their assignment yet.
    pub(super) pending_sync: BTreeSet<Arc<str>>,
    /// Members whose JoinGroup waits.
    pub(super) joining: usize,
    /// How many members support each protocol.
    votes: BTreeMap<Arc<str>, usize>,
    /// Someone joined during the initial delay, which is then taken again.
    pub(super) new_member_added: bool,
    /// Topics the members consume; `None` when that is not known.
    pub(super) subscribed_topics: Option<BTreeSet<Arc<str>>>,
}

impl Group {
    /// An empty group.
    #[must_use]
    pub fn new(id: Arc<str>, at: TimestampMs) -> Self {
        Self {
            id,
            state: State::Empty,
            previous_state: State::Empty,
            state_timestamp_ms: Some(at),
            generation_id: 0,
            protocol_type: None,
            protocol_name: None,
            leader: None,
            members: BTreeMap::new(),
            static_members: BTreeMap::new(),
            pending_join: BTreeSet::new(),
            pending_sync: BTreeSet::new(),
            joining: 0,
            votes: BTreeMap::new(),
            new_member_added: false,
            subscribed_topics: None,
        }
    }

    /// Its id.
    #[must_use]
    pub const fn id(&self) -> &Arc<str> {
        &self.id
    }

    /// Its state.
    #[must_use]
    pub const fn state(&self) -> State {
        self.state
    }

    /// Its generation.
    #[must_use]
    pub const fn generation_id(&self) -> i32 {
        self.generation_id
    }

    /// Its members by id.
    #[must_use]
    pub const fn members(&self) -> &BTreeMap<Arc<str>, Member> {
        &self.members
    }

    /// `consumer`, `connect` ...; `None` for a group that only commits offsets.
    #[must_use]
    pub fn protocol_type(&self) -> Option<&str> {
        self.protocol_type.as_deref()
    }

    /// Does the group use the consumer's embedded protocol, so that its subscriptions can be read?
    #[must_use]
    pub fn uses_consumer_protocol(&self) -> bool {
        self.protocol_type() == Some(consumer_protocol::PROTOCOL_TYPE)
    }

    /// Is the topic consumed? A group whose subscriptions cannot be read counts as consuming everything.
    #[must_use]
    pub fn is_subscribed_to(&self, topic: &str) -> bool {
        match &self.subscribed_topics {
            Some(topics) => topics.contains(topic),
            None => self.uses_consumer_protocol(),
        }
    }

    pub(super) fn enter(&mut self, state: State, at: TimestampMs) {
        self.previous_state = self.state;
        self.state = state;
        self.state_timestamp_ms = Some(at);
    }

    pub(super) fn is_leader(&self, member_id: &str) -> bool {
        self.leader.as_deref() == Some(member_id)
    }

    pub(super) fn static_member_id(&self, instance_id: &str) -> Option<Arc<str>> {
        self.static_members.get(instance_id).cloned()
    }

    pub(super) fn has_all_members_joined(&self) -> bool {
        self.joining == self.members.len() && self.pending_join.is_empty()
    }

    pub(super) fn rebalance_timeout_ms(&self) -> i32 {
        self.members.values().map(|member| member.rebalance_timeout_ms).max().unwrap_or(0)
    }

    /// Is the request from the member it claims to be?
    pub(super) fn validate_member(
        &self,
        member_id: &str,
        instance_id: Option<&str>,
    ) -> Result<(), ErrorCode> {
        if let Some(instance_id) = instance_id {
            match self.static_members.get(instance_id) {
                None => return Err(ErrorCode::UnknownMemberId),
                Some(current) if **current != *member_id => return Err(ErrorCode::FencedInstanceId),
                Some(_) => {}
            }
        }
        if self.members.contains_key(member_id) { Ok(()) } else { Err(ErrorCode::UnknownMemberId) }
    }

    /// Could a member with these protocols live in the group?
    pub(super) fn supports(&self, protocol_type: &str, protocols: &[(&str, Bytes)]) -> bool {
        if self.state == State::Empty {
            return !protocol_type.is_empty() && !protocols.is_empty();
        }
        let everyone = |name: &str| self.votes.get(name).copied().unwrap_or(0) == self.members.len();
        self.protocol_type() == Some(protocol_type) && protocols.iter().any(|(name, _)| everyone(name))
    }

    /// The protocol with the most first votes among those that all members support; ties go to the first name.
    pub(super) fn select_protocol(&self) -> Option<Arc<str>> {
        let candidate = |name: &Arc<str>| self.votes.get(name).copied() == Some(self.members.len());
        let mut ballot: BTreeMap<&Arc<str>, usize> = BTreeMap::new();
        for member in self.members.values() {
            if let Some((name, _)) = member.protocols.iter().find(|(name, _)| candidate(name)) {
                *ballot.entry(name).or_default() += 1;
            }
        }
        let winner = ballot.into_iter().rev().max_by_key(|(_, count)| *count);
        winner.map(|(name, _)| Arc::clone(name))
    }

    fn count_votes(&mut self, protocols: &[(Arc<str>, Bytes)], add: bool) {
        for (name, _) in protocols {
            let count = self.votes.entry(Arc::clone(name)).or_default();
            *count = if add { *count + 1 } else { count.saturating_sub(1) };
            if *count == 0 {
                self.votes.remove(name);
            }
        }
    }

    /// Adds a member; the first one decides the protocol type and leads.
    pub(super) fn add(&mut self, member: Member, protocol_type: &str) {
        if self.members.is_empty() {
            self.protocol_type = Some(Arc::from(protocol_type));
        }
        self.count_votes(&member.protocols, true);
        if self.leader.is_none() {
            self.leader = Some(Arc::clone(&member.id));
        }
        if let Some(instance_id) = &member.instance_id {
            self.static_members.insert(Arc::clone(instance_id), Arc::clone(&member.id));
        }
        self.joining += usize::from(member.awaiting_join.is_some());
        self.pending_join.remove(&member.id);
        self.members.insert(Arc::clone(&member.id), member);
    }

    /// Removes a member or a pending id; requests of it that wait are answered `UNKNOWN_MEMBER_ID`.
    pub(super) fn remove(&mut self, turn: &mut Turn<'_>, member_id: &str) {
        if let Some(member) = self.members.remove(member_id) {
            self.count_votes(&member.protocols, false);
            if let Some(instance_id) = &member.instance_id {
                self.static_members.remove(instance_id);
            }
            self.joining -= usize::from(member.awaiting_join.is_some());
            dismiss(turn, &member, "", ErrorCode::UnknownMemberId);
        }
        if self.is_leader(member_id) {
            self.leader = self.members.keys().next().cloned();
        }
        self.pending_join.remove(member_id);
        self.pending_sync.remove(member_id);
    }

    /// A static member came back under a new id: it takes the old one's place, whose requests are fenced.
    pub(super) fn replace_static(&mut self, turn: &mut Turn<'_>, old_id: &str, new_id: &Arc<str>) {
        let Some(mut member) = self.members.remove(old_id) else { return };
        self.joining -= usize::from(member.awaiting_join.is_some());
        dismiss(turn, &member, old_id, ErrorCode::FencedInstanceId);
        (member.awaiting_join, member.awaiting_sync) = (None, None);
        member.id = Arc::clone(new_id);
        if let Some(instance_id) = &member.instance_id {
            self.static_members.insert(Arc::clone(instance_id), Arc::clone(new_id));
        }
        if self.is_leader(old_id) {
            self.leader = Some(Arc::clone(new_id));
        }
        if self.pending_sync.remove(old_id) {
            self.pending_sync.insert(Arc::clone(new_id));
        }
        self.members.insert(Arc::clone(new_id), member);
    }

    /// Takes over what a JoinGroup brings; the request itself waits from now on.
    pub(super) fn update_member(&mut self, turn: &mut Turn<'_>, member_id: &str, request: &JoinRequest<'_>) {
        let protocols = intern(&request.protocols);
        let Some(member) = self.members.get_mut(member_id) else { return };
        let before = std::mem::replace(&mut member.protocols, protocols.clone());
        member.rebalance_timeout_ms = request.rebalance_timeout_ms();
        member.session_timeout_ms = request.session_timeout_ms;
        match member.awaiting_join.replace(request.token) {
            // The client asked again without waiting: the earlier request must not hang.
            Some(earlier) => {
                turn.join_reply(earlier, JoinReply::refused(ErrorCode::RebalanceInProgress, member_id));
            }
            None => self.joining += 1,
        }
        self.count_votes(&before, false);
        self.count_votes(&protocols, true);
    }

    /// The JoinGroup of a member that waits, if one does.
    pub(super) fn take_join(&mut self, member_id: &str) -> Option<Token> {
        let token = self.members.get_mut(member_id)?.awaiting_join.take()?;
        self.joining -= 1;
        Some(token)
    }

    /// What a JoinGroup of this member is answered now.
    pub(super) fn join_reply(&self, member_id: &Arc<str>, with_members: bool) -> JoinReply {
        JoinReply {
            error: ErrorCode::None,
            member_id: Arc::clone(member_id),
            generation_id: self.generation_id,
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol_name.clone(),
            leader: self.leader.clone().unwrap_or_default(),
            skip_assignment: false,
            members: if with_members { self.joined_members() } else { Vec::new() },
        }
    }

    fn joined_members(&self) -> Vec<JoinedMember> {
        let protocol = self.protocol_name.as_deref().unwrap_or_default();
        let joined = self.members.values().map(|member| JoinedMember {
            member_id: Arc::clone(&member.id),
            group_instance_id: member.instance_id.clone(),
            metadata: member.metadata(protocol),
        });
        joined.collect()
    }

    /// Reads the topics from the members' metadata, where the protocol is the consumer's.
    pub(super) fn read_subscriptions(&mut self) {
        self.subscribed_topics = self.subscriptions();
    }

    fn subscriptions(&self) -> Option<BTreeSet<Arc<str>>> {
        if !self.uses_consumer_protocol() {
            return None;
        }
        if self.members.is_empty() {
            return Some(BTreeSet::new());
        }
        let protocol = self.protocol_name.as_deref()?;
        let mut topics = BTreeSet::new();
        for member in self.members.values() {
            topics.extend(consumer_protocol::subscribed_topics(&member.metadata(protocol)).ok()?);
        }
        Some(topics)
    }

    /// The invariants of the module's comment.
    #[cfg(test)]
    pub(in crate::group) fn assert_consistent(&self) {
        let joining = self.members.values().filter(|member| member.awaiting_join.is_some()).count();
        assert_eq!(self.joining, joining, "joining");
        if let Some(leader) = &self.leader {
            assert!(self.members.contains_key(leader), "leader {leader} is not a member");
        }
        for id in self.static_members.values() {
            assert!(self.members.contains_key(id), "static {id} is not a member");
        }
        assert!(self.pending_join.iter().all(|id| !self.members.contains_key(id)), "pending member");
        for (name, count) in &self.votes {
            let supporters =
                self.members.values().filter(|member| member.protocols.iter().any(|(own, _)| own == name));
            assert_eq!(*count, supporters.count(), "votes for {name}");
        }
        assert_eq!(
            self.state == State::Empty,
            self.members.is_empty() && self.state != State::PreparingRebalance
        );
    }
}

/// Protocols as they are kept; a name given twice counts once.
pub(super) fn intern(protocols: &[(&str, Bytes)]) -> Vec<(Arc<str>, Bytes)> {
    let mut kept: Vec<(Arc<str>, Bytes)> = Vec::with_capacity(protocols.len());
    for (name, metadata) in protocols {
        if !kept.iter().any(|(known, _)| **known == **name) {
            // A copy: a slice would keep the whole request in memory.
            kept.push((Arc::from(*name), Bytes::copy_from_slice(metadata)));
        }
    }
    kept
}

/// Answers whatever of this member waits.
fn dismiss(turn: &mut Turn<'_>, member: &Member, member_id: &str, error: ErrorCode) {
    if let Some(token) = member.awaiting_join {
        turn.join_reply(token, JoinReply::refused(error, member_id));
    }
    if let Some(token) = member.awaiting_sync {
        turn.sync_reply(token, SyncReply::refused(error));
    }
}
