//! What the controller is told of this broker's settings.

use crate::config::BrokerConfig;
use ottla_core::controller::Rules;
use ottla_core::permit::{Policy, Unsparable};

/// A broker whose connection broke, and that is alive, says so long before.
const SUSPECT_TIMEOUT_MS: u64 = 200;

/// The rules that `config` makes.
pub fn of(config: &BrokerConfig) -> Rules {
    let settings = &config.settings;
    let balance = settings.boolean("auto.leader.rebalance.enable");
    Rules {
        session_timeout_ms: settings.count("broker.session.timeout.ms"),
        default_partitions: i32::try_from(settings.number("num.partitions")).unwrap_or(1),
        default_replication_factor: i16::try_from(settings.number("default.replication.factor")).unwrap_or(1),
        balance_interval_ms: balance
            .then(|| settings.count("leader.imbalance.check.interval.seconds").saturating_mul(1000)),
        suspect_timeout_ms: SUSPECT_TIMEOUT_MS,
        permit_policy: Policy {
            single_replica: match settings.text("ottla.permit.single.replica") {
                "refuse" => Unsparable::Refuse,
                "move-away" => Unsparable::MoveAwayFirst,
                _ => Unsparable::Allow,
            },
            ..Policy::default()
        },
        file: config.static_settings.clone(),
        ..Rules::new(rand::random())
    }
}
