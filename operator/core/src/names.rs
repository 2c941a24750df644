//! Names, labels and ports of what a cluster is made of. A cluster `prod` has these objects, all in its namespace and
//! owned by it:
//!
//! | object | name | what for |
//! |---|---|---|
//! | StatefulSet | `prod` | brokers: pods `prod-0`, `prod-1`, ...; the ordinal is the broker's id |
//! | Service, headless | `prod-brokers` | a stable name for each broker: `prod-0.prod-brokers.<namespace>.svc` |
//! | Service | `prod-bootstrap` | where clients connect first |
//! | PersistentVolumeClaim | `data-prod-0` ... | a broker's records |
//! | ConfigMap | `prod-config` | `server.properties` |
//! | PodDisruptionBudget | `prod` | at most one broker away |
//! | ServiceAccount | `prod-broker` | without any right |
//! | NetworkPolicy | `prod` | lets in clients, brokers and scrapes |

use std::collections::BTreeMap;

/// Port of Kafka's protocol: clients and brokers.
pub const KAFKA_PORT: i32 = 9092;
/// Name of [`KAFKA_PORT`] in pods and services.
pub const KAFKA_PORT_NAME: &str = "kafka";
/// Port of metrics and health.
pub const HTTP_PORT: i32 = 9644;
/// Name of [`HTTP_PORT`] in pods and services.
pub const HTTP_PORT_NAME: &str = "http";
/// The operator's name as the writer of fields, the reporter of Events and in `app.kubernetes.io/managed-by`.
pub const MANAGER: &str = "ottla-operator";
/// Label of everything that belongs to a cluster: the cluster's name.
pub const CLUSTER_LABEL: &str = "ottla.dev/cluster";
/// Annotation of pods: what of the resource they were made from, as a hash.
pub const RESTART_HASH: &str = "ottla.dev/restart-hash";
/// What `kubectl rollout restart` writes into the StatefulSet's template.
pub const RESTARTED_AT: &str = "kubectl.kubernetes.io/restartedAt";
/// Name of the brokers' container.
pub const CONTAINER: &str = "broker";
/// Name of the brokers' volume.
pub const DATA_VOLUME: &str = "data";
/// Where the brokers' volume is mounted.
pub const DATA_PATH: &str = "/var/lib/ottla";
/// Where the settings are mounted.
pub const CONFIG_PATH: &str = "/etc/ottla";
/// File in [`CONFIG_PATH`].
pub const CONFIG_FILE: &str = "server.properties";
/// Where files about the pod itself are mounted.
pub const POD_PATH: &str = "/etc/ottla-pod";
/// The StatefulSet, and the PodDisruptionBudget and NetworkPolicy.
#[must_use]
pub fn stateful_set(cluster: &str) -> String {
    cluster.to_owned()
}

/// The headless Service.
#[must_use]
pub fn headless(cluster: &str) -> String {
    format!("{cluster}-brokers")
}

/// The Service where clients connect first.
#[must_use]
pub fn bootstrap(cluster: &str) -> String {
    format!("{cluster}-bootstrap")
}

/// Where clients in Kubernetes connect first.
#[must_use]
pub fn bootstrap_address(cluster: &str, namespace: &str) -> String {
    format!("{}.{namespace}.svc:{KAFKA_PORT}", bootstrap(cluster))
}

/// Where a broker is reached, whether it is ready or not.
#[must_use]
pub fn broker_address(cluster: &str, namespace: &str, broker: i32) -> String {
    format!("{}.{}.{namespace}.svc:{KAFKA_PORT}", pod(cluster, broker), headless(cluster))
}

/// The ConfigMap.
#[must_use]
pub fn config_map(cluster: &str) -> String {
    format!("{cluster}-config")
}

/// The ServiceAccount.
#[must_use]
pub fn service_account(cluster: &str) -> String {
    format!("{cluster}-broker")
}

/// A broker's pod.
#[must_use]
pub fn pod(cluster: &str, broker: i32) -> String {
    format!("{cluster}-{broker}")
}

/// A broker's claim.
#[must_use]
pub fn claim(cluster: &str, broker: i32) -> String {
    format!("{DATA_VOLUME}-{cluster}-{broker}")
}

/// The broker whose pod or claim has this name.
#[must_use]
pub fn broker_of(name: &str) -> Option<i32> {
    let (_, ordinal) = name.rsplit_once('-')?;
    ordinal.parse().ok().filter(|ordinal| *ordinal >= 0)
}

/// Labels that select a cluster's brokers.
#[must_use]
pub fn selector(cluster: &str) -> BTreeMap<String, String> {
    [("app.kubernetes.io/name", "ottla"), ("app.kubernetes.io/component", "broker"), (CLUSTER_LABEL, cluster)]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into()
}

/// Labels of everything that belongs to a cluster.
#[must_use]
pub fn labels(cluster: &str) -> BTreeMap<String, String> {
    let mut labels = selector(cluster);
    labels.insert("app.kubernetes.io/instance".to_owned(), cluster.to_owned());
    labels.insert("app.kubernetes.io/part-of".to_owned(), "ottla".to_owned());
    labels.insert("app.kubernetes.io/managed-by".to_owned(), MANAGER.to_owned());
    labels
}

/// Labels as a selector's text.
#[must_use]
pub fn selector_text(cluster: &str) -> String {
    let each: Vec<String> = selector(cluster).iter().map(|(key, value)| format!("{key}={value}")).collect();
    each.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pods_name_leads_back_to_its_broker() {
        assert_eq!(broker_of(&pod("my-cluster-2", 12)), Some(12));
        assert_eq!(broker_of(&claim("prod", 0)), Some(0));
        assert_eq!(broker_of("prod"), None);
        assert_eq!(broker_of("prod-x"), None);
    }
}
