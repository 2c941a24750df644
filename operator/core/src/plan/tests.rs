use super::model::Model;
use super::*;
use crate::cluster::ClusterSpec;
use proptest::prelude::*;
use serde_json::json;

fn spec(json: serde_json::Value) -> ClusterSpec {
    serde_json::from_value(json).unwrap()
}

/// A cluster that has settled, with partitions on it.
fn settled(json: serde_json::Value) -> Model {
    let mut model = Model::new(spec(json));
    model.settle();
    model.with_partitions(12, model.cluster.spec.replicas.min(3));
    model.settle();
    model
}

fn wait_of(model: &Model) -> Option<Wait> {
    next(&model.observe()).work.and_then(|work| work.wait)
}

#[test]
fn a_new_cluster_gets_its_brokers_and_then_nothing_is_left_to_do() {
    let mut model = Model::new(spec(json!({})));
    model.settle();
    assert_eq!(model.pods(), [0, 1, 2]);
    let plan = next(&model.observe());
    assert!(plan.steps.is_empty() && plan.disruption.is_none() && plan.work.is_none());
}

#[test]
fn another_image_restarts_every_broker_one_after_the_other() {
    let mut model = settled(json!({}));
    model.cluster.spec.image = Some("ottla:2".to_owned());
    model.settle();
    for id in model.pods() {
        assert_eq!(model.pod(id).image, "ottla:2");
    }
}

#[test]
fn an_operator_that_would_name_another_image_restarts_nobody() {
    let model = settled(json!({}));
    let observed = Observed { default_image: "ottla:99", ..model.observe() };
    assert!(next(&observed).restarts.is_empty());
}

#[test]
fn a_setting_that_kafka_changes_while_running_restarts_nobody() {
    let mut model = settled(json!({}));
    model.cluster.spec.config.insert("log.retention.ms".to_owned(), "1000".to_owned());
    let plan = next(&model.observe());
    assert!(plan.restarts.is_empty());
    assert!(
        matches!(&plan.steps[..], [Step::AlterSettings { set, .. }] if set["log.retention.ms"] == "1000")
    );
    model.settle();
    model.cluster.spec.config.clear();
    let plan = next(&model.observe());
    assert!(
        matches!(&plan.steps[..], [Step::AlterSettings { delete, .. }] if delete == &["log.retention.ms"])
    );
}

#[test]
fn a_broker_that_does_not_come_back_stops_the_roll_until_it_is_repaired() {
    let mut model = settled(json!({}));
    model.broken_image = Some("broken".to_owned());
    model.cluster.spec.image = Some("broken".to_owned());
    for _ in 0..50 {
        let plan = next(&model.observe());
        model.apply(&plan, usize::MAX);
        model.turn();
    }
    let broken = model.pods().into_iter().filter(|id| model.pod(*id).image == "broken").count();
    assert_eq!((broken, wait_of(&model)), (1, Some(Wait::BrokerNotBack)));
    model.cluster.spec.image = Some("ottla:3".to_owned());
    model.settle();
    assert!(model.pods().into_iter().all(|id| model.pod(id).image == "ottla:3"));
}

#[test]
fn paused_restarts_wait_and_say_so() {
    let mut model = settled(json!({"rollout": {"paused": true}}));
    model.cluster.spec.image = Some("ottla:2".to_owned());
    let plan = next(&model.observe());
    model.apply(&plan, usize::MAX);
    assert_eq!((plan.disruption, wait_of(&model)), (None, Some(Wait::Paused)));
}

#[test]
fn brokers_that_say_nothing_are_never_taken_for_yes() {
    let mut model = settled(json!({}));
    model.is_silent = true;
    model.cluster.spec.image = Some("ottla:2".to_owned());
    let plan = next(&model.observe());
    model.apply(&plan, usize::MAX);
    let plan = next(&model.observe());
    assert_eq!((plan.disruption, wait_of(&model)), (None, Some(Wait::BrokersUnreachable)));
}

#[test]
fn more_brokers_get_their_share_of_the_partitions() {
    let mut model = settled(json!({}));
    model.cluster.spec.replicas = 5;
    model.settle();
    let on = |id: i32| model.partitions.iter().filter(|at| at.replicas.contains(&id)).count();
    assert!((0..5).all(|id| (6..=9).contains(&on(id))), "{:?}", (0..5).map(on).collect::<Vec<_>>());
    assert!(model.cluster.status.as_ref().unwrap().spreading.is_empty());
}

