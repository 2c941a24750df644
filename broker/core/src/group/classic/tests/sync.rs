use super::{harness, ok, rejoin, stable_group, state};
use crate::group::classic::State;
use crate::group::harness::who;
use ottla_types::ErrorCode;

#[test]
fn everyone_gets_the_part_that_the_leader_gave() {
    let mut harness = harness();
    let members = stable_group(&mut harness, 3);
    for member in &members {
        let (_, reply) = harness.sync("g", member, &[]);
        let reply = reply.expect("a stable group answers at once");
        ok(reply.error);
        assert_eq!(reply.assignment, member.member_id.as_bytes());
        assert_eq!(reply.protocol_name.as_deref(), Some("range"));
    }
}

#[test]
fn followers_wait_until_the_assignment_is_stored() {
    let mut harness = harness();
    let tokens = [harness.join(who("g", "")).0, harness.join(who("g", "")).0];
    harness.pass(0);
    let mut members: Vec<_> = tokens.iter().map(|token| harness.joins[token].clone()).collect();
    members.sort_by_key(|reply| reply.leader != reply.member_id);
    let (follower, reply) = harness.sync("g", &members[1], &[]);
    assert_eq!(reply, None);
    harness.lagging = true;
    let (leader, reply) = harness.sync("g", &members[0], &[(&members[1].member_id, b"part")]);
    assert_eq!(reply, None);
    assert_eq!(state(&harness), State::CompletingRebalance);
    assert_eq!(harness.commit("g", &members[0].member_id, 1, 5), ErrorCode::RebalanceInProgress);
    let append = harness.unstored.remove(0);
    harness.stored(append, Ok(()));
    assert_eq!(harness.syncs[&follower].assignment, &b"part"[..]);
    assert_eq!(harness.syncs[&leader].assignment, &b""[..], "nothing was said for the leader");
    assert_eq!(state(&harness), State::Stable);
}

#[test]
fn an_assignment_that_cannot_be_stored_starts_over() {
    let mut harness = harness();
    let members = stable_group(&mut harness, 2);
    rejoin(&mut harness, &members[0]);
    let (_, follower) = rejoin(&mut harness, &members[1]);
    let leader = harness.joins.values().next_back().cloned().unwrap();
    let (waiting, _) = harness.sync("g", &follower.unwrap(), &[]);
    harness.broken = Some(ErrorCode::NotLeaderOrFollower);
    harness.sync("g", &leader, &[]);
    assert_eq!(harness.syncs[&waiting].error, ErrorCode::NotCoordinator);
    assert_eq!(state(&harness), State::PreparingRebalance);
}

#[test]
fn an_assignment_stored_too_late_is_ignored() {
    let mut harness = harness();
    let first = harness.joined(who("g", ""));
    harness.lagging = true;
    let (waiting, _) = harness.sync("g", &first, &[(&first.member_id, b"old")]);
    harness.join(who("g", ""));
    assert_eq!(harness.syncs[&waiting].error, ErrorCode::RebalanceInProgress);
    let append = harness.unstored.remove(0);
    harness.stored(append, Ok(()));
    assert_eq!(state(&harness), State::PreparingRebalance);
}

#[test]
fn strangers_old_generations_and_other_protocols_are_refused() {
    let mut harness = harness();
    let member = stable_group(&mut harness, 1).remove(0);
    let mut wrong = member.clone();
    wrong.generation_id = 0;
    assert_eq!(harness.sync("g", &wrong, &[]).1.unwrap().error, ErrorCode::IllegalGeneration);
    wrong = member.clone();
    wrong.member_id = "stranger".into();
    assert_eq!(harness.sync("g", &wrong, &[]).1.unwrap().error, ErrorCode::UnknownMemberId);
    wrong = member.clone();
    wrong.protocol_name = Some("sticky".into());
    assert_eq!(harness.sync("g", &wrong, &[]).1.unwrap().error, ErrorCode::InconsistentGroupProtocol);
    assert_eq!(harness.sync("other", &member, &[]).1.unwrap().error, ErrorCode::UnknownMemberId);
}

#[test]
fn a_sync_during_a_rebalance_asks_to_rejoin() {
    let mut harness = harness();
    let members = stable_group(&mut harness, 2);
    rejoin(&mut harness, &members[0]);
    let (_, reply) = harness.sync("g", &members[1], &[]);
    assert_eq!(reply.unwrap().error, ErrorCode::RebalanceInProgress);
}

#[test]
fn members_go_on_after_the_coordinator_moves() {
    let mut harness = harness();
    let members = stable_group(&mut harness, 2);
    harness.reload();
    assert_eq!(state(&harness), State::Stable);
    for member in &members {
        ok(harness.heartbeat("g", &member.member_id, 1));
        let (_, reply) = harness.sync("g", member, &[]);
        assert_eq!(reply.unwrap().assignment, member.member_id.as_bytes());
    }
}

#[test]
fn whoever_waits_when_the_coordinator_moves_is_told_to_look_for_it() {
    let mut harness = harness();
    let members = stable_group(&mut harness, 2);
    let (token, _) = rejoin(&mut harness, &members[0]);
    harness.reload();
    assert_eq!(harness.joins[&token].error, ErrorCode::NotCoordinator);
    assert_eq!(state(&harness), State::Stable, "the unfinished rebalance is forgotten");
}
