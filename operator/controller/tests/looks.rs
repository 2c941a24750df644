//! Looks at resources against a fake Kubernetes and fake brokers: what is asked, of whom, in which order.

#![allow(clippy::unwrap_used, reason = "tests")]

mod fake;

use fake::{World, world};
use kube::runtime::reflector;
use kube::runtime::watcher::Event;
use ottla_operator::brokers::{Permit, Seen};
use ottla_operator::cluster;
use ottla_operator::removal;
use ottla_operator::topics::{self, TopicContext};
use ottla_operator::values::Values;
use ottla_operator_core::cluster::Cluster;
use ottla_operator_core::observed::{BrokerView, BrokersView};
use ottla_operator_core::plan::Wait;
use ottla_operator_core::topic::Topic;
use serde_json::{Value, json};
use std::sync::Arc;

const CLUSTER: &str = "/apis/ottla.dev/v1/namespaces/shop/clusters/prod";
const SET: &str = "/apis/apps/v1/namespaces/shop/statefulsets/prod";
const PODS: &str = "/api/v1/namespaces/shop/pods";
const TOPICS: &str = "/apis/ottla.dev/v1/namespaces/shop/topics";

fn resource(world: &World, spec: Value) -> Arc<Cluster> {
    let object = json!({
        "apiVersion": "ottla.dev/v1", "kind": "Cluster", "spec": spec,
        "metadata": {"name": "prod", "namespace": "shop", "uid": "u", "generation": 1}
    });
    world.kubernetes.put(CLUSTER, object.clone());
    Arc::new(serde_json::from_value(object).unwrap())
}

async fn look(world: &World, cluster: &Arc<Cluster>) -> Value {
    cluster::reconcile(cluster.clone(), world.context.clone()).await.unwrap();
    world.kubernetes.get(CLUSTER).unwrap()["status"].clone()
}

fn condition(status: &Value, kind: &str) -> (String, String) {
    let found = status["conditions"].as_array().unwrap().iter().find(|one| one["type"] == kind).unwrap();
    (found["status"].as_str().unwrap().to_owned(), found["reason"].as_str().unwrap().to_owned())
}

/// Three brokers that run, are ready, and are as the StatefulSet says.
async fn running(world: &World, spec: Value) -> Arc<Cluster> {
    let cluster = resource(world, spec);
    look(world, &cluster).await;
    let mut set = world.kubernetes.get(SET).unwrap();
    set["status"] = json!({"observedGeneration": 1, "replicas": 3});
    set["metadata"]["generation"] = json!(1);
    world.kubernetes.put(SET, set.clone());
    for id in 0..3 {
        let annotations = &set["spec"]["template"]["metadata"]["annotations"];
        let pod = json!({
            "metadata": {"name": format!("prod-{id}"), "uid": format!("pod-{id}"), "annotations": annotations, "resourceVersion": "5"},
            "spec": {"containers": [{"name": "broker", "image": "ottla:1"}]},
            "status": {
                "podIP": format!("10.1.0.{id}"),
                "conditions": [{"type": "Ready", "status": "True"}],
                "containerStatuses": [{"name": "broker", "image": "", "imageID": "", "ready": true, "restartCount": 0,
                    "state": {"running": {}}}]
            }
        });
        world.kubernetes.put(&format!("{PODS}/prod-{id}"), pod);
    }
    let broker = |id: i32| {
        let view = BrokerView {
            epoch: 40 + i64::from(id),
            is_active: true,
            is_caught_up: true,
            is_voter: true,
            replicas: 1,
            ..BrokerView::default()
        };
        (id, view)
    };
    let dynamic = [("min.insync.replicas".to_owned(), "2".to_owned())].into();
    *world.brokers.seen.lock().unwrap() = Seen {
        view: BrokersView {
            cluster_id: "c".to_owned(),
            brokers: (0..3).map(broker).collect(),
            partitions: vec![fake::brokers::partition("t")],
            dynamic,
            ..BrokersView::default()
        },
        ids: [("t".to_owned(), "T".to_owned())].into(),
    };
    for _ in 0..2 {
        look(world, &cluster).await;
    }
    world.log.take();
    cluster
}

/// The same cluster with another image, after Kubernetes was told.
async fn changed(world: &World) -> Arc<Cluster> {
    let cluster = running(world, json!({})).await;
    let mut object = world.kubernetes.get(CLUSTER).unwrap();
    object["spec"]["image"] = json!("ottla:2");
    world.kubernetes.put(CLUSTER, object);
    look(world, &cluster).await;
    assert!(
        !world.log.take().iter().any(|line| line.starts_with("permit")),
        "not before Kubernetes has the template"
    );
    cluster
}

