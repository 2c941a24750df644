//! Settings of topics, brokers, groups and client metrics (Kafka's `ConfigurationControlManager`).

use super::error::ApiError;
use crate::metadata::ConfigResourceKind;
use ottla_types::ErrorCode;
use ottla_types::settings::{self, Kind, Setting, UpdateMode};

/// Settings that a client metrics subscription can have.
const CLIENT_METRICS_SETTINGS: [&str; 3] = ["interval.ms", "match", "metrics"];

pub(super) fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new(ErrorCode::InvalidConfig, message)
}

/// Checks that a resource can be given this value while running. An empty broker name means all brokers.
pub(super) fn check(kind: ConfigResourceKind, name: &str, key: &str, value: &str) -> Result<(), ApiError> {
    match kind {
        ConfigResourceKind::Topic => {
            let setting = settings::topic::lookup(key)
                .ok_or_else(|| invalid(format!("Unknown topic config name: {key}")))?;
            check_value(setting, value)
        }
        ConfigResourceKind::Broker => check_broker(name, key, value),
        ConfigResourceKind::Group => {
            let setting = settings::group::lookup(key)
                .ok_or_else(|| invalid(format!("Unknown group config name: {key}")))?;
            check_value(setting, value)
        }
        ConfigResourceKind::ClientMetrics => {
            if !CLIENT_METRICS_SETTINGS.contains(&key) {
                return Err(invalid(format!("Unknown client metrics configuration: {key}")));
            }
            let is_interval = key == "interval.ms";
            let in_range = value.trim().parse().is_ok_and(|ms: i64| (100..=3_600_000).contains(&ms));
            if is_interval && !in_range {
                return Err(invalid(format!(
                    "Invalid value {value} for interval.ms, interval must be between 100 and 3600000 (1 hour)"
                )));
            }
            Ok(())
        }
    }
}

fn check_value(setting: &Setting, value: &str) -> Result<(), ApiError> {
    setting.validate(value).map_err(|error| {
        let reason = setting.reason_against(value).unwrap_or_else(|| error.to_string());
        let shown = if setting.is_sensitive() { "[hidden]" } else { value };
        invalid(format!("Invalid value {shown} for configuration {}: It {reason}", setting.key))
    })
}

fn check_broker(name: &str, key: &str, value: &str) -> Result<(), ApiError> {
    if key.starts_with("listener.name.") {
        return Ok(());
    }
    let setting =
        settings::broker::lookup(key).ok_or_else(|| invalid(format!("Unknown broker config name: {key}")))?;
    let is_default = name.is_empty();
    let refused = match setting.update {
        UpdateMode::ReadOnly => Some("Cannot update these configs dynamically"),
        UpdateMode::PerBroker if is_default => Some("Cannot update these configs at default cluster level"),
        _ => None,
    };
    if let Some(why) = refused {
        return Err(ApiError::new(ErrorCode::InvalidRequest, format!("{why}: {key}")));
    }
    check_value(setting, value)
}

/// True if values can be appended to and subtracted from the setting.
pub(super) fn is_list(kind: ConfigResourceKind, key: &str) -> bool {
    let setting = match kind {
        ConfigResourceKind::Topic => settings::topic::lookup(key),
        ConfigResourceKind::Broker => settings::broker::lookup(key),
        ConfigResourceKind::ClientMetrics => return matches!(key, "match" | "metrics"),
        ConfigResourceKind::Group => None,
    };
    setting.is_some_and(|setting| setting.kind == Kind::List)
}
