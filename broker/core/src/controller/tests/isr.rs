use super::*;

/// What the leader would ask to have this ISR.
pub fn change(controller: &Controller, key: TopicIdPartition, isr: &[i32]) -> IsrChange {
    let partition = partition(controller, key);
    IsrChange {
        partition: key.partition,
        leader_epoch: partition.leader_epoch,
        partition_epoch: partition.partition_epoch,
        isr: ids(isr).into_iter().map(|id| (id, BrokerEpoch::NONE)).collect(),
        recovering: false,
    }
}

pub fn alter(
    controller: &mut Controller,
    key: TopicIdPartition,
    leader: i32,
    change: IsrChange,
) -> Result<PartitionState, ErrorCode> {
    let broker = BrokerId(leader);
    let epoch = controller.image().broker(broker).unwrap().epoch;
    let topics = vec![(key.topic_id, vec![change])];
    let outcome = controller.handle(0, Request::AlterPartition { broker, epoch, topics });
    let Reply::AlterPartition(Ok(mut results)) = outcome.reply else { panic!("{outcome:?}") };
    results.remove(0).1.remove(0).1
}

/// The leader makes this the ISR.
pub fn shrink(controller: &mut Controller, key: TopicIdPartition, leader: i32, isr: &[i32]) {
    let change = change(controller, key, isr);
    alter(controller, key, leader, change).unwrap();
}

#[test]
fn a_leader_shrinks_and_expands_the_isr() {
    let mut controller = cluster(3);
    let key = create(&mut controller, "t", &[&[1, 2, 3]], &[("min.insync.replicas", "2")])[0];
    let wanted = change(&controller, key, &[1, 3]);
    let state_after = alter(&mut controller, key, 1, wanted).unwrap();
    assert_eq!(
        (state_after.isr, state_after.partition_epoch.0, state_after.leader_epoch.0),
        (ids(&[1, 3]), 1, 0)
    );
    // Below the minimum: those who had everything stay eligible.
    shrink(&mut controller, key, 1, &[1]);
    assert_eq!(state(&controller, key), (1, vec![1], vec![3]));
    shrink(&mut controller, key, 1, &[1, 2]);
    assert_eq!(state(&controller, key), (1, vec![1, 2], vec![]));
}

#[test]
fn what_a_leader_may_not_ask_is_refused_with_kafkas_codes() {
    let mut controller = cluster(3);
    let key = create(&mut controller, "t", &[&[1, 2]], &[])[0];
    shrink(&mut controller, key, 1, &[1]);
    let good = change(&controller, key, &[1, 2]);
    let with = |edit: &dyn Fn(&mut IsrChange)| {
        let mut wanted = good.clone();
        edit(&mut wanted);
        wanted
    };
    let cases = [
        (1, with(&|it| it.leader_epoch.0 += 1), ErrorCode::NotController),
        (1, with(&|it| it.partition_epoch.0 += 1), ErrorCode::NotController),
        (1, with(&|it| it.leader_epoch.0 -= 1), ErrorCode::FencedLeaderEpoch),
        (1, with(&|it| it.partition_epoch.0 -= 1), ErrorCode::InvalidUpdateVersion),
        (2, good.clone(), ErrorCode::InvalidRequest),
        (1, with(&|it| it.isr.push((BrokerId(3), BrokerEpoch::NONE))), ErrorCode::InvalidRequest),
        (1, with(&|it| it.isr.remove(0).0.0 = 0), ErrorCode::InvalidRequest),
        (1, with(&|it| it.isr[1].1 = BrokerEpoch(1)), ErrorCode::IneligibleReplica),
        (1, with(&|it| it.recovering = true), ErrorCode::InvalidRequest),
        (1, with(&|it| it.partition = 9), ErrorCode::UnknownTopicOrPartition),
    ];
    for (leader, wanted, expected) in cases {
        assert_eq!(alter(&mut controller, key, leader, wanted.clone()), Err(expected), "{wanted:?}");
    }
    assert!(alter(&mut controller, key, 1, good).is_ok());
}

#[test]
fn a_fenced_replica_cannot_join() {
    let mut controller = cluster(2);
    let key = create(&mut controller, "t", &[&[1, 2]], &[])[0];
    controller.handle(8_000, Request::BrokerHeartbeat(heartbeat(&controller, 1)));
    controller.tick(9_000);
    let wanted = change(&controller, key, &[1, 2]);
    assert_eq!(alter(&mut controller, key, 1, wanted), Err(ErrorCode::IneligibleReplica));
}

#[test]
fn a_refilled_replica_joins_from_its_new_disk() {
    let mut controller = cluster(2);
    let key = create(&mut controller, "t", &[&[1, 2]], &[])[0];
    controller.handle(8_000, Request::BrokerHeartbeat(heartbeat(&controller, 1)));
    controller.tick(9_000);
    let mut empty = registration(2);
    (empty.directories, empty.metadata_directory) = (vec![directory(50)], directory(50));
    controller.handle(
        9_000,
        Request::RegisterBroker(RegisterBroker { incarnation_id: Uuid::from_u128(9), ..empty }),
    );
    controller.handle(9_000, Request::BrokerHeartbeat(heartbeat(&controller, 2)));
    shrink(&mut controller, key, 1, &[1, 2]);
    assert_eq!(partition(&controller, key).directory(BrokerId(2)), directory(50));
    assert_eq!(state(&controller, key), (1, vec![1, 2], vec![]));
}

#[test]
fn a_replica_on_a_replaced_disk_is_not_eligible_any_more() {
    let mut controller = cluster(3);
    let key = create(&mut controller, "t", &[&[1, 2, 3]], &[("min.insync.replicas", "3")])[0];
    let epoch = controller.image().broker(BrokerId(2)).unwrap().epoch;
    // 2 has a second disk; the first fails, so 2 is out of sync, but what it had is still there.
    let two = controller.image().broker(BrokerId(2)).unwrap().clone();
    let added = record::BrokerChange {
        directories: Some(record::directory_bytes(&[directory(2), directory(50)])),
        ..heartbeat::change_of(&two)
    };
    controller.image.replay(&added.into()).unwrap();
    let failed = BrokerHeartbeat { offline_directories: vec![directory(2)], ..heartbeat(&controller, 2) };
    controller.handle(0, Request::BrokerHeartbeat(failed));
    assert_eq!(state(&controller, key), (1, vec![1, 3], vec![2]));
    // It makes a new replica on the other disk.
    let assign = AssignReplicas {
        broker: BrokerId(2),
        epoch,
        replicas: vec![(key, directory(50))],
        found: Default::default(),
    };
    let outcome = controller.handle(0, Request::AssignReplicas(assign));
    assert_eq!(outcome.reply, Reply::AssignReplicas(Ok(vec![(key, Ok(()))])));
    assert_eq!(state(&controller, key), (1, vec![1, 3], vec![]));
    assert_eq!(partition(&controller, key).directory(BrokerId(2)), directory(50));
}
