//! Commits, fetches, deletions and expiry.

use super::{CommitPartition, CommitRequest, CommitTopic, Committer, DeleteRequest, FetchGroup, FetchTopic};
use crate::group::coordinator::ListFilter;
use crate::group::harness::{Harness, who};
use ottla_types::{ErrorCode, ProducerId, TopicId, Uuid};
use std::collections::BTreeMap;

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

fn harness() -> Harness {
    Harness::new(|_| {})
}

fn anonymous() -> Committer<'static> {
    Committer {
        member_id: "",
        group_instance_id: None,
        generation_id_or_member_epoch: -1,
        transactional: false,
        knows_member_epochs: true,
    }
}

fn groups(harness: &Harness) -> usize {
    harness.shard.list_groups(&ListFilter::default()).unwrap().len()
}

fn fetch(harness: &Harness, group: &str, require_stable: bool) -> (i64, ErrorCode) {
    let topics = Some(vec![FetchTopic { name: "topic", partitions: vec![0] }]);
    let request = FetchGroup { group_id: group, member_id: None, member_epoch: -1, topics, require_stable };
    let partition = harness.shard.fetch_offsets(&request).unwrap().remove(0).partitions.remove(0);
    (partition.offset, partition.error)
}

#[test]
fn a_commit_without_membership_makes_a_group() {
    let mut harness = harness();
    assert_eq!(harness.commit("simple", "", -1, 42), ErrorCode::None);
    assert_eq!(harness.committed("simple"), 42);
    harness.reload();
    assert_eq!(harness.committed("simple"), 42);
    let listed = harness.shard.list_groups(&ListFilter::default()).unwrap();
    assert_eq!((&*listed[0].group_id, listed[0].state, &*listed[0].protocol_type), ("simple", "Empty", ""));
}

#[test]
fn what_was_committed_comes_back_whole() {
    let mut harness = harness();
    harness.commit("g", "", -1, 7);
    let request =
        FetchGroup { group_id: "g", member_id: None, member_epoch: -1, topics: None, require_stable: false };
    let fetched = harness.shard.fetch_offsets(&request).unwrap();
    assert_eq!(&*fetched[0].name, "topic");
    let partition = &fetched[0].partitions[0];
    assert_eq!((partition.offset, partition.leader_epoch, partition.metadata.as_deref()), (7, 3, Some("m")));
    assert_eq!(fetch(&harness, "unknown", false), (-1, ErrorCode::None));
}

#[test]
fn a_commit_with_a_generation_needs_its_group() {
    let mut harness = harness();
    assert_eq!(harness.commit("g", "m", 3, 1), ErrorCode::GroupIdNotFound);
    let old = Committer {
        member_id: "m",
        generation_id_or_member_epoch: 3,
        knows_member_epochs: false,
        ..anonymous()
    };
    assert_eq!(harness.commit_as("g", old, ("topic", 0, 1), ProducerId::NONE), ErrorCode::IllegalGeneration);
}

#[test]
fn only_members_of_the_generation_commit_to_a_live_group() {
    let mut harness = harness();
    let member = harness.joined(who("g", ""));
    assert_eq!(harness.commit("g", &member.member_id, 1, 1), ErrorCode::RebalanceInProgress);
    harness.sync("g", &member, &[]);
    assert_eq!(harness.commit("g", &member.member_id, 1, 1), ErrorCode::None);
    assert_eq!(harness.commit("g", &member.member_id, 0, 2), ErrorCode::IllegalGeneration);
    assert_eq!(harness.commit("g", "stranger", 1, 2), ErrorCode::UnknownMemberId);
    assert_eq!(harness.commit("g", "", -1, 2), ErrorCode::UnknownMemberId);
    assert_eq!(harness.committed("g"), 1);
}

#[test]
fn a_commit_counts_as_a_heartbeat() {
    let mut harness = harness();
    let member = harness.joined(who("g", ""));
    harness.sync("g", &member, &[]);
    for offset in 0..5 {
        harness.pass(9_000);
        assert_eq!(harness.commit("g", &member.member_id, 1, offset), ErrorCode::None);
    }
}

