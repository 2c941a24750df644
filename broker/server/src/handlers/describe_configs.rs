//! DescribeConfigs (key 32): settings with where their values come from (KIP-226), synonyms and documentation.

use super::Context;
use kafka_protocol::messages::create_topics_response::CreatableTopicConfigs;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use kafka_protocol::messages::{DescribeConfigsRequest, DescribeConfigsResponse};
use ottla_core::metadata::{ConfigResource, ConfigResourceKind, ConfigSource, ConfigSynonym};
use ottla_protocol::StrBytes;
use ottla_types::settings::{self, Setting, UpdateMode};
use ottla_types::{BrokerId, ErrorCode};

const BROKER_LOGGER: i8 = 8;
/// `ConfigSource.DYNAMIC_BROKER_LOGGER_CONFIG`.
const LOGGER_SOURCE: i8 = 6;
const DOCUMENTATION_FROM: i16 = 3;

type Described = Result<Vec<DescribeConfigsResourceResult>, (ErrorCode, String)>;

/// Answers the request.
pub fn handle(context: &Context, request: &DescribeConfigsRequest) -> DescribeConfigsResponse {
    let results = request.resources.iter().map(|resource| {
        let result = DescribeConfigsResult::default()
            .with_resource_type(resource.resource_type)
            .with_resource_name(resource.resource_name.clone());
        let described = describe(context, request, resource);
        match described {
            Ok(configs) => result.with_configs(selected(configs, resource)),
            Err((code, text)) => {
                result.with_error_code(code.code()).with_error_message(Some(StrBytes::from_string(text)))
            }
        }
    });
    DescribeConfigsResponse::default().with_results(results.collect())
}

fn selected(
    configs: Vec<DescribeConfigsResourceResult>,
    resource: &DescribeConfigsResource,
) -> Vec<DescribeConfigsResourceResult> {
    match &resource.configuration_keys {
        None => configs,
        Some(keys) if keys.is_empty() => configs,
        Some(keys) => configs.into_iter().filter(|config| keys.contains(&config.name)).collect(),
    }
}

fn describe(
    context: &Context,
    request: &DescribeConfigsRequest,
    resource: &DescribeConfigsResource,
) -> Described {
    let name = resource.resource_name.as_str();
    let shown =
        Shown { context, synonyms: request.include_synonyms, documentation: request.include_documentation };
    if resource.resource_type == BROKER_LOGGER {
        check_broker(context, name)?;
        return Ok(loggers(context));
    }
    match ConfigResourceKind::from_id(i32::from(resource.resource_type)) {
        Some(ConfigResourceKind::Topic) => {
            if !ottla_core::controller::is_valid_topic_name(name) {
                return Err((ErrorCode::InvalidTopicException, format!("{name:?} is not a topic name")));
            }
            match context.image().topic_id(name) {
                Some(_) => Ok(shown.topic(name)),
                None => Err((ErrorCode::UnknownTopicOrPartition, format!("no topic {name:?}"))),
            }
        }
        Some(ConfigResourceKind::Broker) if name.is_empty() => {
            Ok(shown.own_values(&ConfigResource::all_brokers()))
        }
        Some(ConfigResourceKind::Broker) => {
            check_broker(context, name)?;
            Ok(shown.broker())
        }
        Some(ConfigResourceKind::Group) if name.is_empty() => {
            Err((ErrorCode::InvalidRequest, "Group name must not be empty".to_owned()))
        }
        Some(ConfigResourceKind::Group) => Ok(shown.group(name)),
        Some(ConfigResourceKind::ClientMetrics) if name.is_empty() => {
            Err((ErrorCode::InvalidRequest, "Client metrics subscription name must not be empty".to_owned()))
        }
        Some(kind @ ConfigResourceKind::ClientMetrics) => {
            Ok(shown.own_values(&ConfigResource { kind, name: name.to_owned() }))
        }
        None => Err((ErrorCode::InvalidRequest, format!("unknown resource type {}", resource.resource_type))),
    }
}

fn check_broker(context: &Context, name: &str) -> Result<(), (ErrorCode, String)> {
    let me = context.broker.id();
    match name.parse() {
        Ok(id) if BrokerId(id) == me => Ok(()),
        Ok(id) => {
            Err((ErrorCode::InvalidRequest, format!("ask broker {id} for its settings, this is broker {me}")))
        }
        Err(_) => Err((ErrorCode::InvalidRequest, format!("{name:?} is not a broker id"))),
    }
}

/// How much is shown.
struct Shown<'a> {
    context: &'a Context,
    synonyms: bool,
    documentation: bool,
}

