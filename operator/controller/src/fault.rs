//! Writes, counted, so that tests can kill the operator between any two of them.

use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

/// How it is told where to die.
pub const DIE_AT_WRITE: &str = "OTTLA_OPERATOR_DIE_AT_WRITE";

/// Counts writes and ends the process at one of them.
#[derive(Debug, Default)]
pub struct Writes {
    die_at: Option<u64>,
    done: AtomicU64,
}

/// After so many lives the next one dies at its first write again.
const LIVES: u64 = 24;
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
            die(number % LIVES + 1);
        }
        answer
    }

    /// Writes so far.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }
}

/// Nothing of this process is left but its number: the program begins anew in its place, at once, where Kubernetes would
/// wait longer after each death. The next life is one write longer, so that sooner or later each write is the last of one.
fn die(next: u64) -> ! {
    if let Ok(program) = std::env::current_exe() {
        let arguments = std::env::args_os().skip(1);
        let error = Command::new(program).args(arguments).env(DIE_AT_WRITE, next.to_string()).exec();
        tracing::error!(%error, "cannot begin anew");
    }
    std::process::exit(KILLED)
}
