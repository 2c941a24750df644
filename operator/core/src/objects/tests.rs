use super::*;
use crate::cluster::ClusterSpec;
use serde_json::json;

fn cluster(spec: serde_json::Value) -> Cluster {
    let mut cluster = Cluster::new("prod", serde_json::from_value::<ClusterSpec>(spec).unwrap());
    cluster.metadata.namespace = Some("shop".to_owned());
    cluster.metadata.uid = Some("u-1".to_owned());
    cluster
}

fn shape() -> SetShape {
    SetShape { replicas: 3, image: "ottla:1".into(), hash: "h".into(), claim_size: "10Gi".into() }
}

fn hash(spec: serde_json::Value) -> String {
    let cluster = cluster(spec);
    let place = config::Place { cluster: "prod", namespace: "shop", is_founded: true, brokers: 3 };
    let config = config::of(&cluster.spec, place);
    restart_hash(&cluster.spec, "ottla:1", &config)
}

#[test]
fn only_what_a_running_broker_cannot_take_over_changes_the_hash() {
    let before = hash(json!({}));
    for quiet in [
        json!({"config": {"log.retention.ms": "1"}}),
        json!({"replicas": 5}),
        json!({"storage": {"size": "20Gi"}}),
        json!({"rollout": {"maxMoves": 3}}),
    ] {
        assert_eq!(hash(quiet.clone()), before, "{quiet}");
    }
    for loud in [
        json!({"config": {"num.partitions": "7"}}),
        json!({"podTemplate": {"labels": {"a": "b"}}}),
        json!({"resources": {"limits": {"memory": "1Gi"}}}),
        json!({"rack": {}}),
    ] {
        assert_ne!(hash(loud.clone()), before, "{loud}");
    }
}

#[test]
fn the_hash_of_a_resource_stays_the_same_over_versions_of_the_operator() {
    // A change here restarts every broker of every user when the operator is upgraded.
    assert_eq!(hash(json!({})), "c4a1b1b08281aa8c");
}

#[test]
fn pods_keep_to_the_restricted_profile() {
    let set = stateful_set(&cluster(json!({})), &shape());
    let pod = set.spec.unwrap().template.spec.unwrap();
    let security = pod.security_context.unwrap();
    assert_eq!(security.run_as_non_root, Some(true));
    assert_eq!(security.seccomp_profile.unwrap().type_, "RuntimeDefault");
    for container in &pod.containers {
        let own = container.security_context.as_ref().unwrap();
        assert_eq!(own.allow_privilege_escalation, Some(false));
        assert_eq!(own.read_only_root_filesystem, Some(true));
        assert_eq!(own.capabilities.as_ref().unwrap().drop, Some(vec!["ALL".to_owned()]));
    }
    assert_eq!(pod.automount_service_account_token, Some(false));
}

#[test]
fn volumes_never_go_with_the_stateful_set() {
    let spec = json!({"storage": {"retention": {"whenDeleted": "Delete", "whenScaled": "Delete"}}});
    let policy = stateful_set(&cluster(spec), &shape()).spec.unwrap();
    let policy = policy.persistent_volume_claim_retention_policy.unwrap();
    assert_eq!(
        (policy.when_deleted.as_deref(), policy.when_scaled.as_deref()),
        (Some("Retain"), Some("Retain"))
    );
}

#[test]
fn everything_belongs_to_the_cluster() {
    let cluster = cluster(json!({}));
    let [headless, bootstrap] = services(&cluster);
    let metas = [
        headless.metadata,
        bootstrap.metadata,
        disruption_budget(&cluster).metadata,
        network_policy(&cluster).metadata,
        service_account(&cluster).metadata,
        config_map(&cluster, &Config::default()).metadata,
        stateful_set(&cluster, &shape()).metadata,
    ];
    for meta in metas {
        assert!(is_owned(&meta, &cluster), "{:?}", meta.name);
        assert_eq!(meta.namespace.as_deref(), Some("shop"));
        assert_eq!(meta.labels.unwrap()[names::CLUSTER_LABEL], "prod");
    }
}

#[test]
fn ephemeral_records_have_no_claim() {
    let set = stateful_set(&cluster(json!({"storage": {"ephemeral": true}})), &shape()).spec.unwrap();
    assert!(set.volume_claim_templates.is_none());
    let volumes = set.template.spec.unwrap().volumes.unwrap();
    assert!(volumes.iter().any(|volume| volume.name == names::DATA_VOLUME && volume.empty_dir.is_some()));
}

#[test]
fn a_rack_is_read_from_the_label_when_the_pod_starts_or_soon_after() {
    let pod = |spec| stateful_set(&cluster(spec), &shape()).spec.unwrap().template.spec.unwrap();
    let container = &pod(json!({"rack": {"topologyKey": "example.com/row"}})).containers[0];
    let file = container.env.iter().flatten().find(|one| one.name == "OTTLA_RACK_FILE").unwrap();
    assert_eq!(file.value.as_deref(), Some("/etc/ottla-pod/rack"));
    let volumes = pod(json!({"rack": {"topologyKey": "example.com/row"}})).volumes.unwrap();
    let files = volumes.into_iter().find_map(|volume| volume.downward_api?.items).unwrap();
    assert_eq!(files[0].field_ref.as_ref().unwrap().field_path, "metadata.labels['example.com/row']");
    assert!(pod(json!({})).volumes.unwrap().iter().all(|volume| volume.downward_api.is_none()));
}
