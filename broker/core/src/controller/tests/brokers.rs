use super::*;
use crate::metadata::LOST_DIRECTORY;
use ottla_types::TopicPartition;
use std::collections::BTreeSet;

#[test]
fn a_broker_begins_fenced_and_is_unfenced_when_it_has_caught_up() {
    let mut controller = cluster(0);
    let outcome = controller.handle(5, Request::RegisterBroker(registration(1)));
    assert_eq!(outcome.reply, Reply::RegisterBroker(Ok(BrokerEpoch(3))));
    let mut request = heartbeat(&controller, 1);
    request.metadata_offset = 2;
    let outcome = controller.handle(6, Request::BrokerHeartbeat(request.clone()));
    let reply = HeartbeatReply { is_caught_up: false, is_fenced: true, should_shutdown: false };
    assert_eq!(outcome, Outcome::reply(Reply::BrokerHeartbeat(Ok(reply))));
    request.metadata_offset = 3;
    let outcome = controller.handle(7, Request::BrokerHeartbeat(request));
    let change =
        record::BrokerChange { broker_id: 1, broker_epoch: 3, fenced: Some(false), ..Default::default() };
    assert_eq!(outcome.records, [change.into()]);
}

#[test]
fn a_silent_broker_is_fenced_and_others_lead_in_its_place() {
    let mut controller = cluster(2);
    let keys = create(&mut controller, "t", &[&[1, 2], &[2, 1]], &[]);
    controller.handle(5_000, Request::BrokerHeartbeat(heartbeat(&controller, 2)));
    assert_eq!(controller.poll_timeout(), Some(9_000));
    assert!(controller.tick(8_999).records.is_empty());
    assert_eq!(controller.tick(9_000).records.len(), 2);
    assert_eq!(state(&controller, keys[0]), (2, vec![2], vec![]));
    assert_eq!(state(&controller, keys[1]), (2, vec![2], vec![]));
    assert_eq!(partition(&controller, keys[0]).leader_epoch.0, 1);
    assert_eq!(partition(&controller, keys[1]).leader_epoch.0, 0);
    assert_eq!(controller.poll_timeout(), Some(14_000));
}

#[test]
fn a_broker_whose_connection_broke_is_fenced_soon_unless_it_comes_back() {
    let mut controller = cluster(2);
    let epoch = |id| controller.image().broker(BrokerId(id)).unwrap().epoch;
    let suspect = Request::SuspectBroker { broker: BrokerId(1), epoch: epoch(1) };
    controller.handle(100, suspect.clone());
    assert_eq!(controller.poll_timeout(), Some(400));
    controller.handle(200, Request::BrokerHeartbeat(heartbeat(&controller, 1)));
    assert!(controller.tick(400).records.is_empty());
    controller.handle(500, suspect);
    controller.tick(800);
    assert!(controller.image().broker(BrokerId(1)).unwrap().fenced);
}

#[test]
fn the_last_in_sync_replica_stays_eligible_and_leads_when_it_comes_back() {
    let mut controller = cluster(1);
    let key = create(&mut controller, "t", &[&[1]], &[])[0];
    controller.tick(9_000);
    assert_eq!(state(&controller, key), (-1, vec![], vec![1]));
    controller.handle(9_001, Request::BrokerHeartbeat(heartbeat(&controller, 1)));
    assert_eq!(state(&controller, key), (1, vec![1], vec![]));
    assert!(!partition(&controller, key).recovering);
    assert_eq!(partition(&controller, key).leader_epoch.0, 2);
}

#[test]
fn after_a_crash_the_last_leader_is_elected_and_has_to_recover() {
    let mut controller = cluster(1);
    let key = create(&mut controller, "t", &[&[1]], &[])[0];
    let mut again = registration(1);
    again.incarnation_id = Uuid::from_u128(77);
    controller.handle(10, Request::RegisterBroker(again));
    assert_eq!(state(&controller, key), (-1, vec![], vec![]));
    controller.handle(20, Request::BrokerHeartbeat(heartbeat(&controller, 1)));
    assert_eq!(state(&controller, key), (1, vec![1], vec![]));
    assert!(partition(&controller, key).recovering);
}