#[test]
fn fewer_brokers_are_emptied_before_they_go() {
    let mut model = settled(json!({"replicas": 5, "storage": {"retention": {"whenScaled": "Delete"}}}));
    model.cluster.spec.replicas = 3;
    model.settle();
    assert_eq!(
        (model.pods(), model.claims(), model.registered()),
        (vec![0, 1, 2], vec![0, 1, 2], vec![0, 1, 2])
    );
    assert!(model.partitions.iter().all(|at| at.replicas.iter().all(|id| *id < 3)));
}

#[test]
fn volumes_of_brokers_that_left_stay_unless_the_policy_says_otherwise() {
    let mut model = settled(json!({"replicas": 4}));
    model.cluster.spec.replicas = 3;
    model.settle();
    assert_eq!((model.pods(), model.claims()), (vec![0, 1, 2], vec![0, 1, 2, 3]));
}

#[test]
fn putting_the_number_back_calls_leaving_off() {
    let mut model = settled(json!({"replicas": 5}));
    model.cluster.spec.replicas = 3;
    for _ in 0..3 {
        let plan = next(&model.observe());
        model.apply(&plan, usize::MAX);
        model.turn();
    }
    assert!(!model.cluster.status.as_ref().unwrap().leaving.is_empty());
    model.cluster.spec.replicas = 5;
    model.settle();
    let plan = next(&model.observe());
    let view = model.observe().brokers.unwrap();
    assert_eq!(model.pods().len(), 5);
    assert!(view.brokers.values().all(|broker| !broker.is_cordoned) && plan.steps.is_empty());
    assert!(model.cluster.status.as_ref().unwrap().leaving.is_empty());
}

#[test]
fn fewer_brokers_than_replicas_is_refused_with_a_reason() {
    let mut model = settled(json!({}));
    model.cluster.spec.replicas = 2;
    for _ in 0..20 {
        let plan = next(&model.observe());
        assert!(plan.disruption.is_none() && plan.restarts.is_empty());
        model.apply(&plan, usize::MAX);
        model.turn();
    }
    assert_eq!((model.pods().len(), wait_of(&model)), (3, Some(Wait::ReplicationFactor)));
}

#[test]
fn a_cluster_wakes_with_the_brokers_that_it_went_to_sleep_with() {
    let mut model = settled(json!({"replicas": 4}));
    model.cluster.spec.hibernate = true;
    assert_eq!(next(&model.observe()).steps, [Step::PermitAll]);
    model.settle();
    assert!(model.pods().is_empty());
    assert_eq!(model.claims(), [0, 1, 2, 3]);
    // Fewer are wanted when it wakes: those that leave must still be emptied.
    model.cluster.spec.hibernate = false;
    model.cluster.spec.replicas = 3;
    let plan = next(&model.observe());
    assert_eq!(plan.shape.unwrap().replicas, 4);
    model.settle();
    assert_eq!(model.pods(), [0, 1, 2]);
}

#[test]
fn brokers_that_do_not_wake_are_unregistered_before_another_one_goes() {
    let mut model = settled(json!({"replicas": 4}));
    let look = |model: &mut Model| {
        let plan = next(&model.observe());
        model.apply(&plan, usize::MAX);
        model.turn();
    };
    // Broker 3 is empty when two more come that get nothing, and all stop.
    model.cluster.spec.replicas = 3;
    look(&mut model);
    model.is_silent = true;
    model.cluster.spec.replicas = 6;
    (0..4).for_each(|_| look(&mut model));
    model.cluster.spec.hibernate = true;
    look(&mut model);
    assert_eq!((model.pods(), model.registered()), (vec![], vec![0, 1, 2, 3, 4, 5]));
    // As if nobody had seen the two.
    model.status().brokers.truncate(4);
    model.is_silent = false;
    model.cluster.spec.hibernate = false;
    model.cluster.spec.replicas = 3;
    model.settle();
    assert_eq!((model.pods(), model.registered()), (vec![0, 1, 2], vec![0, 1, 2]));
}

