use super::*;

fn create_one(
    controller: &mut Controller,
    topic: CreateTopic,
) -> (Vec<MetadataRecord>, Result<CreatedTopic, ErrorCode>) {
    let outcome = controller.handle(0, Request::CreateTopics { topics: vec![topic], validate_only: false });
    let Reply::CreateTopics(mut results) = outcome.reply else { panic!() };
    (outcome.records, results.remove(0).1.map_err(|error| error.code))
}

fn sized(name: &str, partitions: i32, replication_factor: i16) -> CreateTopic {
    CreateTopic { partitions, replication_factor, ..CreateTopic::with_defaults(name) }
}

#[test]
fn a_new_topic_is_one_topic_record_and_one_of_all_its_partitions() {
    let mut controller = cluster(3);
    let (records, created) = create_one(&mut controller, sized("t", 5, 3));
    let created = created.unwrap();
    assert_eq!((created.partitions, created.replication_factor), (5, 3));
    let [Some(Kind::Topic(topic)), Some(Kind::Partitions(partitions))] = [&records[0].kind, &records[1].kind]
    else {
        panic!("{records:?}")
    };
    assert_eq!((topic.name.as_str(), records.len(), partitions.partitions.len()), ("t", 2, 5));
    for partition in &partitions.partitions {
        assert_eq!(partition.isr, partition.replicas);
        assert_eq!(partition.leader, partition.replicas[0]);
        assert_eq!((partition.leader_epoch, partition.partition_epoch), (0, 0));
        assert_eq!(partition.directories.len(), 48);
    }
    assert_eq!(controller.image().topic_by_name("t").unwrap().partitions.len(), 5);
}

#[test]
fn names_and_numbers_that_cannot_be_are_refused_with_kafkas_codes() {
    let mut controller = cluster(2);
    create(&mut controller, "a.b", &[&[1]], &[]);
    let long = "x".repeat(250);
    let cases = [
        (sized("", 1, 1), ErrorCode::InvalidTopicException),
        (sized("..", 1, 1), ErrorCode::InvalidTopicException),
        (sized("a b", 1, 1), ErrorCode::InvalidTopicException),
        (sized(&long, 1, 1), ErrorCode::InvalidTopicException),
        (sized("a_b", 1, 1), ErrorCode::InvalidTopicException),
        (sized("a.b", 1, 1), ErrorCode::TopicAlreadyExists),
        (sized("__cluster_metadata", 1, 1), ErrorCode::TopicAuthorizationFailed),
        (sized("t", 0, 1), ErrorCode::InvalidPartitions),
        (sized("t", 1, 0), ErrorCode::InvalidReplicationFactor),
        (sized("t", 1, 3), ErrorCode::InvalidReplicationFactor),
        (sized("t", 10_001, 1), ErrorCode::PolicyViolation),
    ];
    for (topic, expected) in cases {
        let (records, result) = create_one(&mut controller, topic.clone());
        assert_eq!((records, result.unwrap_err()), (vec![], expected), "{topic:?}");
    }
}

#[test]
fn manual_assignments_are_checked() {
    let mut controller = cluster(2);
    let with = |sets: &[(i32, &[i32])]| CreateTopic {
        assignments: sets.iter().map(|(index, set)| assignment(*index, set)).collect(),
        ..CreateTopic::with_defaults("t")
    };
    let cases = [
        (with(&[(0, &[])]), ErrorCode::InvalidReplicaAssignment),
        (with(&[(0, &[1, 1])]), ErrorCode::InvalidReplicaAssignment),
        (with(&[(0, &[9])]), ErrorCode::InvalidReplicaAssignment),
        (with(&[(0, &[1]), (1, &[1, 2])]), ErrorCode::InvalidReplicaAssignment),
        (with(&[(0, &[1]), (2, &[2])]), ErrorCode::InvalidReplicaAssignment),
        (CreateTopic { partitions: 1, ..with(&[(0, &[1])]) }, ErrorCode::InvalidRequest),
    ];
    for (topic, expected) in cases {
        assert_eq!(create_one(&mut controller, topic.clone()).1.unwrap_err(), expected, "{topic:?}");
    }
    assert!(create_one(&mut controller, with(&[(1, &[2, 1]), (0, &[1, 2])])).1.is_ok());
}

#[test]
fn a_wrong_setting_refuses_the_topic_and_a_right_one_is_recorded() {
    let mut controller = cluster(1);
    let with = |key: &str, value: &str| CreateTopic {
        configs: vec![(key.into(), Some(value.into()))],
        ..CreateTopic::with_defaults("t")
    };
    assert_eq!(create_one(&mut controller, with("retention", "1")).1.unwrap_err(), ErrorCode::InvalidConfig);
    assert_eq!(
        create_one(&mut controller, with("retention.ms", "x")).1.unwrap_err(),
        ErrorCode::InvalidConfig
    );
    let (records, created) = create_one(&mut controller, with("retention.ms", "5"));
    assert!(created.is_ok());
    let config = records.iter().find_map(|record| match &record.kind {
        Some(Kind::Config(config)) => Some((config.key.as_str(), config.value.as_deref())),
        _ => None,
    });
    assert_eq!(config, Some(("retention.ms", Some("5"))));
}

#[test]
fn validating_only_changes_nothing() {
    let mut controller = cluster(1);
    let request = Request::CreateTopics { topics: vec![sized("t", 3, 1)], validate_only: true };
    let outcome = controller.handle(0, request);
    let created = CreatedTopic { topic_id: ottla_types::TopicId::ZERO, partitions: 3, replication_factor: 1 };
    assert_eq!(outcome, Outcome::reply(Reply::CreateTopics(vec![("t".into(), Ok(created))])));
    assert!(controller.image().topic_by_name("t").is_none());
}

#[test]
fn a_topic_is_deleted_by_name_or_by_id_but_not_by_both_at_once() {
    let mut controller = cluster(1);
    let id = create(&mut controller, "t", &[&[1]], &[("retention.ms", "5")])[0].topic_id;
    let both = vec![TopicRef::Name("t".into()), TopicRef::Id(id)];
    let outcome = controller.handle(0, Request::DeleteTopics { topics: both });
    assert!(outcome.records.is_empty());
    let outcome = controller.handle(0, Request::DeleteTopics { topics: vec![TopicRef::Id(id)] });
    assert_eq!(outcome.records, [record::RemoveTopic { topic_id: record::topic_id_bytes(id) }.into()]);
    assert_eq!(controller.image().partition_count(), 0);
    assert!(controller.image().configs().is_empty());
    let outcome = controller.handle(0, Request::DeleteTopics { topics: vec![TopicRef::Name("t".into())] });
    let Reply::DeleteTopics(results) = outcome.reply else { panic!() };
    assert_eq!(results[0].1.as_ref().unwrap_err().code, ErrorCode::UnknownTopicOrPartition);
}
