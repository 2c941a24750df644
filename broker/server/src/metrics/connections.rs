//! Connections by listener.

use std::collections::BTreeMap;

use parking_lot::Mutex;

use super::exposition::Exposition;
use crate::net::CloseReason;

/// The connections of all listeners. The lock is taken when a connection begins or ends.
#[derive(Debug, Default)]
pub(super) struct ConnectionMetrics {
    listeners: Mutex<BTreeMap<String, OfListener>>,
}

#[derive(Debug, Default, Clone)]
struct OfListener {
    opened: u64,
    closed: [u64; CloseReason::ALL.len()],
}

impl ConnectionMetrics {
    pub(super) fn opened(&self, listener: &str) {
        self.change(listener, |of| of.opened += 1);
    }

    pub(super) fn closed(&self, listener: &str, reason: CloseReason) {
        self.change(listener, |of| of.closed[reason as usize] += 1);
    }

    fn change(&self, listener: &str, change: impl FnOnce(&mut OfListener)) {
        let mut listeners = self.listeners.lock();
        match listeners.get_mut(listener) {
            Some(of) => change(of),
            None => change(listeners.entry(listener.to_owned()).or_default()),
        }
    }

    pub(super) fn write(&self, out: &mut Exposition) {
        let listeners = self.listeners.lock().clone();
        const OPEN: &str = "ottla_connections";
        out.family(OPEN, "gauge", "Open client connections.");
        for (listener, of) in &listeners {
            out.sample(OPEN, &[("listener", listener)], of.opened - of.closed.iter().sum::<u64>());
        }
        const OPENED: &str = "ottla_connections_opened_total";
        out.family(OPENED, "counter", "Client connections accepted.");
        for (listener, of) in &listeners {
            out.sample(OPENED, &[("listener", listener)], of.opened);
        }
        const CLOSED: &str = "ottla_connections_closed_total";
        out.family(CLOSED, "counter", "Client connections ended, by reason.");
        for (listener, of) in &listeners {
            for reason in CloseReason::ALL {
                let count = of.closed[reason as usize];
                if count > 0 {
                    out.sample(CLOSED, &[("listener", listener), ("reason", reason.name())], count);
                }
            }
        }
    }
}
