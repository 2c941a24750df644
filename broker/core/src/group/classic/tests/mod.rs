//! Every transition of a classic group.

mod join;
mod random;
mod static_members;
mod sync;
mod timeouts;

use super::State;
use crate::group::classic::JoinReply;
use crate::group::coordinator::tests::classic_group;
use crate::group::harness::{Harness, who};
use ottla_types::ErrorCode;

fn state(harness: &Harness) -> State {
    classic_group(&harness.shard, "g").state()
}

/// A stable group of `count` dynamic members; the leader comes first.
fn stable_group(harness: &mut Harness, count: usize) -> Vec<JoinReply> {
    let mut ids: Vec<String> = Vec::new();
    let mut tokens = Vec::new();
    for _ in 0..count {
        tokens.push(harness.join(who("g", "")).0);
    }
    harness.pass(0);
    let mut replies: Vec<JoinReply> = tokens.iter().filter_map(|token| harness.joins.remove(token)).collect();
    assert_eq!(replies.len(), count, "all joined at once within the initial delay");
    replies.sort_by_key(|reply| reply.leader != reply.member_id);
    ids.extend(replies.iter().map(|reply| reply.member_id.to_string()));
    let assignments: Vec<(&str, &[u8])> = ids.iter().map(|id| (id.as_str(), id.as_bytes())).collect();
    for reply in replies.iter().rev() {
        let leads = reply.leader == reply.member_id;
        harness.sync("g", reply, if leads { &assignments } else { &[] });
    }
    assert_eq!(state(harness), State::Stable);
    replies
}

fn harness() -> Harness {
    Harness::new(|_| {})
}

pub(super) fn rejoin(harness: &mut Harness, member: &JoinReply) -> (crate::group::Token, Option<JoinReply>) {
    harness.join(who("g", &member.member_id))
}

fn ok(error: ErrorCode) {
    assert_eq!(error, ErrorCode::None);
}
