use super::record::*;
use super::*;
use bytes::Bytes;
use ottla_types::{BrokerEpoch, BrokerId, DirectoryId, TopicId, TopicIdPartition, Uuid};
use proptest::prelude::*;

fn topic_id(id: u128) -> TopicId {
    TopicId(Uuid::from_u128(id))
}

fn directory(id: u128) -> Bytes {
    directory_bytes(&[DirectoryId(Uuid::from_u128(id))])
}

fn broker(id: i32, epoch: i64) -> RegisterBroker {
    RegisterBroker {
        broker_id: id,
        broker_epoch: epoch,
        incarnation_id: uuid_bytes(Uuid::from_u128(epoch as u128)),
        endpoints: vec![Endpoint { listener: "L".into(), host: "h".into(), port: 9, security_protocol: 0 }],
        features: vec![FeatureRange { name: feature::METADATA_VERSION.into(), min: 1, max: 1 }],
        rack: (id % 2 == 0).then(|| "even".to_owned()),
        fenced: true,
        in_controlled_shutdown: false,
        directories: directory(id as u128 + 10),
        metadata_directory: directory(id as u128 + 10),
        cordoned: false,
    }
}

fn partition(index: i32, replicas: &[i32]) -> Partition {
    Partition {
        partition: index,
        replicas: replicas.to_vec(),
        isr: replicas.to_vec(),
        leader: replicas[0],
        directories: Bytes::from(vec![7; 16 * replicas.len()]),
        ..Partition::default()
    }
}

/// Something that a controller might record; made to fit the image by [`records`].
#[derive(Debug, Clone)]
enum Step {
    Register(i32),
    Unregister(i32),
    Fence(i32, bool),
    Create(u8, u8),
    Grow(u8, u8),
    Change(u8, u8, PartitionChange),
    Delete(u8),
    Config(u8, u8, Option<u8>),
    Feature(u8, i32),
    Ids(i64),
    Grant(i32),
    End(i32),
    Prefer(i32, i32),
}

fn brokers_of(ids: Vec<i32>) -> Brokers {
    Brokers { ids }
}

fn change() -> impl Strategy<Value = PartitionChange> {
    let list = || proptest::option::of(proptest::collection::vec(0..5i32, 0..4).prop_map(brokers_of));
    let replicas =
        proptest::option::of(proptest::sample::subsequence(vec![0, 1, 2, 3, 4], 1..4).prop_map(brokers_of));
    (proptest::option::of(-1..5i32), list(), replicas, list(), list(), list(), any::<Option<bool>>())
        .prop_map(|(leader, isr, replicas, adding, removing, elr, recovering)| PartitionChange {
            partition: 0,
            leader,
            isr,
            replicas,
            adding,
            removing,
            last_known_elr: elr.clone(),
            elr,
            directories: None,
            recovering,
        })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..5i32).prop_map(Step::Register),
        (0..5i32).prop_map(Step::Unregister),
        (0..5i32, any::<bool>()).prop_map(|(id, fenced)| Step::Fence(id, fenced)),
        (0..6u8, 1..5u8).prop_map(|(topic, count)| Step::Create(topic, count)),
        (0..6u8, 1..3u8).prop_map(|(topic, count)| Step::Grow(topic, count)),
        (0..6u8, 0..5u8, change()).prop_map(|(topic, index, change)| Step::Change(topic, index, change)),
        (0..6u8).prop_map(Step::Delete),
        (0..6u8, 0..3u8, any::<Option<u8>>()).prop_map(|(topic, key, value)| Step::Config(topic, key, value)),
        (0..3u8, 0..3i32).prop_map(|(name, level)| Step::Feature(name, level)),
        (0..9i64).prop_map(Step::Ids),
        (0..5i32).prop_map(Step::Grant),
        (0..5i32).prop_map(Step::End),
        (0..5i32, 0..3i32).prop_map(|(id, preference)| Step::Prefer(id, preference)),
    ]
}

