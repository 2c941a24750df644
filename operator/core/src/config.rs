//! The brokers' settings: what the operator sets, what the user sets, and which of it can change while brokers run.

use crate::cluster::ClusterSpec;
use crate::names;
use ottla_types::settings::{UpdateMode, broker};
use std::collections::BTreeMap;

/// Settings by key.
pub type Settings = BTreeMap<String, String>;

/// More brokers than any cluster has: a cluster that was founded once is never founded again.
const NEVER_FOUND: i32 = 1000;
/// Seconds of the grace period that are left for the stop itself, after the permit came or did not.
const STOP_SECONDS: i64 = 40;

/// What a cluster's settings come to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Config {
    /// The file: read at start only.
    pub file: Settings,
    /// What of the file makes a restart necessary when it changes.
    pub restart: Settings,
    /// Defaults of all brokers that are set while they run.
    pub dynamic: Settings,
}

/// Which cluster, and how it stands.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// Its name.
    pub cluster: &'a str,
    /// Its namespace.
    pub namespace: &'a str,
    /// There are records that a new cluster would not have.
    pub is_founded: bool,
    /// Brokers that there are, those that are on their way out among them.
    pub brokers: i32,
}

/// The settings of a cluster.
#[must_use]
pub fn of(spec: &ClusterSpec, place: Place<'_>) -> Config {
    let mut config = Config::default();
    for (key, value) in defaults(place.brokers.max(spec.replicas)).into_iter().chain(spec.config.clone()) {
        if is_dynamic(&key) {
            config.dynamic.insert(key, value);
        } else {
            config.restart.insert(key, value);
        }
    }
    config.file = config.restart.clone();
    config.file.extend(addresses(spec, place));
    config
}

/// True if a change of the setting counts at once.
#[must_use]
pub fn is_dynamic(key: &str) -> bool {
    broker::lookup(key).is_some_and(|setting| setting.update == UpdateMode::ClusterWide)
}

/// What counts unless the user says otherwise: as many copies as make sense for so many brokers.
fn defaults(replicas: i32) -> Settings {
    let copies = replicas.clamp(1, 3);
    let in_sync = if copies == 3 { 2 } else { 1 };
    [
        ("default.replication.factor", copies),
        ("min.insync.replicas", in_sync),
        ("offsets.topic.replication.factor", copies),
        ("transaction.state.log.min.isr", in_sync),
        ("transaction.state.log.replication.factor", copies),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_string()))
    .into()
}

fn addresses(spec: &ClusterSpec, place: Place<'_>) -> Settings {
    let Place { cluster, namespace, is_founded, .. } = place;
    let kafka = names::KAFKA_PORT;
    let founders = if is_founded && !spec.storage.ephemeral { NEVER_FOUND } else { spec.replicas };
    let patience = (spec.pod_template.termination_grace_period_seconds - STOP_SECONDS).max(5) * 1000;
    [
        ("listeners", format!("PLAINTEXT://0.0.0.0:{kafka}")),
        ("log.dirs", names::DATA_PATH.to_owned()),
        (
            "controller.quorum.bootstrap.servers",
            format!("{}.{namespace}.svc:{kafka}", names::headless(cluster)),
        ),
        ("ottla.founding.brokers", founders.to_string()),
        ("ottla.http.listener", format!("0.0.0.0:{}", names::HTTP_PORT)),
        ("ottla.shutdown.permit.timeout.ms", patience.to_string()),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into()
}

/// Settings as a properties file.
#[must_use]
pub fn properties(settings: &Settings) -> String {
    settings.iter().map(|(key, value)| format!("{}={}\n", escape(key, true), escape(value, false))).collect()
}

fn escape(text: &str, is_key: bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for (at, character) in text.char_indices() {
        match character {
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\t' => escaped.push_str("\\t"),
            '\\' => escaped.push_str("\\\\"),
            ' ' if is_key || at == 0 => escaped.push_str("\\ "),
            '=' | ':' if is_key => escaped.extend(['\\', character]),
            '#' | '!' if is_key && at == 0 => escaped.extend(['\\', character]),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(is_founded: bool) -> Place<'static> {
        Place { cluster: "prod", namespace: "shop", is_founded, brokers: 0 }
    }

    fn spec(json: serde_json::Value) -> ClusterSpec {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn what_kafka_changes_while_running_is_not_in_the_file() {
        let spec = spec(serde_json::json!({
            "config": {"log.retention.ms": "1000", "num.partitions": "6", "ottla.log.format": "json"}
        }));
        let config = of(&spec, place(false));
        assert_eq!(config.dynamic["log.retention.ms"], "1000");
        assert_eq!(config.dynamic["min.insync.replicas"], "2");
        assert_eq!(config.file["num.partitions"], "6");
        assert_eq!(config.file["ottla.log.format"], "json");
        assert!(!config.file.contains_key("log.retention.ms"));
        assert_eq!(config.file["controller.quorum.bootstrap.servers"], "prod-brokers.shop.svc:9092");
    }

    #[test]
    fn the_user_goes_before_the_defaults() {
        let spec = spec(serde_json::json!({"replicas": 1, "config": {"default.replication.factor": "2"}}));
        let config = of(&spec, place(false));
        assert_eq!(config.file["default.replication.factor"], "2");
        assert_eq!(config.file["offsets.topic.replication.factor"], "1");
        assert_eq!(config.dynamic["min.insync.replicas"], "1");
    }

    #[test]
    fn a_founded_cluster_is_not_founded_again_and_that_restarts_nobody() {
        let spec = spec(serde_json::json!({}));
        let (new, founded) = (of(&spec, place(false)), of(&spec, place(true)));
        assert_eq!(new.file["ottla.founding.brokers"], "3");
        assert_eq!(founded.file["ottla.founding.brokers"], "1000");
        assert_eq!(new.restart, founded.restart);
    }

    #[test]
    fn a_properties_file_keeps_every_character() {
        let settings = [("a b".to_owned(), " x\\y\nz=1".to_owned())].into();
        assert_eq!(properties(&settings), "a\\ b=\\ x\\\\y\\nz=1\n");
    }
}