#[tokio::test]
async fn a_new_cluster_gets_its_objects_the_stateful_set_last() {
    let world = world();
    let cluster = resource(&world, json!({}));
    let status = look(&world, &cluster).await;
    let log = world.log.take();
    let kinds: Vec<&str> = log.iter().map(|line| line.rsplit('/').nth(1).unwrap()).collect();
    assert_eq!(
        kinds,
        [
            "serviceaccounts",
            "configmaps",
            "services",
            "services",
            "poddisruptionbudgets",
            "networkpolicies",
            "statefulsets",
            "prod"
        ]
    );
    assert_eq!(condition(&status, "Ready"), ("False".to_owned(), "Creating".to_owned()));
    assert_eq!(status["step"]["kind"], "Create");
}

#[tokio::test]
async fn a_quiet_cluster_is_ready_and_nothing_is_written() {
    let world = world();
    let cluster = running(&world, json!({})).await;
    let status = look(&world, &cluster).await;
    assert_eq!(condition(&status, "Ready").0, "True");
    assert_eq!(condition(&status, "Progressing").0, "False");
    assert_eq!(world.log.take(), [format!("PATCH {SET}")]);
}

#[tokio::test]
async fn a_restart_has_its_permit_first_and_names_the_very_pod() {
    let world = world();
    let cluster = changed(&world).await;
    look(&world, &cluster).await;
    let log = world.log.take();
    let asked = log.iter().position(|line| line == "permit 1 of 41").unwrap();
    let deleted = format!("DELETE {PODS}/prod-1 uid=\"pod-1\" version=\"5\"");
    assert_eq!(log.iter().position(|line| *line == deleted), Some(asked + 1), "{log:#?}");
    assert_eq!(log.iter().filter(|line| line.starts_with("DELETE")).count(), 1);
}

#[tokio::test]
async fn a_refusal_an_error_and_silence_are_no_permit() {
    let refused = Permit::Refused { wait: Wait::NotEnoughInSync, message: "t-0 would have 1".to_owned() };
    for (answer, reason) in
        [(Ok(refused), "NotEnoughInSync"), (Err("timed out".to_owned()), "BrokersUnreachable")]
    {
        let world = world();
        let cluster = changed(&world).await;
        *world.brokers.permit.lock().unwrap() = answer;
        let status = look(&world, &cluster).await;
        assert!(!world.log.take().iter().any(|line| line.starts_with("DELETE")));
        assert_eq!(status["step"]["waitingFor"], reason);
        let text = world.context.metrics.text();
        assert!(text.contains(&format!("reason=\"{reason}\"}} 1")), "{text}");
    }
}

#[tokio::test]
async fn a_pod_that_was_replaced_meanwhile_stays_and_the_permit_is_given_back() {
    let world = world();
    let cluster = changed(&world).await;
    let kubernetes = world.kubernetes.clone();
    *world.brokers.meanwhile.lock().unwrap() = Some(Box::new(move || {
        let mut pod = kubernetes.get(&format!("{PODS}/prod-1")).unwrap();
        pod["metadata"]["uid"] = json!("another");
        kubernetes.put(&format!("{PODS}/prod-1"), pod);
    }));
    look(&world, &cluster).await;
    let log = world.log.take();
    assert!(
        log.contains(&"release 1 7".to_owned()) && !log.iter().any(|line| line.starts_with("DELETE")),
        "{log:#?}"
    );
}

#[tokio::test]
async fn a_setting_that_changes_while_running_is_noted_before_it_is_made() {
    let world = world();
    let cluster = running(&world, json!({})).await;
    let mut object = world.kubernetes.get(CLUSTER).unwrap();
    object["spec"]["config"] = json!({"log.retention.ms": "5000"});
    world.kubernetes.put(CLUSTER, object);
    let status = look(&world, &cluster).await;
    let log = world.log.take();
    let made = log.iter().position(|line| line == "defaults [\"log.retention.ms\"]").unwrap();
    assert!(log[..made].contains(&format!("PUT {CLUSTER}/status")), "{log:#?}");
    assert_eq!(status["dynamicConfigKeys"], json!(["log.retention.ms", "min.insync.replicas"]));
}

/// Takes the cluster away as its deletion does: the StatefulSet with it, its pods told to stop.
fn delete_cluster(world: &World) {
    world.kubernetes.remove(CLUSTER);
    world.kubernetes.remove(SET);
    stop_pod(world, 0);
}