#[test]
fn oversized_metadata_is_refused_for_its_partition_alone() {
    let mut harness = Harness::new(|settings| settings.offset_metadata_max_bytes = 4);
    let partition =
        |partition, metadata| CommitPartition { partition, offset: 1, leader_epoch: -1, metadata };
    let partitions = vec![partition(0, "12345"), partition(1, "1234"), partition(2, "éééé")];
    let topics = vec![CommitTopic { name: "topic", topic_id: TopicId::ZERO, partitions }];
    let request = CommitRequest { group_id: "g", from: anonymous(), retention_ms: None, topics };
    let reply = harness.call(|shard, call| shard.commit_offsets(call, &request).unwrap());
    assert_eq!(reply, [[ErrorCode::OffsetMetadataTooLarge, ErrorCode::None, ErrorCode::None]]);
    assert_eq!(harness.shard.stats().offsets, 2);
}

#[test]
fn a_commit_that_cannot_be_appended_changes_nothing() {
    let mut harness = harness();
    harness.commit("g", "", -1, 1);
    harness.broken = Some(ErrorCode::NotEnoughReplicas);
    assert_eq!(harness.commit("g", "", -1, 2), ErrorCode::NotEnoughReplicas);
    assert_eq!(harness.committed("g"), 1);
}

#[test]
fn a_transactions_offsets_are_unstable_until_it_ends() {
    let mut harness = harness();
    let producer = ProducerId(7);
    harness.commit("g", "", -1, 1);
    let from = Committer { transactional: true, ..anonymous() };
    assert_eq!(harness.commit_as("g", from, ("topic", 0, 5), producer), ErrorCode::None);
    assert_eq!(fetch(&harness, "g", false), (1, ErrorCode::None));
    assert_eq!(fetch(&harness, "g", true), (-1, ErrorCode::UnstableOffsetCommit));
    harness.shard.end_transaction(producer, false);
    assert_eq!(fetch(&harness, "g", true), (1, ErrorCode::None));
    harness.commit_as("g", from, ("topic", 0, 6), producer);
    harness.shard.end_transaction(producer, true);
    assert_eq!(fetch(&harness, "g", true), (6, ErrorCode::None));
}

#[test]
fn a_transaction_does_not_undo_a_commit_that_came_after_it() {
    let mut harness = harness();
    let producer = ProducerId(7);
    let from = Committer { transactional: true, ..anonymous() };
    harness.commit_as("g", from, ("topic", 0, 5), producer);
    harness.commit("g", "", -1, 9);
    harness.shard.end_transaction(producer, true);
    assert_eq!(harness.committed("g"), 9);
}

#[test]
fn offsets_of_an_empty_group_expire_and_the_group_with_them() {
    let mut harness = harness();
    let member = harness.joined(who("g", ""));
    harness.sync("g", &member, &[]);
    harness.commit("g", &member.member_id, 1, 5);
    for _ in 0..8 * 24 * 600 {
        harness.now_ms += 6_000;
        harness.heartbeat("g", &member.member_id, 1);
    }
    harness.pass(0);
    assert_eq!(harness.committed("g"), 5, "a live group keeps the offsets of what it consumes");
    harness.leave("g", &[(&member.member_id, None)]);
    harness.pass(8 * DAY_MS);
    assert_eq!(harness.committed("g"), -1);
    assert_eq!(groups(&harness), 0);
    harness.reload();
    assert_eq!(groups(&harness), 0);
}

#[test]
fn offsets_without_a_group_expire_by_their_commit_or_their_own_retention() {
    let mut harness = harness();
    harness.commit("simple", "", -1, 1);
    harness.pass(7 * DAY_MS - 3_600_000);
    assert_eq!(harness.committed("simple"), 1);
    harness.pass(2 * 3_600_000);
    assert_eq!(harness.committed("simple"), -1);
    let partitions = vec![CommitPartition { partition: 0, offset: 3, leader_epoch: -1, metadata: "" }];
    let topics = vec![CommitTopic { name: "topic", topic_id: TopicId::ZERO, partitions }];
    let request = CommitRequest { group_id: "short", from: anonymous(), retention_ms: Some(1_000), topics };
    harness.call(|shard, call| shard.commit_offsets(call, &request).unwrap());
    harness.pass(3_600_000);
    assert_eq!(harness.committed("short"), -1);
}

#[test]
fn a_commit_to_a_group_that_was_empty_for_long_is_kept_its_full_time() {
    let mut harness = harness();
    let member = harness.joined(who("g", ""));
    harness.sync("g", &member, &[]);
    harness.commit("g", &member.member_id, 1, 5);
    harness.leave("g", &[(&member.member_id, None)]);
    harness.pass(6 * DAY_MS);
    harness.commit("g", "", -1, 6);
    harness.pass(3 * DAY_MS);
    assert_eq!(harness.committed("g"), 6);
}