#[test]
fn an_emptied_disk_is_never_elected_in_place_of_the_data() {
    let mut controller = cluster(2);
    let alone = create(&mut controller, "alone", &[&[1]], &[("unclean.leader.election.enable", "true")])[0];
    let shared = create(&mut controller, "shared", &[&[1, 2]], &[])[0];
    let mut empty = registration(1);
    empty.incarnation_id = Uuid::from_u128(77);
    (empty.directories, empty.metadata_directory) = (vec![directory(50)], directory(50));
    let outcome = controller.handle(10, Request::RegisterBroker(empty.clone()));
    let Reply::RegisterBroker(Err(error)) = outcome.reply else { panic!() };
    assert_eq!(error.code, ErrorCode::DuplicateBrokerRegistration);
    // Its session ends; the other one's does not.
    controller.handle(8_000, Request::BrokerHeartbeat(heartbeat(&controller, 2)));
    controller.tick(9_000);
    controller.handle(9_001, Request::RegisterBroker(empty));
    controller.handle(9_002, Request::BrokerHeartbeat(heartbeat(&controller, 1)));
    assert!(controller.image().is_active(BrokerId(1)));
    assert_eq!(state(&controller, alone).0, -1);
    assert_eq!(state(&controller, shared), (2, vec![2], vec![]));
}

fn lose(controller: &mut Controller, id: i32, key: TopicIdPartition) {
    let epoch = controller.image().broker(BrokerId(id)).unwrap().epoch;
    let request = AssignReplicas {
        broker: BrokerId(id),
        epoch,
        replicas: vec![(key, LOST_DIRECTORY)],
        found: BTreeSet::new(),
    };
    let outcome = controller.handle(10, Request::AssignReplicas(request));
    assert_eq!(outcome.reply, Reply::AssignReplicas(Ok(vec![(key, Ok(()))])));
}

fn place(controller: &mut Controller, id: i32, key: TopicIdPartition) -> Result<(), ErrorCode> {
    place_found(controller, id, key, &[])
}

fn place_found(
    controller: &mut Controller,
    id: i32,
    key: TopicIdPartition,
    found: &[TopicIdPartition],
) -> Result<(), ErrorCode> {
    let epoch = controller.image().broker(BrokerId(id)).unwrap().epoch;
    let found = found.iter().copied().collect();
    let request = AssignReplicas { broker: BrokerId(id), epoch, replicas: vec![(key, directory(id))], found };
    let outcome = controller.handle(10, Request::AssignReplicas(request));
    let Reply::AssignReplicas(Ok(results)) = outcome.reply else { panic!() };
    results[0].1
}

#[test]
fn a_lost_replica_leaves_the_isr_to_the_others_and_may_be_made_anew() {
    let mut controller = cluster(2);
    let key = create(&mut controller, "t", &[&[1, 2]], &[("min.insync.replicas", "2")])[0];
    lose(&mut controller, 1, key);
    // It has lost what was committed, so it is not eligible either.
    assert_eq!(state(&controller, key), (2, vec![2], vec![]));
    assert_eq!(place(&mut controller, 1, key), Ok(()));
    assert_eq!(partition(&controller, key).directory(BrokerId(1)), directory(1));
    assert_eq!(state(&controller, key), (2, vec![2], vec![]));
}

#[test]
fn the_last_in_sync_replica_that_is_lost_takes_the_partition_offline() {
    let mut controller = cluster(2);
    let key = create(&mut controller, "t", &[&[1, 2]], &[])[0];
    controller.handle(8_000, Request::BrokerHeartbeat(heartbeat(&controller, 1)));
    controller.tick(9_000);
    assert_eq!(state(&controller, key), (1, vec![1], vec![]));
    controller.handle(9_001, Request::BrokerHeartbeat(heartbeat(&controller, 2)));
    lose(&mut controller, 1, key);
    assert_eq!(state(&controller, key), (-1, vec![], vec![1]));
    assert_eq!(place(&mut controller, 1, key), Err(ErrorCode::KafkaStorageError));
    // Broker 2 is there and lacks records: only an administrator may have it lead.
    let of = vec![TopicPartition::new("t", 0)];
    controller.handle(9_002, Request::ElectLeaders { kind: ElectionType::Unclean, partitions: Some(of) });
    assert_eq!(state(&controller, key).0, 2);
    assert!(partition(&controller, key).recovering);
}

