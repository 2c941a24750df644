//! JoinGroup: who may join, under which id, and whether that needs a new generation.

use super::member::Member;
use super::request::{JoinReply, JoinRequest};
use super::state::{Group, State, intern};
use crate::group::timers::Purpose;
use crate::group::turn::{Completion, Token, Turn};
use bytes::Bytes;
use ottla_types::ErrorCode;
use std::sync::Arc;

/// How long a member that was never part of a generation may wait for its first one.
const NEW_MEMBER_JOIN_TIMEOUT_MS: i32 = 5 * 60 * 1_000;
/// Ids given out and not claimed yet; beyond it newcomers are refused, whatever `group.max.size` says.
const MAX_PENDING_MEMBERS: usize = 10_000;

/// A static member that came back while the group was stable: how to undo it if it cannot be stored.
#[derive(Debug)]
pub struct StoredReplacement {
    pub(super) group: Arc<str>,
    old_id: Arc<str>,
    new_id: Arc<str>,
    before: Member,
    leader_before: Option<Arc<str>>,
    supports_skipping_assignment: bool,
}

impl StoredReplacement {
    pub(in crate::group) const fn group(&self) -> &Arc<str> {
        &self.group
    }
}

impl Group {
    /// Handles a JoinGroup. `None`: the reply comes later.
    pub(in crate::group) fn join(
        &mut self,
        turn: &mut Turn<'_>,
        request: &JoinRequest<'_>,
    ) -> Option<JoinReply> {
        if !self.has_room_for(turn, request.member_id) {
            turn.timers.cancel(&self.session_key(&Arc::from(request.member_id)));
            self.remove(turn, request.member_id);
            return Some(JoinReply::refused(ErrorCode::GroupMaxSizeReached, ""));
        }
        if !self.supports(request.protocol_type, &request.protocols) {
            return Some(JoinReply::refused(ErrorCode::InconsistentGroupProtocol, request.member_id));
        }
        match (request.member_id.is_empty(), request.group_instance_id) {
            (true, Some(instance_id)) => self.join_new_static(turn, request, instance_id),
            (true, None) => self.join_new_dynamic(turn, request),
            (false, _) => self.join_known(turn, request),
        }
    }

    /// Kafka's capacity rule: during a rebalance those who have joined count, so that the first to come stay.
    fn has_room_for(&self, turn: &Turn<'_>, member_id: &str) -> bool {
        let max = turn.settings.broker.group_max_size;
        match self.state {
            State::Empty => true,
            State::PreparingRebalance => {
                let waits = self.members.get(member_id).is_some_and(|member| member.awaiting_join.is_some());
                waits || self.joining < max
            }
            State::CompletingRebalance | State::Stable => {
                self.members.contains_key(member_id) || self.members.len() < max
            }
        }
    }

    fn join_new_dynamic(&mut self, turn: &mut Turn<'_>, request: &JoinRequest<'_>) -> Option<JoinReply> {
        let member_id: Arc<str> = Arc::from(format!("{}-{}", request.client.id, request.fresh_id));
        if !request.requires_known_member_id {
            self.add_joining(turn, request, member_id);
            return None;
        }
        if self.pending_join.len() >= MAX_PENDING_MEMBERS {
            return Some(JoinReply::refused(ErrorCode::GroupMaxSizeReached, ""));
        }
        turn.set_timer(self.session_key(&member_id), request.session_timeout_ms, Purpose::Plain);
        self.pending_join.insert(Arc::clone(&member_id));
        Some(JoinReply::refused(ErrorCode::MemberIdRequired, member_id))
    }

    fn join_new_static(
        &mut self,
        turn: &mut Turn<'_>,
        request: &JoinRequest<'_>,
        instance_id: &str,
    ) -> Option<JoinReply> {
        let member_id: Arc<str> = Arc::from(format!("{instance_id}-{}", request.fresh_id));
        match self.static_member_id(instance_id) {
            Some(old_id) => self.join_replacing(turn, request, old_id, member_id),
            None => self.add_joining(turn, request, member_id),
        }
        None
    }

    fn join_known(&mut self, turn: &mut Turn<'_>, request: &JoinRequest<'_>) -> Option<JoinReply> {
        if self.pending_join.contains(request.member_id) {
            if request.group_instance_id.is_some() {
                // Static members are never given a pending id.
                return Some(JoinReply::refused(ErrorCode::UnknownMemberId, request.member_id));
            }
            self.add_joining(turn, request, Arc::from(request.member_id));
            return None;
        }
        if let Err(error) = self.validate_member(request.member_id, request.group_instance_id) {
            return Some(JoinReply::refused(error, request.member_id));
        }
        let member = self.members.get(request.member_id)?;
        let member_id = Arc::clone(&member.id);
        let unchanged = member.matches(&request.protocols);
        let leads = self.is_leader(&member_id);
        match self.state {
            // The answer to its JoinGroup was lost: give it again.
            State::CompletingRebalance if unchanged => Some(self.join_reply(&member_id, leads)),
            // A follower that comes back with nothing new learns where the group stands; a leader wants a rebalance.
            State::Stable if unchanged && !leads => Some(self.join_reply(&member_id, false)),
            State::Empty => Some(JoinReply::refused(ErrorCode::UnknownMemberId, member_id)),
            _ => {
                self.update_member(turn, &member_id, request);
                self.rebalance_or_complete_join(turn);
                None
            }
        }
    }

