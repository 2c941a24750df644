//! Bytes of a running Apache Kafka 4.3.1, round trips, and hostile bytes.

use super::{
    ClassicGroupValue, ClassicMemberValue, ClassicMetadata, CurrentValue, Decoded, GroupValue, MemberKey,
    MemberValue, OffsetKey, OffsetValue, Record, RegexValue, TargetValue, TopicPartitions,
};
use bytes::Bytes;
use ottla_types::{TopicId, Uuid};
use proptest::prelude::*;
use std::sync::Arc;

/// Every record of a `__consumer_offsets` partition: a classic group with a static member, a consumer group with
/// a regular expression, a group that moved from classic to consumer and back, a tool's commit.
const KAFKA: &str = include_str!("fixtures/consumer_offsets.hex");

fn from_hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

pub(in crate::group) fn kafka_records() -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
    let pair = |line: &str| {
        let (key, value) = line.split_once(' ').unwrap();
        (from_hex(key), (value != "-").then(|| from_hex(value)))
    };
    KAFKA.lines().map(pair).collect()
}

fn decode(key: &[u8], value: Option<&[u8]>) -> Record {
    match Record::decode(key, value) {
        Ok(Decoded::Known(record)) => record,
        other => panic!("{key:?} is {other:?}"),
    }
}

#[test]
fn every_record_of_kafka_is_read_and_written_back_byte_for_byte() {
    let records = kafka_records();
    assert_eq!(records.len(), 77);
    for (key, value) in records {
        let record = decode(&key, value.as_deref());
        let (key_again, value_again) = record.encode();
        assert_eq!(key_again, key, "{record:?}");
        assert_eq!(value_again.as_deref(), value.as_deref(), "{record:?}");
    }
}

#[test]
fn kafkas_values_are_understood() {
    let records: Vec<Record> =
        kafka_records().iter().map(|(key, value)| decode(key, value.as_deref())).collect();
    let regex = records.iter().find_map(|record| match record {
        Record::Regex { regex, value: Some(value), .. } => Some((regex.clone(), value.topics.clone())),
        _ => None,
    });
    assert_eq!(regex, Some(("(^au.*)".into(), vec![Arc::from("audit")])));
    let migrated = records.iter().find_map(|record| match record {
        Record::Member(_, Some(MemberValue { classic: Some(classic), .. })) => Some(classic.clone()),
        _ => None,
    });
    let classic = migrated.unwrap();
    assert_eq!((classic.session_timeout_ms, &*classic.protocols[0].0), (10_000, "range"));
    let epochs = records.iter().find_map(|record| match record {
        Record::Current(_, Some(CurrentValue { state: 1, assigned, pending_revocation, .. })) => {
            Some((assigned[0].assignment_epochs.clone(), pending_revocation[0].partitions.clone()))
        }
        _ => None,
    });
    assert_eq!(epochs, Some((vec![2, 2], vec![2])));
}

#[test]
fn older_values_are_read() {
    // Version 1 with an expiry, as clients below OffsetCommit 5 caused it.
    let value =
        [&[0, 1][..], &7_i64.to_be_bytes(), &[0, 1, b'm'], &5_i64.to_be_bytes(), &9_i64.to_be_bytes()];
    let key =
        Record::Offset(OffsetKey { group: "g".into(), topic: "t".into(), partition: 0 }, None).encode().0;
    let Record::Offset(_, Some(value)) = decode(&key, Some(&value.concat())) else { panic!() };
    assert_eq!((value.offset, value.leader_epoch, value.expire_timestamp_ms), (7, -1, Some(9)));
}

#[test]
fn keys_of_other_types_are_left_alone() {
    assert_eq!(Record::decode(&[0, 11, 0, 1, b'g'], None), Ok(Decoded::Unknown(11)));
}

fn text() -> impl Strategy<Value = Arc<str>> {
    "[a-zé]{1,12}".prop_map(Arc::from)
}

fn bytes() -> impl Strategy<Value = Bytes> {
    prop::collection::vec(any::<u8>(), 0..20).prop_map(Bytes::from)
}

fn partitions() -> impl Strategy<Value = Vec<TopicPartitions>> {
    let topic = (any::<u128>(), prop::collection::vec(any::<i32>(), 0..5), any::<bool>());
    let topic = topic.prop_map(|(id, partitions, epochs)| TopicPartitions {
        topic_id: TopicId(Uuid::from_u128(id)),
        assignment_epochs: if epochs { partitions.clone() } else { Vec::new() },
        partitions,
    });
    prop::collection::vec(topic, 0..4)
}

