//! Who waits for what at one partition: producers for an offset to be safe, consumers and followers for data.
//!
//! Invariants: an offset waiter is answered exactly once, in offset order; a data waiter that nobody holds any
//! more is forgotten the next time somebody registers or data arrives. Both lists are bounded by the number of
//! requests in flight, which the network layer bounds.

use ottla_types::{ErrorCode, Offset};
use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use tokio::sync::{Notify, oneshot};

/// Wakes one waiting fetch request; shared by all partitions that it reads.
pub type DataSignal = Arc<Notify>;

/// Producers that wait until a mark (high watermark, or flushed offset) has passed their last record.
#[derive(Debug, Default)]
pub struct OffsetWaiters {
    waiting: BTreeMap<(Offset, u64), oneshot::Sender<Result<(), ErrorCode>>>,
    next_ticket: u64,
}

impl OffsetWaiters {
    /// Waits until the mark is at `offset` (exclusive end) or beyond it.
    pub fn wait_for(&mut self, offset: Offset) -> oneshot::Receiver<Result<(), ErrorCode>> {
        let (sender, receiver) = oneshot::channel();
        self.next_ticket += 1;
        self.waiting.insert((offset, self.next_ticket), sender);
        receiver
    }

    /// The mark stands at `mark` now.
    pub fn reached(&mut self, mark: Offset) {
        while let Some(first) = self.waiting.first_entry() {
            if first.key().0 > mark {
                break;
            }
            // A producer that gave up in the meantime has dropped its end.
            let _ = first.remove().send(Ok(()));
        }
    }

    /// None of the waiting can be answered any more, for instance because leadership moved.
    pub fn fail_all(&mut self, error: ErrorCode) {
        for (_, sender) in std::mem::take(&mut self.waiting) {
            let _ = sender.send(Err(error));
        }
    }
}

/// Fetches that wait for more data.
#[derive(Debug, Default)]
pub struct DataWaiters {
    waiting: Vec<Weak<Notify>>,
}

impl DataWaiters {
    /// Adds a waiting fetch; it stays until its signal is dropped.
    pub fn register(&mut self, signal: &DataSignal) {
        self.waiting.retain(|other| other.strong_count() > 0);
        self.waiting.push(Arc::downgrade(signal));
    }

    /// There is something new to read, or a reason to answer with an error.
    pub fn wake_all(&mut self) {
        self.waiting.retain(|waiter| match waiter.upgrade() {
            Some(signal) => {
                signal.notify_one();
                true
            }
            None => false,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_producers_whose_records_are_below_the_mark_are_answered() {
        let mut waiters = OffsetWaiters::default();
        let mut early = waiters.wait_for(5);
        let mut late = waiters.wait_for(6);
        waiters.reached(5);
        assert_eq!(early.try_recv(), Ok(Ok(())));
        assert!(late.try_recv().is_err());
        waiters.fail_all(ErrorCode::NotLeaderOrFollower);
        assert_eq!(late.try_recv(), Ok(Err(ErrorCode::NotLeaderOrFollower)));
    }

    #[tokio::test]
    async fn a_fetch_that_registered_before_the_data_came_is_woken() {
        let mut waiters = DataWaiters::default();
        let signal = DataSignal::default();
        waiters.register(&signal);
        waiters.wake_all();
        signal.notified().await;
        drop(signal);
        waiters.wake_all();
        assert!(waiters.waiting.is_empty());
    }
}
