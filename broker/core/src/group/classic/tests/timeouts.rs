use super::{harness, ok, rejoin, stable_group, state};
use crate::group::classic::State;
use crate::group::harness::who;
use ottla_types::ErrorCode;

#[test]
fn a_silent_member_is_out_after_its_session() {
    let mut harness = harness();
    let members = stable_group(&mut harness, 2);
    harness.pass(6_000);
    ok(harness.heartbeat("g", &members[0].member_id, 1));
    harness.pass(4_000);
    assert_eq!(harness.heartbeat("g", &members[1].member_id, 1), ErrorCode::UnknownMemberId);
    assert_eq!(harness.heartbeat("g", &members[0].member_id, 1), ErrorCode::RebalanceInProgress);
    let (_, reply) = rejoin(&mut harness, &members[0]);
    assert_eq!(reply.unwrap().members.len(), 1);
}

#[test]
fn a_leader_that_dies_before_it_assigns_is_replaced() {
    let mut harness = harness();
    let tokens = [harness.join(who("g", "")).0, harness.join(who("g", "")).0];
    harness.pass(0);
    let members: Vec<_> = tokens.iter().map(|token| harness.joins[token].clone()).collect();
    let follower = members.iter().find(|reply| reply.leader != reply.member_id).unwrap();
    let (waiting, _) = harness.sync("g", follower, &[]);
    harness.pass(10_000);
    assert_eq!(harness.syncs[&waiting].error, ErrorCode::RebalanceInProgress);
    let (_, reply) = rejoin(&mut harness, follower);
    let reply = reply.unwrap();
    assert_eq!((reply.generation_id, &reply.leader), (2, &follower.member_id));
    harness.sync("g", &reply, &[]);
    assert_eq!(state(&harness), State::Stable);
}

#[test]
fn members_that_never_sync_are_out_after_the_rebalance_timeout() {
    let mut harness = harness();
    let tokens = [harness.join(who("g", "")).0, harness.join(who("g", "")).0];
    harness.pass(0);
    let members: Vec<_> = tokens.iter().map(|token| harness.joins[token].clone()).collect();
    let leader = members.iter().find(|reply| reply.leader == reply.member_id).unwrap();
    let lazy = members.iter().find(|reply| reply.leader != reply.member_id).unwrap();
    harness.sync("g", leader, &[]);
    assert_eq!(state(&harness), State::Stable);
    for _ in 0..12 {
        harness.heartbeat("g", &leader.member_id, 1);
        harness.heartbeat("g", &lazy.member_id, 1);
        harness.pass(5_000);
    }
    assert_eq!(state(&harness), State::PreparingRebalance);
    assert_eq!(harness.heartbeat("g", &lazy.member_id, 1), ErrorCode::UnknownMemberId);
}

#[test]
fn a_member_that_does_not_rejoin_in_time_is_out_and_the_leader_is_chosen_anew() {
    let mut harness = harness();
    let members = stable_group(&mut harness, 2);
    let (token, _) = harness.join(who("g", ""));
    let (follower, _) = rejoin(&mut harness, &members[1]);
    for _ in 0..12 {
        harness.heartbeat("g", &members[0].member_id, 1);
        harness.pass(5_000);
    }
    let new = &harness.joins[&token];
    assert_eq!(new.generation_id, 2);
    assert_ne!(new.leader, members[0].member_id);
    assert_eq!(harness.joins[&follower].leader, new.leader);
    assert_eq!(harness.heartbeat("g", &members[0].member_id, 1), ErrorCode::UnknownMemberId);
}

#[test]
fn a_group_whose_members_all_died_is_empty_and_keeps_its_generation_over_a_reload() {
    let mut harness = harness();
    stable_group(&mut harness, 2);
    harness.pass(10_000);
    assert_eq!(state(&harness), State::Empty);
    harness.reload();
    assert_eq!(state(&harness), State::Empty);
    let reply = harness.joined(who("g", ""));
    assert_eq!(reply.generation_id, 3);
}

#[test]
fn the_last_member_to_leave_empties_the_group() {
    let mut harness = harness();
    let members = stable_group(&mut harness, 2);
    ok(harness.leave("g", &[(&members[0].member_id, None)])[0].error);
    assert_eq!(state(&harness), State::PreparingRebalance);
    ok(harness.leave("g", &[(&members[1].member_id, None)])[0].error);
    assert_eq!(state(&harness), State::Empty);
    assert_eq!(harness.leave("g", &[(&members[1].member_id, None)])[0].error, ErrorCode::UnknownMemberId);
    assert_eq!(harness.leave("nothing", &[("m", None)])[0].error, ErrorCode::UnknownMemberId);
}

#[test]
fn a_leave_of_the_last_missing_member_completes_the_rebalance() {
    let mut harness = harness();
    let members = stable_group(&mut harness, 2);
    let (token, _) = rejoin(&mut harness, &members[0]);
    harness.leave("g", &[(&members[1].member_id, None)]);
    assert_eq!(harness.joins[&token].generation_id, 2);
}

#[test]
fn waiting_for_the_group_is_as_good_as_a_heartbeat_but_not_for_a_newcomer() {
    let mut harness = harness();
    let members = stable_group(&mut harness, 2);
    let (old, _) = rejoin(&mut harness, &members[0]);
    for _ in 0..5 {
        harness.heartbeat("g", &members[1].member_id, 1);
        harness.pass(5_000);
    }
    assert!(!harness.joins.contains_key(&old), "still waiting, still a member");
    rejoin(&mut harness, &members[1]);
    assert_eq!(harness.joins[&old].members.len(), 2);
}