#[test]
fn deleted_offsets_are_gone_unless_the_topic_is_consumed() {
    let mut harness = harness();
    harness.commit("g", "", -1, 5);
    let topics = vec![FetchTopic { name: "topic", partitions: vec![0, 1] }];
    let request = DeleteRequest { group_id: "g", topics };
    let reply = harness.call(|shard, call| shard.delete_offsets(call, &request).unwrap());
    assert_eq!(reply, [[ErrorCode::None, ErrorCode::None]]);
    assert_eq!(harness.committed("g"), -1);
    let member = harness.joined(who("g", ""));
    harness.sync("g", &member, &[]);
    let topics = vec![FetchTopic { name: "topic", partitions: vec![0] }];
    let request = DeleteRequest { group_id: "g", topics };
    let reply = harness.call(|shard, call| shard.delete_offsets(call, &request).unwrap());
    assert_eq!(reply, [[ErrorCode::GroupSubscribedToTopic]]);
    let unknown = DeleteRequest { group_id: "unknown", topics: Vec::new() };
    let at = harness.at();
    let call = crate::group::Call { at, topics: &harness.topics };
    assert_eq!(harness.shard.delete_offsets(call, &unknown).unwrap_err(), ErrorCode::GroupIdNotFound);
}

#[test]
fn a_deleted_topic_takes_its_offsets_along() {
    let mut harness = harness();
    harness.commit("g", "", -1, 5);
    let gone = BTreeMap::from([("topic", TopicId::ZERO)]);
    assert_eq!(harness.call(|shard, call| shard.topics_deleted(call, &gone)), 1);
    assert_eq!(harness.committed("g"), -1);
}

#[test]
fn a_topic_that_took_the_name_of_a_deleted_one_keeps_its_offsets() {
    let mut harness = harness();
    let (old, new) = (TopicId(Uuid::from_u128(1)), TopicId(Uuid::from_u128(2)));
    let partitions = vec![CommitPartition { partition: 0, offset: 3, leader_epoch: -1, metadata: "" }];
    let topics = vec![CommitTopic { name: "topic", topic_id: new, partitions }];
    let request = CommitRequest { group_id: "g", from: anonymous(), retention_ms: None, topics };
    harness.call(|shard, call| shard.commit_offsets(call, &request).unwrap());
    let delete = |harness: &mut Harness, id| {
        let gone = BTreeMap::from([("topic", id)]);
        harness.call(|shard, call| shard.topics_deleted(call, &gone))
    };
    assert_eq!(delete(&mut harness, old), 0);
    assert_eq!(harness.committed("g"), 3);
    assert_eq!(delete(&mut harness, new), 1);
}

#[test]
fn offsets_of_a_topic_that_was_deleted_while_nobody_coordinated_go_at_the_next_look() {
    let mut harness = harness();
    harness.commit("g", "", -1, 5);
    harness.topics.gone.insert("topic");
    harness.reload();
    assert_eq!(harness.committed("g"), 5);
    harness.pass(600_000);
    assert_eq!(harness.committed("g"), -1);
}

#[test]
fn empty_groups_are_deleted_with_their_offsets_and_live_ones_are_not() {
    let mut harness = harness();
    harness.commit("simple", "", -1, 5);
    let member = harness.joined(who("live", ""));
    harness.sync("live", &member, &[]);
    let verdicts = harness.call(|shard, call| shard.delete_groups(call, &["simple", "live", "unknown"]));
    assert_eq!(verdicts, [ErrorCode::None, ErrorCode::NonEmptyGroup, ErrorCode::GroupIdNotFound]);
    harness.reload();
    assert_eq!(groups(&harness), 1);
    assert_eq!(harness.committed("simple"), -1);
}

#[test]
fn groups_are_listed_by_state_and_type() {
    let mut harness = harness();
    harness.commit("simple", "", -1, 5);
    let member = harness.joined(who("live", ""));
    harness.sync("live", &member, &[]);
    let list = |states: &[&'static str], types: &[&'static str]| {
        let filter = ListFilter { states: states.to_vec(), types: types.to_vec() };
        let listed = harness.shard.list_groups(&filter).unwrap();
        listed.into_iter().map(|group| group.group_id.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(list(&["stable"], &[]), ["live"]);
    assert_eq!(list(&["Empty", "Stable"], &["classic"]), ["live", "simple"]);
    assert_eq!(list(&[], &["consumer"]), Vec::<String>::new());
}
