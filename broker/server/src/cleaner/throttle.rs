//! Pacing: all cleaners together read and write no more than so many bytes in a second.

use parking_lot::Mutex;
use std::time::{Duration, Instant};

/// Shared by all threads that clean.
#[derive(Debug)]
pub struct Throttle {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    bytes_per_second: f64,
    /// When what was done so far would have been done at that rate.
    due: Instant,
}

impl Throttle {
    /// One without a limit.
    pub fn new(now: Instant) -> Self {
        Self { state: Mutex::new(State { bytes_per_second: f64::MAX, due: now }) }
    }

    /// Changes the limit.
    pub fn set(&self, bytes_per_second: f64) {
        self.state.lock().bytes_per_second = bytes_per_second.max(1.0);
    }

    /// Notes `bytes` of work that was just done; how long to wait before the next.
    pub fn note(&self, bytes: u64, now: Instant) -> Duration {
        let mut state = self.state.lock();
        let cost = Duration::try_from_secs_f64(bytes as f64 / state.bytes_per_second).unwrap_or(MOST);
        state.due = state.due.max(now) + cost.min(MOST);
        state.due.saturating_duration_since(now)
    }
}

/// No piece of work is waited for longer.
const MOST: Duration = Duration::from_secs(3_600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_spread_over_the_time_that_the_limit_gives_it() {
        let start = Instant::now();
        let throttle = Throttle::new(start);
        assert_eq!(throttle.note(1 << 30, start).as_millis(), 0, "no limit yet");
        throttle.set(1_000.0);
        assert_eq!(throttle.note(500, start).as_millis(), 500);
        assert_eq!(throttle.note(500, start).as_millis(), 1_000, "another thread's turn comes later");
        let later = start + Duration::from_secs(10);
        assert_eq!(throttle.note(100, later).as_millis(), 100, "what was not used is lost");
    }
}
