//! What happens when, in order: by time, and at one time in the order in which it was planned.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Events by time. The events lie still and only small keys are sorted: there are some thousands at a time.
#[derive(Debug)]
pub struct Queue<E> {
    /// Time, running number, and where the event is.
    order: BinaryHeap<Reverse<(u64, u64, usize)>>,
    events: Vec<Option<E>>,
    free: Vec<usize>,
    planned: u64,
}

impl<E> Default for Queue<E> {
    fn default() -> Self {
        Self { order: BinaryHeap::new(), events: Vec::new(), free: Vec::new(), planned: 0 }
    }
}

impl<E> Queue<E> {
    /// Plans an event.
    pub fn push(&mut self, at_us: u64, event: E) {
        self.planned += 1;
        let place = if let Some(place) = self.free.pop() {
            self.events[place] = Some(event);
            place
        } else {
            self.events.push(Some(event));
            self.events.len() - 1
        };
        self.order.push(Reverse((at_us, self.planned, place)));
    }

    /// Takes the next event, if it is not after `end_us`, with its time.
    pub fn pop_until(&mut self, end_us: u64) -> Option<(u64, E)> {
        let Reverse((at_us, ..)) = self.order.peek()?;
        if *at_us > end_us {
            return None;
        }
        let Reverse((at_us, _, place)) = self.order.pop()?;
        self.free.push(place);
        let event = self.events.get_mut(place)?.take()?;
        Some((at_us, event))
    }
}

#[cfg(test)]
mod tests {
    use super::Queue;

    #[test]
    fn events_come_by_time_and_then_as_planned() {
        let mut queue = Queue::default();
        for (at_us, event) in [(5, 'c'), (3, 'a'), (5, 'd'), (3, 'b'), (9, 'f')] {
            queue.push(at_us, event);
        }
        let mut taken = Vec::new();
        while let Some((at_us, event)) = queue.pop_until(8) {
            taken.push(event);
            if event == 'd' {
                queue.push(at_us, 'e');
            }
        }
        assert_eq!(taken, ['a', 'b', 'c', 'd', 'e']);
        assert_eq!(queue.pop_until(9), Some((9, 'f')));
        assert_eq!(queue.pop_until(u64::MAX), None);
    }
}
