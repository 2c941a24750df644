//! The only place in the broker that reads the time: monotonic for durations, wall clock for what Kafka stores.

use ottla_types::TimestampMs;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Both clocks of the process.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    origin: Instant,
}

impl Clock {
    /// A clock whose monotonic time begins now.
    #[must_use]
    pub fn start() -> Self {
        Self { origin: Instant::now() }
    }

    /// Monotonic milliseconds since the process began.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Milliseconds since the Unix epoch; 0 if the machine's clock stands before it.
    #[must_use]
    pub fn wall_ms(&self) -> TimestampMs {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        TimestampMs::try_from(since.as_millis()).unwrap_or(TimestampMs::MAX)
    }
}
