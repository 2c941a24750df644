//! Settings of topics, brokers and groups.

use super::{Admin, missing, outcome, text};
use crate::connection::Connection;
use crate::error::ClientError;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::DescribeConfigsResult;
use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::{DescribeConfigsRequest, IncrementalAlterConfigsRequest};
use ottla_protocol::StrBytes;

/// What a setting belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ResourceKind {
    /// A topic, by name.
    Topic,
    /// A broker, by id; without a name, the default of all brokers.
    Broker,
    /// What a broker logs, by its id.
    BrokerLogger,
    /// What clients report, by name.
    ClientMetrics,
    /// A group, by name.
    Group,
}

impl ResourceKind {
    /// The code on the wire.
    #[must_use]
    pub const fn code(self) -> i8 {
        match self {
            ResourceKind::Topic => 2,
            ResourceKind::Broker => 4,
            ResourceKind::BrokerLogger => 8,
            ResourceKind::ClientMetrics => 16,
            ResourceKind::Group => 32,
        }
    }
}

/// What has settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigResource {
    /// Of which kind.
    pub kind: ResourceKind,
    /// Its name.
    pub name: String,
}

/// A setting as the cluster has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigEntry {
    /// Key.
    pub key: String,
    /// Value; none if it has none, or must not be shown.
    pub value: Option<String>,
    /// Where it comes from: `DYNAMIC_TOPIC_CONFIG`, `DEFAULT_CONFIG` and so on.
    pub source: &'static str,
    /// Whether it can only be set at start.
    pub is_read_only: bool,
    /// Whether it must not be shown.
    pub is_sensitive: bool,
    /// All places it could come from, the first counts.
    pub synonyms: Vec<ConfigSynonym>,
    /// What it means.
    pub documentation: Option<String>,
}

/// One of the places a setting may come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigSynonym {
    /// Key there.
    pub key: String,
    /// Value there.
    pub value: Option<String>,
    /// The place.
    pub source: &'static str,
}

/// A change of one setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AlterOp {
    /// To this value.
    Set(String),
    /// Back to what it would be if nobody had set it.
    Delete,
    /// Adds elements to a list.
    Append(String),
    /// Takes elements off a list.
    Subtract(String),
}

impl ConfigEntry {
    /// True if somebody set it for this resource.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.source.starts_with("DYNAMIC") && !self.source.contains("DEFAULT")
    }
}

/// Kafka's names of sources (`DescribeConfigsResponse.ConfigSource`).
fn source(code: i8) -> &'static str {
    match code {
        1 => "DYNAMIC_TOPIC_CONFIG",
        2 => "DYNAMIC_BROKER_CONFIG",
        3 => "DYNAMIC_DEFAULT_BROKER_CONFIG",
        4 => "STATIC_BROKER_CONFIG",
        5 => "DEFAULT_CONFIG",
        6 => "DYNAMIC_BROKER_LOGGER_CONFIG",
        7 => "DYNAMIC_CLIENT_METRICS_CONFIG",
        8 => "DYNAMIC_GROUP_CONFIG",
        _ => "UNKNOWN",
    }
}

impl Admin {
    /// Settings of `resource`: all, or those named.
    ///
    /// # Errors
    /// If the cluster cannot be reached, or does not know the resource.
    pub async fn describe_configs(
        &self,
        resource: &ConfigResource,
        keys: Option<&[String]>,
        documentation: bool,
    ) -> Result<Vec<ConfigEntry>, ClientError> {
        let keys = keys.map(|keys| keys.iter().map(|key| text(key)).collect());
        let asked = DescribeConfigsResource::default()
            .with_resource_type(resource.kind.code())
            .with_resource_name(text(&resource.name))
            .with_configuration_keys(keys);
        let connection = self.who_knows(resource).await?;
        let (_, offered) = connection.offered(ottla_protocol::ApiKey::DescribeConfigs).unwrap_or((0, 0));
        let request = DescribeConfigsRequest::default()
            .with_resources(vec![asked])
            .with_include_synonyms(true)
            .with_include_documentation(documentation && offered >= 3);
        let response = connection.send(request).await?;
        let what = format!("settings of {}", resource.describe());
        let result = response.results.first().ok_or_else(|| missing(&what))?;
        outcome(result.error_code, result.error_message.as_ref())
            .map_err(|error| ClientError::refused(what, error))?;
        Ok(entries(result))
    }

