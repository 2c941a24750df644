//! Resources that have settings, and where a setting's value comes from.
//!
//! The order, as in Kafka (`org.apache.kafka.clients.admin.ConfigEntry.ConfigSource`): the topic's own value, the
//! value of this broker, the default of all brokers, the file of this broker, the built-in default. A topic's setting
//! falls back to the broker setting that is its synonym (`retention.ms` to `log.retention.ms`).

use super::image::Image;
use super::record::Config;
use super::replay::ReplayError;
use ottla_types::BrokerId;
use ottla_types::settings::{self, group, topic};
use std::collections::BTreeMap;

/// What kind of thing has settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub enum ConfigResourceKind {
    /// A topic, by name.
    Topic,
    /// A broker, by id as text, or all of them by the empty name.
    Broker,
    /// A client metrics subscription, by name.
    ClientMetrics,
    /// A consumer group, by id.
    Group,
}

impl ConfigResourceKind {
    /// Kafka's `ConfigResource.Type` id.
    #[must_use]
    pub const fn id(self) -> i32 {
        match self {
            ConfigResourceKind::Topic => 2,
            ConfigResourceKind::Broker => 4,
            ConfigResourceKind::ClientMetrics => 16,
            ConfigResourceKind::Group => 32,
        }
    }

    /// Reads Kafka's id.
    #[must_use]
    pub const fn from_id(id: i32) -> Option<Self> {
        match id {
            2 => Some(ConfigResourceKind::Topic),
            4 => Some(ConfigResourceKind::Broker),
            16 => Some(ConfigResourceKind::ClientMetrics),
            32 => Some(ConfigResourceKind::Group),
            _ => None,
        }
    }
}

/// Something that has settings.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct ConfigResource {
    /// What it is.
    pub kind: ConfigResourceKind,
    /// Which one.
    pub name: String,
}

impl ConfigResource {
    /// A topic.
    #[must_use]
    pub fn topic(name: impl Into<String>) -> Self {
        Self { kind: ConfigResourceKind::Topic, name: name.into() }
    }

    /// A broker.
    #[must_use]
    pub fn broker(id: BrokerId) -> Self {
        Self { kind: ConfigResourceKind::Broker, name: id.to_string() }
    }

    /// The default of all brokers.
    #[must_use]
    pub fn all_brokers() -> Self {
        Self { kind: ConfigResourceKind::Broker, name: String::new() }
    }

    /// A consumer group.
    #[must_use]
    pub fn group(id: impl Into<String>) -> Self {
        Self { kind: ConfigResourceKind::Group, name: id.into() }
    }

    pub(super) fn from_record(record: &Config) -> Result<Self, ReplayError> {
        let kind = ConfigResourceKind::from_id(record.resource_type);
        let kind = kind.ok_or(ReplayError::NoResource(record.resource_type))?;
        Ok(Self { kind, name: record.resource_name.clone() })
    }
}

/// Where a value comes from, with Kafka's `ConfigSource` ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(i8)]
pub enum ConfigSource {
    /// Set on the topic.
    DynamicTopic = 1,
    /// Set on this broker.
    DynamicBroker = 2,
    /// Set for all brokers.
    DynamicDefaultBroker = 3,
    /// From this broker's `server.properties`, environment or flags.
    StaticBroker = 4,
    /// Built in.
    Default = 5,
    /// Set on the client metrics subscription.
    ClientMetrics = 7,
    /// Set on the group.
    Group = 8,
}

/// One place that gives a setting a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigSynonym {
    /// The key it has there.
    pub key: String,
    /// The value.
    pub value: String,
    /// The place.
    pub source: ConfigSource,
}

/// What a broker brings with it: its settings' file.
pub type StaticSettings = BTreeMap<String, String>;

impl Image {
    /// Every place that gives a broker setting a value, the one that wins first. `Default` comes last, if there is a
    /// default. `broker` may be [`BrokerId::NONE`] for what holds for all.
    #[must_use]
    pub fn broker_setting(&self, key: &str, broker: BrokerId, file: &StaticSettings) -> Vec<ConfigSynonym> {
        let mut found = self.set_on_broker(&[topic::Synonym { key: "", factor: 1 }], Some(key), broker, file);
        let default = settings::broker::lookup(key).and_then(|setting| setting.default);
        found.extend(default.map(|value| synonym(key, value, ConfigSource::Default)));
        found
    }

