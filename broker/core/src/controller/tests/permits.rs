use super::*;

fn ask(controller: &mut Controller, now_ms: u64, id: i32) -> PermitAnswer {
    let request = AskPermit {
        broker: BrokerId(id),
        broker_epoch: BrokerEpoch::NONE,
        duration_ms: 60_000,
        force: false,
        dry_run: false,
        reason: "test".into(),
    };
    let outcome = controller.handle(now_ms, Request::AskPermit(request));
    let Reply::Permit(answer) = outcome.reply else { panic!() };
    answer
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
    let mut controller = cluster(3);
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
    let mut controller = cluster(3);
    let request = AskPermit {
        broker: BrokerId(1),
        broker_epoch: BrokerEpoch::NONE,
        duration_ms: 1,
        force: false,
        dry_run: true,
        reason: String::new(),
    };
    let outcome = controller.handle(0, Request::AskPermit(request));
    assert!(outcome.records.is_empty() && controller.image().permits().is_empty());
}
