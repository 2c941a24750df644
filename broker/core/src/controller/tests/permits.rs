use super::*;

fn request(id: i32) -> AskPermit {
    AskPermit {
        broker: BrokerId(id),
        broker_epoch: BrokerEpoch::NONE,
        duration_ms: 60_000,
        force: false,
        dry_run: false,
        reason: "test".into(),
        single_replica: None,
    }
}

fn answer(outcome: Outcome) -> PermitAnswer {
    let Reply::Permit(answer) = outcome.reply else { panic!() };
    answer
}

fn ask(controller: &mut Controller, now_ms: u64, id: i32) -> PermitAnswer {
    answer(controller.handle(now_ms, Request::AskPermit(request(id))))
}

/// A cluster in which every broker is needed for something.
fn busy_cluster(brokers: i32) -> Controller {
    let mut controller = cluster(brokers);
    let everybody: Vec<i32> = (1..=brokers).collect();
    create(&mut controller, "busy", &[&everybody], &[]);
    controller
}

#[test]
fn a_second_broker_is_refused_until_the_first_is_back_in_every_isr() {
    let mut controller = cluster(3);
    let key = create(&mut controller, "t", &[&[1, 2, 3]], &[("min.insync.replicas", "2")])[0];
    assert!(matches!(ask(&mut controller, 0, 1), PermitAnswer::Granted { epoch: 1, .. }));
    assert_eq!(ask(&mut controller, 0, 1), PermitAnswer::Held { epoch: 1 });
    assert!(matches!(ask(&mut controller, 0, 2), PermitAnswer::Refused(_)));
    // It stops and comes back.
    let again = RegisterBroker { incarnation_id: Uuid::from_u128(99), ..registration(1) };
    controller.handle(10, Request::RegisterBroker(again));
    controller.handle(11, Request::BrokerHeartbeat(heartbeat(&controller, 1)));
    assert!(matches!(ask(&mut controller, 11, 2), PermitAnswer::Refused(_)));
    isr::shrink(&mut controller, key, 2, &[1, 2, 3]);
    assert!(controller.image().permits().is_empty());
    assert!(matches!(ask(&mut controller, 12, 2), PermitAnswer::Granted { epoch: 2, .. }));
}

#[test]
fn a_permit_expires_and_a_new_controller_gives_it_its_whole_time_again() {
    let mut controller = busy_cluster(3);
    ask(&mut controller, 1_000, 1);
    let mut next = Controller::new(controller.image().clone(), 50_000, Rules::new(8));
    for now in [50_000, 55_000, 62_000, 68_000, 74_000, 80_000, 86_000, 92_000, 98_000, 104_000, 109_000] {
        for id in 1..=3 {
            next.handle(now, Request::BrokerHeartbeat(heartbeat(&next, id)));
        }
        next.tick(now);
        assert_eq!(next.image().permits().len(), 1, "{now}");
    }
    next.tick(110_000);
    assert!(next.image().permits().is_empty());
}

#[test]
fn a_dry_run_grants_nothing() {
    let mut controller = busy_cluster(3);
    let dry = AskPermit { dry_run: true, ..request(1) };
    let outcome = controller.handle(0, Request::AskPermit(dry));
    assert!(outcome.records.is_empty() && controller.image().permits().is_empty());
    let granted = PermitAnswer::Granted { epoch: 0, overridden: crate::permit::Reasons::default() };
    assert_eq!(answer(outcome), granted);
}

#[test]
fn asking_again_holds_on_to_the_permit() {
    let mut controller = busy_cluster(3);
    ask(&mut controller, 0, 1);
    let beat = |controller: &mut Controller, now| {
        for id in 1..=3 {
            controller.handle(now, Request::BrokerHeartbeat(heartbeat(controller, id)));
        }
        controller.tick(now);
    };
    (1..=10).for_each(|step| beat(&mut controller, step * 5_000));
    let again = AskPermit { duration_ms: 20_000, ..request(1) };
    let outcome = controller.handle(50_000, Request::AskPermit(again.clone()));
    assert_eq!(outcome.records.len(), 1);
    assert_eq!(answer(outcome), PermitAnswer::Held { epoch: 1 });
    let dry = controller.handle(51_000, Request::AskPermit(AskPermit { dry_run: true, ..again }));
    assert_eq!(dry, Outcome::reply(Reply::Permit(PermitAnswer::Held { epoch: 1 })));
    (11..=13).for_each(|step| beat(&mut controller, step * 5_000));
    assert_eq!(controller.image().permits().len(), 1, "its first time is over, its second is not");
    beat(&mut controller, 70_000);
    assert!(controller.image().permits().is_empty());
}

