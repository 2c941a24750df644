use super::*;
use kube::core::cel::{validate_cel, validate_cel_update};
use serde_json::json;

fn topic(spec: serde_json::Value) -> Topic {
    let mut whole = json!({"clusterRef": {"name": "demo"}});
    whole.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    Topic::new("orders", serde_json::from_value(whole).unwrap())
}

fn refused(new: &Topic, old: &Topic) -> String {
    validate_cel_update(new, old).expect_err("refused").to_string()
}

#[test]
fn a_cluster_is_enough() {
    let topic = topic(json!({}));
    validate_cel(&topic).unwrap();
    assert_eq!((topic.topic_name(), topic.spec.partitions), ("orders", 1));
    assert_eq!(topic.spec.deletion_policy, DeletionPolicy::Retain);
    assert_eq!(topic.spec.config_policy, ConfigPolicy::Additive);
}

#[test]
fn partitions_only_grow() {
    let (few, many) = (topic(json!({"partitions": 3})), topic(json!({"partitions": 4})));
    validate_cel_update(&many, &few).unwrap();
    assert!(refused(&few, &many).contains("partitions can only grow"));
}

#[test]
fn a_topic_is_not_renamed() {
    let (unnamed, named) = (topic(json!({})), topic(json!({"topicName": "Orders"})));
    let other = topic(json!({"topicName": "Others"}));
    validate_cel_update(&named, &named).unwrap();
    for (new, old) in [(&named, &unnamed), (&unnamed, &named), (&other, &named)] {
        assert!(refused(new, old).contains("cannot be renamed"));
    }
}

#[test]
fn a_topic_stays_in_its_cluster() {
    let other = topic(json!({"clusterRef": {"name": "other"}}));
    assert!(refused(&other, &topic(json!({}))).contains("clusterRef cannot be changed"));
}

#[test]
fn names_of_the_brokers_and_of_directories_are_refused() {
    for name in [".", "..", "__consumer_offsets"] {
        assert!(validate_cel(&topic(json!({"topicName": name}))).is_err(), "{name}");
    }
    validate_cel(&topic(json!({"topicName": "a.b_c"}))).unwrap();
}
