//! What a controller is told of its surroundings.

use crate::metadata::StaticSettings;
use crate::permit::Policy;

/// What a controller is told of its surroundings; it stays the same while it is in control.
#[derive(Debug, Clone)]
pub struct Rules {
    /// `broker.session.timeout.ms`: a broker that is silent for longer is fenced.
    pub session_timeout_ms: u64,
    /// A broker whose connection broke is fenced after this long without a heartbeat.
    pub suspect_timeout_ms: u64,
    /// `num.partitions`.
    pub default_partitions: i32,
    /// `default.replication.factor`.
    pub default_replication_factor: i16,
    /// `leader.imbalance.check.interval.seconds`, if `auto.leader.rebalance.enable`.
    pub balance_interval_ms: Option<u64>,
    /// This broker's settings' file, for values that no resource has.
    pub file: StaticSettings,
    /// When a broker may stop.
    pub permit_policy: Policy,
    /// Makes topic ids and placements; has to be different at every start.
    pub seed: u64,
}

impl Rules {
    /// Kafka's defaults.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            session_timeout_ms: 9_000,
            suspect_timeout_ms: 300,
            default_partitions: 1,
            default_replication_factor: 1,
            balance_interval_ms: Some(300_000),
            file: StaticSettings::new(),
            permit_policy: Policy::default(),
            seed,
        }
    }
}
