//! Whether a controller may have taken this broker for dead.
//!
//! A leader that is cut off from the others, but not from its clients, would take their records and keep them waiting
//! for replicas until they give up, long after somebody else leads. So when no heartbeat of the last
//! `broker.session.timeout.ms` was answered, producers are told to look for another leader.

use ottla_types::ErrorCode;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// When a controller last heard of this broker, as far as it knows.
#[derive(Debug)]
pub struct Isolation {
    /// When the last heartbeat that was answered was sent: the controller counts from then or later.
    heard: Mutex<Instant>,
    isolated: AtomicBool,
}

impl Default for Isolation {
    fn default() -> Self {
        Self { heard: Mutex::new(Instant::now()), isolated: AtomicBool::new(false) }
    }
}

impl Isolation {
    /// A heartbeat sent then was answered.
    pub fn heard(&self, sent: Instant) {
        let mut heard = self.heard.lock();
        *heard = (*heard).max(sent);
        if self.isolated.swap(false, Ordering::AcqRel) {
            tracing::info!("a controller answers again");
        }
    }

    /// True if the session has run out by now.
    pub fn check(&self, now: Instant, session: Duration) -> bool {
        let silence = now.saturating_duration_since(*self.heard.lock());
        if silence < session {
            return false;
        }
        if !self.isolated.swap(true, Ordering::AcqRel) {
            tracing::warn!(
                ms = silence.as_millis() as u64,
                "no controller answers: others may lead in this broker's place, so it takes no records where they may"
            );
        }
        true
    }

    /// What [`check`](Self::check) said last.
    pub fn is_isolated(&self) -> bool {
        self.isolated.load(Ordering::Acquire)
    }

    /// The answer to producers while others may lead.
    pub const REFUSAL: ErrorCode = ErrorCode::NotLeaderOrFollower;
}

#[cfg(test)]
mod tests {
    use super::*;

    const SESSION: Duration = Duration::from_secs(9);

    #[test]
    fn the_session_counts_from_the_sending_of_the_last_heartbeat_that_was_answered() {
        let isolation = Isolation::default();
        let begin = Instant::now();
        isolation.heard(begin + Duration::from_secs(10));
        assert!(!isolation.check(begin + Duration::from_secs(18), SESSION));
        assert!(isolation.check(begin + Duration::from_secs(19), SESSION));
        assert!(isolation.is_isolated());
    }

    #[test]
    fn an_answer_ends_it_and_a_late_one_of_an_earlier_heartbeat_changes_no_time() {
        let isolation = Isolation::default();
        let begin = Instant::now();
        assert!(isolation.check(begin + Duration::from_secs(20), SESSION));
        isolation.heard(begin + Duration::from_secs(19));
        isolation.heard(begin + Duration::from_secs(5));
        assert!(!isolation.is_isolated());
        assert!(!isolation.check(begin + Duration::from_secs(27), SESSION));
    }
}
