//! The cleaner's settings, as they stand now: all but `log.cleaner.enable` may change while the broker runs.

use crate::broker::Broker;
use std::time::Duration;

/// The least memory for keys that a thread works with.
const LEAST_KEY_BYTES: u64 = 1 << 20;
const LEAST_BACKOFF: Duration = Duration::from_millis(100);

/// What the cleaners may use.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CleanerSettings {
    /// `log.cleaner.threads`; 0 if `log.cleaner.enable` is false.
    pub threads: usize,
    /// Each thread's share of `log.cleaner.dedupe.buffer.size`, of which all together get at most a quarter of the
    /// memory there is.
    pub key_bytes: usize,
    /// `log.cleaner.io.buffer.load.factor`.
    pub load_factor: f64,
    /// Half of each thread's share of `log.cleaner.io.buffer.size`.
    pub buffer_bytes: usize,
    /// `log.cleaner.io.max.bytes.per.second`, of all threads together.
    pub bytes_per_second: f64,
    /// `log.cleaner.backoff.ms`.
    pub backoff: Duration,
}

impl CleanerSettings {
    /// What holds on this broker now.
    pub fn of(broker: &Broker) -> Self {
        let image = broker.metadata.image();
        let value = |key: &str| {
            image.broker_value(key, broker.id(), broker.config.file_settings()).unwrap_or_default()
        };
        let count = |key: &str| value(key).parse::<u64>().unwrap_or_default();
        let real = |key: &str, default: f64| value(key).parse::<f64>().unwrap_or(default);
        let enabled = broker.config.settings.boolean("log.cleaner.enable");
        let wanted = usize::try_from(count("log.cleaner.threads")).unwrap_or(usize::MAX);
        let threads = if enabled { wanted.min(MOST_THREADS) } else { 0 };
        let share = |bytes: u64| bytes / threads.max(1) as u64;
        let key_bytes = count("log.cleaner.dedupe.buffer.size").min(broker.config.memory.limit_bytes / 4);
        Self {
            threads,
            key_bytes: share(key_bytes).max(LEAST_KEY_BYTES) as usize,
            load_factor: real("log.cleaner.io.buffer.load.factor", 0.9),
            buffer_bytes: (share(count("log.cleaner.io.buffer.size")) / 2) as usize,
            bytes_per_second: real("log.cleaner.io.max.bytes.per.second", f64::MAX),
            backoff: Duration::from_millis(count("log.cleaner.backoff.ms")).max(LEAST_BACKOFF),
        }
    }
}

/// More threads than this only wait for each other.
const MOST_THREADS: usize = 64;
