//! Helpers that look inside a shard, and a log that Apache Kafka wrote.

use super::{Group, Shard};
use crate::group::harness::Harness;
use crate::group::records::tests::kafka_records;
use crate::group::{classic, consumer};
use bytes::Bytes;
use ottla_types::ProducerId;

pub(in crate::group) fn classic_group<'a>(shard: &'a Shard, id: &str) -> &'a classic::Group {
    match shard.groups.get(id) {
        Some(Group::Classic(group)) => group,
        other => panic!("{id} is {other:?}"),
    }
}

pub(in crate::group) fn find_classic_group<'a>(shard: &'a Shard, id: &str) -> Option<&'a classic::Group> {
    matches!(shard.groups.get(id), Some(Group::Classic(_))).then(|| classic_group(shard, id))
}

pub(in crate::group) fn consumer_group<'a>(shard: &'a Shard, id: &str) -> &'a consumer::Group {
    match shard.groups.get(id) {
        Some(Group::Consumer(group)) => group,
        other => panic!("{id} is {other:?}"),
    }
}

pub(in crate::group) fn is_consumer_group(shard: &Shard, id: &str) -> bool {
    matches!(shard.groups.get(id), Some(Group::Consumer(_)))
}

/// Everything that Apache Kafka 4.3.1 knew when its log was taken.
#[test]
fn a_log_that_kafka_wrote_is_loaded() {
    let mut harness = Harness::new(|_| {});
    let record = |(key, value): (Vec<u8>, Option<Vec<u8>>)| {
        (Bytes::from(key), value.map(Bytes::from), ProducerId::NONE)
    };
    harness.log = kafka_records().into_iter().map(record).collect();
    harness.reload();
    let listed = harness.shard.list_groups(&super::ListFilter::default()).unwrap();
    let listed: Vec<_> =
        listed.iter().map(|group| (&*group.group_id, group.group_type.name(), group.state)).collect();
    let expected = [
        ("classic-group", "classic", "Empty"),
        ("moving-group", "classic", "Empty"),
        ("new-group", "consumer", "Empty"),
        ("tool-group", "classic", "Empty"),
    ];
    assert_eq!(listed, expected);
    let offsets = |group| {
        let topics =
            harness.shard.observe().find(|found| &**found.group_id == group).unwrap().offsets.unwrap();
        topics
            .values()
            .flat_map(|partitions| partitions.values().map(|known| known.value.offset))
            .collect::<Vec<_>>()
    };
    assert_eq!(offsets("classic-group"), [15, 15, 10, 10, 10]);
    assert_eq!(offsets("new-group"), [15, 15, 10, 10, 10]);
    assert_eq!(offsets("tool-group"), [0, 0, 0]);
    assert_eq!(classic_group(&harness.shard, "classic-group").generation_id(), 4);
    assert_eq!(consumer_group(&harness.shard, "new-group").epoch(), 6);
}

/// Wherever a coordinator stops reading, the groups are consistent: a broker may die between any two batches.
#[test]
fn every_prefix_of_a_log_that_kafka_wrote_is_loaded() {
    let records = kafka_records();
    for end in 0..=records.len() {
        let mut harness = Harness::new(|_| {});
        let record = |(key, value): &(Vec<u8>, Option<Vec<u8>>)| {
            (Bytes::from(key.clone()), value.clone().map(Bytes::from), ProducerId::NONE)
        };
        harness.log = records[..end].iter().map(record).collect();
        harness.reload();
        for (id, group) in &harness.shard.groups {
            match group {
                Group::Classic(group) => group.assert_consistent(),
                Group::Consumer(group) if end == records.len() => group.assert_consistent(),
                Group::Consumer(_) => {
                    harness.shard.describe_consumer_group(id).unwrap();
                }
            }
        }
        harness.pass(400_000);
    }
}

#[test]
fn what_happens_is_counted() {
    let mut harness = Harness::new(|_| {});
    let member = harness.joined(crate::group::harness::who("g", ""));
    harness.sync("g", &member, &[]);
    harness.commit("g", &member.member_id, 1, 5);
    harness.pass(10_000);
    let stats = harness.shard.stats();
    let counters = stats.counters;
    assert_eq!((counters.classic_rebalances, counters.offset_commits, counters.expired_members), (1, 1, 1));
    assert_eq!((stats.offsets, stats.members), (1, 0));
}
