//! What tools see of a classic group.

use super::state::{Group, State};
use bytes::Bytes;
use std::sync::Arc;

/// A group as DescribeGroups shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// The state's name; `Dead` for a group that is not there.
    pub state: &'static str,
    /// Empty for a group that only commits offsets.
    pub protocol_type: Arc<str>,
    /// The assignor, while the group is stable.
    pub protocol: Arc<str>,
    /// Its members.
    pub members: Vec<DescribedMember>,
}

/// A member as DescribeGroups shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribedMember {
    /// Its id.
    pub member_id: Arc<str>,
    /// The static member's name.
    pub group_instance_id: Option<Arc<str>>,
    /// `client.id`.
    pub client_id: Arc<str>,
    /// Where it came from.
    pub client_host: Arc<str>,
    /// Its metadata, while the group is stable.
    pub metadata: Bytes,
    /// Its assignment, while the group is stable.
    pub assignment: Bytes,
}

impl Described {
    /// What is shown of a group that does not exist.
    #[must_use]
    pub fn dead() -> Self {
        Self { state: "Dead", protocol_type: Arc::from(""), protocol: Arc::from(""), members: Vec::new() }
    }
}

impl Group {
    /// The group as tools see it.
    #[must_use]
    pub fn describe(&self) -> Described {
        let stable = self.state == State::Stable;
        let protocol = self.protocol_name.clone().filter(|_| stable).unwrap_or_default();
        let members = self.members.values().map(|member| DescribedMember {
            member_id: Arc::clone(&member.id),
            group_instance_id: member.instance_id.clone(),
            client_id: Arc::clone(&member.client_id),
            client_host: Arc::clone(&member.client_host),
            metadata: if stable { member.metadata(&protocol) } else { Bytes::new() },
            assignment: if stable { member.assignment.clone() } else { Bytes::new() },
        });
        Described {
            state: self.state.name(),
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            members: members.collect(),
            protocol,
        }
    }
}
