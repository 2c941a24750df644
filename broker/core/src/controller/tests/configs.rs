use super::*;
use crate::metadata::ConfigResource;

fn alter(
    controller: &mut Controller,
    resource: ConfigResource,
    changes: &[(&str, AlterOp, Option<&str>)],
) -> (usize, ErrorCode) {
    let changes = changes.iter().map(|(key, op, value)| AlterConfig {
        key: (*key).to_owned(),
        op: *op,
        value: value.map(str::to_owned),
    });
    let resources = vec![(resource, changes.collect())];
    let outcome = controller.handle(0, Request::IncrementalAlterConfigs { resources, validate_only: false });
    let Reply::AlterConfigs(mut results) = outcome.reply else { panic!() };
    let code = results.remove(0).1.map_or_else(|error| error.code, |()| ErrorCode::None);
    (outcome.records.len(), code)
}

#[test]
fn settings_are_set_appended_subtracted_and_deleted() {
    let mut controller = cluster(1);
    create(&mut controller, "t", &[&[1]], &[]);
    let topic = ConfigResource::topic("t");
    let value = |controller: &Controller, key: &str| {
        controller.image().config(&ConfigResource::topic("t")).and_then(|all| all.get(key).cloned())
    };
    assert_eq!(
        alter(&mut controller, topic.clone(), &[("retention.ms", AlterOp::Set, Some("7"))]),
        (1, ErrorCode::None)
    );
    assert_eq!(value(&controller, "retention.ms").as_deref(), Some("7"));
    // The same again is no change.
    assert_eq!(
        alter(&mut controller, topic.clone(), &[("retention.ms", AlterOp::Set, Some("7"))]),
        (0, ErrorCode::None)
    );
    alter(&mut controller, topic.clone(), &[("cleanup.policy", AlterOp::Append, Some("compact"))]);
    assert_eq!(value(&controller, "cleanup.policy").as_deref(), Some("delete,compact"));
    alter(&mut controller, topic.clone(), &[("cleanup.policy", AlterOp::Subtract, Some("delete"))]);
    assert_eq!(value(&controller, "cleanup.policy").as_deref(), Some("compact"));
    alter(
        &mut controller,
        topic,
        &[("cleanup.policy", AlterOp::Delete, None), ("retention.ms", AlterOp::Delete, None)],
    );
    assert_eq!(controller.image().config(&ConfigResource::topic("t")), None);
}

#[test]
fn one_wrong_setting_leaves_the_whole_resource_as_it_was() {
    let mut controller = cluster(1);
    create(&mut controller, "t", &[&[1]], &[]);
    let changes = [("retention.ms", AlterOp::Set, Some("7")), ("segment.bytes", AlterOp::Set, Some("x"))];
    assert_eq!(alter(&mut controller, ConfigResource::topic("t"), &changes), (0, ErrorCode::InvalidConfig));
    assert_eq!(controller.image().config(&ConfigResource::topic("t")), None);
}

#[test]
fn resources_and_operations_that_cannot_be_are_refused() {
    let mut controller = cluster(1);
    create(&mut controller, "t", &[&[1]], &[]);
    let set = |key| (key, AlterOp::Set, Some("1"));
    let broker =
        |name: &str| ConfigResource { kind: crate::metadata::ConfigResourceKind::Broker, name: name.into() };
    let cases = [
        (ConfigResource::topic("x"), set("retention.ms"), ErrorCode::UnknownTopicOrPartition),
        (ConfigResource::topic(""), set("retention.ms"), ErrorCode::InvalidRequest),
        (broker("9"), set("log.retention.ms"), ErrorCode::BrokerIdNotRegistered),
        (broker("one"), set("log.retention.ms"), ErrorCode::InvalidRequest),
        (broker("1"), set("node.id"), ErrorCode::InvalidRequest),
        (ConfigResource::topic("t"), ("retention.ms", AlterOp::Append, Some("1")), ErrorCode::InvalidConfig),
        (ConfigResource::topic("t"), ("retention.ms", AlterOp::Set, None), ErrorCode::InvalidRequest),
        (ConfigResource::group("g"), set("no.such"), ErrorCode::InvalidConfig),
    ];
    for (resource, change, expected) in cases {
        assert_eq!(
            alter(&mut controller, resource.clone(), &[change]),
            (0, expected),
            "{resource:?} {change:?}"
        );
    }
    assert_eq!(
        alter(&mut controller, ConfigResource::all_brokers(), &[set("log.retention.ms")]),
        (1, ErrorCode::None)
    );
    assert_eq!(
        alter(
            &mut controller,
            ConfigResource::group("g"),
            &[("consumer.session.timeout.ms", AlterOp::Set, Some("50000"))]
        ),
        (1, ErrorCode::None)
    );
}

