//! Consumer groups and committed offsets: [`Shard`] is the machine for one partition of `__consumer_offsets`.
//!
//! The module decides who is a member, who leads or owns what, when members must rebalance and which offsets are
//! committed. It touches nothing: handlers return records and replies, [`Shard::replay`] changes the state that
//! lasts, time-outs are data. How a loop drives it is written at [`coordinator`].
//!
//! Subjects: [`classic`] groups, [`consumer`] groups (KIP-848), [`offsets`], and [`records`], the bytes of the log. Time, topics and fresh ids
//! are arguments.

pub mod classic;
pub mod consumer;
pub mod consumer_protocol;
pub mod coordinator;
#[cfg(test)]
mod harness;
mod image;
pub mod offsets;
pub mod records;
pub mod settings;
pub mod timers;
pub mod topics;
mod turn;

pub use coordinator::{Call, Shard, append_error};
pub use settings::{AssignorName, GroupSettings, MigrationPolicy, Overrides, Settings};
pub use topics::{NoTopics, Topic, Topics};
pub use turn::{AppendId, Counters, Effect, Moment, Outcome, Refusal, Token};

/// The partition of `__consumer_offsets` that keeps a group: Java's string hash, as Kafka partitions it.
///
/// # Panics
/// Never for a positive number of partitions; zero is a programmer's mistake.
#[must_use]
pub fn partition_for(group_id: &str, partitions: i32) -> i32 {
    assert!(partitions > 0, "__consumer_offsets has no partitions");
    let hash =
        group_id.encode_utf16().fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
    // Kafka's Utils.abs: the least value counts as zero.
    hash.checked_abs().unwrap_or(0) % partitions
}
