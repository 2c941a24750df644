//! The settings that group coordination obeys, under Kafka's names, and what a single group may override.

use std::collections::BTreeMap;

/// Which server-side assignor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AssignorName {
    /// Spreads partitions evenly and keeps what members have.
    Uniform,
    /// Gives every member a range of each topic, so that equal partitions of topics meet.
    Range,
}

impl AssignorName {
    /// The name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Range => "range",
        }
    }

    /// The assignor of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Uniform, Self::Range].into_iter().find(|assignor| assignor.name() == name)
    }
}

/// `group.consumer.migration.policy`: which way a group may change its protocol while it has members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MigrationPolicy {
    /// Both ways.
    Bidirectional,
    /// From classic to consumer.
    Upgrade,
    /// From consumer to classic.
    Downgrade,
    /// Not at all.
    Disabled,
}

impl MigrationPolicy {
    /// The policy of that name, in any case of letters.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "bidirectional" => Some(Self::Bidirectional),
            "upgrade" => Some(Self::Upgrade),
            "downgrade" => Some(Self::Downgrade),
            "disabled" => Some(Self::Disabled),
            _ => None,
        }
    }

    /// May a classic group with members become a consumer group?
    #[must_use]
    pub const fn upgrades(self) -> bool {
        matches!(self, Self::Bidirectional | Self::Upgrade)
    }

    /// May a consumer group with members become a classic group?
    #[must_use]
    pub const fn downgrades(self) -> bool {
        matches!(self, Self::Bidirectional | Self::Downgrade)
    }
}

/// The broker's settings for groups. Field names are the keys with dots as underscores.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `group.min.session.timeout.ms`.
    pub group_min_session_timeout_ms: i32,
    /// `group.max.session.timeout.ms`.
    pub group_max_session_timeout_ms: i32,
    /// `group.initial.rebalance.delay.ms`: how long a new group waits for more members.
    pub group_initial_rebalance_delay_ms: i32,
    /// `group.max.size`, members of a classic group.
    pub group_max_size: usize,
    /// `group.consumer.max.size`, members of a consumer group.
    pub group_consumer_max_size: usize,
    /// `group.consumer.session.timeout.ms`.
    pub group_consumer_session_timeout_ms: i32,
    /// `group.consumer.heartbeat.interval.ms`.
    pub group_consumer_heartbeat_interval_ms: i32,
    /// `group.consumer.assignors`; the first is the default.
    pub group_consumer_assignors: Vec<AssignorName>,
    /// `group.consumer.migration.policy`.
    pub group_consumer_migration_policy: MigrationPolicy,
    /// `group.consumer.assignment.interval.ms`: the least time between two assignments of a group (KIP-1263).
    pub group_consumer_assignment_interval_ms: i32,
    /// `group.consumer.regex.refresh.interval.ms`: how often expressions are matched again (KIP-848).
    pub group_consumer_regex_refresh_interval_ms: i32,
    /// `offset.metadata.max.bytes`, counted as Java counts characters.
    pub offset_metadata_max_bytes: usize,
    /// `offsets.retention.minutes`, in milliseconds.
    pub offsets_retention_ms: i64,
    /// `offsets.retention.check.interval.ms`.
    pub offsets_retention_check_interval_ms: u64,
}

impl Default for Settings {
    /// Kafka 4.3's defaults.
    fn default() -> Self {
        Self {
            group_min_session_timeout_ms: 6_000,
            group_max_session_timeout_ms: 1_800_000,
            group_initial_rebalance_delay_ms: 3_000,
            group_max_size: i32::MAX as usize,
            group_consumer_max_size: i32::MAX as usize,
            group_consumer_session_timeout_ms: 45_000,
            group_consumer_heartbeat_interval_ms: 5_000,
            group_consumer_assignors: vec![AssignorName::Uniform, AssignorName::Range],
            group_consumer_migration_policy: MigrationPolicy::Bidirectional,
            group_consumer_assignment_interval_ms: 1_000,
            group_consumer_regex_refresh_interval_ms: 600_000,
            offset_metadata_max_bytes: 4_096,
            offsets_retention_ms: 7 * 24 * 60 * 60 * 1_000,
            offsets_retention_check_interval_ms: 600_000,
        }
    }
}

/// What one group overrides (the `group` config resource); already validated against the broker's bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Overrides {
    /// `consumer.session.timeout.ms`.
    pub consumer_session_timeout_ms: Option<i32>,
    /// `consumer.heartbeat.interval.ms`.
    pub consumer_heartbeat_interval_ms: Option<i32>,
    /// `consumer.assignment.interval.ms`.
    pub consumer_assignment_interval_ms: Option<i32>,
}

/// The broker's settings and the overrides of single groups.
#[derive(Debug, Clone, Default)]
pub struct GroupSettings {
    /// The broker's.
    pub broker: Settings,
    /// By group id.
    pub overrides: BTreeMap<String, Overrides>,
}

impl GroupSettings {
    fn overrides(&self, group_id: &str) -> Overrides {
        self.overrides.get(group_id).copied().unwrap_or_default()
    }

    /// How long a member of the group may be silent.
    #[must_use]
    pub fn consumer_session_timeout_ms(&self, group_id: &str) -> i32 {
        let own = self.overrides(group_id).consumer_session_timeout_ms;
        own.unwrap_or(self.broker.group_consumer_session_timeout_ms)
    }

    /// How often a member of the group should speak.
    #[must_use]
    pub fn consumer_heartbeat_interval_ms(&self, group_id: &str) -> i32 {
        let own = self.overrides(group_id).consumer_heartbeat_interval_ms;
        own.unwrap_or(self.broker.group_consumer_heartbeat_interval_ms)
    }

    /// The least time between two assignments of the group.
    #[must_use]
    pub fn consumer_assignment_interval_ms(&self, group_id: &str) -> i32 {
        let own = self.overrides(group_id).consumer_assignment_interval_ms;
        own.unwrap_or(self.broker.group_consumer_assignment_interval_ms)
    }
}
