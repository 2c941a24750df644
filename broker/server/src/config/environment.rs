//! Settings in environment variables.

use super::settings;

/// What a variable's name says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnvironmentName {
    /// It sets this key.
    Setting(String),
    /// It looks like a setting of ours and is none; the key it would be.
    Unknown(String),
    /// It has nothing to do with settings.
    Unrelated,
}

/// Variables of the tools, the build and the tests.
const RESERVED: [&str; 7] = [
    "OTTLA_BIN",
    "OTTLA_BOOTSTRAP",
    "OTTLA_CACHE",
    "OTTLA_COMMIT",
    "OTTLA_CONFIG",
    "OTTLA_KAFKA_LIBS",
    "OTTLA_PROFILE",
];

/// Beginnings of variables of the tests and benchmarks.
const RESERVED_PREFIXES: [&str; 3] = ["OTTLA_BENCH_", "OTTLA_FUZZ_", "OTTLA_TEST_"];

/// Which setting a variable sets.
pub fn setting_of_variable(variable: &str) -> EnvironmentName {
    let is_reserved =
        RESERVED.contains(&variable) || RESERVED_PREFIXES.iter().any(|prefix| variable.starts_with(prefix));
    if is_reserved || is_service_link(variable) {
        return EnvironmentName::Unrelated;
    }
    if let Some(name) = variable.strip_prefix("OTTLA_") {
        let key = name.to_ascii_lowercase().replace('_', ".");
        let own = format!("ottla.{key}");
        return if settings::is_known(&own) {
            EnvironmentName::Setting(own)
        } else if settings::is_known(&key) {
            EnvironmentName::Setting(key)
        } else {
            EnvironmentName::Unknown(key)
        };
    }
    if let Some(name) = variable.strip_prefix("KAFKA_") {
        let key = kafka_key(name);
        if settings::is_known(&key) {
            return EnvironmentName::Setting(key);
        }
    }
    EnvironmentName::Unrelated
}

/// The naming of Kafka's container images: `_` dot, `__` underscore, `___` dash.
fn kafka_key(name: &str) -> String {
    name.to_ascii_lowercase().replace("___", "-").replace("__", "\0").replace('_', ".").replace('\0', "_")
}

/// Kubernetes tells pods about services by variables like `OTTLA_PORT_9092_TCP_ADDR`.
fn is_service_link(variable: &str) -> bool {
    let after = |part: &str| variable.rsplit_once(part).map(|(_, rest)| rest);
    variable.ends_with("_SERVICE_HOST")
        || after("_SERVICE_PORT").is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
        || after("_PORT").is_some_and(|rest| {
            rest.is_empty()
                || rest.strip_prefix('_').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_prefixes_name_kafkas_keys() {
        let key = EnvironmentName::Setting("log.segment.bytes".to_owned());
        assert_eq!(setting_of_variable("OTTLA_LOG_SEGMENT_BYTES"), key);
        assert_eq!(setting_of_variable("KAFKA_LOG_SEGMENT_BYTES"), key);
        let own = EnvironmentName::Setting("ottla.http.listener".to_owned());
        assert_eq!(setting_of_variable("OTTLA_HTTP_LISTENER"), own);
    }

    #[test]
    fn service_links_and_unknown_kafka_variables_are_left_alone() {
        for variable in [
            "OTTLA_PORT",
            "OTTLA_PORT_9092_TCP_ADDR",
            "OTTLA_SERVICE_HOST",
            "OTTLA_BROKERS_SERVICE_PORT_KAFKA",
            "KAFKA_HEAP_OPTS",
            "PATH",
            "OTTLA_CONFIG",
        ] {
            assert_eq!(setting_of_variable(variable), EnvironmentName::Unrelated, "{variable}");
        }
    }

    #[test]
    fn a_mistyped_variable_of_ours_is_reported() {
        assert_eq!(
            setting_of_variable("OTTLA_NUM_PARTITION"),
            EnvironmentName::Unknown("num.partition".to_owned())
        );
    }

    #[test]
    fn doubled_and_tripled_underscores_follow_kafkas_images() {
        assert_eq!(kafka_key("A_B__C___D"), "a.b_c-d");
    }
}
