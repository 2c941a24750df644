use super::*;

/// `cargo test --release -p ottla-core large -- --ignored --nocapture`
#[test]
#[ignore = "a measurement"]
fn ten_thousand_partitions_are_created_and_fail_over() {
    let mut controller = cluster(3);
    let begin = std::time::Instant::now();
    let topic = CreateTopic { partitions: 10_000, replication_factor: 3, ..CreateTopic::with_defaults("t") };
    let outcome = controller.handle(0, Request::CreateTopics { topics: vec![topic], validate_only: false });
    let bytes = crate::metadata::encode(&outcome.records).len();
    println!("create {:?}: {} records, {bytes} bytes", begin.elapsed(), outcome.records.len());
    for id in 2..=3 {
        controller.handle(8_000, Request::BrokerHeartbeat(heartbeat(&controller, id)));
    }
    let begin = std::time::Instant::now();
    let outcome = controller.tick(9_000);
    let bytes = crate::metadata::encode(&outcome.records).len();
    println!("fence {:?}: {} records, {bytes} bytes", begin.elapsed(), outcome.records.len());
    let begin = std::time::Instant::now();
    let snapshot = controller.image().to_snapshot();
    println!("snapshot {:?}: {} bytes", begin.elapsed(), snapshot.len());
    let begin = std::time::Instant::now();
    Image::from_snapshot(snapshot).unwrap();
    println!("load {:?}", begin.elapsed());
}

#[test]
fn a_large_request_makes_few_records() {
    let mut controller = cluster(3);
    let topic = CreateTopic { partitions: 1_000, replication_factor: 3, ..CreateTopic::with_defaults("t") };
    let outcome = controller.handle(0, Request::CreateTopics { topics: vec![topic], validate_only: false });
    assert_eq!(outcome.records.len(), 2);
    for id in 2..=3 {
        controller.handle(8_000, Request::BrokerHeartbeat(heartbeat(&controller, id)));
    }
    assert_eq!(controller.tick(9_000).records.len(), 2);
    let leads = |id| {
        controller
            .image()
            .topics()
            .values()
            .flat_map(|topic| topic.partitions.iter())
            .filter(|partition| partition.leader == BrokerId(id))
            .count()
    };
    assert_eq!((leads(1), leads(2) + leads(3)), (0, 1_000));
}
