//! Settings by name and type, for the parts of the broker that use them.

use std::collections::BTreeMap;

use super::BrokerConfig;

impl BrokerConfig {
    /// What was set outside of the cluster's metadata, by key.
    pub fn file_settings(&self) -> &BTreeMap<String, String> {
        &self.static_settings
    }

    /// Whether asking for a topic that does not exist creates it (`auto.create.topics.enable`).
    pub fn auto_create_topics_enable(&self) -> bool {
        self.settings.boolean("auto.create.topics.enable")
    }

    /// Partitions of topics that do not say (`num.partitions`).
    pub fn num_partitions(&self) -> i32 {
        self.settings.int("num.partitions")
    }

    /// Replicas of topics that do not say (`default.replication.factor`).
    pub fn default_replication_factor(&self) -> i16 {
        i16::try_from(self.settings.number("default.replication.factor")).unwrap_or(i16::MAX)
    }

    /// Whether consumers are sent to a replica in their rack (`replica.selector.class`).
    pub fn selects_replicas_by_rack(&self) -> bool {
        let class = self.static_settings.get("replica.selector.class");
        class.is_some_and(|class| class.trim().ends_with("RackAwareReplicaSelector"))
    }

    /// How long a follower may be behind and count as in sync (`replica.lag.time.max.ms`).
    pub fn replica_lag_time_max_ms(&self) -> u64 {
        self.settings.count("replica.lag.time.max.ms")
    }

    /// How long an idle producer's state is kept (`producer.id.expiration.ms`).
    pub fn producer_id_expiration_ms(&self) -> i64 {
        self.settings.number("producer.id.expiration.ms")
    }

    /// Most bytes of one answer to a consumer's fetch (`fetch.max.bytes`).
    pub fn fetch_max_bytes(&self) -> u64 {
        self.settings.count("fetch.max.bytes")
    }

    /// Incremental fetch sessions kept (`max.incremental.fetch.session.cache.slots`).
    pub fn fetch_session_slots(&self) -> usize {
        self.settings.count("max.incremental.fetch.session.cache.slots") as usize
    }

    /// How often retention is looked at (`log.retention.check.interval.ms`).
    pub fn retention_check_interval_ms(&self) -> u64 {
        self.settings.count("log.retention.check.interval.ms")
    }

    /// Time between two heartbeats to the controller (`broker.heartbeat.interval.ms`).
    pub fn broker_heartbeat_interval_ms(&self) -> u64 {
        self.settings.count("broker.heartbeat.interval.ms")
    }

    /// Silence after which a broker is fenced (`broker.session.timeout.ms`).
    pub fn broker_session_timeout_ms(&self) -> u64 {
        self.settings.count("broker.session.timeout.ms")
    }
}
