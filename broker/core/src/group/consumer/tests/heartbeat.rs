use super::{beat, group, harness, refused, two_members};
use crate::group::consumer::{LEAVE_EPOCH, LEAVE_STATIC_EPOCH, State};
use crate::group::harness::{Beat, Harness, beats, joins, partitions};
use ottla_types::ErrorCode;

#[test]
fn the_first_member_gets_everything_at_once() {
    let mut harness = harness();
    let reply = beat(&mut harness, &joins("a", &["topic"]));
    assert_eq!((reply.member_epoch, reply.heartbeat_interval_ms), (1, 5_000));
    assert_eq!(reply.assignment, Some(partitions(&[("topic", &[0, 1, 2, 3, 4, 5])])));
    let reply = beat(&mut harness, &beats("a", 1));
    assert_eq!(reply.assignment, None, "nothing changed");
    assert_eq!(group(&harness).state(), State::Stable);
}

#[test]
fn a_second_member_waits_until_the_first_gave_up() {
    let mut harness = harness();
    two_members(&mut harness);
}

#[test]
fn a_heartbeat_that_changes_nothing_writes_nothing() {
    let mut harness = harness();
    two_members(&mut harness);
    let before = harness.log.len();
    for _ in 0..3 {
        beat(&mut harness, &beats("a", 2));
        beat(&mut harness, &beats("b", 2));
    }
    assert_eq!(harness.log.len(), before);
}

#[test]
fn strangers_and_wrong_epochs_are_fenced() {
    let mut harness = harness();
    two_members(&mut harness);
    assert_eq!(refused(&mut harness, &beats("c", 1)), ErrorCode::UnknownMemberId);
    assert_eq!(refused(&mut harness, &beats("a", 3)), ErrorCode::FencedMemberEpoch);
    assert_eq!(refused(&mut harness, &beats("a", 1)), ErrorCode::FencedMemberEpoch);
    let lost = beats("a", 1).owning(&[("topic", &[])]);
    assert_eq!(beat(&mut harness, &lost).member_epoch, 2, "a lost answer is given again");
    let liar = beats("a", 1).owning(&[("topic", &[0, 1, 2, 3, 4, 5])]);
    assert_eq!(refused(&mut harness, &liar), ErrorCode::FencedMemberEpoch);
}

#[test]
fn a_member_may_join_anew_under_its_id() {
    let mut harness = harness();
    two_members(&mut harness);
    let reply = beat(&mut harness, &joins("a", &["topic"]));
    assert_eq!(reply.member_epoch, 2);
    assert_eq!(reply.assignment.map(|known| known.values().map(|p| p.len()).sum()), Some(3));
}

#[test]
fn requests_that_make_no_sense_are_refused() {
    let mut harness = harness();
    assert_eq!(refused(&mut harness, &beats("a", 5)), ErrorCode::GroupIdNotFound);
    assert_eq!(refused(&mut harness, &beats("", 5)), ErrorCode::InvalidRequest);
    assert_eq!(refused(&mut harness, &beats("a", -3)), ErrorCode::InvalidRequest);
    assert_eq!(refused(&mut harness, &beats("a", LEAVE_STATIC_EPOCH)), ErrorCode::InvalidRequest);
    assert_eq!(refused(&mut harness, &beats("a", 0)), ErrorCode::InvalidRequest);
    let owning = joins("a", &["topic"]).owning(&[("topic", &[1])]);
    assert_eq!(refused(&mut harness, &owning), ErrorCode::InvalidRequest);
    let assignor = Beat { assignor: Some("mine"), ..joins("a", &["topic"]) };
    assert_eq!(refused(&mut harness, &assignor), ErrorCode::UnsupportedAssignor);
}

#[test]
fn a_full_group_refuses_newcomers() {
    let mut harness = Harness::new(|settings| settings.group_consumer_max_size = 1);
    harness.topics.set("topic", 2);
    beat(&mut harness, &joins("a", &["topic"]));
    assert_eq!(refused(&mut harness, &joins("b", &["topic"])), ErrorCode::GroupMaxSizeReached);
    beat(&mut harness, &joins("a", &["topic"]));
}

#[test]
fn who_leaves_frees_its_partitions_for_the_others() {
    let mut harness = harness();
    two_members(&mut harness);
    beat(&mut harness, &beats("b", LEAVE_EPOCH));
    assert_eq!(group(&harness).members().len(), 1);
    let a = beat(&mut harness, &beats("a", 2));
    assert_eq!((a.member_epoch, a.assignment), (3, Some(partitions(&[("topic", &[0, 1, 2, 3, 4, 5])]))));
    assert_eq!(refused(&mut harness, &beats("b", LEAVE_EPOCH)), ErrorCode::UnknownMemberId);
}