impl Shown<'_> {
    fn topic(&self, topic: &str) -> Vec<DescribeConfigsResourceResult> {
        settings::topic::all()
            .map(|setting| self.result(setting, &values_of(self.context, topic, setting), false))
            .collect()
    }

    fn broker(&self) -> Vec<DescribeConfigsResourceResult> {
        let broker = &self.context.broker;
        let image = self.context.image();
        settings::broker::all()
            .map(|setting| {
                let values = image.broker_setting(setting.key, broker.id(), &broker.config.static_settings);
                self.result(setting, &values, setting.update == UpdateMode::ReadOnly)
            })
            .collect()
    }

    fn group(&self, group_id: &str) -> Vec<DescribeConfigsResourceResult> {
        let broker = &self.context.broker;
        let image = self.context.image();
        let of_setting = |setting: &Setting| {
            let values =
                image.group_setting(group_id, setting.key, broker.id(), &broker.config.static_settings);
            self.result(setting, &values, false)
        };
        settings::group::all().map(of_setting).collect()
    }

    /// What was set on the resource itself.
    fn own_values(&self, resource: &ConfigResource) -> Vec<DescribeConfigsResourceResult> {
        let image = self.context.image();
        let Some(values) = image.config(resource) else { return Vec::new() };
        let source = match resource.kind {
            ConfigResourceKind::ClientMetrics => ConfigSource::ClientMetrics,
            _ => ConfigSource::DynamicDefaultBroker,
        };
        let text = |text: &str| StrBytes::from_string(text.to_owned());
        let of_key = |(key, value): (&String, &String)| {
            let setting = settings::broker::lookup(key);
            let sensitive = setting.is_some_and(Setting::is_sensitive);
            DescribeConfigsResourceResult::default()
                .with_name(text(key))
                .with_value((!sensitive).then(|| text(value)))
                .with_config_source(source as i8)
                .with_is_sensitive(sensitive)
                .with_config_type(self.type_code(setting))
        };
        values.iter().map(of_key).collect()
    }

    fn type_code(&self, setting: Option<&Setting>) -> i8 {
        if self.context.version >= DOCUMENTATION_FROM {
            setting.map_or(2, |setting| setting.kind.code())
        } else {
            0
        }
    }

    fn result(
        &self,
        setting: &Setting,
        values: &[ConfigSynonym],
        read_only: bool,
    ) -> DescribeConfigsResourceResult {
        let text = |text: &str| StrBytes::from_string(text.to_owned());
        let sensitive = setting.is_sensitive();
        let winner = values.first();
        let value = winner.filter(|_| !sensitive).map(|winner| text(&winner.value));
        let synonym = |value: &ConfigSynonym| {
            DescribeConfigsSynonym::default()
                .with_name(text(&value.key))
                .with_value((!sensitive).then(|| text(&value.value)))
                .with_source(value.source as i8)
        };
        let mut result = DescribeConfigsResourceResult::default()
            .with_name(text(setting.key))
            .with_value(value)
            .with_read_only(read_only)
            .with_config_source(winner.map_or(ConfigSource::Default, |winner| winner.source) as i8)
            .with_is_sensitive(sensitive)
            .with_config_type(self.type_code(Some(setting)));
        if self.synonyms {
            result.synonyms =
                values.iter().map(|value| synonym(&as_broker_default(setting, value))).collect();
        }
        if self.documentation && self.context.version >= DOCUMENTATION_FROM {
            result.documentation = Some(StrBytes::from_static_str(setting.doc));
        }
        result
    }
}

/// Kafka shows a topic setting's default under the broker setting that it comes from, in that one's unit.
fn as_broker_default(setting: &Setting, value: &ConfigSynonym) -> ConfigSynonym {
    if value.source != ConfigSource::Default {
        return value.clone();
    }
    let mut synonyms = settings::topic::synonyms(setting.key).iter();
    let of_broker = synonyms.find_map(|synonym| {
        let default = settings::broker::lookup(synonym.key)?.default?;
        Some((synonym.key.to_owned(), default.to_owned()))
    });
    match of_broker {
        Some((key, value)) => ConfigSynonym { key, value, source: ConfigSource::Default },
        None => value.clone(),
    }
}

fn values_of(context: &Context, topic: &str, setting: &Setting) -> Vec<ConfigSynonym> {
    let broker = &context.broker;
    context.image().topic_setting(topic, setting.key, broker.id(), &broker.config.static_settings)
}

/// The settings of a topic that was just created, for the answer to CreateTopics.
pub fn of_created_topic(context: &Context, topic: &str) -> Vec<CreatableTopicConfigs> {
    let of_setting = |setting: &Setting| {
        let values = values_of(context, topic, setting);
        let winner = values.first();
        CreatableTopicConfigs::default()
            .with_name(StrBytes::from_static_str(setting.key))
            .with_value(winner.map(|winner| StrBytes::from_string(winner.value.clone())))
            .with_config_source(winner.map_or(ConfigSource::Default, |winner| winner.source) as i8)
    };
    settings::topic::all().map(of_setting).collect()
}

fn loggers(context: &Context) -> Vec<DescribeConfigsResourceResult> {
    let levels = context.broker.levels.targets();
    levels
        .into_iter()
        .map(|(target, level)| {
            DescribeConfigsResourceResult::default()
                .with_name(StrBytes::from_string(target))
                .with_value(Some(StrBytes::from_string(level)))
                .with_config_source(LOGGER_SOURCE)
        })
        .collect()
}
