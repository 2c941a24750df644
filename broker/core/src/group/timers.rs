//! Time-outs as data: what is due, and when the machine wants to be woken.
//!
//! Invariants: at most one timer per key; timers due at the same moment fire in the order they were set.
//! Extending a timer (every heartbeat does) only notes the later moment: the queue is touched when the earlier
//! one comes, so that a commit or heartbeat costs one hash look-up.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// What a timer is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Key {
    /// A classic member's session, or a pending member's time to come back.
    ClassicSession(Arc<str>, Arc<str>),
    /// A classic group's wait for members to join.
    ClassicJoin(Arc<str>),
    /// A classic group's wait for members to sync.
    ClassicSync(Arc<str>),
    /// A consumer member's session.
    ConsumerSession(Arc<str>, Arc<str>),
    /// A consumer member's time to give partitions up.
    ConsumerRebalance(Arc<str>, Arc<str>),
    /// A classic member of a consumer group must join.
    ConsumerJoin(Arc<str>, Arc<str>),
    /// A classic member of a consumer group must sync.
    ConsumerSync(Arc<str>, Arc<str>),
    /// A consumer group's next target assignment may be computed.
    ConsumerAssign(Arc<str>),
    /// The next look at expired offsets.
    OffsetExpiry,
}

/// What a timer needs to know when it fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The key says it all.
    Plain,
    /// A new group's first rebalance: the step now taken and the time that may still be waited after it.
    InitialRebalance {
        /// The length of this step.
        delay_ms: u64,
        /// What is left of the rebalance time-out after it.
        remaining_ms: u64,
    },
    /// Only if the group or member is still at this generation or epoch.
    AtEpoch(i32),
}

#[derive(Debug)]
struct Timer {
    due_ms: u64,
    /// Its place in the queue; never later than `due_ms`.
    queued: (u64, u64),
    purpose: Purpose,
}

/// All timers of a shard.
#[derive(Debug, Default)]
pub struct Timers {
    by_key: HashMap<Key, Timer>,
    queue: BTreeMap<(u64, u64), Key>,
    sequence: u64,
}

impl Timers {
    /// Sets a timer, replacing one of the same key.
    pub fn set(&mut self, key: Key, due_ms: u64, purpose: Purpose) {
        if let Some(timer) = self.by_key.get_mut(&key) {
            timer.due_ms = due_ms;
            timer.purpose = purpose;
            if timer.queued.0 <= due_ms {
                return;
            }
            self.queue.remove(&timer.queued);
        }
        self.enqueue(key, due_ms, purpose);
    }

    fn enqueue(&mut self, key: Key, due_ms: u64, purpose: Purpose) {
        let queued = (due_ms, self.sequence);
        self.sequence += 1;
        self.queue.insert(queued, key.clone());
        self.by_key.insert(key, Timer { due_ms, queued, purpose });
    }

    /// Forgets a timer.
    pub fn cancel(&mut self, key: &Key) {
        if let Some(timer) = self.by_key.remove(key) {
            self.queue.remove(&timer.queued);
        }
    }

    /// Is there such a timer?
    #[must_use]
    pub fn contains(&self, key: &Key) -> bool {
        self.by_key.contains_key(key)
    }

    /// When the timer is due, and what for.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<(u64, Purpose)> {
        self.by_key.get(key).map(|timer| (timer.due_ms, timer.purpose))
    }

    /// When to look again; may be early, never late.
    #[must_use]
    pub fn next_ms(&self) -> Option<u64> {
        self.queue.first_key_value().map(|((due_ms, _), _)| *due_ms)
    }

    /// Takes out one timer that is due.
    pub fn pop_due(&mut self, now_ms: u64) -> Option<(Key, Purpose)> {
        while let Some(first) = self.queue.first_entry() {
            if first.key().0 > now_ms {
                return None;
            }
            let key = first.remove();
            let Some(timer) = self.by_key.remove(&key) else { continue };
            if timer.due_ms <= now_ms {
                return Some((key, timer.purpose));
            }
            self.enqueue(key, timer.due_ms, timer.purpose);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(member: &str) -> Key {
        Key::ClassicSession("g".into(), member.into())
    }

    #[test]
    fn timers_fire_in_the_order_of_their_moments() {
        let mut timers = Timers::default();
        timers.set(session("late"), 30, Purpose::Plain);
        timers.set(session("early"), 10, Purpose::Plain);
        assert_eq!(timers.next_ms(), Some(10));
        assert_eq!(timers.pop_due(9), None);
        assert_eq!(timers.pop_due(30), Some((session("early"), Purpose::Plain)));
        assert_eq!(timers.pop_due(30), Some((session("late"), Purpose::Plain)));
        assert_eq!(timers.next_ms(), None);
    }

    #[test]
    fn an_extended_timer_fires_at_its_later_moment_only() {
        let mut timers = Timers::default();
        timers.set(session("a"), 10, Purpose::Plain);
        timers.set(session("a"), 25, Purpose::AtEpoch(3));
        assert_eq!(timers.pop_due(24), None);
        assert_eq!(timers.next_ms(), Some(25));
        assert_eq!(timers.pop_due(25), Some((session("a"), Purpose::AtEpoch(3))));
        assert_eq!(timers.pop_due(100), None);
    }

    #[test]
    fn a_shortened_or_cancelled_timer_does_not_fire_at_its_old_moment() {
        let mut timers = Timers::default();
        timers.set(session("a"), 100, Purpose::Plain);
        timers.set(session("a"), 5, Purpose::Plain);
        timers.set(session("b"), 5, Purpose::Plain);
        timers.cancel(&session("b"));
        assert_eq!(timers.pop_due(1_000), Some((session("a"), Purpose::Plain)));
        assert_eq!(timers.pop_due(1_000), None);
    }
}