fn classic_group() -> impl Strategy<Value = ClassicGroupValue> {
    let member = (text(), prop::option::of(text()), any::<i32>(), bytes(), bytes()).prop_map(
        |(id, group_instance_id, timeout, subscription, assignment)| ClassicMemberValue {
            member_id: Arc::clone(&id),
            group_instance_id,
            client_id: Arc::clone(&id),
            client_host: id,
            rebalance_timeout_ms: timeout,
            session_timeout_ms: timeout,
            subscription,
            assignment,
        },
    );
    let members = prop::collection::vec(member, 0..4);
    (text(), any::<i32>(), prop::option::of(text()), any::<i64>(), members).prop_map(
        |(protocol_type, generation_id, protocol, state_timestamp_ms, members)| ClassicGroupValue {
            protocol_type,
            generation_id,
            leader: protocol.clone(),
            protocol,
            state_timestamp_ms,
            members,
        },
    )
}

fn member() -> impl Strategy<Value = MemberValue> {
    let classic = (any::<i32>(), prop::collection::vec((text(), bytes()), 0..3))
        .prop_map(|(session_timeout_ms, protocols)| ClassicMetadata { session_timeout_ms, protocols });
    (
        text(),
        prop::option::of(text()),
        prop::collection::vec(text(), 0..4),
        any::<i32>(),
        prop::option::of(classic),
    )
        .prop_map(|(client_id, optional, subscribed_topics, rebalance_timeout_ms, classic)| {
            MemberValue {
                instance_id: optional.clone(),
                rack_id: optional.clone(),
                client_host: Arc::clone(&client_id),
                client_id,
                subscribed_topics,
                subscribed_regex: optional.clone(),
                rebalance_timeout_ms,
                server_assignor: optional,
                classic,
            }
        })
}

fn record() -> impl Strategy<Value = Record> {
    let member_key = || (text(), text()).prop_map(|(group, member)| MemberKey { group, member });
    let offset = (any::<i64>(), any::<i32>(), prop::option::of(text()), 0..2_i64, any::<bool>()).prop_map(
        |(offset, epoch, metadata, commit_timestamp_ms, expires)| OffsetValue {
            offset,
            // Version 1, the one with an expiry, has no leader epoch.
            leader_epoch: if expires { -1 } else { epoch },
            metadata,
            commit_timestamp_ms,
            expire_timestamp_ms: expires.then_some(77),
            topic_id: if expires {
                TopicId::ZERO
            } else {
                TopicId(Uuid::from_u128(epoch.unsigned_abs().into()))
            },
        },
    );
    let current = (any::<i32>(), any::<i8>(), partitions(), partitions()).prop_map(
        |(member_epoch, state, assigned, pending_revocation)| CurrentValue {
            member_epoch,
            previous_member_epoch: member_epoch.wrapping_sub(1),
            state,
            assigned,
            pending_revocation,
        },
    );
    let target = partitions().prop_map(|mut topics| {
        topics.iter_mut().for_each(|topic| topic.assignment_epochs.clear());
        topics
    });
    prop_oneof![
        (text(), text(), any::<i32>(), prop::option::of(offset)).prop_map(
            |(group, topic, partition, value)| {
                Record::Offset(OffsetKey { group, topic, partition }, value)
            }
        ),
        (text(), prop::option::of(classic_group()))
            .prop_map(|(group, value)| Record::ClassicGroup(group, value)),
        (text(), any::<i32>(), any::<i64>()).prop_map(|(group, epoch, metadata_hash)| {
            Record::ConsumerGroup(group, Some(GroupValue { epoch, metadata_hash }))
        }),
        (member_key(), prop::option::of(member())).prop_map(|(key, value)| Record::Member(key, value)),
        (text(), any::<i32>(), any::<i64>()).prop_map(
            |(group, assignment_epoch, assignment_timestamp_ms)| {
                Record::Target(group, Some(TargetValue { assignment_epoch, assignment_timestamp_ms }))
            }
        ),
        (member_key(), prop::option::of(target)).prop_map(|(key, value)| Record::TargetMember(key, value)),
        (member_key(), prop::option::of(current)).prop_map(|(key, value)| Record::Current(key, value)),
        (text(), text(), prop::collection::vec(text(), 0..3)).prop_map(|(group, regex, topics)| {
            Record::Regex { group, regex, value: Some(RegexValue { topics, version: 3, timestamp_ms: 4 }) }
        }),
    ]
}

proptest! {
    #[test]
    fn records_read_back_as_they_were(record in record()) {
        let (key, value) = record.encode();
        prop_assert_eq!(decode(&key, value.as_deref()), record);
    }

    #[test]
    fn cut_records_are_errors_and_never_panic(record in record(), cut in any::<prop::sample::Index>()) {
        let (key, value) = record.encode();
        let _ = Record::decode(&key[..cut.index(key.len())], None);
        if let Some(value) = value {
            prop_assert!(Record::decode(&key, Some(&value[..cut.index(value.len())])).is_err());
        }
    }

    #[test]
    fn hostile_bytes_never_panic(
        kind in 0..20_i16,
        key in prop::collection::vec(any::<u8>(), 0..40),
        value in prop::collection::vec(any::<u8>(), 0..80),
    ) {
        let key = [&kind.to_be_bytes()[..], &key].concat();
        let _ = Record::decode(&key, Some(&value));
        let _ = Record::decode(&key, Some(&[&[0, 0], &value[..]].concat()));
    }
}
