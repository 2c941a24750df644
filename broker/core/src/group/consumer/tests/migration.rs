use super::{beat, group, harness, refused};
use crate::group::MigrationPolicy;
use crate::group::classic::{self, JoinReply};
use crate::group::consumer::{LEAVE_EPOCH, Partitions};
use crate::group::consumer_protocol::{Subscription, decode_assignment, encode_assignment};
use crate::group::coordinator::tests::{classic_group, is_consumer_group};
use crate::group::harness::{Harness, Who, beats, joins, topic_id, who};
use bytes::Bytes;
use ottla_types::ErrorCode;
use std::sync::Arc;

fn subscription(owned: &[i32]) -> Bytes {
    let owned_partitions = vec![(Arc::from("topic"), owned.to_vec())];
    let topics = vec![Arc::from("topic")];
    Subscription { version: 3, topics, owned_partitions, generation_id: -1, ..Subscription::default() }
        .encode()
}

fn classic<'a>(member: &'a str, owned: &[i32]) -> Who<'a> {
    who("g", member).metadata(subscription(owned))
}

fn part(partitions: &[i32]) -> Bytes {
    encode_assignment(3, &[(Arc::from("topic"), partitions.to_vec())])
}

/// A stable classic group of one member, which has all six partitions.
fn one_classic(harness: &mut Harness) -> JoinReply {
    let member = harness.joined(classic("", &[]));
    harness.sync("g", &member, &[(&member.member_id, &part(&[0, 1, 2, 3, 4, 5]))]);
    member
}

fn owned(harness: &Harness, member: &str) -> Vec<i32> {
    let member = &group(harness).members()[member];
    member.assigned.get(&topic_id("topic")).map(|known| known.keys().copied().collect()).unwrap_or_default()
}

fn synced(harness: &mut Harness, member: &JoinReply) -> Vec<i32> {
    let (_, reply) = harness.sync("g", member, &[]);
    let reply = reply.expect("a consumer group answers at once");
    assert_eq!(reply.error, ErrorCode::None);
    let (assignment, _) = decode_assignment(&reply.assignment).unwrap();
    assignment.into_iter().flat_map(|(_, partitions)| partitions).collect()
}

#[test]
fn a_classic_group_becomes_a_consumer_group_with_its_first_consumer_member() {
    let mut harness = harness();
    let old = one_classic(&mut harness);
    harness.commit("g", &old.member_id, 1, 5);
    let new = beat(&mut harness, &joins("new", &["topic"]));
    assert_eq!(new.assignment, Some(Partitions::new()), "the classic member still holds everything");
    assert!(is_consumer_group(&harness.shard, "g"));
    assert_eq!(harness.committed("g"), 5);
    // The classic member is told to rejoin, gives three up, and goes on.
    assert_eq!(harness.heartbeat("g", &old.member_id, 1), ErrorCode::RebalanceInProgress);
    let again = harness.joined(classic(&old.member_id, &[0, 1, 2, 3, 4, 5]));
    assert_eq!(again.error, ErrorCode::None);
    let kept = synced(&mut harness, &again);
    assert_eq!(kept.len(), 3);
    assert_eq!(harness.heartbeat("g", &old.member_id, again.generation_id), ErrorCode::RebalanceInProgress);
    let again = harness.joined(classic(&old.member_id, &kept));
    assert_eq!(synced(&mut harness, &again), kept);
    assert_eq!(harness.heartbeat("g", &old.member_id, again.generation_id), ErrorCode::None);
    let new = beat(&mut harness, &beats("new", new.member_epoch));
    assert_eq!(new.assignment.unwrap()[&topic_id("topic")].len(), 3);
    group(&harness).assert_consistent();
    let before = harness.shard.describe_consumer_group("g").unwrap();
    harness.reload();
    assert_eq!(harness.shard.describe_consumer_group("g").unwrap(), before);
    assert_eq!(harness.commit("g", &old.member_id, again.generation_id, 6), ErrorCode::None);
}

#[test]
fn the_last_consumer_member_to_leave_makes_it_a_classic_group_again() {
    let mut harness = harness();
    let old = one_classic(&mut harness);
    beat(&mut harness, &joins("new", &["topic"]));
    beat(&mut harness, &beats("new", LEAVE_EPOCH));
    assert!(!is_consumer_group(&harness.shard, "g"));
    assert_eq!(classic_group(&harness.shard, "g").state(), classic::State::PreparingRebalance);
    let generation = classic_group(&harness.shard, "g").generation_id();
    assert_eq!(harness.heartbeat("g", &old.member_id, generation), ErrorCode::RebalanceInProgress);
    let again = harness.joined(classic(&old.member_id, &[]));
    assert_eq!((again.error, &again.leader), (ErrorCode::None, &old.member_id));
    harness.reload();
    assert_eq!(classic_group(&harness.shard, "g").members().len(), 1);
}

#[test]
fn a_downgrade_that_cannot_be_stored_does_not_happen() {
    let mut harness = harness();
    let old = one_classic(&mut harness);
    beat(&mut harness, &joins("new", &["topic"]));
    harness.broken = Some(ErrorCode::NotEnoughReplicas);
    harness.beat(&beats("new", LEAVE_EPOCH)).unwrap_err();
    assert!(is_consumer_group(&harness.shard, "g"));
    harness.broken = None;
    for _ in 0..10 {
        harness.heartbeat("g", &old.member_id, 1);
        harness.pass(5_000);
    }
    assert!(!is_consumer_group(&harness.shard, "g"), "its session ended instead");
}

