//! Reading many partitions at once, and waiting until there is enough.

use super::append::Now;
use super::partition::Partition;
use super::read::{ReadAnswer, ReadRequest};
use super::waiters::DataSignal;
use crate::clock::Clock;
use ottla_types::ErrorCode;
use std::sync::Arc;
use tokio::sync::Notify;
use tokio::time::Instant;

/// One partition that is to be read.
#[derive(Debug)]
pub struct Target {
    /// The replica, or why there is none to read.
    pub replica: Result<Arc<Partition>, ErrorCode>,
    /// From where, and how much.
    pub request: ReadRequest,
}

/// What a fetch is willing to take and to wait.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Wait until so many bytes are there.
    pub min_bytes: u64,
    /// Take at most so many; the first batch is taken even if it alone is larger.
    pub max_bytes: u64,
    /// Wait until then at the longest.
    pub deadline: Instant,
}

/// Reads `targets`, in order, until there is enough to answer, time is up, or `nudge` says that the reader has
/// something else to ask.
pub async fn fetch(
    targets: &[Target],
    limits: Limits,
    clock: Clock,
    nudge: Option<&Notify>,
) -> Vec<ReadAnswer> {
    let answers = read_all(targets, limits, clock);
    if is_enough(&answers, limits) || targets.is_empty() && Instant::now() >= limits.deadline {
        return answers;
    }
    // Register first and look again after, so that nothing that arrives in between is missed.
    let signal = DataSignal::default();
    for target in targets {
        if let Ok(replica) = &target.replica {
            replica.register(&signal);
        }
    }
    loop {
        let answers = read_all(targets, limits, clock);
        if is_enough(&answers, limits) {
            return answers;
        }
        drop(answers);
        let nudged = async {
            match nudge {
                Some(nudge) => nudge.notified().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = signal.notified() => {}
            () = nudged => return read_all(targets, limits, clock),
            () = tokio::time::sleep_until(limits.deadline) => return read_all(targets, limits, clock),
        }
    }
}

fn is_enough(answers: &[ReadAnswer], limits: Limits) -> bool {
    if Instant::now() >= limits.deadline {
        return true;
    }
    let bytes: u64 = answers.iter().map(ReadAnswer::bytes).sum();
    bytes >= limits.min_bytes || answers.iter().any(ReadAnswer::is_urgent)
}

fn read_all(targets: &[Target], limits: Limits, clock: Clock) -> Vec<ReadAnswer> {
    let now = Now { ms: clock.now_ms(), wall_ms: 0 };
    let mut left = limits.max_bytes;
    let mut found_any = false;
    let mut answers = Vec::with_capacity(targets.len());
    for target in targets {
        let answer = match &target.replica {
            Err(error) => ReadAnswer::failed(*error),
            Ok(replica) => {
                let request = ReadRequest {
                    max_bytes: target.request.max_bytes.min(left),
                    min_one_batch: !found_any,
                    ..target.request
                };
                replica.read(&request, now)
            }
        };
        found_any |= answer.bytes() > 0;
        left = left.saturating_sub(answer.bytes());
        answers.push(answer);
    }
    answers
}
