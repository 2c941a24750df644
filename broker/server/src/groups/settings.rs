//! The broker's settings for groups, and what single groups have set for themselves.

use crate::config::BrokerConfig;
use ottla_core::group::{AssignorName, GroupSettings, MigrationPolicy, Overrides, Settings};
use ottla_core::metadata::{ConfigResource, ConfigResourceKind, Image};
use ottla_types::BrokerId;
use ottla_types::settings::group;

const MINUTE_MS: i64 = 60_000;

/// What holds with the settings in `image`.
pub fn of(config: &BrokerConfig, image: &Image) -> GroupSettings {
    let first = ConfigResource { kind: ConfigResourceKind::Group, name: String::new() };
    let groups =
        image.configs().range(first..).take_while(|(resource, _)| resource.kind == ConfigResourceKind::Group);
    let overrides =
        groups.map(|(resource, _)| (resource.name.clone(), overrides(config, image, &resource.name)));
    let overrides = overrides.filter(|(_, found)| *found != Overrides::default()).collect();
    let mut broker = of_broker(config);
    // The one that can change while the broker runs.
    const INTERVAL: &str = "group.consumer.assignment.interval.ms";
    let interval = image.broker_value(INTERVAL, config.node_id, &config.static_settings);
    if let Some(ms) = interval.and_then(|value| value.trim().parse().ok()) {
        broker.group_consumer_assignment_interval_ms = ms;
    }
    GroupSettings { broker, overrides }
}

/// What a group has set, moved within the bounds that brokers set: those may have changed since.
fn overrides(config: &BrokerConfig, image: &Image, group_id: &str) -> Overrides {
    let own = image.config(&ConfigResource::group(group_id));
    let number = |key: &str| own?.get(key)?.trim().parse::<i32>().ok();
    let bound = |key: Option<&str>| {
        image.broker_value(key?, BrokerId::NONE, &config.static_settings)?.trim().parse::<i32>().ok()
    };
    let bounded = |key: &str| {
        let [least, most] = group::bounds(key).map(bound);
        Some(number(key)?.min(most.unwrap_or(i32::MAX)).max(least.unwrap_or(0)))
    };
    Overrides {
        consumer_session_timeout_ms: bounded("consumer.session.timeout.ms"),
        consumer_heartbeat_interval_ms: bounded("consumer.heartbeat.interval.ms"),
        consumer_assignment_interval_ms: bounded("consumer.assignment.interval.ms"),
    }
}

fn of_broker(config: &BrokerConfig) -> Settings {
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
    Settings {
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
    }
}

/// By name, or by the name of Kafka's class.
fn assignor(name: &str) -> Option<AssignorName> {
    let short = name.rsplit('.').next().unwrap_or(name);
    AssignorName::from_name(short.trim_end_matches("Assignor").to_ascii_lowercase().as_str())
}
