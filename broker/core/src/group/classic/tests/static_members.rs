use super::{harness, ok, state};
use crate::group::classic::{JoinReply, State};
use crate::group::harness::{Harness, who};
use ottla_types::ErrorCode;

/// A stable group of two static members, the leader first.
fn static_group(harness: &mut Harness) -> Vec<JoinReply> {
    let tokens = [harness.join(who("g", "").instance("a")).0, harness.join(who("g", "").instance("b")).0];
    harness.pass(0);
    let mut members: Vec<_> = tokens.iter().map(|token| harness.joins[token].clone()).collect();
    members.sort_by_key(|reply| reply.leader != reply.member_id);
    harness.sync("g", &members[1], &[]);
    harness.sync("g", &members[0], &[(&members[0].member_id, b"a"), (&members[1].member_id, b"b")]);
    assert_eq!(state(harness), State::Stable);
    members
}

fn name(member: &JoinReply) -> String {
    member.member_id.split('-').next().unwrap().to_owned()
}

#[test]
fn a_restarted_follower_gets_its_assignment_back_without_a_rebalance() {
    let mut harness = harness();
    let members = static_group(&mut harness);
    let back = harness.joined(who("g", "").instance(&name(&members[1])));
    ok(back.error);
    assert_eq!(back.generation_id, 1);
    assert_ne!(back.member_id, members[1].member_id);
    assert_eq!(back.leader, members[0].member_id);
    let (_, sync) = harness.sync("g", &back, &[]);
    assert_eq!(sync.unwrap().assignment, &b"b"[..]);
    assert_eq!(state(&harness), State::Stable);
    harness.reload();
    ok(harness.heartbeat("g", &back.member_id, 1));
}

#[test]
fn a_restarted_leader_is_told_to_skip_the_assignment() {
    let mut harness = harness();
    let members = static_group(&mut harness);
    let back = harness.joined(who("g", "").instance(&name(&members[0])));
    ok(back.error);
    assert!(back.skip_assignment);
    assert_eq!(back.leader, back.member_id);
    assert_eq!(back.members.len(), 2);
    assert_eq!(state(&harness), State::Stable);
}

#[test]
fn the_member_that_was_replaced_is_fenced() {
    let mut harness = harness();
    let members = static_group(&mut harness);
    let instance = name(&members[1]);
    harness.joined(who("g", "").instance(&instance));
    let again = harness.joined(who("g", &members[1].member_id).instance(&instance));
    assert_eq!(again.error, ErrorCode::FencedInstanceId);
    assert_eq!(harness.heartbeat("g", &members[1].member_id, 1), ErrorCode::UnknownMemberId);
}

#[test]
fn a_replacement_that_cannot_be_stored_is_undone() {
    let mut harness = harness();
    let members = static_group(&mut harness);
    harness.broken = Some(ErrorCode::NotEnoughReplicas);
    let (token, reply) = harness.join(who("g", "").instance(&name(&members[1])));
    let refused = harness.joins.remove(&token).or(reply);
    assert!(refused.is_some_and(|reply| reply.error != ErrorCode::None));
    harness.broken = None;
    ok(harness.heartbeat("g", &members[1].member_id, 1));
    let (_, sync) = harness.sync("g", &members[1], &[]);
    assert_eq!(sync.unwrap().assignment, &b"b"[..]);
}

#[test]
fn a_restart_that_changes_the_protocol_rebalances() {
    let mut harness = harness();
    let tokens: Vec<_> = ["a", "b"]
        .map(|instance| harness.join(who("g", "").instance(instance).protocols(&["range", "sticky"])).0)
        .to_vec();
    harness.pass(0);
    let leader =
        tokens.iter().map(|token| harness.joins[token].clone()).find(|r| r.leader == r.member_id).unwrap();
    harness.sync("g", &leader, &[]);
    assert_eq!(state(&harness), State::Stable);
    let (_, reply) = harness.join(who("g", "").instance(&name(&leader)).protocols(&["sticky"]));
    assert_eq!(reply, None);
    assert_eq!(state(&harness), State::PreparingRebalance);
}

#[test]
fn an_absent_static_member_keeps_its_place_until_its_session_ends() {
    let mut harness = harness();
    let members = static_group(&mut harness);
    let (token, _) = harness.join(who("g", &members[0].member_id).instance(&name(&members[0])));
    assert!(!harness.joins.contains_key(&token), "the leader waits for the other");
    harness.pass(10_000);
    assert_eq!(harness.joins[&token].generation_id, 2);
    assert_eq!(harness.joins[&token].members.len(), 1, "its session ended");
}

#[test]
fn an_administrator_removes_a_static_member_by_its_name() {
    let mut harness = harness();
    let members = static_group(&mut harness);
    let instance = name(&members[1]);
    let left = harness.leave("g", &[("", Some(&instance)), ("", Some("nobody")), ("wrong", Some(&instance))]);
    ok(left[0].error);
    assert_eq!(left[1].error, ErrorCode::UnknownMemberId);
    assert_eq!(left[2].error, ErrorCode::UnknownMemberId);
    assert_eq!(state(&harness), State::PreparingRebalance);
}

#[test]
fn a_static_leave_under_an_old_id_is_fenced() {
    let mut harness = harness();
    let members = static_group(&mut harness);
    let left = harness.leave("g", &[("other-id", Some(&name(&members[1])))]);
    assert_eq!(left[0].error, ErrorCode::FencedInstanceId);
    assert_eq!(state(&harness), State::Stable);
}