#[test]
fn a_broker_that_nobody_misses_needs_no_permit() {
    let mut controller = cluster(3);
    create(&mut controller, "t", &[&[1, 2]], &[]);
    ask(&mut controller, 0, 1);
    assert_eq!(ask(&mut controller, 0, 3), PermitAnswer::NotNeeded);
    assert!(matches!(ask(&mut controller, 0, 2), PermitAnswer::Refused(_)));
    let nodes = controller.image().brokers().values().map(|broker| broker.node()).collect();
    controller.membership_changed(Membership { voters: nodes, learners: Default::default() });
    assert!(matches!(ask(&mut controller, 0, 3), PermitAnswer::Refused(_)), "it votes");
}

#[test]
fn a_replica_that_nobody_else_has_moves_away_before_its_broker_may_stop() {
    let mut controller = cluster(3);
    let mut keys = create(&mut controller, "single", &[&[1], &[2]], &[]);
    keys.extend(create(&mut controller, "double", &[&[1, 2]], &[]));
    let move_away =
        || AskPermit { single_replica: Some(crate::permit::Unsparable::MoveAwayFirst), ..request(1) };
    let dry = controller.handle(0, Request::AskPermit(AskPermit { dry_run: true, ..move_away() }));
    assert!(dry.records.is_empty());
    let PermitAnswer::Refused(reasons) = answer(dry) else { panic!("refused") };
    assert_eq!(reasons.total, 1);
    let refused = controller.handle(0, Request::AskPermit(move_away()));
    assert!(matches!(answer(refused), PermitAnswer::Refused(_)));
    let moving = partition(&controller, keys[0]);
    assert_eq!((moving.adding.len(), &moving.removing), (1, &ids(&[1])));
    assert!(
        !partition(&controller, keys[1]).is_reassigning()
            && !partition(&controller, keys[2]).is_reassigning()
    );
    let again = controller.handle(0, Request::AskPermit(move_away()));
    assert!(again.records.is_empty(), "it is under way already");
    let target = partition(&controller, keys[0]).adding[0].0;
    let joined = isr::change(&controller, keys[0], &[1, target]);
    assert_eq!(
        isr::alter(&mut controller, keys[0], 1, joined),
        Err(ErrorCode::NewLeaderElected),
        "who leaves does not lead on"
    );
    assert_eq!(partition(&controller, keys[0]).replicas, ids(&[target]));
    let granted = controller.handle(0, Request::AskPermit(move_away()));
    assert!(matches!(answer(granted), PermitAnswer::Granted { epoch: 1, .. }));
}

#[test]
fn when_the_whole_cluster_stops_every_broker_that_is_there_may_go() {
    let mut controller = busy_cluster(3);
    assert!(matches!(ask(&mut controller, 0, 2), PermitAnswer::Granted { epoch: 1, .. }));
    assert!(!controller.image().everybody_stops(), "two are still to ask");
    let all = || Request::PermitAll { duration_ms: 60_000, reason: "hibernation".into() };
    assert_eq!(controller.handle(50_000, all()).reply, Reply::PermitAll);
    assert!(controller.image().everybody_stops());
    assert_eq!(ask(&mut controller, 50_000, 2), PermitAnswer::Held { epoch: 1 });
    assert_eq!(ask(&mut controller, 50_000, 3), PermitAnswer::Held { epoch: 3 });
    assert!(controller.image().permits()[&BrokerId(1)].forced);
    // Who starts again is bound by the rule again, and the word is not for ever.
    let again = RegisterBroker { incarnation_id: Uuid::from_u128(99), ..registration(1) };
    controller.handle(51_000, Request::RegisterBroker(again));
    controller.handle(51_001, Request::BrokerHeartbeat(heartbeat(&controller, 1)));
    assert!(!controller.image().everybody_stops());
    assert!(matches!(ask(&mut controller, 51_002, 1), PermitAnswer::Refused(_)));
}
