//! The settings that Kafka does not have. All begin with `ottla.`.

/// A setting that Kafka does not have.
#[derive(Debug)]
pub struct OwnSetting {
    /// Its name.
    pub key: &'static str,
    /// The value it has when nobody sets it.
    pub default: &'static str,
    pub(crate) valid: Valid,
    /// What it does, in a sentence.
    pub doc: &'static str,
}

/// What a value may be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Valid {
    Between(i64, i64),
    OneOf(&'static [&'static str]),
    Boolean,
    /// `host:port`, or nothing.
    Address,
    Text,
}

const fn own(key: &'static str, default: &'static str, valid: Valid, doc: &'static str) -> OwnSetting {
    OwnSetting { key, default, valid, doc }
}

/// All of them.
pub(crate) const OWN: &[OwnSetting] = &[
    own(
        "ottla.cluster.id",
        "",
        Valid::Text,
        "Cluster id for a data directory that has none yet; empty: made up.",
    ),
    own(
        "ottla.founding.brokers",
        "0",
        Valid::Between(0, 1000),
        "Brokers of whom a majority must be there to found a cluster; 0: as many as are configured.",
    ),
    own(
        "ottla.http.listener",
        "127.0.0.1:9644",
        Valid::Address,
        "Where metrics and health are served; empty: nowhere.",
    ),
    own("ottla.log.format", "text", Valid::OneOf(&["text", "json"]), "Form of the log on stderr."),
    own(
        "ottla.log.level",
        "info",
        Valid::Text,
        "Log level, or directives such as info,ottla_server::net=debug.",
    ),
    own(
        "ottla.memory.bytes",
        "0",
        Valid::Between(0, i64::MAX),
        "Memory to stay within; 0: the control group's limit.",
    ),
    own(
        "ottla.metrics.group.partitions.max",
        "10000",
        Valid::Between(0, 10_000_000),
        "Partitions with committed offsets whose lag is shown; groups that do not fit have none.",
    ),
    own(
        "ottla.metrics.groups.max",
        "1000",
        Valid::Between(0, 1_000_000),
        "Groups with series of their own; further ones are only counted.",
    ),
    own(
        "ottla.metrics.partitions",
        "true",
        Valid::Boolean,
        "Whether metrics have series for each partition.",
    ),
    own(
        "ottla.metrics.topics.max",
        "1000",
        Valid::Between(0, 1_000_000),
        "Topics with series of their own; further ones count under one name.",
    ),
    own(
        "ottla.network.in.flight.max",
        "32",
        Valid::Between(1, 10_000),
        "Unanswered requests of one connection.",
    ),
    own(
        "ottla.network.slow.sender.ms",
        "30000",
        Valid::Between(100, 3_600_000),
        "A request that has begun must go on arriving within this time.",
    ),
    own(
        "ottla.permit.single.replica",
        "allow",
        Valid::OneOf(&["allow", "refuse", "move-away"]),
        "What a restart permit does about partitions whose only replica is on the broker.",
    ),
    own(
        "ottla.rack.file",
        "",
        Valid::Text,
        "File that names the rack while the broker starts, if broker.rack does not; the rack is remembered.",
    ),
    own(
        "ottla.shutdown.permit.timeout.ms",
        "60000",
        Valid::Between(0, 86_400_000),
        "How long a stop waits for the permit of the others; then the broker stops without it.",
    ),
    own(
        "ottla.shutdown.timeout.ms",
        "10000",
        Valid::Between(0, 3_600_000),
        "How long a stop waits for requests in flight.",
    ),
    own(
        "ottla.worker.threads",
        "0",
        Valid::Between(0, 1024),
        "Threads that serve connections; 0: one for each processor.",
    ),
];

/// All settings that Kafka does not have, by key.
pub fn own_settings() -> &'static [OwnSetting] {
    OWN
}

/// The setting of that name.
pub(crate) fn lookup(key: &str) -> Option<&'static OwnSetting> {
    OWN.iter().find(|setting| setting.key == key)
}

impl OwnSetting {
    /// A sentence about what is wrong with `value`, if anything is.
    pub(crate) fn validate(&self, value: &str) -> Result<(), String> {
        match self.valid {
            Valid::Between(least, most) => match value.parse::<i64>() {
                Ok(number) if (least..=most).contains(&number) => Ok(()),
                Ok(_) => Err(format!("must be between {least} and {most}")),
                Err(_) => Err("is not a whole number".to_owned()),
            },
            Valid::OneOf(allowed) if allowed.contains(&value) => Ok(()),
            Valid::OneOf(allowed) => Err(format!("must be one of {}", allowed.join(", "))),
            Valid::Boolean if matches!(value, "true" | "false") => Ok(()),
            Valid::Boolean => Err("must be true or false".to_owned()),
            Valid::Address if value.is_empty() => Ok(()),
            Valid::Address => super::listener::parse_endpoint(&format!("HTTP://{value}"))
                .map(|_| ())
                .map_err(|_| "is not of the form host:port".to_owned()),
            Valid::Text => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_valid_and_every_setting_is_documented() {
        for setting in OWN {
            assert_eq!(setting.validate(setting.default), Ok(()), "{}", setting.key);
            assert!(setting.key.starts_with("ottla.") && setting.doc.ends_with('.'), "{}", setting.key);
        }
        assert!(OWN.is_sorted_by_key(|setting| setting.key));
    }

    #[test]
    fn every_setting_is_in_the_documentation() {
        let documentation = include_str!("../../../../docs/configuration.md");
        for setting in OWN {
            let row = format!("| `{}` |", setting.key);
            assert!(documentation.contains(&row), "{} is not in docs/configuration.md", setting.key);
        }
    }

    #[test]
    fn bad_values_are_explained() {
        let reason = |key: &str, value: &str| lookup(key).unwrap().validate(value).unwrap_err();
        assert_eq!(reason("ottla.log.format", "xml"), "must be one of text, json");
        assert_eq!(reason("ottla.network.in.flight.max", "0"), "must be between 1 and 10000");
        assert_eq!(reason("ottla.http.listener", "9644"), "is not of the form host:port");
    }
}
