//! The broker's settings for groups.

use crate::config::BrokerConfig;
use ottla_core::group::{AssignorName, GroupSettings, MigrationPolicy, Settings};

const MINUTE_MS: i64 = 60_000;

/// What `config` says.
pub fn of(config: &BrokerConfig) -> GroupSettings {
    let settings = &config.settings;
    let default = Settings::default();
    let int = |key: &str, default: i32| {
        settings.optional_number(key).and_then(|value| i32::try_from(value).ok()).unwrap_or(default)
    };
    let size = |key: &str, default: usize| {
        settings.optional_number(key).and_then(|value| usize::try_from(value).ok()).unwrap_or(default)
    };
    let assignors: Vec<AssignorName> =
        settings.list("group.consumer.assignors").into_iter().filter_map(assignor).collect();
    let broker = Settings {
        group_min_session_timeout_ms: int(
            "group.min.session.timeout.ms",
            default.group_min_session_timeout_ms,
        ),
        group_max_session_timeout_ms: int(
            "group.max.session.timeout.ms",
            default.group_max_session_timeout_ms,
        ),
        group_initial_rebalance_delay_ms: int(
            "group.initial.rebalance.delay.ms",
            default.group_initial_rebalance_delay_ms,
        ),
        group_max_size: size("group.max.size", default.group_max_size),
        group_consumer_max_size: size("group.consumer.max.size", default.group_consumer_max_size),
        group_consumer_session_timeout_ms: int(
            "group.consumer.session.timeout.ms",
            default.group_consumer_session_timeout_ms,
        ),
        group_consumer_heartbeat_interval_ms: int(
            "group.consumer.heartbeat.interval.ms",
            default.group_consumer_heartbeat_interval_ms,
        ),
        group_consumer_assignors: if assignors.is_empty() {
            default.group_consumer_assignors
        } else {
            assignors
        },
        group_consumer_migration_policy: MigrationPolicy::from_name(
            settings.text("group.consumer.migration.policy"),
        )
        .unwrap_or(default.group_consumer_migration_policy),
        offset_metadata_max_bytes: size("offset.metadata.max.bytes", default.offset_metadata_max_bytes),
        offsets_retention_ms: settings
            .optional_number("offsets.retention.minutes")
            .map_or(default.offsets_retention_ms, |minutes| minutes.saturating_mul(MINUTE_MS)),
        offsets_retention_check_interval_ms: settings.count("offsets.retention.check.interval.ms"),
        ..default
    };
    GroupSettings { broker, ..GroupSettings::default() }
}

/// By name, or by the name of Kafka's class.
fn assignor(name: &str) -> Option<AssignorName> {
    let short = name.rsplit('.').next().unwrap_or(name);
    AssignorName::from_name(short.trim_end_matches("Assignor").to_ascii_lowercase().as_str())
}