    fn add_joining(&mut self, turn: &mut Turn<'_>, request: &JoinRequest<'_>, member_id: Arc<str>) {
        let member = Member {
            id: Arc::clone(&member_id),
            instance_id: request.group_instance_id.map(Arc::from),
            client_id: Arc::from(request.client.id),
            client_host: Arc::from(request.client.host),
            rebalance_timeout_ms: request.rebalance_timeout_ms(),
            session_timeout_ms: request.session_timeout_ms,
            protocols: intern(&request.protocols),
            assignment: Bytes::new(),
            awaiting_join: Some(request.token),
            awaiting_sync: None,
            is_new: true,
        };
        if self.state == State::PreparingRebalance && self.previous_state == State::Empty {
            self.new_member_added = true;
        }
        self.add(member, request.protocol_type);
        turn.set_timer(self.session_key(&member_id), NEW_MEMBER_JOIN_TIMEOUT_MS, Purpose::Plain);
        self.rebalance_or_complete_join(turn);
    }

    /// A static member restarted (KIP-345). In a stable group whose protocol stays the same nobody else notices.
    fn join_replacing(
        &mut self,
        turn: &mut Turn<'_>,
        request: &JoinRequest<'_>,
        old_id: Arc<str>,
        new_id: Arc<str>,
    ) {
        let Some(before) = self.members.get(&old_id).cloned() else { return };
        let leader_before = self.leader.clone();
        turn.timers.cancel(&self.session_key(&old_id));
        self.replace_static(turn, &old_id, &new_id);
        self.update_member(turn, &new_id, request);
        self.extend_session(turn, &new_id);
        match self.state {
            State::Stable if self.select_protocol() == self.protocol_name => {
                turn.records.push(self.to_record(|member| member.assignment.clone()));
                turn.on_stored(Completion::ClassicStaticJoin(Box::new(StoredReplacement {
                    group: Arc::clone(&self.id),
                    old_id,
                    new_id,
                    before,
                    leader_before,
                    supports_skipping_assignment: request.supports_skipping_assignment,
                })));
            }
            State::Stable | State::CompletingRebalance => self.prepare_rebalance(turn),
            State::PreparingRebalance | State::Empty => self.maybe_complete_join(turn),
        }
    }

    /// The group with its first member could not be stored: the member must try again.
    pub(in crate::group) fn join_not_stored(&mut self, turn: &mut Turn<'_>, token: Token, error: ErrorCode) {
        let waits = self.members.values().find(|member| member.awaiting_join == Some(token));
        let Some(member_id) = waits.map(|member| Arc::clone(&member.id)) else { return };
        if let Some(token) = self.take_join(&member_id) {
            turn.join_reply(token, JoinReply::refused(error, ""));
        }
        turn.timers.cancel(&self.session_key(&member_id));
        self.remove(turn, &member_id);
    }

    /// The static member's new id is stored, or must be forgotten.
    pub(in crate::group) fn replacement_stored(
        &mut self,
        turn: &mut Turn<'_>,
        replacement: StoredReplacement,
        stored: Result<(), ErrorCode>,
    ) {
        let StoredReplacement { old_id, new_id, mut before, leader_before, .. } = replacement;
        match stored {
            // Meanwhile a rebalance may have answered, or the member may be gone.
            Ok(()) if self.state == State::Stable => {
                let Some(token) = self.take_join(&new_id) else { return };
                let leads = self.is_leader(&new_id);
                let mut reply = self.join_reply(&new_id, leads && replacement.supports_skipping_assignment);
                if replacement.supports_skipping_assignment {
                    reply.skip_assignment = leads;
                } else {
                    // A client that cannot skip would assign anew if it were told that it leads.
                    reply.leader = leader_before.unwrap_or_default();
                }
                turn.join_reply(token, reply);
            }
            Ok(()) => {}
            Err(error) => {
                if let Some(token) = self.take_join(&new_id) {
                    turn.join_reply(token, JoinReply::refused(error, ""));
                }
                if !self.members.contains_key(&new_id) {
                    return;
                }
                turn.timers.cancel(&self.session_key(&new_id));
                let leads = self.is_leader(&new_id);
                self.remove(turn, &new_id);
                (before.awaiting_join, before.awaiting_sync) = (None, None);
                let protocol_type = self.protocol_type.clone().unwrap_or_default();
                self.add(before, &protocol_type);
                if leads {
                    self.leader = Some(Arc::clone(&old_id));
                }
                self.extend_session(turn, &old_id);
            }
        }
    }
}