#[test]
fn a_static_member_that_comes_back_has_its_partitions_without_a_rebalance() {
    let mut harness = harness();
    beat(&mut harness, &joins("a1", &["topic"]).instance("a"));
    beat(&mut harness, &beats("a1", LEAVE_STATIC_EPOCH).instance("a"));
    let epoch = group(&harness).epoch();
    let back = beat(&mut harness, &joins("a2", &["topic"]).instance("a"));
    assert_eq!(back.assignment, Some(partitions(&[("topic", &[0, 1, 2, 3, 4, 5])])));
    assert_eq!((group(&harness).epoch(), back.member_epoch), (epoch, 1));
    assert_eq!(refused(&mut harness, &beats("a1", 1).instance("a")), ErrorCode::FencedInstanceId);
    harness.reload();
    beat(&mut harness, &beats("a2", 1).instance("a"));
    group(&harness).assert_consistent();
}

#[test]
fn a_static_name_in_use_is_not_given_to_another() {
    let mut harness = harness();
    beat(&mut harness, &joins("a1", &["topic"]).instance("a"));
    assert_eq!(
        refused(&mut harness, &joins("a2", &["topic"]).instance("a")),
        ErrorCode::UnreleasedInstanceId
    );
    assert_eq!(refused(&mut harness, &beats("a2", 1).instance("b")), ErrorCode::UnknownMemberId);
}

#[test]
fn all_of_it_survives_a_reload() {
    let mut harness = harness();
    two_members(&mut harness);
    let before = harness.shard.describe_consumer_group("g").unwrap();
    harness.reload();
    assert_eq!(harness.shard.describe_consumer_group("g").unwrap(), before);
    let log = harness.log.len();
    beat(&mut harness, &beats("a", 2));
    beat(&mut harness, &beats("b", 2));
    assert_eq!(harness.log.len(), log, "members go on as if nothing had happened");
}

#[test]
fn commits_need_the_epoch_or_partitions_held_since_it() {
    let mut harness = harness();
    two_members(&mut harness);
    let owned: Vec<i32> = {
        let a = &group(&harness).members()["a"];
        a.assigned.values().flat_map(|known| known.keys().copied()).collect()
    };
    let of_a = owned[0];
    let of_b = (0..6).find(|partition| !owned.contains(partition)).unwrap();
    let from = |member_id, generation_id_or_member_epoch| crate::group::offsets::Committer {
        member_id,
        group_instance_id: None,
        generation_id_or_member_epoch,
        transactional: false,
        knows_member_epochs: true,
    };
    let none = ottla_types::ProducerId::NONE;
    let mut commit =
        |member, epoch, partition| harness.commit_as("g", from(member, epoch), ("topic", partition, 5), none);
    assert_eq!(commit("a", 2, of_a), ErrorCode::None);
    assert_eq!(commit("a", 1, of_a), ErrorCode::None, "it has had it since epoch 1");
    assert_eq!(commit("a", 1, of_b), ErrorCode::StaleMemberEpoch, "it gave that one up");
    assert_eq!(commit("a", 3, of_a), ErrorCode::StaleMemberEpoch);
    assert_eq!(commit("b", 1, of_b), ErrorCode::StaleMemberEpoch);
    assert_eq!(commit("c", 2, of_a), ErrorCode::UnknownMemberId);
    assert_eq!(commit("", -1, of_a), ErrorCode::UnknownMemberId);
}

#[test]
fn an_append_that_fails_changes_nothing() {
    let mut harness = harness();
    two_members(&mut harness);
    let before = harness.shard.describe_consumer_group("g").unwrap();
    harness.broken = Some(ErrorCode::NotEnoughReplicas);
    harness.beat(&joins("c", &["topic"])).unwrap_err();
    harness.beat(&beats("a", LEAVE_EPOCH)).unwrap_err();
    assert_eq!(harness.shard.describe_consumer_group("g").unwrap(), before);
}

#[test]
fn targets_are_not_computed_more_often_than_the_interval() {
    let mut harness = Harness::new(|settings| settings.group_consumer_assignment_interval_ms = 1_000);
    harness.topics.set("topic", 6);
    beat(&mut harness, &joins("a", &["topic"]));
    harness.pass(400);
    let b = beat(&mut harness, &joins("b", &["topic"]));
    assert_eq!((b.member_epoch, b.assignment), (1, Some(partitions(&[]))));
    assert_eq!(group(&harness).state(), State::Assigning);
    beat(&mut harness, &joins("c", &["topic"]));
    harness.pass(600);
    assert_eq!(group(&harness).state(), State::Reconciling, "one target for both newcomers");
    assert_eq!(
        beat(&mut harness, &beats("a", 1)).assignment.map(|a| a.values().map(|p| p.len()).sum()),
        Some(2)
    );
}

#[test]
fn a_deleted_group_is_gone_from_the_log() {
    let mut harness = harness();
    two_members(&mut harness);
    let verdict = harness.call(|shard, call| shard.delete_groups(call, &["g"]));
    assert_eq!(verdict, [ErrorCode::NonEmptyGroup]);
    beat(&mut harness, &beats("a", LEAVE_EPOCH));
    beat(&mut harness, &beats("b", LEAVE_EPOCH));
    let verdict = harness.call(|shard, call| shard.delete_groups(call, &["g"]));
    assert_eq!(verdict, [ErrorCode::None]);
    harness.reload();
    assert_eq!(harness.shard.list_groups(&Default::default()).unwrap(), []);
}
