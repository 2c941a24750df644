use super::*;
use kube::core::cel::{validate_cel, validate_cel_update};
use serde_json::json;

fn cluster(name: &str, spec: serde_json::Value) -> Cluster {
    Cluster::new(name, serde_json::from_value(spec).unwrap())
}

fn refusal(cluster: &Cluster) -> String {
    validate_cel(cluster).expect_err("refused").to_string()
}

#[test]
fn nothing_has_to_be_said() {
    let cluster = cluster("demo", json!({}));
    assert_eq!(cluster.spec.replicas, 3);
    assert_eq!(cluster.spec.storage.size, "10Gi");
    validate_cel(&cluster).unwrap();
}

#[test]
fn a_name_that_is_too_long_for_pods_is_refused() {
    assert!(refusal(&cluster(&"x".repeat(41), json!({}))).contains("at most 40 characters"));
    validate_cel(&cluster(&"x".repeat(40), json!({}))).unwrap();
}

#[test]
fn what_is_the_operators_cannot_be_set() {
    for key in ["node.id", "listeners", "controller.quorum.voters", "log.dirs", "ottla.founding.brokers"] {
        let error = refusal(&cluster("demo", json!({"config": {key: "1"}})));
        assert!(error.contains("set by the operator"), "{key}: {error}");
    }
    validate_cel(&cluster("demo", json!({"config": {"num.partitions": "3", "log.dir.x": "1"}}))).unwrap();
}

#[test]
fn a_size_must_be_a_quantity() {
    for size in ["ten", "0", "-1Gi"] {
        let error = refusal(&cluster("demo", json!({"storage": {"size": size}})));
        assert!(error.contains("quantity above zero"), "{size}: {error}");
    }
}

#[test]
fn volumes_cannot_shrink_or_change_their_kind() {
    let small = cluster("demo", json!({"storage": {"size": "1Gi"}}));
    let large = cluster("demo", json!({"storage": {"size": "2048Mi"}}));
    let of_class = cluster("demo", json!({"storage": {"size": "1Gi", "class": "fast"}}));
    let ephemeral = cluster("demo", json!({"storage": {"size": "1Gi", "ephemeral": true}}));
    validate_cel_update(&large, &small).unwrap();
    let refused = |new: &Cluster, old: &Cluster| validate_cel_update(new, old).unwrap_err().to_string();
    assert!(refused(&small, &large).contains("size can only grow"));
    assert!(refused(&of_class, &small).contains("class cannot be changed"));
    assert!(refused(&small, &of_class).contains("class cannot be changed"));
    assert!(refused(&ephemeral, &small).contains("ephemeral cannot be changed"));
}

#[test]
fn what_would_be_lost_cannot_hibernate() {
    let spec = json!({"hibernate": true, "storage": {"ephemeral": true}});
    assert!(refusal(&cluster("demo", spec)).contains("lose every record"));
    validate_cel(&cluster("demo", json!({"hibernate": true}))).unwrap();
}

#[test]
fn labels_of_the_operator_cannot_be_set() {
    let spec = json!({"podTemplate": {"labels": {"ottla.dev/cluster": "other"}}});
    assert!(refusal(&cluster("demo", spec)).contains("set by the operator"));
    validate_cel(&cluster("demo", json!({"podTemplate": {"labels": {"team": "a"}}}))).unwrap();
}
