//! Writes, counted, so that tests can kill the operator between any two of them.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts writes and ends the process at one of them.
#[derive(Debug, Default)]
pub struct Writes {
    die_at: Option<u64>,
    done: AtomicU64,
}

/// The exit code of a process that was killed (128 + SIGKILL).
const KILLED: i32 = 137;

impl Writes {
    /// Ends the process right after the write of that number, counted from 1.
    #[must_use]
    pub fn new(die_at: Option<u64>) -> Self {
        Self { die_at, done: AtomicU64::new(0) }
    }

    /// Carries out a write. Its answer is never seen if it is the last.
    pub async fn count<T>(&self, what: &str, write: impl Future<Output = T>) -> T {
        let answer = write.await;
        let number = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        tracing::debug!(number, what, "write");
        if self.die_at == Some(number) {
            tracing::error!(number, what, "dying after this write, as told");
            std::process::exit(KILLED);
        }
        answer
    }

    /// Writes so far.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }
}
