//! What was sent and what was acknowledged, and how long that took.

use ottla_client::Delivered;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Where an acknowledged record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Acknowledged {
    pub(super) number: u64,
    pub(super) partition: i32,
    /// -1 if the broker did not say: it had the record from an earlier attempt.
    pub(super) offset: i64,
}

/// 24 bytes for each acknowledged record.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    sent: u64,
    failed: u64,
    acknowledged: Vec<Acknowledged>,
    last: Option<Instant>,
    longest_gap: Duration,
    longest_wait: Duration,
}

impl Ledger {
    /// The number of the next record.
    pub(super) fn next(&mut self) -> u64 {
        self.sent += 1;
        self.sent - 1
    }

    pub(super) fn sent(&self) -> u64 {
        self.sent
    }

    pub(super) fn failed(&self) -> u64 {
        self.failed
    }

    pub(super) fn gave_up(&mut self) {
        self.failed += 1;
    }

    pub(super) fn acknowledged(&mut self, number: u64, since: Instant, delivered: Delivered) {
        let now = Instant::now();
        if let Some(last) = self.last.replace(now) {
            self.longest_gap = self.longest_gap.max(now - last);
        }
        self.longest_wait = self.longest_wait.max(now - since);
        let Delivered { partition, offset, .. } = delivered;
        self.acknowledged.push(Acknowledged { number, partition, offset });
    }

    pub(super) fn entries(&self) -> &[Acknowledged] {
        &self.acknowledged
    }

    /// `gap_ms`: the longest time without any acknowledgement; `wait_ms`: the longest that a record waited for its own.
    pub(super) fn figures(&self) -> Value {
        json!({
            "sent": self.sent,
            "acknowledged": self.acknowledged.len(),
            "failed": self.failed,
            "gap_ms": self.longest_gap.as_millis() as u64,
            "wait_ms": self.longest_wait.as_millis() as u64,
        })
    }
}
