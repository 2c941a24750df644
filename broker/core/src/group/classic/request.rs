//! JoinGroup, SyncGroup, Heartbeat and LeaveGroup in core's words; the server translates every version to them.

use crate::group::turn::Token;
use bytes::Bytes;
use ottla_types::{ErrorCode, Uuid};
use std::sync::Arc;

/// Who sent a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client<'a> {
    /// `client.id`, perhaps empty.
    pub id: &'a str,
    /// The peer's address, as Kafka shows it (`/10.1.2.3`).
    pub host: &'a str,
}

/// A JoinGroup, versions 0 to 9.
#[derive(Debug, Clone)]
pub struct JoinRequest<'a> {
    /// Names the request if its reply must wait.
    pub token: Token,
    /// The group.
    pub group_id: &'a str,
    /// Empty for a member that has no id yet.
    pub member_id: &'a str,
    /// The static member's name (from version 5).
    pub group_instance_id: Option<&'a str>,
    /// Who sent it.
    pub client: Client<'a>,
    /// `consumer`, `connect` ...
    pub protocol_type: &'a str,
    /// Protocols in the order the member prefers them, with its metadata for each.
    pub protocols: Vec<(&'a str, Bytes)>,
    /// How long the member may be silent.
    pub session_timeout_ms: i32,
    /// How long it may take to rejoin; negative (version 0) is as long as the session.
    pub rebalance_timeout_ms: i32,
    /// From version 4 on a member must come back with the id it was given before it is counted (KIP-394).
    pub requires_known_member_id: bool,
    /// From version 9 on the leader may be told to skip the assignment (KIP-814).
    pub supports_skipping_assignment: bool,
    /// For the member id, if one is made.
    pub fresh_id: Uuid,
}

impl JoinRequest<'_> {
    pub(in crate::group) const fn rebalance_timeout_ms(&self) -> i32 {
        if self.rebalance_timeout_ms < 0 { self.session_timeout_ms } else { self.rebalance_timeout_ms }
    }
}

/// The answer to a JoinGroup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinReply {
    /// `None` for success.
    pub error: ErrorCode,
    /// The member's id: given, confirmed or to be used next time.
    pub member_id: Arc<str>,
    /// -1 with an error.
    pub generation_id: i32,
    /// The group's protocol type.
    pub protocol_type: Option<Arc<str>>,
    /// The protocol chosen by votes.
    pub protocol_name: Option<Arc<str>>,
    /// The leader's member id; empty with an error.
    pub leader: Arc<str>,
    /// The leader need not assign: nothing changed.
    pub skip_assignment: bool,
    /// For the leader: every member with its metadata.
    pub members: Vec<JoinedMember>,
}

/// A member as the leader sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinedMember {
    /// The member's id.
    pub member_id: Arc<str>,
    /// The static member's name.
    pub group_instance_id: Option<Arc<str>>,
    /// Its metadata for the chosen protocol.
    pub metadata: Bytes,
}

impl JoinReply {
    /// A refusal; `member_id` is what the client should believe its id to be.
    #[must_use]
    pub fn refused(error: ErrorCode, member_id: impl Into<Arc<str>>) -> Self {
        Self {
            error,
            member_id: member_id.into(),
            generation_id: -1,
            protocol_type: None,
            protocol_name: None,
            leader: Arc::from(""),
            skip_assignment: false,
            members: Vec::new(),
        }
    }
}

/// A SyncGroup, versions 0 to 5.
#[derive(Debug, Clone)]
pub struct SyncRequest<'a> {
    /// Names the request if its reply must wait.
    pub token: Token,
    /// The group.
    pub group_id: &'a str,
    /// The member.
    pub member_id: &'a str,
    /// The static member's name.
    pub group_instance_id: Option<&'a str>,
    /// The generation it joined.
    pub generation_id: i32,
    /// What it believes the group's protocol type to be (from version 5).
    pub protocol_type: Option<&'a str>,
    /// What it believes the chosen protocol to be (from version 5).
    pub protocol_name: Option<&'a str>,
    /// From the leader: assignments by member id.
    pub assignments: Vec<(&'a str, Bytes)>,
}

/// The answer to a SyncGroup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncReply {
    /// `None` for success.
    pub error: ErrorCode,
    /// The group's protocol type.
    pub protocol_type: Option<Arc<str>>,
    /// The chosen protocol.
    pub protocol_name: Option<Arc<str>>,
    /// What the leader gave this member.
    pub assignment: Bytes,
}

impl SyncReply {
    /// A refusal.
    #[must_use]
    pub const fn refused(error: ErrorCode) -> Self {
        Self { error, protocol_type: None, protocol_name: None, assignment: Bytes::new() }
    }
}

/// A Heartbeat, versions 0 to 4.
#[derive(Debug, Clone, Copy)]
pub struct HeartbeatRequest<'a> {
    /// The group.
    pub group_id: &'a str,
    /// The member.
    pub member_id: &'a str,
    /// The static member's name.
    pub group_instance_id: Option<&'a str>,
    /// The generation it belongs to.
    pub generation_id: i32,
}

/// A member that wants to leave.
#[derive(Debug, Clone, Copy)]
pub struct Leaver<'a> {
    /// Its id; empty to name a static member by its name alone (an administrator does).
    pub member_id: &'a str,
    /// The static member's name.
    pub group_instance_id: Option<&'a str>,
}

impl Leaver<'_> {
    pub(in crate::group) fn answer(&self, error: ErrorCode) -> Left {
        Left {
            member_id: Arc::from(self.member_id),
            group_instance_id: self.group_instance_id.map(Arc::from),
            error,
        }
    }
}

/// A LeaveGroup, versions 0 to 5.
#[derive(Debug, Clone)]
pub struct LeaveRequest<'a> {
    /// The group.
    pub group_id: &'a str,
    /// One member up to version 2, any number after.
    pub members: Vec<Leaver<'a>>,
}

/// What became of a member that wanted to leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// The id as asked (for a consumer group: the real one).
    pub member_id: Arc<str>,
    /// The name as asked.
    pub group_instance_id: Option<Arc<str>>,
    /// `None` if it left.
    pub error: ErrorCode,
}
