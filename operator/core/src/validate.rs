//! What speaks against a resource that the definition lets through. All reasons at once.

use crate::cluster::Cluster;
use ottla_types::settings::{InvalidSetting, broker, topic};
use std::collections::BTreeMap;

/// A reason against a resource.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct Invalid {
    /// The field, as `spec.config[num.partitions]`.
    pub field: String,
    /// What is wrong, for people.
    pub reason: String,
}

/// What speaks against a cluster.
#[must_use]
pub fn cluster(cluster: &Cluster) -> Vec<Invalid> {
    settings(&cluster.spec.config, |key, value| {
        // The broker's own settings are its own to check.
        if key.starts_with("ottla.") { Ok(()) } else { broker::validate(key, value) }
    })
}

/// What speaks against a topic's settings.
#[must_use]
pub fn topic_config(config: &BTreeMap<String, String>) -> Vec<Invalid> {
    settings(config, topic::validate)
}

fn settings(
    config: &BTreeMap<String, String>,
    check: impl Fn(&str, &str) -> Result<(), InvalidSetting>,
) -> Vec<Invalid> {
    let invalid = |(key, value): (&String, &String)| {
        let error = check(key, value).err()?;
        let reason = match error {
            InvalidSetting::UnknownKey { .. } => "there is no such setting".to_owned(),
            InvalidSetting::InvalidValue { value, reason, .. } => format!("{value:?} {reason}"),
        };
        Some(Invalid { field: format!("spec.config[{key}]"), reason })
    };
    config.iter().filter_map(invalid).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_reasons_are_told_at_once() {
        let spec = serde_json::json!({
            "config": {"num.partitions": "many", "no.such.key": "1", "log.retention.ms": "5", "ottla.x": "y"}
        });
        let found = cluster(&Cluster::new("a", serde_json::from_value(spec).unwrap()));
        let found: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "spec.config[no.such.key]: there is no such setting",
                "spec.config[num.partitions]: \"many\" is not a whole number"
            ]
        );
    }

    #[test]
    fn a_topics_settings_are_checked_as_the_brokers_do() {
        let config = [("retention.ms".to_owned(), "-5".to_owned())].into();
        assert_eq!(topic_config(&config)[0].field, "spec.config[retention.ms]");
        assert!(topic_config(&[("retention.ms".to_owned(), "5".to_owned())].into()).is_empty());
    }
}
