use super::*;
use ottla_types::TopicPartition;

fn reassign(controller: &mut Controller, target: Option<&[i32]>, may_change_factor: bool) -> ErrorCode {
    let moves = vec![(TopicPartition::new("t", 0), target.map(ids))];
    let request = Request::Reassign { moves, allow_replication_factor_change: may_change_factor };
    let outcome = controller.handle(0, request);
    let Reply::Reassign(mut results) = outcome.reply else { panic!() };
    results.remove(0).1.map_or_else(|error| error.code, |()| ErrorCode::None)
}

fn lists(controller: &Controller, key: TopicIdPartition) -> [Vec<i32>; 3] {
    let partition = partition(controller, key);
    [&partition.replicas, &partition.adding, &partition.removing].map(|list| broker_list(list))
}

#[test]
fn a_reassignment_is_through_when_all_new_replicas_are_in_sync() {
    let mut controller = cluster(4);
    let key = create(&mut controller, "t", &[&[1, 2]], &[])[0];
    assert_eq!(reassign(&mut controller, Some(&[3, 4]), true), ErrorCode::None);
    assert_eq!(lists(&controller, key), [vec![3, 4, 1, 2], vec![3, 4], vec![1, 2]]);
    assert_eq!(reassignments(controller.image(), None), [key]);
    assert_eq!(partition(&controller, key).directory(BrokerId(3)), directory(3));
    isr::shrink(&mut controller, key, 1, &[1, 2, 3]);
    assert_eq!(lists(&controller, key)[2], [1, 2]);
    // The leader is among those that go: it is told that another leads.
    let leader = controller.image().broker(BrokerId(1)).unwrap().clone();
    let change = IsrChange {
        partition: 0,
        leader_epoch: partition(&controller, key).leader_epoch,
        partition_epoch: partition(&controller, key).partition_epoch,
        isr: ids(&[1, 2, 3, 4]).into_iter().map(|id| (id, BrokerEpoch::NONE)).collect(),
        recovering: false,
    };
    let topics = vec![(key.topic_id, vec![change])];
    let outcome =
        controller.handle(0, Request::AlterPartition { broker: leader.id, epoch: leader.epoch, topics });
    let Reply::AlterPartition(Ok(results)) = outcome.reply else { panic!() };
    assert_eq!(results[0].1[0].1, Err(ErrorCode::NewLeaderElected));
    assert_eq!(lists(&controller, key), [vec![3, 4], vec![], vec![]]);
    assert_eq!(state(&controller, key), (3, vec![3, 4], vec![]));
    assert!(reassignments(controller.image(), None).is_empty());
}

#[test]
fn fewer_replicas_need_no_waiting_and_a_new_leader_epoch() {
    let mut controller = cluster(3);
    let key = create(&mut controller, "t", &[&[1, 2, 3]], &[])[0];
    assert_eq!(reassign(&mut controller, Some(&[1, 2]), false), ErrorCode::InvalidReplicationFactor);
    assert_eq!(reassign(&mut controller, Some(&[1, 2]), true), ErrorCode::None);
    assert_eq!(lists(&controller, key), [vec![1, 2], vec![], vec![]]);
    assert_eq!(state(&controller, key), (1, vec![1, 2], vec![]));
    assert_eq!(partition(&controller, key).leader_epoch.0, 1);
}

#[test]
fn cancelling_takes_the_new_replicas_away() {
    let mut controller = cluster(3);
    let key = create(&mut controller, "t", &[&[1, 2]], &[])[0];
    assert_eq!(reassign(&mut controller, None, true), ErrorCode::NoReassignmentInProgress);
    reassign(&mut controller, Some(&[3, 1]), true);
    assert_eq!(reassign(&mut controller, None, true), ErrorCode::None);
    let [mut replicas, adding, removing] = lists(&controller, key);
    replicas.sort_unstable();
    assert_eq!((replicas, adding, removing), (vec![1, 2], vec![], vec![]));
}

#[test]
fn another_target_while_one_is_under_way_still_waits_for_what_is_not_there_yet() {
    let mut controller = cluster(4);
    let key = create(&mut controller, "t", &[&[1, 2]], &[])[0];
    reassign(&mut controller, Some(&[3, 1]), true);
    reassign(&mut controller, Some(&[3, 4]), true);
    assert_eq!(lists(&controller, key), [vec![3, 4, 1, 2], vec![3, 4], vec![1, 2]]);
}

#[test]
fn targets_that_cannot_be_are_refused() {
    let mut controller = cluster(2);
    create(&mut controller, "t", &[&[1, 2]], &[]);
    for target in [&[][..], &[1, 1], &[1, 9]] {
        assert_eq!(reassign(&mut controller, Some(target), true), ErrorCode::InvalidReplicaAssignment);
    }
}
