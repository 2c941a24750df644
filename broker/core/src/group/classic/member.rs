//! A member of a classic group.

use crate::group::records::{ClassicMemberValue, ClassicMetadata, MemberValue};
use crate::group::turn::Token;
use bytes::Bytes;
use std::sync::Arc;

/// A member of a classic group.
#[derive(Debug, Clone)]
pub struct Member {
    /// Its id.
    pub id: Arc<str>,
    /// The static member's name.
    pub instance_id: Option<Arc<str>>,
    /// `client.id`.
    pub client_id: Arc<str>,
    /// Where it came from.
    pub client_host: Arc<str>,
    /// How long it may take to rejoin.
    pub rebalance_timeout_ms: i32,
    /// How long it may be silent.
    pub session_timeout_ms: i32,
    /// Its protocols in the order it prefers them; after a reload only the chosen one.
    pub protocols: Vec<(Arc<str>, Bytes)>,
    /// What the leader gave it.
    pub assignment: Bytes,
    /// A JoinGroup of it that waits.
    pub(super) awaiting_join: Option<Token>,
    /// A SyncGroup of it that waits.
    pub(super) awaiting_sync: Option<Token>,
    /// It has not yet been part of a generation: it may be given up even while its JoinGroup waits, as its
    /// connection may be gone.
    pub(super) is_new: bool,
}

impl Member {
    pub(super) fn metadata(&self, protocol: &str) -> Bytes {
        let found = self.protocols.iter().find(|(name, _)| **name == *protocol);
        found.map(|(_, metadata)| metadata.clone()).unwrap_or_default()
    }

    /// Is what it brings now what it brought before?
    pub(super) fn matches(&self, protocols: &[(&str, Bytes)]) -> bool {
        self.protocols.len() == protocols.len()
            && self.protocols.iter().zip(protocols).all(|(own, other)| *own.0 == *other.0 && own.1 == other.1)
    }

    /// Waiting for the group is as good as a heartbeat.
    pub(super) const fn satisfies_heartbeat(&self) -> bool {
        !self.is_new && (self.awaiting_join.is_some() || self.awaiting_sync.is_some())
    }

    pub(super) fn from_record(value: &ClassicMemberValue, protocol: &Arc<str>) -> Self {
        let rebalance_timeout_ms = match value.rebalance_timeout_ms {
            -1 => value.session_timeout_ms,
            timeout_ms => timeout_ms,
        };
        Self {
            id: Arc::clone(&value.member_id),
            instance_id: value.group_instance_id.clone(),
            client_id: Arc::clone(&value.client_id),
            client_host: Arc::clone(&value.client_host),
            rebalance_timeout_ms,
            session_timeout_ms: value.session_timeout_ms,
            protocols: vec![(Arc::clone(protocol), value.subscription.clone())],
            assignment: value.assignment.clone(),
            awaiting_join: None,
            awaiting_sync: None,
            is_new: false,
        }
    }

    /// A member that comes from a consumer group.
    pub(in crate::group) fn adopted(
        id: &Arc<str>,
        about: &MemberValue,
        metadata: &ClassicMetadata,
        assignment: Bytes,
    ) -> Self {
        Self {
            id: Arc::clone(id),
            instance_id: about.instance_id.clone(),
            client_id: Arc::clone(&about.client_id),
            client_host: Arc::clone(&about.client_host),
            rebalance_timeout_ms: about.rebalance_timeout_ms,
            session_timeout_ms: metadata.session_timeout_ms,
            protocols: metadata.protocols.clone(),
            assignment,
            awaiting_join: None,
            awaiting_sync: None,
            is_new: false,
        }
    }

    pub(super) fn to_record(&self, protocol: &str, assignment: Bytes) -> ClassicMemberValue {
        ClassicMemberValue {
            member_id: Arc::clone(&self.id),
            group_instance_id: self.instance_id.clone(),
            client_id: Arc::clone(&self.client_id),
            client_host: Arc::clone(&self.client_host),
            rebalance_timeout_ms: self.rebalance_timeout_ms,
            session_timeout_ms: self.session_timeout_ms,
            subscription: self.metadata(protocol),
            assignment,
        }
    }
}