/// The records of a step, none if it does not fit.
fn records(image: &Image, step: Step) -> Vec<MetadataRecord> {
    let name = |topic: u8| format!("t{topic}");
    let topic = |topic: u8| image.topic_by_name(&name(topic));
    let known = |id: i32| image.broker(BrokerId(id));
    match step {
        Step::Register(id) => vec![broker(id, image.last_broker_epoch().0 + 1).into()],
        Step::Unregister(id) => known(id)
            .map(|known| UnregisterBroker { broker_id: id, broker_epoch: known.epoch.0 }.into())
            .into_iter()
            .collect(),
        Step::Fence(id, fenced) => known(id)
            .map(|known| {
                let change = BrokerChange { fenced: Some(fenced), ..BrokerChange::default() };
                BrokerChange { broker_id: id, broker_epoch: known.epoch.0, ..change }.into()
            })
            .into_iter()
            .collect(),
        Step::Create(index, _) if topic(index).is_some() => vec![],
        Step::Create(index, count) => {
            let id = topic_id_bytes(topic_id(u128::from(image.offset()) << 8 | u128::from(index)));
            let partitions = (0..i32::from(count)).map(|at| partition(at, &[at % 5, (at + 1) % 5])).collect();
            vec![
                Topic { name: name(index), topic_id: id.clone() }.into(),
                Partitions { topic_id: id, partitions }.into(),
            ]
        }
        Step::Grow(index, count) => topic(index)
            .map(|topic| {
                let from = topic.partitions.len() as i32;
                let partitions = (from..from + i32::from(count)).map(|at| partition(at, &[at % 5])).collect();
                Partitions { topic_id: topic_id_bytes(topic.id), partitions }.into()
            })
            .into_iter()
            .collect(),
        Step::Change(index, at, change) => topic(index)
            .filter(|topic| usize::from(at) < topic.partitions.len())
            .map(|topic| {
                let changes = vec![PartitionChange { partition: i32::from(at), ..change }];
                PartitionChanges { topic_id: topic_id_bytes(topic.id), changes }.into()
            })
            .into_iter()
            .collect(),
        Step::Delete(index) => topic(index)
            .map(|topic| RemoveTopic { topic_id: topic_id_bytes(topic.id) }.into())
            .into_iter()
            .collect(),
        Step::Config(index, key, value) => {
            let value = value.map(|value| value.to_string());
            let key = format!("key{key}");
            vec![Config { resource_type: 2, resource_name: name(index), key, value }.into()]
        }
        Step::Feature(index, level) => vec![FeatureLevel { name: format!("f{index}"), level }.into()],
        Step::Ids(next) => {
            vec![ProducerIds { broker_id: 1, broker_epoch: 1, next_producer_id: next * 1000 }.into()]
        }
        Step::Grant(id) => vec![
            GrantPermit {
                broker_id: id,
                broker_epoch: 1,
                permit_epoch: image.last_permit_epoch() + 1,
                duration_ms: 5,
                forced: false,
                reason: "r".into(),
            }
            .into(),
        ],
        Step::Prefer(id, preference) => {
            known(id).map(|_| VotePreference { broker_id: id, preference }.into()).into_iter().collect()
        }
        Step::End(id) => image
            .permits()
            .get(&BrokerId(id))
            .map(|permit| EndPermit { broker_id: id, permit_epoch: permit.epoch, cause: 0 }.into())
            .into_iter()
            .collect(),
    }
}

/// The indexes, as they follow from the partitions.
fn indexes_agree(image: &Image) -> Result<(), TestCaseError> {
    let mut count = 0;
    for topic in image.topics().values() {
        prop_assert_eq!(image.topic_id(&topic.name), Some(topic.id));
        for (index, partition) in topic.partitions.iter().enumerate() {
            count += 1;
            let key = TopicIdPartition { topic_id: topic.id, partition: index as i32 };
            prop_assert_eq!(image.leaderless().contains(&key), partition.leader.is_none());
            prop_assert_eq!(image.reassigning().contains(&key), partition.is_reassigning());
            for id in 0..5 {
                let is_there = image.partitions_of(BrokerId(id)).any(|known| known == key);
                prop_assert_eq!(is_there, partition.replicas.contains(&BrokerId(id)));
            }
        }
    }
    prop_assert_eq!(count, image.partition_count());
    let indexed: usize = (0..5).map(|id| image.replica_count(BrokerId(id))).sum();
    let held: usize =
        image.topics().values().flat_map(|topic| topic.partitions.iter()).map(|it| it.replicas.len()).sum();
    prop_assert_eq!(indexed, held);
    Ok(())
}

