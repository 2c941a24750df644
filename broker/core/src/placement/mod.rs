//! Which brokers hold which replicas.
//!
//! Pure functions over plain ids, shared with the operator: [`place`] for new partitions, and plans that move as few
//! replicas as possible for those that there are. Everything is decided by the arguments; the same seed gives the
//! same placement. Invariants: no broker twice in a replica set; replicas over as many racks as there are; nothing
//! new on a broker that takes none.

mod fleet;
mod leaders;
mod place;
mod plan;
#[cfg(test)]
mod tests;

pub use fleet::Move;
pub use leaders::balance_leaders;
pub use place::place;
pub use plan::{change_replication_factor, drain, rebalance};

use ottla_types::{BrokerId, ErrorCode};

/// Whether a broker can be given replicas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Availability {
    /// It can hold and lead.
    Active,
    /// It is registered and away: it gets replicas only where the active brokers are too few, and never leads.
    Away,
    /// It gets nothing new: cordoned or being drained.
    Closed,
}

/// A broker as placement sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broker {
    /// Its id.
    pub id: BrokerId,
    /// Its rack; brokers without one are in one rack together.
    pub rack: Option<String>,
    /// Whether it can be given replicas.
    pub availability: Availability,
    /// Replicas it holds of all topics.
    pub replicas: u32,
    /// Partitions of all topics whose preferred leader it is.
    pub leaders: u32,
    /// Replicas it holds of the topic that grows.
    pub topic_replicas: u32,
    /// Partitions of the topic that grows whose preferred leader it is.
    pub topic_leaders: u32,
}

impl Broker {
    /// An active broker that holds nothing.
    #[must_use]
    pub const fn new(id: BrokerId, rack: Option<String>) -> Self {
        Self {
            id,
            rack,
            availability: Availability::Active,
            replicas: 0,
            leaders: 0,
            topic_replicas: 0,
            topic_leaders: 0,
        }
    }
}

/// Why there is no placement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlacementError {
    /// Nobody could lead.
    #[error("no broker is active")]
    NoActiveBroker,
    /// More replicas are wanted than there are brokers.
    #[error(
        "the replication factor {replication_factor} cannot be reached: {brokers} broker(s) can take replicas"
    )]
    TooFewBrokers {
        /// What is wanted.
        replication_factor: usize,
        /// What there is.
        brokers: usize,
    },
    /// No replicas are wanted.
    #[error("the replication factor must be at least 1")]
    NoReplicas,
}

impl PlacementError {
    /// Kafka's error code.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        ErrorCode::InvalidReplicationFactor
    }
}

/// Mixes 64 bits so that each bit of the result depends on all of the argument (SplitMix64's finalizer).
#[must_use]
pub const fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