fn stop_pod(world: &World, id: i32) {
    let path = format!("{PODS}/prod-{id}");
    let mut pod = world.kubernetes.get(&path).unwrap();
    pod["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    world.kubernetes.put(&path, pod);
}

#[tokio::test]
async fn brokers_of_a_deleted_cluster_need_not_wait_for_one_another() {
    let world = world();
    let cluster = running(&world, json!({})).await;
    delete_cluster(&world);
    cluster::reconcile(cluster, world.context.clone()).await.unwrap();
    assert_eq!(world.log.take(), ["permit all: the cluster is deleted"]);
}

#[tokio::test]
async fn a_pod_that_stops_is_no_reason_for_the_others_to_unless_the_namespace_goes() {
    let world = world();
    let cluster = running(&world, json!({})).await;
    stop_pod(&world, 0);
    cluster::reconcile(cluster.clone(), world.context.clone()).await.unwrap();
    assert!(!world.log.take().iter().any(|line| line.starts_with("permit all")));
    let going = json!({"metadata": {"name": "shop", "deletionTimestamp": "2026-01-01T00:00:00Z"}});
    world.kubernetes.put("/api/v1/namespaces/shop", going);
    cluster::reconcile(cluster.clone(), world.context.clone()).await.unwrap();
    assert_eq!(world.log.take(), ["permit all: the namespace is deleted"], "and nothing else is done");
    cluster::farewell(&world.context, vec![cluster]).await;
    assert_eq!(world.log.take(), ["permit all: the namespace is deleted"]);
}

#[tokio::test]
async fn topics_of_a_namespace_that_goes_are_let_go_while_there_is_a_right_to_and_not_held_again() {
    let world = world();
    let cluster = running(&world, json!({})).await;
    let mut held = topic("orders");
    held["metadata"]["finalizers"] = json!(["ottla.dev/topic"]);
    held["spec"]["deletionPolicy"] = json!("Delete");
    topic_context(&world, std::slice::from_ref(&held));
    stop_pod(&world, 0);
    let going = json!({"metadata": {"name": "shop", "deletionTimestamp": "2026-01-01T00:00:00Z"}});
    world.kubernetes.put("/api/v1/namespaces/shop", going);
    cluster::reconcile(cluster, world.context.clone()).await.unwrap();
    let orders = format!("{TOPICS}/orders");
    assert_eq!(
        world.log.take(),
        [format!("PATCH {orders}"), "permit all: the namespace is deleted".to_owned()]
    );
    held["metadata"]["finalizers"] = json!([]);
    let shared = topic_context(&world, &[held]);
    topics::look(&shared, "shop", "prod").await.unwrap();
    assert_eq!(world.log.take(), [format!("PUT {orders}/status")]);
}

#[tokio::test]
async fn a_cluster_that_hibernates_lets_all_brokers_stop_before_it_takes_their_pods() {
    let world = world();
    let cluster = running(&world, json!({})).await;
    let mut object = world.kubernetes.get(CLUSTER).unwrap();
    object["spec"]["hibernate"] = json!(true);
    world.kubernetes.put(CLUSTER, object);
    look(&world, &cluster).await;
    let log = world.log.take();
    let told = log.iter().position(|line| line == "permit all: hibernation").unwrap();
    assert_eq!(log[told + 1], format!("PATCH {SET}"), "{log:#?}");
}

/// Topics and the store that holds them.
fn topic_context(world: &World, topics: &[Value]) -> TopicContext {
    let (store, mut writer) = reflector::store();
    writer.apply_watcher_event(&Event::Init);
    for topic in topics {
        let name = topic["metadata"]["name"].as_str().unwrap();
        world.kubernetes.put(&format!("/apis/ottla.dev/v1/namespaces/shop/topics/{name}"), topic.clone());
        writer
            .apply_watcher_event(&Event::InitApply(serde_json::from_value::<Topic>(topic.clone()).unwrap()));
    }
    writer.apply_watcher_event(&Event::InitDone);
    TopicContext { context: world.context.clone(), store }
}

fn topic(name: &str) -> Value {
    json!({
        "apiVersion": "ottla.dev/v1", "kind": "Topic",
        "metadata": {"name": name, "namespace": "shop", "uid": name, "generation": 1, "resourceVersion": "1"},
        "spec": {"clusterRef": {"name": "prod"}, "replicationFactor": 3}
    })
}

#[tokio::test]
async fn a_thousand_topics_are_one_request_to_create_and_then_ready() {
    let world = world();
    running(&world, json!({})).await;
    let each: Vec<Value> = (0..1000).map(|number| topic(&format!("t{number}"))).collect();
    let shared = topic_context(&world, &each);
    topics::look(&shared, "shop", "prod").await.unwrap();
    assert_eq!(world.log.take(), ["create 1000"]);
    {
        let mut seen = world.brokers.seen.lock().unwrap();
        for number in 0..1000 {
            let name = format!("t{number}");
            seen.view.partitions.push(fake::brokers::partition(&name));
            seen.ids.insert(name.clone(), name);
        }
    }
    topics::look(&shared, "shop", "prod").await.unwrap();
    assert_eq!(world.log.take().len(), 1000, "one status each");
    let status =
        world.kubernetes.get("/apis/ottla.dev/v1/namespaces/shop/topics/t999").unwrap()["status"].clone();
    assert_eq!((condition(&status, "Ready").0.as_str(), status["topicId"].as_str()), ("True", Some("t999")));
}

#[tokio::test]
async fn a_topic_without_a_cluster_is_let_go() {
    let world = world();
    let mut going = topic("orders");
    going["metadata"]["finalizers"] = json!(["ottla.dev/topic"]);
    going["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    going["spec"]["deletionPolicy"] = json!("Delete");
    let shared = topic_context(&world, &[going]);
    topics::look(&shared, "shop", "prod").await.unwrap();
    assert_eq!(world.log.take(), ["PATCH /apis/ottla.dev/v1/namespaces/shop/topics/orders"]);
    assert!(world.kubernetes.get("/apis/ottla.dev/v1/namespaces/shop/topics/orders").is_none());
}

#[tokio::test]
async fn an_operator_that_goes_with_its_namespace_lets_the_topics_go() {
    let world = world();
    let mut held = topic("orders");
    held["metadata"]["finalizers"] = json!(["ottla.dev/topic"]);
    let shared = topic_context(&world, &[held]);
    topics::farewell(&shared).await;
    assert!(world.log.take().is_empty(), "the namespace stays");
    let going = json!({"metadata": {"name": "shop", "deletionTimestamp": "2026-01-01T00:00:00Z"}});
    world.kubernetes.put("/api/v1/namespaces/shop", going);
    topics::farewell(&shared).await;
    assert_eq!(world.log.take(), ["PATCH /apis/ottla.dev/v1/namespaces/shop/topics/orders"]);
}

/// A ConfigMap that owns the cluster and these topics, and what names it.
fn owned(world: &World, topics: &[&str]) -> Values {
    world
        .kubernetes
        .put("/api/v1/namespaces/shop/configmaps/made", json!({"metadata": {"name": "made", "uid": "m"}}));
    let owner = json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "made", "uid": "m"}]);
    let mut cluster = world.kubernetes.get(CLUSTER).unwrap();
    cluster["metadata"]["ownerReferences"] = owner.clone();
    world.kubernetes.put(CLUSTER, cluster);
    for name in topics {
        let mut topic = topic(name);
        topic["metadata"]["ownerReferences"] = owner.clone();
        topic["metadata"]["finalizers"] = json!(["ottla.dev/topic"]);
        world.kubernetes.put(&format!("{TOPICS}/{name}"), topic);
    }
    world.kubernetes.put(&format!("{TOPICS}/by-hand"), topic("by-hand"));
    Values { namespace: "shop".to_owned(), configmap: "made".to_owned() }
}

