//! What tools see of a consumer group.

use super::request::{Described, DescribedMember, plain};
use super::state::Group;
use crate::group::settings::AssignorName;
use std::sync::Arc;

impl Group {
    /// The group as tools see it.
    #[must_use]
    pub fn describe(&self, assignors: &[AssignorName]) -> Described {
        let members = self.members.values().map(|member| DescribedMember {
            member_id: Arc::clone(&member.id),
            instance_id: member.about.instance_id.clone(),
            rack_id: member.about.rack_id.clone(),
            member_epoch: member.epoch,
            client_id: Arc::clone(&member.about.client_id),
            client_host: Arc::clone(&member.about.client_host),
            subscribed_topics: member.about.subscribed_topics.clone(),
            subscribed_regex: member.about.subscribed_regex.clone(),
            assignment: plain(&member.assigned),
            target: self.target(&member.id).as_ref().clone(),
            is_classic: member.is_classic(),
        });
        Described {
            state: self.state().name(),
            group_epoch: self.epoch,
            assignment_epoch: self.assignment_epoch,
            assignor: self.preferred_assignor(assignors).name(),
            members: members.collect(),
        }
    }
}
