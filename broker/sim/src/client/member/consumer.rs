//! The consumer protocol (KIP-848): heartbeats say what a member owns, and bring what it is to own.

use super::{ClientContext, Member};
use crate::group_message::GroupQuestion;
use ottla_core::group::consumer::HeartbeatReply;

impl Member {
    pub(super) fn consumer_question(&mut self) -> GroupQuestion {
        // A member that joins owns nothing.
        let owned = if self.claim.epoch == 0 { Vec::new() } else { self.owned.keys().copied().collect() };
        GroupQuestion::ConsumerHeartbeat(self.says_all.then(|| owned.into_iter().collect()))
    }

    pub(super) fn beaten(&mut self, cx: &mut ClientContext<'_>, sent_us: u64, reply: HeartbeatReply) {
        self.claim.epoch = reply.member_epoch;
        self.claim.member = reply.member_id;
        self.says_all = false;
        let mut soon = false;
        if let Some(assignment) = reply.assignment {
            let partitions: Vec<i32> = assignment.into_values().flatten().collect();
            let gives_up = self.owned.keys().any(|owned| !partitions.contains(owned));
            let is_new = gives_up || partitions.iter().any(|told| !self.owned.contains_key(told));
            if is_new {
                self.own(cx, sent_us, &partitions);
            }
            // The coordinator waits to hear that they are given up.
            (self.says_all, soon) = (is_new, gives_up);
        }
        self.heard(cx, sent_us);
        if soon {
            self.next_beat_us = cx.now_us;
        }
    }
}