#[test]
fn the_last_in_sync_replica_leads_again_when_its_log_is_found() {
    let mut controller = cluster(2);
    let key = create(&mut controller, "t", &[&[1]], &[])[0];
    lose(&mut controller, 1, key);
    assert_eq!(place_found(&mut controller, 1, key, &[key]), Ok(()));
    assert_eq!(state(&controller, key), (1, vec![1], vec![]));
}

#[test]
fn an_administrator_may_let_an_empty_replica_lead_where_no_other_is() {
    let mut controller = cluster(1);
    let key = create(&mut controller, "t", &[&[1]], &[])[0];
    lose(&mut controller, 1, key);
    assert_eq!(state(&controller, key), (-1, vec![], vec![1]));
    let of = vec![TopicPartition::new("t", 0)];
    controller.handle(11, Request::ElectLeaders { kind: ElectionType::Unclean, partitions: Some(of) });
    assert_eq!(state(&controller, key).0, 1);
    assert_eq!(place(&mut controller, 1, key), Ok(()));
    assert_eq!(state(&controller, key), (1, vec![1], vec![]));
}

#[test]
fn a_controlled_shutdown_moves_leaders_then_waits_until_everybody_knows() {
    let mut controller = cluster(2);
    let key = create(&mut controller, "t", &[&[1, 2]], &[])[0];
    let mut request = heartbeat(&controller, 1);
    request.want_shutdown = true;
    let outcome = controller.handle(10, Request::BrokerHeartbeat(request.clone()));
    let waits = HeartbeatReply { is_caught_up: true, is_fenced: false, should_shutdown: false };
    assert_eq!(outcome.reply, Reply::BrokerHeartbeat(Ok(waits)));
    assert_eq!(state(&controller, key), (2, vec![2], vec![]));
    controller.appended(2_000_000);
    let outcome = controller.handle(11, Request::BrokerHeartbeat(request.clone()));
    assert_eq!(outcome, Outcome::reply(Reply::BrokerHeartbeat(Ok(waits))));
    let mut other = heartbeat(&controller, 2);
    other.metadata_offset = 2_000_000;
    controller.handle(12, Request::BrokerHeartbeat(other));
    let outcome = controller.handle(13, Request::BrokerHeartbeat(request));
    let may_go = HeartbeatReply { is_caught_up: true, is_fenced: true, should_shutdown: true };
    assert_eq!(outcome.reply, Reply::BrokerHeartbeat(Ok(may_go)));
}

#[test]
fn registrations_that_cannot_be_are_refused() {
    let mut controller = cluster(1);
    let mut other_cluster = registration(2);
    other_cluster.cluster_id = "x".into();
    let mut same_directory = registration(2);
    same_directory.directories = vec![directory(1)];
    let mut old_version = registration(2);
    old_version.features.clear();
    for (request, expected) in [
        (other_cluster, ErrorCode::InconsistentClusterId),
        (same_directory, ErrorCode::InvalidRegistration),
        (old_version, ErrorCode::UnsupportedVersion),
    ] {
        let outcome = controller.handle(0, Request::RegisterBroker(request));
        let Reply::RegisterBroker(Err(error)) = outcome.reply else { panic!() };
        assert_eq!((error.code, outcome.records), (expected, vec![]));
    }
}

#[test]
fn a_stale_epoch_or_an_unknown_broker_is_told_so() {
    let mut controller = cluster(1);
    let mut request = heartbeat(&controller, 1);
    request.broker_epoch = BrokerEpoch(1);
    let outcome = controller.handle(0, Request::BrokerHeartbeat(request.clone()));
    let Reply::BrokerHeartbeat(Err(error)) = outcome.reply else { panic!() };
    assert_eq!(error.code, ErrorCode::StaleBrokerEpoch);
    request.broker_id = BrokerId(9);
    let outcome = controller.handle(0, Request::BrokerHeartbeat(request));
    let Reply::BrokerHeartbeat(Err(error)) = outcome.reply else { panic!() };
    assert_eq!(error.code, ErrorCode::BrokerIdNotRegistered);
}

