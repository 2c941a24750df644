//! IncrementalAlterConfigs and AlterConfigs.

use super::draft::Draft;
use super::error::ApiError;
use super::{Controller, Outcome, Reply, configs, group_configs, sweep, topics};
use crate::metadata::record::Config;
use crate::metadata::{ConfigResource, ConfigResourceKind, Image};
use ottla_types::{BrokerId, ErrorCode, TopicIdPartition};
use std::collections::{BTreeMap, BTreeSet};

/// What to do with a setting (`AlterConfigOp.OpType`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum AlterOp {
    /// Give it this value.
    Set,
    /// Take it away: what it inherits counts again.
    Delete,
    /// Add these elements to a list.
    Append,
    /// Take these elements out of a list.
    Subtract,
}

/// A change of one setting.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct AlterConfig {
    /// The setting.
    pub key: String,
    /// What to do.
    pub op: AlterOp,
    /// The value; not needed to delete.
    pub value: Option<String>,
}

/// All the settings that a resource is to have.
pub type ReplaceConfigs = (ConfigResource, Vec<(String, Option<String>)>);

/// The settings of a resource before and after.
type Settings = BTreeMap<String, String>;

impl Controller {
    pub(super) fn incremental_alter_configs(
        &mut self,
        resources: Vec<(ConfigResource, Vec<AlterConfig>)>,
        validate_only: bool,
    ) -> Outcome {
        self.alter_each(resources, validate_only, |image, resource, changes| {
            let mut keys = BTreeSet::new();
            if changes.iter().any(|change| !keys.insert(&change.key)) {
                return Err(ApiError::new(ErrorCode::InvalidRequest, "Error due to duplicate config keys"));
            }
            let mut after = image.config(resource).cloned().unwrap_or_default();
            for change in changes {
                alter(image, resource, &mut after, change)?;
            }
            Ok(after)
        })
    }

    /// The old form: what is not named is taken away.
    pub(super) fn replace_configs(&mut self, resources: Vec<ReplaceConfigs>, validate_only: bool) -> Outcome {
        self.alter_each(resources, validate_only, |_, _, settings| {
            let mut after = Settings::new();
            for (key, value) in settings {
                let value = value.clone().ok_or_else(|| null_value(key))?;
                if after.insert(key.clone(), value).is_some() {
                    return Err(ApiError::new(
                        ErrorCode::InvalidRequest,
                        "Error due to duplicate config keys",
                    ));
                }
            }
            Ok(after)
        })
    }

    fn alter_each<C>(
        &mut self,
        resources: Vec<(ConfigResource, C)>,
        validate_only: bool,
        after: impl Fn(&Image, &ConfigResource, &C) -> Result<Settings, ApiError>,
    ) -> Outcome {
        let mut times: BTreeMap<&ConfigResource, usize> = BTreeMap::new();
        for (resource, _) in &resources {
            *times.entry(resource).or_default() += 1;
        }
        let repeated: Vec<bool> = resources.iter().map(|(resource, _)| times[resource] > 1).collect();
        let mut draft = self.draft();
        let mut results = Vec::with_capacity(resources.len());
        for ((resource, changes), is_repeated) in resources.into_iter().zip(repeated) {
            let result = if is_repeated {
                Err(ApiError::new(ErrorCode::InvalidRequest, "Each resource must appear at most once."))
            } else {
                check_resource(&draft.image, &resource)
                    .and_then(|()| after(&draft.image, &resource, &changes))
                    .and_then(|after| self.store(&mut draft, &resource, &after))
            };
            results.push((resource, result));
        }
        if validate_only {
            return Outcome::reply(Reply::AlterConfigs(results));
        }
        self.finish(draft, Reply::AlterConfigs(results))
    }

    /// Records what differs, once all of it was checked.
    fn store(&self, draft: &mut Draft, resource: &ConfigResource, after: &Settings) -> Result<(), ApiError> {
        let before = draft.image.config(resource).cloned().unwrap_or_default();
        for (key, value) in after.iter().filter(|(key, value)| before.get(*key) != Some(*value)) {
            configs::check(resource.kind, &resource.name, key, value)?;
        }
        if resource.kind == ConfigResourceKind::Group {
            group_configs::check(&draft.image, &self.rules.file, &resource.name, after)?;
        }
        let record = |key: &String, value: Option<&String>| Config {
            resource_type: resource.kind.id(),
            resource_name: resource.name.clone(),
            key: key.clone(),
            value: value.cloned(),
        };
        for key in before.keys().filter(|key| !after.contains_key(*key)) {
            draft.push(record(key, None));
        }
        for (key, value) in after.iter().filter(|(key, value)| before.get(*key) != Some(*value)) {
            draft.push(record(key, Some(value)));
        }
        if *after != before {
            self.elect_after(draft, resource);
        }
        Ok(())
    }

