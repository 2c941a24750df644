use super::{harness, ok, rejoin, stable_group, state};
use crate::group::classic::State;
use crate::group::harness::{Harness, who};
use ottla_types::ErrorCode;

#[test]
fn the_first_member_leads_and_sees_all_members() {
    let mut harness = harness();
    let reply = harness.joined(who("g", ""));
    ok(reply.error);
    assert_eq!(reply.generation_id, 1);
    assert_eq!(reply.leader, reply.member_id);
    assert_eq!(reply.protocol_name.as_deref(), Some("range"));
    assert_eq!(reply.members.len(), 1);
    assert_eq!(state(&harness), State::CompletingRebalance);
}

#[test]
fn a_new_client_must_come_back_with_its_id_before_it_counts() {
    let mut harness = harness();
    let first = harness.joined(who("g", "").with_known_id_required());
    assert_eq!(first.error, ErrorCode::MemberIdRequired);
    assert!(first.member_id.starts_with("client-"));
    assert_eq!(state(&harness), State::Empty);
    let second = harness.joined(who("g", &first.member_id).with_known_id_required());
    ok(second.error);
    assert_eq!(second.member_id, first.member_id);
}

#[test]
fn a_pending_member_that_does_not_come_back_is_forgotten() {
    let mut harness = harness();
    let first = harness.joined(who("g", "").with_known_id_required());
    harness.pass(10_000);
    let late = harness.joined(who("g", &first.member_id));
    assert_eq!(late.error, ErrorCode::UnknownMemberId);
}

#[test]
fn a_rebalance_waits_for_a_pending_member_until_its_session_ends() {
    let mut harness = harness();
    let members = stable_group(&mut harness, 1);
    harness.joined(who("g", "").with_known_id_required());
    let (token, reply) = rejoin(&mut harness, &members[0]);
    assert_eq!(reply, None, "the leader asks for a rebalance and waits");
    harness.pass(9_999);
    assert!(!harness.joins.contains_key(&token));
    harness.pass(1);
    assert_eq!(harness.joins[&token].generation_id, 2);
}

#[test]
fn an_unknown_member_of_an_unknown_group_is_told_so() {
    let mut harness = harness();
    assert_eq!(harness.joined(who("g", "stranger")).error, ErrorCode::UnknownMemberId);
    assert_eq!(harness.joined(who("", "")).error, ErrorCode::InvalidGroupId);
}

#[test]
fn a_session_timeout_out_of_bounds_is_refused() {
    let mut harness = Harness::new(|settings| settings.group_max_session_timeout_ms = 9_000);
    assert_eq!(harness.joined(who("g", "")).error, ErrorCode::InvalidSessionTimeout);
}

#[test]
fn a_member_without_a_common_protocol_is_refused() {
    let mut harness = harness();
    stable_group(&mut harness, 1);
    let refused = harness.joined(who("g", "").protocols(&["sticky"]));
    assert_eq!(refused.error, ErrorCode::InconsistentGroupProtocol);
}

#[test]
fn the_protocol_with_most_first_votes_among_the_common_ones_wins() {
    let mut harness = harness();
    let (one, _) = harness.join(who("g", "").protocols(&["range", "sticky", "mine"]));
    harness.join(who("g", "").protocols(&["sticky", "range"]));
    harness.join(who("g", "").protocols(&["sticky", "range"]));
    harness.pass(0);
    assert_eq!(harness.joins[&one].protocol_name.as_deref(), Some("sticky"));
}

#[test]
fn the_initial_delay_is_taken_again_while_members_appear_up_to_the_rebalance_timeout() {
    let mut harness = Harness::new(|settings| settings.group_initial_rebalance_delay_ms = 3_000);
    let (first, _) = harness.join(who("g", ""));
    harness.pass(2_000);
    harness.join(who("g", ""));
    harness.pass(2_000);
    assert!(!harness.joins.contains_key(&first), "someone appeared: another 3 seconds");
    harness.pass(2_000);
    assert_eq!(harness.joins[&first].generation_id, 1);
    assert_eq!(harness.joins.len(), 2);
}

#[test]
fn a_rejoining_leader_rebalances_and_a_rejoining_follower_does_not() {
    let mut harness = harness();
    let members = stable_group(&mut harness, 2);
    let (_, reply) = rejoin(&mut harness, &members[1]);
    let reply = reply.expect("a follower with nothing new is answered at once");
    assert_eq!((reply.error, reply.generation_id), (ErrorCode::None, 1));
    assert_eq!(state(&harness), State::Stable);
    let (_, reply) = rejoin(&mut harness, &members[0]);
    assert_eq!(reply, None);
    assert_eq!(state(&harness), State::PreparingRebalance);
    let follower = &members[1].member_id;
    assert_eq!(harness.heartbeat("g", follower, 1), ErrorCode::RebalanceInProgress);
}

#[test]
fn a_follower_with_other_metadata_rebalances() {
    let mut harness = harness();
    let members = stable_group(&mut harness, 2);
    let (_, reply) =
        harness.join(who("g", &members[1].member_id).metadata(bytes::Bytes::from_static(b"new")));
    assert_eq!(reply, None);
    assert_eq!(state(&harness), State::PreparingRebalance);
}

#[test]
fn a_lost_join_answer_is_given_again() {
    let mut harness = harness();
    let first = harness.joined(who("g", ""));
    let again = harness.joined(who("g", &first.member_id));
    assert_eq!(again, first);
}

#[test]
fn a_join_sent_twice_answers_the_earlier_one_too() {
    let mut harness = harness();
    let members = stable_group(&mut harness, 2);
    let (earlier, _) = rejoin(&mut harness, &members[0]);
    let (later, _) = rejoin(&mut harness, &members[0]);
    assert_eq!(harness.joins[&earlier].error, ErrorCode::RebalanceInProgress);
    rejoin(&mut harness, &members[1]);
    assert_eq!(harness.joins[&later].generation_id, 2);
}

#[test]
fn a_full_group_refuses_newcomers() {
    let mut harness = Harness::new(|settings| settings.group_max_size = 2);
    let members = stable_group(&mut harness, 2);
    assert_eq!(harness.joined(who("g", "")).error, ErrorCode::GroupMaxSizeReached);
    rejoin(&mut harness, &members[0]);
    let (_, reply) = rejoin(&mut harness, &members[1]);
    assert_eq!(reply.map(|reply| reply.generation_id), Some(2), "members come back as before");
}

#[test]
fn a_group_loaded_over_capacity_shrinks_at_its_rebalance() {
    let mut harness = harness();
    let members = stable_group(&mut harness, 3);
    harness.settings.broker.group_max_size = 2;
    harness.reload();
    assert_eq!(state(&harness), State::PreparingRebalance);
    rejoin(&mut harness, &members[0]);
    rejoin(&mut harness, &members[1]);
    let (_, reply) = rejoin(&mut harness, &members[2]);
    assert_eq!(reply.map(|reply| reply.error), Some(ErrorCode::GroupMaxSizeReached));
}

#[test]
fn a_new_group_that_cannot_be_stored_is_answered_with_the_error() {
    let mut harness = harness();
    harness.broken = Some(ErrorCode::NotEnoughReplicas);
    let (_, reply) = harness.join(who("g", ""));
    assert!(reply.is_some_and(|reply| reply.error == ErrorCode::CoordinatorNotAvailable));
}