proptest! {
    #[test]
    fn a_snapshot_and_the_records_after_it_make_the_same_image(
        steps in proptest::collection::vec(step(), 0..60), cut: proptest::sample::Index,
    ) {
        let cut = cut.index(steps.len() + 1);
        let mut image = Image::default();
        let mut other = None;
        for (number, step) in steps.into_iter().enumerate() {
            if number == cut {
                other = Some(Image::from_snapshot(image.to_snapshot()).unwrap());
                prop_assert_eq!(other.as_ref(), Some(&image));
            }
            // As it goes through the log.
            let batch = decode(encode(&records(&image, step))).unwrap();
            let offset = number as u64 + 1;
            image.apply(&batch, offset, &mut ImageDelta::default()).unwrap();
            if let Some(other) = &mut other {
                other.apply(&batch, offset, &mut ImageDelta::default()).unwrap();
            }
        }
        indexes_agree(&image)?;
        prop_assert_eq!(Image::from_snapshot(image.to_snapshot()).unwrap(), other.unwrap_or(image));
    }

    #[test]
    fn a_delta_names_everything_that_differs(
        before in proptest::collection::vec(step(), 0..20), after in proptest::collection::vec(step(), 1..20),
    ) {
        let mut image = Image::default();
        let mut offset = 0;
        let mut run = |image: &mut Image, steps: Vec<Step>, delta: &mut ImageDelta| {
            for step in steps {
                offset += 1;
                let batch = records(image, step);
                let mut own = ImageDelta::default();
                image.apply(&batch, offset, &mut own).unwrap();
                delta.merge(own);
            }
        };
        run(&mut image, before, &mut ImageDelta::default());
        let old = image.clone();
        let mut delta = ImageDelta::default();
        run(&mut image, after, &mut delta);
        let differs = ImageDelta::between(&old, &image);
        prop_assert!(differs.partitions.is_subset(&delta.partitions));
        prop_assert_eq!(&differs.topics_created, &delta.topics_created);
        prop_assert_eq!(&differs.topics_deleted.keys().collect::<Vec<_>>(), &delta.topics_deleted.keys().collect::<Vec<_>>());
        prop_assert!(differs.configs.is_subset(&delta.configs));
        prop_assert!(differs.brokers.is_subset(&delta.brokers));
        prop_assert!(delta.permits || !differs.permits);
        prop_assert!(delta.cluster || !differs.cluster);
        prop_assert!(delta.producer_ids || !differs.producer_ids);
    }

    #[test]
    fn bytes_that_are_no_snapshot_are_an_error_and_never_a_panic(bytes: Vec<u8>) {
        let _ = Image::from_snapshot(Bytes::from(bytes.clone()));
        let _ = decode(Bytes::from(bytes));
    }
}

/// A batch as the first version wrote it. If this fails, what is on people's disks cannot be read any more.
#[test]
fn the_first_versions_bytes_are_still_read() {
    let mut all: Vec<MetadataRecord> = vec![Cluster { cluster_id: "c".into() }.into()];
    all.push(FeatureLevel { name: "f".into(), level: 1 }.into());
    all.push(broker(1, 3).into());
    let id = Bytes::from_static(&[9; 16]);
    all.push(Topic { name: "t".into(), topic_id: id.clone() }.into());
    all.push(Partitions { topic_id: id.clone(), partitions: vec![partition(0, &[1])] }.into());
    let change =
        PartitionChange { leader: Some(-1), isr: Some(brokers_of(vec![])), ..PartitionChange::default() };
    all.push(PartitionChanges { topic_id: id.clone(), changes: vec![change] }.into());
    all.push(
        BrokerChange { broker_id: 1, broker_epoch: 3, fenced: Some(false), ..BrokerChange::default() }.into(),
    );
    all.push(Config { resource_type: 2, resource_name: "t".into(), key: "k".into(), value: None }.into());
    all.push(ProducerIds { broker_id: 1, broker_epoch: 3, next_producer_id: 1000 }.into());
    all.push(RemoveTopic { topic_id: id }.into());
    all.push(UnregisterBroker { broker_id: 1, broker_epoch: 3 }.into());
    let stored = include_bytes!("fixtures/format-1.bin");
    assert_eq!(decode(Bytes::from_static(stored)).unwrap(), all);
    assert_eq!(encode(&all), Bytes::from_static(stored));
}

