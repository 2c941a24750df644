//! A broker's pod.

use crate::cluster::{Cluster, ClusterSpec, PodTemplate, Rack};
use crate::config::{Config, Settings};
use crate::fnv;
use crate::names;
use k8s_openapi::api::core::v1::{
    Capabilities, ConfigMapVolumeSource, Container, ContainerPort, DownwardAPIVolumeFile,
    DownwardAPIVolumeSource, EmptyDirVolumeSource, EnvVar, EnvVarSource, HTTPGetAction, ObjectFieldSelector,
    PodSecurityContext, PodSpec, PodTemplateSpec, Probe, ResourceRequirements, SeccompProfile,
    SecurityContext, TopologySpreadConstraint, Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::ResourceExt;

/// Nobody in particular.
const USER: i64 = 65532;

/// The volume with what Kubernetes says of the pod, and the file in it that names the rack.
const POD: &str = "pod";
const RACK: &str = "rack";

/// What a running broker does not take over. Written field by field, so that the text stays the same.
#[derive(serde::Serialize)]
struct Inputs<'a> {
    config: &'a Settings,
    image: &'a str,
    pod: &'a PodTemplate,
    rack: &'a Option<Rack>,
    resources: &'a ResourceRequirements,
}

/// A hash of everything in the resource that a running broker does not take over.
#[must_use]
pub fn restart_hash(spec: &ClusterSpec, image: &str, config: &Config) -> String {
    let inputs = Inputs {
        config: &config.restart,
        image,
        pod: &spec.pod_template,
        rack: &spec.rack,
        resources: &spec.resources,
    };
    fnv::hash(&serde_json::to_vec(&inputs).unwrap_or_default())
}

/// The template of a cluster's pods.
pub(super) fn template(cluster: &Cluster, image: &str, hash: &str) -> PodTemplateSpec {
    let (name, extra) = (cluster.name_any(), &cluster.spec.pod_template);
    let mut labels = extra.labels.clone();
    labels.extend(names::labels(&name));
    let mut annotations = extra.annotations.clone();
    annotations.insert(names::RESTART_HASH.to_owned(), hash.to_owned());
    let spreads = extra.topology_spread_constraints.clone();
    PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: Some(labels),
            annotations: Some(annotations),
            ..ObjectMeta::default()
        }),
        spec: Some(PodSpec {
            service_account_name: Some(names::service_account(&name)),
            automount_service_account_token: Some(false),
            enable_service_links: Some(false),
            termination_grace_period_seconds: Some(extra.termination_grace_period_seconds),
            security_context: Some(pod_security()),
            affinity: extra.affinity.clone(),
            node_selector: some(extra.node_selector.clone(), std::collections::BTreeMap::is_empty),
            tolerations: some(extra.tolerations.clone(), Vec::is_empty),
            priority_class_name: extra.priority_class_name.clone(),
            image_pull_secrets: some(extra.image_pull_secrets.clone(), Vec::is_empty),
            topology_spread_constraints: Some(spreads.unwrap_or_else(|| spread(&name))),
            containers: vec![container(cluster, image)],
            volumes: Some(volumes(cluster)),
            ..PodSpec::default()
        }),
    }
}

fn some<T>(value: T, is_empty: impl Fn(&T) -> bool) -> Option<T> {
    Some(value).filter(|value| !is_empty(value))
}

/// Over zones and over nodes, as evenly as can be.
fn spread(cluster: &str) -> Vec<TopologySpreadConstraint> {
    ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]
        .map(|key| TopologySpreadConstraint {
            max_skew: 1,
            topology_key: key.to_owned(),
            when_unsatisfiable: "ScheduleAnyway".to_owned(),
            label_selector: Some(LabelSelector {
                match_labels: Some(names::selector(cluster)),
                match_expressions: None,
            }),
            ..TopologySpreadConstraint::default()
        })
        .into()
}

