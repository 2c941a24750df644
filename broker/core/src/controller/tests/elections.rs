use super::*;
use ottla_types::TopicPartition;

fn elect(
    controller: &mut Controller,
    kind: ElectionType,
    partitions: Option<&[i32]>,
) -> Vec<(i32, ErrorCode)> {
    let partitions =
        partitions.map(|list| list.iter().map(|&index| TopicPartition::new("t", index)).collect());
    let outcome = controller.handle(0, Request::ElectLeaders { kind, partitions });
    let Reply::ElectLeaders(results) = outcome.reply else { panic!() };
    let code = |result: Result<(), ApiError>| result.map_or_else(|error| error.code, |()| ErrorCode::None);
    results.into_iter().map(|(of, result)| (of.partition, code(result))).collect()
}

/// Broker 1 goes away and comes back, in sync again.
fn bounce(controller: &mut Controller, keys: &[TopicIdPartition]) {
    for id in 2..=3 {
        controller.handle(8_000, Request::BrokerHeartbeat(heartbeat(controller, id)));
    }
    controller.tick(9_000);
    controller.handle(9_000, Request::BrokerHeartbeat(heartbeat(controller, 1)));
    for &key in keys {
        let leader = partition(controller, key).leader.0;
        let all = broker_list(&partition(controller, key).replicas);
        isr::shrink(controller, key, leader, &all);
    }
}

#[test]
fn a_preferred_leader_gets_its_partitions_back_when_asked() {
    let mut controller = cluster(3);
    let keys = create(&mut controller, "t", &[&[1, 2], &[2, 3], &[1, 3]], &[]);
    bounce(&mut controller, &keys);
    assert_eq!(keys.iter().map(|&key| state(&controller, key).0).collect::<Vec<_>>(), [2, 2, 3]);
    let asked = elect(&mut controller, ElectionType::Preferred, Some(&[0, 1, 9]));
    let expected =
        [(0, ErrorCode::None), (1, ErrorCode::ElectionNotNeeded), (9, ErrorCode::UnknownTopicOrPartition)];
    assert_eq!(asked, expected);
    // For all, those that need nothing are not named.
    assert_eq!(elect(&mut controller, ElectionType::Preferred, None), [(2, ErrorCode::None)]);
    assert_eq!(keys.iter().map(|&key| state(&controller, key).0).collect::<Vec<_>>(), [1, 2, 1]);
}

#[test]
fn leaders_go_back_by_themselves_after_a_while() {
    let mut controller = cluster(3);
    let keys = create(&mut controller, "t", &[&[1, 2]], &[]);
    bounce(&mut controller, &keys);
    for id in 1..=3 {
        controller.handle(299_999, Request::BrokerHeartbeat(heartbeat(&controller, id)));
    }
    controller.tick(300_000);
    assert_eq!(state(&controller, keys[0]).0, 1);
}

#[test]
fn a_preferred_leader_that_is_not_in_sync_is_not_elected() {
    let mut controller = cluster(3);
    create(&mut controller, "t", &[&[1, 2]], &[]);
    for id in 2..=3 {
        controller.handle(8_000, Request::BrokerHeartbeat(heartbeat(&controller, id)));
    }
    controller.tick(9_000);
    let asked = elect(&mut controller, ElectionType::Preferred, Some(&[0]));
    assert_eq!(asked, [(0, ErrorCode::PreferredLeaderNotAvailable)]);
}

#[test]
fn an_unclean_election_needs_somebody_who_is_there() {
    let mut controller = cluster(2);
    let key = create(&mut controller, "t", &[&[1, 2]], &[])[0];
    assert_eq!(
        elect(&mut controller, ElectionType::Unclean, Some(&[0])),
        [(0, ErrorCode::ElectionNotNeeded)]
    );
    isr::shrink(&mut controller, key, 1, &[1]);
    controller.tick(9_000);
    assert_eq!(
        elect(&mut controller, ElectionType::Unclean, Some(&[0])),
        [(0, ErrorCode::EligibleLeadersNotAvailable)]
    );
    controller.handle(9_000, Request::BrokerHeartbeat(heartbeat(&controller, 2)));
    assert_eq!(state(&controller, key).0, -1);
    assert_eq!(elect(&mut controller, ElectionType::Unclean, Some(&[0])), [(0, ErrorCode::None)]);
    assert_eq!(state(&controller, key).0, 2);
    assert!(partition(&controller, key).recovering);
}