#[tokio::test(start_paused = true)]
async fn a_release_takes_its_cluster_and_then_its_topics_and_nothing_else() {
    let world = world();
    resource(&world, json!({}));
    let values = owned(&world, &["a", "b"]);
    removal::remove_with(world.kubernetes.client(), &values).await.unwrap();
    let log = world.log.take();
    let asked: Vec<String> = log.iter().map(|line| line.split(" uid").next().unwrap().to_owned()).collect();
    let on = |verb: &str, name: &str| format!("{verb} {TOPICS}/{name}");
    let wanted = [
        format!("DELETE {CLUSTER}"),
        on("DELETE", "a"),
        on("DELETE", "b"),
        // No operator did it.
        on("PATCH", "a"),
        on("PATCH", "b"),
    ];
    assert_eq!(asked, wanted);
    assert!(world.kubernetes.get(&format!("{TOPICS}/a")).is_none());
    assert!(world.kubernetes.get(&format!("{TOPICS}/by-hand")).is_some());
    // Once more: what is gone is no mistake, nor is it if nothing was ever made.
    removal::remove_with(world.kubernetes.client(), &values).await.unwrap();
    let never = Values { configmap: "never".to_owned(), ..values };
    removal::remove_with(world.kubernetes.client(), &never).await.unwrap();
    assert!(world.log.take().is_empty());
}