    /// Unclean elections may be allowed now, so those who wait for one are looked at again.
    fn elect_after(&self, draft: &mut Draft, resource: &ConfigResource) {
        let topic = draft.image.topic_id(&resource.name);
        let concerns = |key: &TopicIdPartition| match resource.kind {
            ConfigResourceKind::Topic => Some(key.topic_id) == topic,
            ConfigResourceKind::Broker => true,
            _ => false,
        };
        let waiting: Vec<TopicIdPartition> =
            draft.image.leaderless().iter().copied().filter(concerns).collect();
        let mut topic_rules = sweep::RulesOfTopic::default();
        for key in waiting {
            let Some(partition) = draft.image.partition(key) else { continue };
            let of_topic = topic_rules.get(&self.rules, &draft.image, key.topic_id);
            let change = sweep::update(&draft.image, partition, key, of_topic).build();
            sweep::apply(draft, key, change);
        }
    }
}

fn null_value(key: &str) -> ApiError {
    ApiError::new(ErrorCode::InvalidRequest, format!("Null value not supported for : {key}"))
}

fn check_resource(image: &Image, resource: &ConfigResource) -> Result<(), ApiError> {
    let invalid = |message: &str| Err(ApiError::new(ErrorCode::InvalidRequest, message));
    let name = resource.name.as_str();
    match resource.kind {
        ConfigResourceKind::Topic if name.is_empty() => invalid("Default topic resources are not allowed."),
        ConfigResourceKind::Topic if image.topic_id(name).is_none() => {
            topics::check_name(name)?;
            let message = format!("The topic '{name}' does not exist.");
            Err(ApiError::new(ErrorCode::UnknownTopicOrPartition, message))
        }
        ConfigResourceKind::Broker if name.is_empty() => Ok(()),
        ConfigResourceKind::Broker => match name.parse::<i32>() {
            Err(_) => invalid(&format!("Node id must be an integer, but it is: {name}")),
            Ok(id) if image.broker(BrokerId(id)).is_none() => {
                let message = format!("No broker with id {id} found.");
                Err(ApiError::new(ErrorCode::BrokerIdNotRegistered, message))
            }
            Ok(_) => Ok(()),
        },
        ConfigResourceKind::Group if name.is_empty() => invalid("Default group resources are not allowed."),
        ConfigResourceKind::ClientMetrics if name.is_empty() => invalid("Subscription name can't be empty"),
        _ => Ok(()),
    }
}

fn alter(
    image: &Image,
    resource: &ConfigResource,
    after: &mut Settings,
    change: &AlterConfig,
) -> Result<(), ApiError> {
    let key = &change.key;
    if change.op == AlterOp::Delete {
        after.remove(key);
        return Ok(());
    }
    let value = change.value.as_ref().ok_or_else(|| null_value(key))?;
    if change.op == AlterOp::Set {
        after.insert(key.clone(), value.clone());
        return Ok(());
    }
    if !configs::is_list(resource.kind, key) {
        let op = if change.op == AlterOp::Append { "APPEND" } else { "SUBTRACT" };
        let message = format!("Can't {op} to key {key} because its type is not LIST.");
        return Err(ApiError::new(ErrorCode::InvalidConfig, message));
    }
    let current = after.get(key).cloned().or_else(|| inherited(image, resource, key)).unwrap_or_default();
    let mut elements: Vec<&str> = split(&current).collect();
    for element in split(value) {
        let is_there = elements.contains(&element);
        if change.op == AlterOp::Append && !is_there {
            elements.push(element);
        } else if change.op == AlterOp::Subtract {
            elements.retain(|known| *known != element);
        }
    }
    let joined = elements.join(",");
    after.insert(key.clone(), joined);
    Ok(())
}

fn split(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|element| !element.is_empty())
}

/// What a list is while the resource has no value of its own: elements are added to that.
fn inherited(image: &Image, resource: &ConfigResource, key: &str) -> Option<String> {
    let file = crate::metadata::StaticSettings::new();
    match resource.kind {
        ConfigResourceKind::Topic => image.topic_value(&resource.name, key, BrokerId::NONE, &file),
        ConfigResourceKind::Broker => image.broker_value(key, BrokerId::NONE, &file),
        ConfigResourceKind::ClientMetrics | ConfigResourceKind::Group => None,
    }
}
