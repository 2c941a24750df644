//! Services, the disruption budget and the network policy.

use super::meta;
use crate::cluster::Cluster;
use crate::names;
use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::api::networking::v1::{
    NetworkPolicy, NetworkPolicyIngressRule, NetworkPolicyPort, NetworkPolicySpec,
};
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::ResourceExt;

/// The headless Service and the bootstrap Service.
#[must_use]
pub fn services(cluster: &Cluster) -> [Service; 2] {
    let name = cluster.name_any();
    let port = |name: &str, number: i32| ServicePort {
        name: Some(name.to_owned()),
        port: number,
        target_port: Some(IntOrString::String(name.to_owned())),
        protocol: Some("TCP".to_owned()),
        ..ServicePort::default()
    };
    let kafka = port(names::KAFKA_PORT_NAME, names::KAFKA_PORT);
    let http = port(names::HTTP_PORT_NAME, names::HTTP_PORT);
    let selector = Some(names::selector(&name));
    let headless = Service {
        metadata: meta(cluster, names::headless(&name)),
        spec: Some(ServiceSpec {
            cluster_ip: Some("None".to_owned()),
            // Brokers must find each other before they are ready.
            publish_not_ready_addresses: Some(true),
            ports: Some(vec![kafka.clone(), http]),
            selector: selector.clone(),
            ..ServiceSpec::default()
        }),
        status: None,
    };
    let bootstrap = Service {
        metadata: meta(cluster, names::bootstrap(&name)),
        spec: Some(ServiceSpec { ports: Some(vec![kafka]), selector, ..ServiceSpec::default() }),
        status: None,
    };
    [headless, bootstrap]
}

/// At most one broker away: evictions wait, because a broker is ready only while every replica on it is in sync.
#[must_use]
pub fn disruption_budget(cluster: &Cluster) -> PodDisruptionBudget {
    let name = cluster.name_any();
    PodDisruptionBudget {
        metadata: meta(cluster, names::stateful_set(&name)),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(IntOrString::Int(1)),
            selector: Some(selector(&name)),
            // A broker that is broken anyway must not hold up a drain.
            unhealthy_pod_eviction_policy: Some("IfHealthyBudget".to_owned()),
            ..PodDisruptionBudgetSpec::default()
        }),
        status: None,
    }
}

/// Lets in Kafka's protocol and scrapes, and nothing else.
#[must_use]
pub fn network_policy(cluster: &Cluster) -> NetworkPolicy {
    let name = cluster.name_any();
    let port = |number| NetworkPolicyPort {
        port: Some(IntOrString::Int(number)),
        protocol: Some("TCP".to_owned()),
        end_port: None,
    };
    NetworkPolicy {
        metadata: meta(cluster, names::stateful_set(&name)),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(selector(&name)),
            policy_types: Some(vec!["Ingress".to_owned()]),
            ingress: Some(vec![NetworkPolicyIngressRule {
                from: None,
                ports: Some(vec![port(names::KAFKA_PORT), port(names::HTTP_PORT)]),
            }]),
            egress: None,
        }),
    }
}

fn selector(cluster: &str) -> LabelSelector {
    LabelSelector { match_labels: Some(names::selector(cluster)), match_expressions: None }
}