#[test]
fn an_unregistered_broker_leaves_every_isr() {
    let mut controller = cluster(2);
    let key = create(&mut controller, "t", &[&[1, 2]], &[])[0];
    let epoch = controller.image().broker(BrokerId(1)).unwrap().epoch.0;
    let outcome =
        controller.handle(0, Request::UnregisterBroker { broker: BrokerId(1), only_if_unused: false });
    assert_eq!(outcome.records[0], record::UnregisterBroker { broker_id: 1, broker_epoch: epoch }.into());
    assert_eq!(state(&controller, key), (2, vec![2], vec![]));
    assert!(controller.image().broker(BrokerId(1)).is_none());
}

fn unregister(controller: &mut Controller, id: i32) -> Result<(), ApiError> {
    let request = Request::UnregisterBroker { broker: BrokerId(id), only_if_unused: true };
    let Reply::UnregisterBroker(result) = controller.handle(0, request).reply else { panic!() };
    result
}

#[test]
fn a_broker_in_use_is_not_unregistered_by_those_who_ask_first() {
    let mut controller = cluster(3);
    create(&mut controller, "t", &[&[1, 2]], &[]);
    let why = |controller: &mut Controller, id| unregister(controller, id).unwrap_err().message.unwrap();
    assert!(why(&mut controller, 1).contains("holds 1 replicas"));
    assert!(why(&mut controller, 3).contains("still runs"));
    let node = controller.image().broker(BrokerId(3)).unwrap().node();
    controller.membership_changed(Membership { voters: [node].into(), learners: Default::default() });
    assert!(why(&mut controller, 3).contains("votes"));
    controller.membership_changed(Membership::default());
    let leave = BrokerHeartbeat { want_fence: true, ..heartbeat(&controller, 3) };
    controller.handle(0, Request::BrokerHeartbeat(leave));
    assert_eq!(unregister(&mut controller, 3), Ok(()));
}

#[test]
fn sessions_say_what_is_not_in_the_log() {
    let mut controller = cluster(2);
    create(&mut controller, "t", &[&[1, 2]], &[]);
    let ask = AskPermit {
        broker: BrokerId(1),
        broker_epoch: BrokerEpoch::NONE,
        duration_ms: 1_000,
        force: false,
        dry_run: false,
        reason: String::new(),
        single_replica: None,
    };
    controller.handle(100, Request::AskPermit(ask));
    let Reply::Sessions(sessions) = controller.handle(400, Request::DescribeSessions).reply else { panic!() };
    let session = |id: i32, permit_remaining_ms| BrokerSession {
        broker: BrokerId(id),
        epoch: controller.image().broker(BrokerId(id)).unwrap().epoch,
        silent_ms: 400,
        software_version: "1.2.3".into(),
        permit_remaining_ms,
    };
    assert_eq!(sessions, [session(1, 700), session(2, 0)]);
}

#[test]
fn producer_ids_are_handed_out_once() {
    let mut controller = cluster(1);
    let epoch = controller.image().broker(BrokerId(1)).unwrap().epoch;
    let request = Request::AllocateProducerIds { broker: BrokerId(1), epoch };
    assert_eq!(controller.handle(0, request.clone()).reply, Reply::ProducerIds(Ok(0..1000)));
    assert_eq!(controller.handle(0, request).reply, Reply::ProducerIds(Ok(1000..2000)));
}

#[test]
fn a_controller_takes_over_an_image_only_when_nothing_is_missing_in_it() {
    let mut controller = cluster(1);
    let before = controller.image().clone();
    create(&mut controller, "t", &[&[1]], &[]);
    controller.appended(50);
    controller.committed(&before);
    assert!(controller.image().topic_by_name("t").is_some());
    let mut committed = controller.image().clone();
    committed.set_offset(51);
    controller.committed(&committed);
    assert_eq!(controller.image().offset(), 51);
}