    /// Changes settings of `resource`; with `validate_only` says whether it could.
    ///
    /// # Errors
    /// If the cluster cannot be reached or refuses; then nothing has changed.
    pub async fn alter_configs(
        &self,
        resource: &ConfigResource,
        changes: &[(String, AlterOp)],
        validate_only: bool,
    ) -> Result<(), ClientError> {
        let configs = changes.iter().map(|(key, op)| {
            let (code, value) = op_code(op);
            AlterableConfig::default().with_name(text(key)).with_config_operation(code).with_value(value)
        });
        let altered = AlterConfigsResource::default()
            .with_resource_type(resource.kind.code())
            .with_resource_name(text(&resource.name))
            .with_configs(configs.collect());
        let request = IncrementalAlterConfigsRequest::default()
            .with_resources(vec![altered])
            .with_validate_only(validate_only);
        let response = match resource.broker_id() {
            Some(id) => self.client.broker(id).await?.send(request).await?,
            None => {
                let code = |response: &kafka_protocol::messages::IncrementalAlterConfigsResponse| {
                    response.responses.first().map_or(0, |result| result.error_code)
                };
                self.to_controller(request, code).await?
            }
        };
        let what = format!("settings of {}", resource.describe());
        let result = response.responses.first().ok_or_else(|| missing(&what))?;
        outcome(result.error_code, result.error_message.as_ref())
            .map_err(|error| ClientError::refused(what, error))
    }

    /// A broker's own settings are known to itself only.
    async fn who_knows(&self, resource: &ConfigResource) -> Result<Connection, ClientError> {
        match resource.broker_id() {
            Some(id) => self.client.broker(id).await,
            None => self.client.any().await,
        }
    }
}

impl ConfigResource {
    /// A topic's settings.
    pub fn topic(name: impl Into<String>) -> Self {
        Self { kind: ResourceKind::Topic, name: name.into() }
    }

    fn broker_id(&self) -> Option<i32> {
        match self.kind {
            ResourceKind::Broker | ResourceKind::BrokerLogger => self.name.parse().ok(),
            _ => None,
        }
    }

    fn describe(&self) -> String {
        match (self.kind, self.name.as_str()) {
            (ResourceKind::Topic, name) => format!("topic {name:?}"),
            (ResourceKind::Broker, "") => "all brokers".to_owned(),
            (ResourceKind::Broker, id) => format!("broker {id}"),
            (ResourceKind::BrokerLogger, id) => format!("the log of broker {id}"),
            (ResourceKind::ClientMetrics, name) => format!("client metrics {name:?}"),
            (ResourceKind::Group, name) => format!("group {name:?}"),
        }
    }
}

/// The code of a change on the wire, and its value.
pub(super) fn op_code(op: &AlterOp) -> (i8, Option<StrBytes>) {
    match op {
        AlterOp::Set(value) => (0, Some(text(value))),
        AlterOp::Delete => (1, None),
        AlterOp::Append(value) => (2, Some(text(value))),
        AlterOp::Subtract(value) => (3, Some(text(value))),
    }
}

pub(super) fn entries(result: &DescribeConfigsResult) -> Vec<ConfigEntry> {
    let owned = |text: &Option<StrBytes>| text.as_ref().map(|text| text.as_str().to_owned());
    let mut entries: Vec<_> = result
        .configs
        .iter()
        .map(|config| ConfigEntry {
            key: config.name.as_str().to_owned(),
            value: owned(&config.value),
            source: source(config.config_source),
            is_read_only: config.read_only,
            is_sensitive: config.is_sensitive,
            synonyms: config
                .synonyms
                .iter()
                .map(|synonym| ConfigSynonym {
                    key: synonym.name.as_str().to_owned(),
                    value: owned(&synonym.value),
                    source: source(synonym.source),
                })
                .collect(),
            documentation: owned(&config.documentation),
        })
        .collect();
    entries.sort_by(|a, b| a.key.cmp(&b.key));
    entries
}