fn container(cluster: &Cluster, image: &str) -> Container {
    let port = |name: &str, number| ContainerPort {
        name: Some(name.to_owned()),
        container_port: number,
        protocol: Some("TCP".to_owned()),
        ..ContainerPort::default()
    };
    let mount = |volume: &str, path: &str, read_only| VolumeMount {
        name: volume.to_owned(),
        mount_path: path.to_owned(),
        read_only: Some(read_only),
        ..VolumeMount::default()
    };
    let mut mounts =
        vec![mount(names::DATA_VOLUME, names::DATA_PATH, false), mount("config", names::CONFIG_PATH, true)];
    if cluster.spec.rack.is_some() {
        mounts.push(mount(POD, names::POD_PATH, true));
    }
    let file = format!("{}/{}", names::CONFIG_PATH, names::CONFIG_FILE);
    Container {
        name: names::CONTAINER.to_owned(),
        image: Some(image.to_owned()),
        command: Some(vec!["/ottla".to_owned()]),
        args: Some(vec!["broker".to_owned(), "--config".to_owned(), file]),
        env: Some(environment(cluster)),
        ports: Some(vec![
            port(names::KAFKA_PORT_NAME, names::KAFKA_PORT),
            port(names::HTTP_PORT_NAME, names::HTTP_PORT),
        ]),
        resources: Some(cluster.spec.resources.clone()),
        volume_mounts: Some(mounts),
        liveness_probe: Some(probe("/livez", 10, 6)),
        readiness_probe: Some(probe("/readyz", 1, 2)),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            read_only_root_filesystem: Some(true),
            capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), add: None }),
            ..SecurityContext::default()
        }),
        ..Container::default()
    }
}

/// The broker's id from its ordinal, its address from its name, its rack from its label.
fn environment(cluster: &Cluster) -> Vec<EnvVar> {
    let field = |name: &str, path: &str| EnvVar {
        name: name.to_owned(),
        value: None,
        value_from: Some(EnvVarSource {
            field_ref: Some(ObjectFieldSelector { field_path: path.to_owned(), api_version: None }),
            ..EnvVarSource::default()
        }),
    };
    let address = format!("$(POD_NAME).{}.$(POD_NAMESPACE).svc", names::headless(&cluster.name_any()));
    let mut environment = vec![
        field("POD_NAME", "metadata.name"),
        field("POD_NAMESPACE", "metadata.namespace"),
        field("OTTLA_NODE_ID", "metadata.labels['apps.kubernetes.io/pod-index']"),
        EnvVar {
            name: "OTTLA_ADVERTISED_LISTENERS".to_owned(),
            value: Some(format!("PLAINTEXT://{address}:{}", names::KAFKA_PORT)),
            value_from: None,
        },
    ];
    if let Some(rack) = &cluster.spec.rack {
        // As a variable if the pod has the label when it is made, else as a file that follows the label.
        environment.push(field("OTTLA_BROKER_RACK", &rack_field(rack)));
        environment.push(EnvVar {
            name: "OTTLA_RACK_FILE".to_owned(),
            value: Some(format!("{}/{RACK}", names::POD_PATH)),
            value_from: None,
        });
    }
    environment
}

fn rack_field(rack: &Rack) -> String {
    format!("metadata.labels['{}']", rack.topology_key)
}

fn probe(path: &str, period_seconds: i32, failures: i32) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::String(names::HTTP_PORT_NAME.to_owned()),
            scheme: Some("HTTP".to_owned()),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(period_seconds),
        timeout_seconds: Some(5),
        failure_threshold: Some(failures),
        ..Probe::default()
    }
}

fn pod_security() -> PodSecurityContext {
    PodSecurityContext {
        run_as_non_root: Some(true),
        run_as_user: Some(USER),
        run_as_group: Some(USER),
        fs_group: Some(USER),
        fs_group_change_policy: Some("OnRootMismatch".to_owned()),
        seccomp_profile: Some(SeccompProfile { type_: "RuntimeDefault".to_owned(), localhost_profile: None }),
        ..PodSecurityContext::default()
    }
}

fn volumes(cluster: &Cluster) -> Vec<Volume> {
    let mut volumes = vec![Volume {
        name: "config".to_owned(),
        config_map: Some(ConfigMapVolumeSource {
            name: names::config_map(&cluster.name_any()),
            ..ConfigMapVolumeSource::default()
        }),
        ..Volume::default()
    }];
    if let Some(rack) = &cluster.spec.rack {
        let label = ObjectFieldSelector { field_path: rack_field(rack), api_version: None };
        let file = DownwardAPIVolumeFile {
            path: RACK.to_owned(),
            field_ref: Some(label),
            ..DownwardAPIVolumeFile::default()
        };
        let source =
            DownwardAPIVolumeSource { items: Some(vec![file]), ..DownwardAPIVolumeSource::default() };
        volumes.push(Volume { name: POD.to_owned(), downward_api: Some(source), ..Volume::default() });
    }
    if cluster.spec.storage.ephemeral {
        volumes.push(Volume {
            name: names::DATA_VOLUME.to_owned(),
            empty_dir: Some(EmptyDirVolumeSource::default()),
            ..Volume::default()
        });
    }
    volumes
}
