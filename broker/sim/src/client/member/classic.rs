//! The classic protocol: join, sync, heartbeat. The leader gives every member its share.

use super::{ClientContext, Member, topic_partition};
use crate::group_message::{GroupQuestion, TOPIC};
use bytes::Bytes;
use ottla_core::group::classic::{JoinReply, SyncReply};
use ottla_types::ErrorCode;
use std::sync::Arc;

/// Where a member stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stage {
    /// It must join.
    Out,
    /// It joined; the leader has everybody's partitions here, and knows how many there are in all.
    Joined(Vec<(Arc<str>, Bytes)>, usize),
    /// It has its partitions; the leader knows how many there are in all.
    Stable(Option<usize>),
}

impl Member {
    pub(super) fn classic_question(&mut self) -> GroupQuestion {
        let count = self.routes.topic(TOPIC).map_or(0, |topic| topic.partitions.len());
        match &self.classic {
            // There are more partitions than the leader has shared out.
            Stage::Stable(Some(shared)) if *shared < count => {
                self.classic = Stage::Out;
                GroupQuestion::Join
            }
            Stage::Out => GroupQuestion::Join,
            Stage::Joined(assignments, _) => GroupQuestion::Sync(assignments.clone()),
            Stage::Stable(_) => GroupQuestion::Heartbeat,
        }
    }

    pub(super) fn joined(&mut self, cx: &mut ClientContext<'_>, _sent_us: u64, reply: JoinReply) {
        self.claim.member = Arc::clone(&reply.member_id);
        if reply.error != ErrorCode::None {
            self.next_beat_us = cx.now_us + 50_000;
            if reply.error == ErrorCode::MemberIdRequired {
                self.next_beat_us = cx.now_us;
                return;
            }
            return self.failed(cx, super::Purpose::Coordinate(0), Some(reply.error));
        }
        self.give_up_all(cx);
        self.claim.epoch = reply.generation_id;
        let members: Vec<Arc<str>> =
            reply.members.iter().map(|member| Arc::clone(&member.member_id)).collect();
        let count = self.routes.topic(TOPIC).map_or(0, |topic| topic.partitions.len());
        self.classic = Stage::Joined(shares(&members, count), count);
        self.next_beat_us = cx.now_us;
    }

    pub(super) fn synced(&mut self, cx: &mut ClientContext<'_>, sent_us: u64, reply: &SyncReply) {
        if reply.error != ErrorCode::None {
            return self.failed(cx, super::Purpose::Coordinate(0), Some(reply.error));
        }
        let shared = match &self.classic {
            Stage::Joined(assignments, count) if !assignments.is_empty() => Some(*count),
            _ => None,
        };
        self.classic = Stage::Stable(shared);
        let partitions = read_share(&reply.assignment);
        debug_assert!(topic_partition(&self.routes, 0).is_some(), "a member knows the topic before it joins");
        self.own(cx, sent_us, &partitions);
        self.heard(cx, sent_us);
    }
}

/// Every member's partitions, one after the other; none where there are no members, as for those that do not lead.
fn shares(members: &[Arc<str>], partitions: usize) -> Vec<(Arc<str>, Bytes)> {
    let share = |index: usize| {
        let own = (index..partitions).step_by(members.len());
        own.flat_map(|partition| i32::try_from(partition).unwrap_or(0).to_be_bytes()).collect::<Bytes>()
    };
    members.iter().enumerate().map(|(index, member)| (Arc::clone(member), share(index))).collect()
}

fn read_share(bytes: &Bytes) -> Vec<i32> {
    let whole = bytes.chunks_exact(4);
    whole.filter_map(|bytes| bytes.try_into().ok().map(i32::from_be_bytes)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_partition_goes_to_one_member() {
        let members = [Arc::from("a"), Arc::from("b")];
        let shares = shares(&members, 5);
        assert_eq!(read_share(&shares[0].1), [0, 2, 4]);
        assert_eq!(read_share(&shares[1].1), [1, 3]);
        assert!(super::shares(&[], 5).is_empty());
    }
}
