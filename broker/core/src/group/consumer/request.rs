//! ConsumerGroupHeartbeat and ConsumerGroupDescribe in core's words.

use super::member::Owned;
use crate::group::classic::Client;
use ottla_types::{TopicId, Uuid};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The epoch with which a member joins.
pub const JOIN_EPOCH: i32 = 0;
/// The epoch with which a member leaves for good.
pub const LEAVE_EPOCH: i32 = -1;
/// The epoch with which a static member leaves to come back.
pub const LEAVE_STATIC_EPOCH: i32 = -2;

/// Partitions by topic.
pub type Partitions = BTreeMap<TopicId, BTreeSet<i32>>;

/// A ConsumerGroupHeartbeat, versions 0 and 1. What is `None` (or negative) has not changed.
#[derive(Debug, Clone)]
pub struct HeartbeatRequest<'a> {
    /// The group.
    pub group_id: &'a str,
    /// The member; empty only in version 0, where the coordinator makes the id.
    pub member_id: &'a str,
    /// Its epoch, or one of the special ones.
    pub member_epoch: i32,
    /// The static member's name.
    pub instance_id: Option<&'a str>,
    /// The member's rack.
    pub rack_id: Option<&'a str>,
    /// How long it may take to give partitions up; -1 if unchanged.
    pub rebalance_timeout_ms: i32,
    /// Topics by name.
    pub subscribed_topics: Option<Vec<&'a str>>,
    /// An expression that topics' whole names must match; empty to drop it (version 1).
    pub subscribed_regex: Option<&'a str>,
    /// The assignor it asks for.
    pub server_assignor: Option<&'a str>,
    /// The partitions it owns.
    pub owned: Option<Partitions>,
    /// Who sent it.
    pub client: Client<'a>,
    /// For the member id, if one is made.
    pub fresh_id: Uuid,
}

impl HeartbeatRequest<'_> {
    pub(super) const fn is_full(&self) -> bool {
        self.member_epoch == JOIN_EPOCH
            || (self.rebalance_timeout_ms != -1
                && (self.subscribed_topics.is_some() || self.subscribed_regex.is_some())
                && self.owned.is_some())
    }
}

/// The answer to a ConsumerGroupHeartbeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeartbeatReply {
    /// The member's id.
    pub member_id: Arc<str>,
    /// Its epoch now.
    pub member_epoch: i32,
    /// When to speak again.
    pub heartbeat_interval_ms: i32,
    /// What it owns from now on; `None` if that has not changed.
    pub assignment: Option<Partitions>,
}

/// A group as ConsumerGroupDescribe shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// The state's name.
    pub state: &'static str,
    /// The group's epoch.
    pub group_epoch: i32,
    /// The target assignment's epoch.
    pub assignment_epoch: i32,
    /// The assignor in use.
    pub assignor: &'static str,
    /// Its members.
    pub members: Vec<DescribedMember>,
}

/// A member as ConsumerGroupDescribe shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribedMember {
    /// Its id.
    pub member_id: Arc<str>,
    /// The static member's name.
    pub instance_id: Option<Arc<str>>,
    /// Its rack.
    pub rack_id: Option<Arc<str>>,
    /// Its epoch.
    pub member_epoch: i32,
    /// `client.id`.
    pub client_id: Arc<str>,
    /// Where it came from.
    pub client_host: Arc<str>,
    /// Topics it named.
    pub subscribed_topics: Vec<Arc<str>>,
    /// The expression it subscribed to.
    pub subscribed_regex: Option<Arc<str>>,
    /// What it owns.
    pub assignment: Partitions,
    /// What it is meant to own.
    pub target: Partitions,
    /// It speaks the classic protocol (member type 0, else 1; version 1).
    pub is_classic: bool,
}

/// Drops the epochs.
pub(super) fn plain(owned: &Owned) -> Partitions {
    owned.iter().map(|(topic, partitions)| (*topic, partitions.keys().copied().collect())).collect()
}