    /// Every place that gives a topic setting a value, the one that wins first, each value in the topic setting's
    /// own unit. `Default` comes last, if there is a default.
    #[must_use]
    pub fn topic_setting(
        &self,
        topic: &str,
        key: &str,
        broker: BrokerId,
        file: &StaticSettings,
    ) -> Vec<ConfigSynonym> {
        let own = self.config(&ConfigResource::topic(topic)).and_then(|settings| settings.get(key));
        let mut found: Vec<_> =
            own.map(|value| synonym(key, value, ConfigSource::DynamicTopic)).into_iter().collect();
        found.extend(self.set_on_broker(topic::synonyms(key), None, broker, file));
        let default = topic::lookup(key).and_then(|setting| setting.default);
        found.extend(default.map(|value| synonym(key, value, ConfigSource::Default)));
        found
    }

    /// Every place that gives a group's setting a value, the one that wins first. `Default` comes last.
    #[must_use]
    pub fn group_setting(
        &self,
        group_id: &str,
        key: &str,
        broker: BrokerId,
        file: &StaticSettings,
    ) -> Vec<ConfigSynonym> {
        let own = self.config(&ConfigResource::group(group_id)).and_then(|settings| settings.get(key));
        let mut found: Vec<_> =
            own.map(|value| synonym(key, value, ConfigSource::Group)).into_iter().collect();
        match group::synonym(key) {
            Some(of_broker) => found.extend(self.broker_setting(of_broker, broker, file)),
            None => {
                let default = group::lookup(key).and_then(|setting| setting.default);
                found.extend(default.map(|value| synonym(key, value, ConfigSource::Default)));
            }
        }
        found
    }

    /// The value of a topic setting, if anything gives it one.
    #[must_use]
    pub fn topic_value(
        &self,
        topic: &str,
        key: &str,
        broker: BrokerId,
        file: &StaticSettings,
    ) -> Option<String> {
        self.topic_setting(topic, key, broker, file).into_iter().next().map(|winner| winner.value)
    }

    /// The value of a broker setting, if anything gives it one.
    #[must_use]
    pub fn broker_value(&self, key: &str, broker: BrokerId, file: &StaticSettings) -> Option<String> {
        self.broker_setting(key, broker, file).into_iter().next().map(|winner| winner.value)
    }

    /// The places in which a broker has a value under one of the keys; `only` stands for all of them.
    fn set_on_broker(
        &self,
        keys: &[topic::Synonym],
        only: Option<&str>,
        broker: BrokerId,
        file: &StaticSettings,
    ) -> Vec<ConfigSynonym> {
        let own = self.config(&ConfigResource::broker(broker)).filter(|_| !broker.is_none());
        let all = self.config(&ConfigResource::all_brokers());
        let layers = [
            (own, ConfigSource::DynamicBroker),
            (all, ConfigSource::DynamicDefaultBroker),
            (Some(file), ConfigSource::StaticBroker),
        ];
        let mut found = Vec::new();
        for (settings, source) in layers {
            let Some(settings) = settings else { continue };
            found.extend(keys.iter().filter_map(|wanted| {
                let key = only.unwrap_or(wanted.key);
                Some(synonym(key, &in_unit(settings.get(key)?, wanted.factor), source))
            }));
        }
        found
    }
}

fn synonym(key: &str, value: &str, source: ConfigSource) -> ConfigSynonym {
    ConfigSynonym { key: key.to_owned(), value: value.to_owned(), source }
}

/// Hours to milliseconds; negative values mean "no limit" in every unit.
fn in_unit(value: &str, factor: i64) -> String {
    if factor == 1 {
        return value.to_owned();
    }
    match value.trim().parse::<i64>() {
        Ok(number) if number >= 0 => number.saturating_mul(factor).to_string(),
        _ => value.to_owned(),
    }
}