/// A batch of records of level 2, as that level's first version wrote it.
#[test]
fn the_bytes_of_level_2_are_still_read() {
    let all: Vec<MetadataRecord> = vec![
        broker(1, 3).into(),
        VotePreference { broker_id: 1, preference: Preference::Barred as i32 }.into(),
        GrantPermit {
            broker_id: 1,
            broker_epoch: 3,
            permit_epoch: 4,
            duration_ms: 5,
            forced: true,
            reason: "r".into(),
        }
        .into(),
        EndPermit { broker_id: 1, permit_epoch: 4, cause: EndOfPermit::Released as i32 }.into(),
    ];
    let stored = include_bytes!("fixtures/level-2.bin");
    assert_eq!(decode(Bytes::from_static(stored)).unwrap(), all);
    assert_eq!(encode(&all), Bytes::from_static(stored));
}

#[test]
fn a_preference_outlives_a_restart_and_ends_with_the_broker() {
    let mut image = Image::default();
    let preference = |image: &Image| image.broker(BrokerId(1)).unwrap().preference;
    let barred = VotePreference { broker_id: 1, preference: Preference::Barred as i32 };
    let unknown = ReplayError::NoBroker(BrokerId(1), BrokerEpoch::NONE);
    assert_eq!(image.replay(&barred.clone().into()), Err(unknown));
    image.replay(&broker(1, 3).into()).unwrap();
    image.replay(&barred.into()).unwrap();
    image.replay(&broker(1, 4).into()).unwrap();
    assert_eq!(preference(&image), Preference::Barred);
    assert_eq!(Image::from_snapshot(image.to_snapshot()).unwrap(), image);
    let newer = VotePreference { broker_id: 1, preference: 3 };
    assert_eq!(image.replay(&newer.into()), Err(ReplayError::NoPreference(3)));
    image.replay(&UnregisterBroker { broker_id: 1, broker_epoch: 4 }.into()).unwrap();
    image.replay(&broker(1, 5).into()).unwrap();
    assert_eq!(preference(&image), Preference::None);
}

#[test]
fn a_topics_setting_comes_from_the_nearest_place_in_its_own_unit() {
    let mut image = Image::default();
    let mut file = StaticSettings::new();
    let me = BrokerId(1);
    let value = |image: &Image, file: &StaticSettings| {
        let found = image.topic_setting("t", "retention.ms", me, file);
        let first = found.first().unwrap();
        (first.value.clone(), first.source)
    };
    assert_eq!(value(&image, &file), ("604800000".into(), ConfigSource::Default));
    file.insert("log.retention.hours".into(), "2".into());
    assert_eq!(value(&image, &file), ("7200000".into(), ConfigSource::StaticBroker));
    let mut set = |resource: ConfigResource, key: &str, value: &str| {
        let record = Config {
            resource_type: resource.kind.id(),
            resource_name: resource.name,
            key: key.into(),
            value: Some(value.into()),
        };
        image.replay(&record.into()).unwrap();
        image.clone()
    };
    let all = set(ConfigResource::all_brokers(), "log.retention.ms", "3");
    assert_eq!(value(&all, &file), ("3".into(), ConfigSource::DynamicDefaultBroker));
    let own = set(ConfigResource::broker(me), "log.retention.ms", "4");
    assert_eq!(value(&own, &file), ("4".into(), ConfigSource::DynamicBroker));
    assert_eq!(own.topic_value("t", "retention.ms", BrokerId(2), &file).as_deref(), Some("3"));
    let topic = set(ConfigResource::topic("t"), "retention.ms", "5");
    assert_eq!(value(&topic, &file), ("5".into(), ConfigSource::DynamicTopic));
    assert_eq!(topic.topic_setting("t", "retention.ms", me, &file).len(), 5);
}

#[test]
fn a_record_that_does_not_fit_is_an_error() {
    let mut image = Image::default();
    let id = topic_id_bytes(topic_id(1));
    let gap = Partitions { topic_id: id.clone(), partitions: vec![partition(1, &[1])] };
    assert_eq!(image.replay(&gap.clone().into()), Err(ReplayError::NoTopic(topic_id(1))));
    image.replay(&Topic { name: "t".into(), topic_id: id.clone() }.into()).unwrap();
    assert_eq!(image.replay(&gap.into()), Err(ReplayError::NoPartition(topic_id(1), 1)));
    let again = Topic { name: "t".into(), topic_id: topic_id_bytes(topic_id(2)) };
    assert_eq!(image.replay(&again.into()), Err(ReplayError::TopicExists("t".into())));
    let stranger = BrokerChange { broker_id: 5, broker_epoch: 1, ..BrokerChange::default() };
    assert_eq!(image.replay(&stranger.into()), Err(ReplayError::NoBroker(BrokerId(5), BrokerEpoch(1))));
}
