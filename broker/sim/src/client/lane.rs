//! What a producer has for one partition: batches in order, some of them on their way.

use crate::oracle::Value;
use crate::trace::Address;
use bytes::Bytes;
use std::collections::VecDeque;

/// `max.in.flight.requests.per.connection` of producers here.
pub(super) const IN_FLIGHT: usize = 5;

/// A batch.
#[derive(Debug)]
pub(super) struct Batch {
    pub values: Vec<Value>,
    pub bytes: Bytes,
    /// The request it is on its way with.
    pub sent: Option<u64>,
    /// Where it went last.
    pub to: Option<Address>,
    /// Batches behind it that were acknowledged before it.
    pub passed_by: usize,
}

/// The batches for one partition.
#[derive(Debug, Default)]
pub(super) struct Lane {
    pub queue: VecDeque<Batch>,
    pub next_sequence: i32,
    /// A batch failed or was overtaken: nothing is sent before all answers are in, and then from the first on again.
    pub holds: bool,
    /// Nothing is sent again before, simulated microseconds.
    pub not_before_us: u64,
    /// Since when it is not in the metadata, simulated microseconds.
    pub missing_since_us: Option<u64>,
    /// A batch was acknowledged. The first one goes alone: a broker that does not know the producer takes any sequence, so
    /// that a later batch would pass one that was refused where the partition was not known yet (as with Kafka).
    pub is_known: bool,
    /// Since when the broker finds the first batch's sequence wrong, simulated microseconds.
    pub out_of_order_since_us: Option<u64>,
}

impl Lane {
    pub fn in_flight(&self) -> usize {
        self.queue.iter().filter(|batch| batch.sent.is_some()).count()
    }

    /// The batches that may go now: their indexes.
    pub fn sendable(&mut self, now_us: u64) -> std::ops::Range<usize> {
        let in_flight = self.in_flight();
        if in_flight == 0 {
            self.holds = false;
        }
        if self.holds || now_us < self.not_before_us {
            return 0..0;
        }
        // Those on their way are the first, as nothing is sent past one that failed.
        let most = if self.is_known { IN_FLIGHT } else { 1 };
        // A broker knows the last five batches again: the first may be one of them, if its answer was lost. Where the
        // network reorders what is sent, no more may pass it.
        let passed_by = self.queue.front().map_or(0, |first| first.passed_by);
        let most = most.saturating_sub(passed_by).max(1);
        in_flight..self.queue.len().min(most).max(in_flight)
    }

    /// How long it still waits before it sends again, if it does and has something.
    pub fn backs_off_us(&self, now_us: u64) -> Option<u64> {
        let waits = !self.holds && !self.queue.is_empty();
        self.not_before_us.checked_sub(now_us).filter(|left| waits && *left > 0)
    }

    /// Is the request's batch behind others, all of which went the same way before it?
    pub fn follows_its_like(&self, number: u64) -> bool {
        let Some(index) = self.queue.iter().position(|batch| batch.sent == Some(number)) else {
            return false;
        };
        index > 0 && self.queue.iter().take(index).all(|before| before.to == self.queue[index].to)
    }

    /// The request is over without success; nothing goes again before the given time.
    pub fn failed(&mut self, number: u64, not_before_us: u64) {
        self.holds = true;
        self.not_before_us = not_before_us;
        if let Some(batch) = self.queue.iter_mut().find(|batch| batch.sent == Some(number)) {
            batch.sent = None;
        }
    }

    /// The request was answered with success: its batch.
    pub fn acknowledged(&mut self, number: u64) -> Option<Batch> {
        self.out_of_order_since_us = None;
        self.is_known = true;
        let index = self.queue.iter().position(|batch| batch.sent == Some(number))?;
        // Answers come in order: those to the ones before are lost.
        self.holds |= index > 0;
        self.queue.iter_mut().take(index).for_each(|batch| batch.passed_by += 1);
        self.queue.remove(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane(batches: usize) -> Lane {
        let batch = || Batch { values: Vec::new(), bytes: Bytes::new(), sent: None, to: None, passed_by: 0 };
        Lane { queue: (0..batches).map(|_| batch()).collect(), is_known: true, ..Lane::default() }
    }

    fn send(lane: &mut Lane, from: u64) {
        for (number, index) in (from..).zip(lane.sendable(0)) {
            lane.queue[index].sent = Some(number);
        }
    }

    #[test]
    fn five_batches_are_on_their_way_at_most() {
        let mut lane = lane(8);
        send(&mut lane, 1);
        assert_eq!(lane.in_flight(), 5);
        assert!(lane.acknowledged(1).is_some());
        assert_eq!(lane.sendable(0), 4..5);
    }

    #[test]
    fn after_a_failure_everything_waits_and_goes_again_in_order() {
        let mut lane = lane(3);
        send(&mut lane, 1);
        lane.failed(2, 50);
        assert!(lane.acknowledged(1).is_some());
        assert!(lane.sendable(50).is_empty());
        lane.failed(3, 60);
        assert!(lane.sendable(59).is_empty());
        assert_eq!(lane.sendable(60), 0..2);
    }

    #[test]
    fn a_batch_is_not_passed_by_more_than_a_broker_remembers() {
        let mut lane = lane(9);
        send(&mut lane, 1);
        (2..5).for_each(|number| assert!(lane.acknowledged(number).is_some()));
        lane.failed(1, 0);
        lane.failed(5, 0);
        assert_eq!(lane.sendable(0), 0..2);
    }
}