#[test]
fn the_policy_decides_which_way_is_open() {
    let mut harness = harness();
    harness.settings.broker.group_consumer_migration_policy = MigrationPolicy::Downgrade;
    harness.shard.set_settings(harness.settings.clone().into());
    one_classic(&mut harness);
    assert_eq!(refused(&mut harness, &joins("new", &["topic"])), ErrorCode::GroupIdNotFound);
    harness.settings.broker.group_consumer_migration_policy = MigrationPolicy::Upgrade;
    harness.shard.set_settings(harness.settings.clone().into());
    beat(&mut harness, &joins("new", &["topic"]));
    beat(&mut harness, &beats("new", LEAVE_EPOCH));
    assert!(is_consumer_group(&harness.shard, "g"), "no way back");
}

#[test]
fn waiting_classic_requests_are_answered_when_the_group_moves() {
    let mut harness = harness();
    one_classic(&mut harness);
    let (waiting, reply) = harness.join(classic("", &[]));
    assert_eq!(reply, None);
    beat(&mut harness, &joins("new", &["topic"]));
    assert_eq!(harness.joins[&waiting].error, ErrorCode::RebalanceInProgress);
    harness.pass(0);
    group(&harness).assert_consistent();
}

#[test]
fn a_classic_client_may_join_a_consumer_group() {
    let mut harness = harness();
    beat(&mut harness, &joins("new", &["topic"]));
    let first = harness.joined(classic("", &[]).with_known_id_required());
    assert_eq!(first.error, ErrorCode::MemberIdRequired);
    let joined = harness.joined(classic(&first.member_id, &[]).with_known_id_required());
    assert_eq!((joined.error, &*joined.leader), (ErrorCode::None, ""));
    assert_eq!(synced(&mut harness, &joined), Vec::<i32>::new());
    let kept = beat(&mut harness, &beats("new", 1)).assignment.unwrap();
    let told = crate::group::harness::Beat { owned: Some(kept), ..beats("new", 1) };
    beat(&mut harness, &told);
    assert_eq!(
        harness.heartbeat("g", &joined.member_id, joined.generation_id),
        ErrorCode::RebalanceInProgress
    );
    let again = harness.joined(classic(&joined.member_id, &[]));
    assert_eq!(synced(&mut harness, &again).len(), 3);
    assert_eq!(owned(&harness, &again.member_id).len(), 3);
    let left = harness.leave("g", &[(&again.member_id, None), ("new", None)]);
    assert_eq!((left[0].error, left[1].error), (ErrorCode::None, ErrorCode::UnknownMemberId));
    group(&harness).assert_consistent();
}

#[test]
fn a_classic_client_with_another_protocol_type_is_refused() {
    let mut harness = harness();
    beat(&mut harness, &joins("new", &["topic"]));
    assert_eq!(
        harness.joined(who("g", "").metadata(Bytes::new())).error,
        ErrorCode::InconsistentGroupProtocol
    );
}

#[test]
fn a_classic_member_that_does_not_rejoin_in_time_is_out() {
    let mut harness = harness();
    let old = one_classic(&mut harness);
    let mut epoch = beat(&mut harness, &joins("new", &["topic"])).member_epoch;
    for _ in 0..12 {
        assert_eq!(harness.heartbeat("g", &old.member_id, 1), ErrorCode::RebalanceInProgress);
        epoch = beat(&mut harness, &beats("new", epoch)).member_epoch;
        harness.pass(5_000);
    }
    assert_eq!(harness.heartbeat("g", &old.member_id, 1), ErrorCode::UnknownMemberId);
}

#[test]
fn a_restarted_static_consumer_that_went_back_to_classic_takes_its_place() {
    let mut harness = harness();
    beat(&mut harness, &joins("new", &["topic"]).instance("a"));
    let back = harness.joined(classic("", &[]).instance("a"));
    assert_eq!(back.error, ErrorCode::None);
    assert!(!is_consumer_group(&harness.shard, "g"), "nobody speaks the consumer protocol any more");
    let generation = classic_group(&harness.shard, "g").generation_id();
    assert_eq!(back.generation_id, generation);
    let (_, reply) = harness.sync("g", &back, &[]);
    let (assignment, _) = decode_assignment(&reply.unwrap().assignment).unwrap();
    assert_eq!(assignment[0].1.len(), 6);
}

#[test]
fn an_empty_group_changes_its_protocol_freely() {
    let mut harness = harness();
    let old = one_classic(&mut harness);
    harness.leave("g", &[(&old.member_id, None)]);
    beat(&mut harness, &joins("new", &["topic"]));
    assert!(is_consumer_group(&harness.shard, "g"));
    beat(&mut harness, &beats("new", LEAVE_EPOCH));
    assert!(is_consumer_group(&harness.shard, "g"));
    let joined = harness.joined(classic("", &[]));
    assert_eq!(joined.error, ErrorCode::None);
    harness.sync("g", &joined, &[]);
    harness.reload();
    assert_eq!(classic_group(&harness.shard, "g").members().len(), 1);
}