#[test]
fn volumes_grow_and_new_brokers_get_the_new_size() {
    let mut model = settled(json!({"storage": {"size": "1Gi"}}));
    model.cluster.spec.storage.size = "2Gi".to_owned();
    model.settle();
    assert!(model.observe().claims.values().all(|claim| claim.size.as_deref() == Some("2Gi")));
    assert_eq!(model.observe().set.unwrap().claim_size.as_deref(), Some("2Gi"));
    assert_eq!(model.pods(), [0, 1, 2]);
}

#[test]
fn claims_go_with_the_cluster_only_if_the_policy_says_so() {
    let mut model = settled(json!({}));
    assert!(model.observe().claims.values().all(|claim| !claim.is_owned));
    model.cluster.spec.storage.retention.when_deleted = crate::cluster::Keep::Delete;
    model.settle();
    assert!(model.observe().claims.values().all(|claim| claim.is_owned));
    model.cluster.spec.storage.retention.when_deleted = crate::cluster::Keep::Retain;
    model.settle();
    assert!(model.observe().claims.values().all(|claim| !claim.is_owned));
}

#[test]
fn nothing_happens_to_a_paused_an_invalid_or_a_deleted_cluster() {
    let mut model = settled(json!({}));
    model.cluster.spec.image = Some("ottla:2".to_owned());
    let is_still = |model: &Model| {
        let plan = next(&model.observe());
        plan.shape.is_none() && plan.steps.is_empty() && plan.disruption.is_none()
    };
    model.cluster.spec.paused = true;
    assert!(is_still(&model));
    model.cluster.spec.paused = false;
    model.cluster.spec.config.insert("no.such.setting".to_owned(), "1".to_owned());
    assert!(is_still(&model) && !next(&model.observe()).invalid.is_empty());
    model.cluster.spec.config.clear();
    assert!(!is_still(&model));
    model.cluster.metadata.deletion_timestamp =
        Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(k8s_openapi::jiff::Timestamp::UNIX_EPOCH));
    assert!(is_still(&model));
}

/// What a person, chance or a killed operator does.
#[derive(Debug, Clone)]
enum Event {
    Scale(i32),
    Image(u8),
    Setting(u8),
    Hibernate(bool),
    Crash(i32),
    Silent(bool),
    /// The operator dies after so many writes.
    Look {
        writes: usize,
    },
    Turn,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        1 => (3..=6).prop_map(Event::Scale),
        1 => (1u8..4).prop_map(Event::Image),
        1 => (1u8..4).prop_map(Event::Setting),
        1 => any::<bool>().prop_map(Event::Hibernate),
        1 => (0..6).prop_map(Event::Crash),
        1 => any::<bool>().prop_map(Event::Silent),
        6 => prop_oneof![Just(usize::MAX), 0usize..4].prop_map(|writes| Event::Look { writes }),
        6 => Just(Event::Turn),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Whatever happens in whatever order, no invariant breaks (the model asserts them), and when it stops happening
    /// the cluster becomes what it should be.
    #[test]
    fn no_order_of_events_breaks_an_invariant_and_the_plan_ends(events in prop::collection::vec(event(), 1..80)) {
        let mut model = settled(json!({"replicas": 4, "storage": {"retention": {"whenScaled": "Delete"}}}));
        for event in events {
            match event {
                Event::Scale(replicas) => model.cluster.spec.replicas = replicas,
                Event::Image(tag) => model.cluster.spec.image = Some(format!("ottla:{tag}")),
                Event::Setting(value) => {
                    model.cluster.spec.config.insert("num.partitions".to_owned(), value.to_string());
                }
                Event::Hibernate(is) => model.cluster.spec.hibernate = is,
                Event::Crash(id) => model.crash(id),
                Event::Silent(is) => model.is_silent = is,
                Event::Look { writes } => {
                    let plan = next(&model.observe());
                    model.apply(&plan, writes);
                }
                Event::Turn => model.turn(),
            }
        }
        model.is_silent = false;
        model.cluster.spec.hibernate = false;
        model.settle();
        let wanted: Vec<i32> = (0..model.cluster.spec.replicas).collect();
        prop_assert_eq!(model.pods(), wanted.clone());
        prop_assert_eq!(model.registered(), wanted.clone());
        prop_assert_eq!(model.claims(), wanted);
        prop_assert!(model.partitions.iter().all(|at| at.leader >= 0 && at.isr.len() == 3));
    }
}
