//! Throttled replication: how many bytes a second may go to, or come from, the replicas that a setting names.
//!
//! A bucket holds what one second allows. It may be overdrawn by one answer, and nothing throttled goes until it has
//! filled up again, so the rate holds on average.

use ottla_types::BrokerId;
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::time::Duration;

/// No limit (Kafka's default of the `...throttled.rate` settings).
pub const UNLIMITED: u64 = i64::MAX as u64;

/// The replicas that `leader.` or `follower.replication.throttled.replicas` of a topic names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Throttled {
    /// None.
    #[default]
    Nothing,
    /// All of the topic's (`*`).
    Everything,
    /// These (`partition:broker`).
    Replicas(BTreeSet<(i32, BrokerId)>),
}

impl Throttled {
    /// Reads the setting. What is malformed was refused when it was set.
    pub fn parse(value: &str) -> Self {
        if value.trim() == "*" {
            return Self::Everything;
        }
        let pair = |element: &str| {
            let (partition, broker) = element.trim().split_once(':')?;
            Some((partition.trim().parse().ok()?, BrokerId(broker.trim().parse().ok()?)))
        };
        let replicas: BTreeSet<_> = value.split(',').filter_map(pair).collect();
        if replicas.is_empty() { Self::Nothing } else { Self::Replicas(replicas) }
    }

    /// Whether a partition's replica on this broker is one of them.
    pub fn contains(&self, partition: i32, broker: BrokerId) -> bool {
        match self {
            Self::Nothing => false,
            Self::Everything => true,
            Self::Replicas(replicas) => replicas.contains(&(partition, broker)),
        }
    }
}

/// What may still go. Shared.
#[derive(Debug)]
pub struct Quota(Mutex<Bucket>);

#[derive(Debug)]
struct Bucket {
    bytes_per_s: u64,
    left_bytes: i64,
    at_ms: u64,
}

impl Default for Quota {
    /// Without a limit.
    fn default() -> Self {
        Self(Mutex::new(Bucket { bytes_per_s: UNLIMITED, left_bytes: i64::MAX, at_ms: 0 }))
    }
}

impl Bucket {
    fn fill(&mut self, now_ms: u64) {
        let most = i64::try_from(self.bytes_per_s).unwrap_or(i64::MAX);
        let passed_ms = now_ms.saturating_sub(self.at_ms);
        let more = u128::from(self.bytes_per_s) * u128::from(passed_ms) / 1_000;
        if more > 0 {
            self.left_bytes =
                self.left_bytes.saturating_add(i64::try_from(more).unwrap_or(i64::MAX)).min(most);
            self.at_ms = now_ms;
        }
    }
}

impl Quota {
    /// Sets the rate; [`UNLIMITED`] for none.
    pub fn set(&self, now_ms: u64, bytes_per_s: u64) {
        let mut bucket = self.0.lock();
        if bucket.bytes_per_s != bytes_per_s {
            let left_bytes = i64::try_from(bytes_per_s).unwrap_or(i64::MAX);
            *bucket = Bucket { bytes_per_s, left_bytes, at_ms: now_ms };
        }
    }

    /// So much went.
    pub fn record(&self, now_ms: u64, bytes: u64) {
        let mut bucket = self.0.lock();
        if bucket.bytes_per_s < UNLIMITED {
            bucket.fill(now_ms);
            bucket.left_bytes = bucket.left_bytes.saturating_sub(i64::try_from(bytes).unwrap_or(i64::MAX));
        }
    }

    /// How long nothing may go; `None` if something may now.
    pub fn wait(&self, now_ms: u64) -> Option<Duration> {
        let mut bucket = self.0.lock();
        if bucket.bytes_per_s >= UNLIMITED {
            return None;
        }
        bucket.fill(now_ms);
        if bucket.left_bytes > 0 {
            return None;
        }
        let missing = u128::from((1 - bucket.left_bytes).unsigned_abs());
        let ms = (missing * 1_000).div_ceil(u128::from(bucket.bytes_per_s.max(1)));
        Some(Duration::from_millis(u64::try_from(ms).unwrap_or(u64::MAX)))
    }
}

/// Both directions of this broker.
#[derive(Debug, Default)]
pub struct Quotas {
    /// `leader.replication.throttled.rate`.
    pub leader: Quota,
    /// `follower.replication.throttled.rate`.
    pub follower: Quota,
    /// `replica.alter.log.dirs.io.max.bytes.per.second`.
    pub between_dirs: Quota,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_holds_on_average_and_one_answer_may_overdraw_it() {
        let quota = Quota::default();
        quota.record(0, 1 << 40);
        assert_eq!(quota.wait(0), None);
        quota.set(0, 1_000);
        assert_eq!(quota.wait(0), None);
        quota.record(0, 3_000);
        assert_eq!(quota.wait(0), Some(Duration::from_millis(2_001)));
        assert_eq!(quota.wait(2_000), Some(Duration::from_millis(1)));
        assert_eq!(quota.wait(2_001), None);
        quota.set(2_001, UNLIMITED);
        quota.record(2_001, 1 << 40);
        assert_eq!(quota.wait(2_001), None);
    }

    #[test]
    fn nothing_goes_at_a_rate_of_zero() {
        let quota = Quota::default();
        quota.set(0, 0);
        assert!(quota.wait(1_000_000).is_some());
    }

    #[test]
    fn the_settings_name_replicas_or_all() {
        let some = Throttled::parse("0:1, 3:2");
        assert!(some.contains(0, BrokerId(1)) && some.contains(3, BrokerId(2)));
        assert!(!some.contains(0, BrokerId(2)));
        assert!(Throttled::parse("*").contains(9, BrokerId(9)));
        assert_eq!(Throttled::parse(""), Throttled::Nothing);
    }
}