#[test]
fn the_old_form_takes_away_what_it_does_not_name() {
    let mut controller = cluster(1);
    create(&mut controller, "t", &[&[1]], &[("retention.ms", "5"), ("segment.bytes", "1048576")]);
    let resources =
        vec![(ConfigResource::topic("t"), vec![("retention.ms".to_owned(), Some("6".to_owned()))])];
    let outcome = controller.handle(0, Request::AlterConfigs { resources, validate_only: false });
    assert_eq!(outcome.records.len(), 2);
    let settings = controller.image().config(&ConfigResource::topic("t")).unwrap();
    assert_eq!(settings.iter().collect::<Vec<_>>(), [(&"retention.ms".to_owned(), &"6".to_owned())]);
}

#[test]
fn a_topic_that_allows_unclean_elections_gets_its_leader_at_once() {
    let mut controller = cluster(2);
    let key = create(&mut controller, "t", &[&[1, 2]], &[])[0];
    // 2 falls out of sync, then 1 goes away.
    isr::shrink(&mut controller, key, 1, &[1]);
    controller.handle(8_000, Request::BrokerHeartbeat(heartbeat(&controller, 2)));
    controller.tick(9_000);
    assert_eq!(state(&controller, key), (-1, vec![], vec![1]));
    alter(
        &mut controller,
        ConfigResource::topic("t"),
        &[("unclean.leader.election.enable", AlterOp::Set, Some("true"))],
    );
    assert_eq!(state(&controller, key).0, 2);
    assert!(partition(&controller, key).recovering);
}

#[test]
fn a_topic_can_grow_and_keeps_its_replication_factor() {
    let mut controller = cluster(3);
    create(&mut controller, "t", &[&[1, 2]], &[]);
    let mut grow = |count, assignments| {
        let topics = vec![GrowTopic { name: "t".into(), count, assignments }];
        let outcome = controller.handle(0, Request::CreatePartitions { topics, validate_only: false });
        let Reply::CreatePartitions(mut results) = outcome.reply else { panic!() };
        results.remove(0).1.map_err(|error| error.code)
    };
    assert_eq!(grow(1, None), Err(ErrorCode::InvalidPartitions));
    assert_eq!(grow(0, None), Err(ErrorCode::InvalidPartitions));
    assert_eq!(grow(2, Some(vec![])), Err(ErrorCode::InvalidReplicaAssignment));
    assert_eq!(grow(2, Some(vec![ids(&[3])])), Err(ErrorCode::InvalidReplicaAssignment));
    assert_eq!(grow(2, Some(vec![ids(&[3, 1])])), Ok(()));
    assert_eq!(grow(6, None), Ok(()));
    let topic = controller.image().topic_by_name("t").unwrap();
    assert_eq!(topic.partitions.len(), 6);
    assert!(topic.partitions.iter().all(|partition| partition.replicas.len() == 2));
}

#[test]
fn a_feature_goes_where_every_broker_can_follow() {
    let mut controller = cluster(1);
    let mut update = |name: &str, level, upgrade_type| {
        let updates = vec![FeatureUpdate { name: name.into(), level, upgrade_type }];
        let outcome = controller.handle(0, Request::UpdateFeatures { updates, validate_only: false });
        let Reply::UpdateFeatures(result) = outcome.reply else { panic!() };
        result.map_err(|(_, error)| error.code)
    };
    let name = feature::METADATA_VERSION;
    assert_eq!(update(name, 1, UpgradeType::Upgrade), Ok(()));
    assert_eq!(update(name, 99, UpgradeType::Upgrade), Err(ErrorCode::InvalidUpdateVersion));
    assert_eq!(update(name, 0, UpgradeType::Upgrade), Err(ErrorCode::InvalidUpdateVersion));
    assert_eq!(update("no.such", 1, UpgradeType::Upgrade), Err(ErrorCode::InvalidUpdateVersion));
}
