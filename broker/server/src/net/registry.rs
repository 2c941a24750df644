//! All open connections: their number, their limits, and the one timer that ends the overdue ones.
//!
//! A connection keeps no timer of its own. It publishes the time by which something must happen, in
//! milliseconds of a coarse clock, and the sweeper looks at all of them about once a second.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering::Relaxed, Ordering::SeqCst};
use std::task::Waker;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::NetConfig;
use super::observer::CloseReason;

const NO_SIGNAL: u8 = 0;
const DRAIN: u8 = 1;
const CLOSE: u8 = 2;

/// What the rest of the process tells a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    /// Answer what is in flight, then end.
    Drain,
    /// End now.
    Close(CloseReason),
}

/// The part of a connection that others see.
#[derive(Debug)]
pub(crate) struct Entry {
    signal: AtomicU8,
    reason: AtomicU8,
    waker: Mutex<Option<Waker>>,
    /// Coarse time at which the connection is overdue; `u64::MAX` for never.
    due_ms: AtomicU64,
    due_reason: AtomicU8,
}

/// Open connections of one server.
pub(crate) struct Registry {
    entries: Mutex<Entries>,
    open: AtomicUsize,
    draining: AtomicU8,
    coarse_ms: AtomicU64,
    origin: Instant,
    /// Told when a connection ends.
    pub(crate) ended: Notify,
    max_per_ip: usize,
    max_per_ip_overrides: HashMap<IpAddr, usize>,
}

#[derive(Default)]
struct Entries {
    by_id: HashMap<u64, Arc<Entry>>,
    by_ip: HashMap<IpAddr, usize>,
    next_id: u64,
}

/// A connection's place in the registry; leaves it when dropped.
pub(crate) struct Membership {
    pub(crate) id: u64,
    pub(crate) entry: Arc<Entry>,
    ip: IpAddr,
    registry: Arc<Registry>,
}

impl Registry {
    pub(crate) fn new(config: &NetConfig) -> Self {
        Self {
            entries: Mutex::default(),
            open: AtomicUsize::new(0),
            draining: AtomicU8::new(0),
            coarse_ms: AtomicU64::new(0),
            origin: Instant::now(),
            ended: Notify::new(),
            max_per_ip: config.max_connections_per_ip,
            max_per_ip_overrides: config
                .max_connections_per_ip_overrides
                .iter()
                .map(|(ip, limit)| (*ip, *limit))
                .collect(),
        }
    }

    /// Adds a connection; `None` if its address has as many as it may have.
    pub(crate) fn join(self: &Arc<Self>, ip: IpAddr) -> Option<Membership> {
        let limit = self.max_per_ip_overrides.get(&ip).copied().unwrap_or(self.max_per_ip);
        let mut entries = self.entries.lock();
        let of_ip = entries.by_ip.entry(ip).or_default();
        if *of_ip >= limit {
            if *of_ip == 0 {
                entries.by_ip.remove(&ip);
            }
            return None;
        }
        *of_ip += 1;
        let id = entries.next_id;
        entries.next_id += 1;
        let entry = Arc::new(Entry::new());
        entries.by_id.insert(id, Arc::clone(&entry));
        drop(entries);
        self.open.fetch_add(1, Relaxed);
        if self.draining.load(SeqCst) != NO_SIGNAL {
            entry.send(Signal::Drain);
        }
        Some(Membership { id, entry, ip, registry: Arc::clone(self) })
    }

    pub(crate) fn open_connections(&self) -> usize {
        self.open.load(Relaxed)
    }

    /// Milliseconds since the start, as of the last sweep.
    pub(crate) fn coarse_ms(&self) -> u64 {
        self.coarse_ms.load(Relaxed)
    }

    /// Signals every connection, also those that join later.
    pub(crate) fn signal_all(&self, signal: Signal) {
        self.draining.store(DRAIN, SeqCst);
        let entries: Vec<_> = self.entries.lock().by_id.values().cloned().collect();
        for entry in entries {
            entry.send(signal);
        }
    }

    /// Moves the coarse clock and closes what is overdue.
    pub(crate) fn sweep(&self) {
        let now = self.origin.elapsed().as_millis() as u64;
        self.coarse_ms.store(now, Relaxed);
        let overdue: Vec<_> = self
            .entries
            .lock()
            .by_id
            .values()
            .filter(|entry| entry.due_ms.load(Relaxed) <= now)
            .cloned()
            .collect();
        for entry in overdue {
            let reason = CloseReason::ALL[entry.due_reason.load(Relaxed) as usize];
            entry.send(Signal::Close(reason));
        }
    }
}

impl Entry {
    fn new() -> Self {
        Self {
            signal: AtomicU8::new(NO_SIGNAL),
            reason: AtomicU8::new(CloseReason::Shutdown as u8),
            waker: Mutex::new(None),
            due_ms: AtomicU64::new(u64::MAX),
            due_reason: AtomicU8::new(CloseReason::Idle as u8),
        }
    }

    /// Tells whom to wake. Must come before [`Entry::signal`] in every poll.
    pub(crate) fn register(&self, waker: &Waker) {
        let mut slot = self.waker.lock();
        if !slot.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *slot = Some(waker.clone());
        }
    }

    pub(crate) fn signal(&self) -> Option<Signal> {
        match self.signal.load(SeqCst) {
            NO_SIGNAL => None,
            DRAIN => Some(Signal::Drain),
            _ => Some(Signal::Close(CloseReason::ALL[self.reason.load(SeqCst) as usize])),
        }
    }

    /// Publishes when the connection will be overdue, and as what.
    pub(crate) fn due(&self, at_ms: u64, reason: CloseReason) {
        self.due_reason.store(reason as u8, Relaxed);
        self.due_ms.store(at_ms, Relaxed);
    }

    fn send(&self, signal: Signal) {
        match signal {
            Signal::Drain => {
                self.signal.fetch_max(DRAIN, SeqCst);
            }
            Signal::Close(reason) => {
                self.reason.store(reason as u8, SeqCst);
                self.signal.store(CLOSE, SeqCst);
            }
        }
        if let Some(waker) = &*self.waker.lock() {
            waker.wake_by_ref();
        }
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let mut entries = self.registry.entries.lock();
        entries.by_id.remove(&self.id);
        if let Some(count) = entries.by_ip.get_mut(&self.ip) {
            *count -= 1;
            if *count == 0 {
                entries.by_ip.remove(&self.ip);
            }
        }
        drop(entries);
        self.registry.open.fetch_sub(1, Relaxed);
        self.registry.ended.notify_waiters();
    }
}

/// How often to sweep so that the shortest of the time-outs is kept to about an eighth.
pub(crate) fn sweep_interval(config: &NetConfig) -> Duration {
    let shortest =
        config.idle_timeout.map_or(config.slow_sender_timeout, |idle| idle.min(config.slow_sender_timeout));
    (shortest / 8).clamp(Duration::from_millis(20), Duration::from_secs(1))
}
