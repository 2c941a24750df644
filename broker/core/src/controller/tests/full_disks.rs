//! Brokers without room on a disk.

use super::*;

fn full(controller: &Controller, id: i32) -> Request {
    let full_directories = vec![directory(id)];
    Request::BrokerHeartbeat(BrokerHeartbeat { full_directories, ..heartbeat(controller, id) })
}

#[test]
fn a_broker_without_room_hands_its_leaders_to_others_in_sync_and_stays_in_sync() {
    let mut controller = cluster(3);
    let keys = create(&mut controller, "t", &[&[1, 2, 3], &[2, 1, 3]], &[]);
    let alone = create(&mut controller, "alone", &[&[1]], &[])[0];
    let outcome = controller.handle(0, full(&controller, 1));
    assert_eq!(outcome.records.len(), 1, "{outcome:?}");
    assert_eq!(state(&controller, keys[0]), (2, vec![1, 2, 3], vec![]));
    assert_eq!(state(&controller, keys[1]), (2, vec![2, 1, 3], vec![]));
    // Nobody else has it: it is read here.
    assert_eq!(state(&controller, alone), (1, vec![1], vec![]));
}

#[test]
fn leaders_go_to_those_with_room_and_stay_where_nobody_has_any() {
    let mut controller = cluster(3);
    let key = create(&mut controller, "t", &[&[1, 2, 3]], &[])[0];
    controller.handle(0, full(&controller, 2));
    controller.handle(0, full(&controller, 1));
    assert_eq!(state(&controller, key).0, 3);
    let outcome = controller.handle(0, full(&controller, 3));
    assert_eq!(outcome.records, vec![]);
    assert_eq!(state(&controller, key).0, 3);
}

#[test]
fn a_preferred_leader_gets_its_partitions_back_when_it_has_room_again() {
    let mut controller = cluster(2);
    let key = create(&mut controller, "t", &[&[1, 2]], &[])[0];
    controller.handle(0, full(&controller, 1));
    let balance = |controller: &mut Controller| {
        let mut draft = controller.draft();
        controller.balance_leaders(&mut draft);
        controller.finish(draft, Reply::Done)
    };
    assert_eq!(balance(&mut controller).records, vec![]);
    controller.handle(0, Request::BrokerHeartbeat(heartbeat(&controller, 1)));
    balance(&mut controller);
    assert_eq!(state(&controller, key).0, 1);
}
