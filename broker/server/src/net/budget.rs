//! The memory budget for request frames in flight, shared by all connections.
//!
//! Permits are bytes. A frame is charged before its buffer is allocated, and the permit returns when
//! the request has its answer. Waiting is first come, first served; while it waits the connection is
//! not read, so the pressure reaches the sender through TCP.
//!
//! A large frame is charged in two steps (see [`super::reader`]); several large frames that each hold
//! the first step could wait for each other for ever. So the second step may overdraw the budget, one
//! frame at a time: the bound is the budget plus one frame of the largest allowed size.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::request::BoxFuture;

/// Bytes that may be in flight.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    bytes: Arc<Semaphore>,
    overdraft: Arc<Semaphore>,
    total: u32,
}

/// Returns its bytes when dropped.
pub(crate) type Permit = OwnedSemaphorePermit;

impl Budget {
    pub(crate) fn new(total_bytes: usize) -> Self {
        let total = u32::try_from(total_bytes).unwrap_or(u32::MAX).max(1);
        Self {
            bytes: Arc::new(Semaphore::new(total as usize)),
            overdraft: Arc::new(Semaphore::new(1)),
            total,
        }
    }

    /// Bytes not charged to any frame.
    pub(crate) fn available_bytes(&self) -> usize {
        self.bytes.available_permits()
    }

    /// Charges without waiting. A frame larger than the whole budget takes all of it.
    pub(crate) fn try_charge(&self, bytes: usize) -> Option<Permit> {
        Arc::clone(&self.bytes).try_acquire_many_owned(self.clamp(bytes)).ok()
    }

    /// Charges, waiting for its turn. `further` is the second step of a large frame.
    pub(crate) fn charge(&self, bytes: usize, further: bool) -> BoxFuture<Option<Permit>> {
        let (semaphore, permits) =
            if further { (&self.overdraft, 1) } else { (&self.bytes, self.clamp(bytes)) };
        let semaphore = Arc::clone(semaphore);
        Box::pin(async move { semaphore.acquire_many_owned(permits).await.ok() })
    }

    fn clamp(&self, bytes: usize) -> u32 {
        u32::try_from(bytes).unwrap_or(u32::MAX).min(self.total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_larger_than_the_budget_takes_all_of_it() {
        let budget = Budget::new(100);
        let permit = budget.try_charge(1000).unwrap();
        assert_eq!(budget.available_bytes(), 0);
        assert!(budget.try_charge(1).is_none());
        drop(permit);
        assert_eq!(budget.available_bytes(), 100);
    }

    #[tokio::test]
    async fn the_second_step_of_a_large_frame_may_overdraw_once() {
        let budget = Budget::new(100);
        let _first = budget.try_charge(100).unwrap();
        let overdraft = budget.charge(1000, true).await.unwrap();
        let second =
            tokio::time::timeout(std::time::Duration::from_millis(20), budget.charge(1000, true)).await;
        assert!(second.is_err());
        drop(overdraft);
        assert!(budget.charge(1000, true).await.is_some());
    }
}
