//! Where the brokers are.
//!
//! Three sources, the later before the earlier: the configuration, what answered a greeting, and the registrations
//! in the metadata. With its registration a broker is forgotten.

use ottla_core::metadata::Image;
use ottla_types::BrokerId;
use parking_lot::RwLock;
use std::collections::BTreeMap;

/// Addresses by broker, `host:port`.
#[derive(Debug, Default)]
pub struct AddressBook {
    entries: RwLock<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    met: BTreeMap<BrokerId, String>,
    registered: BTreeMap<BrokerId, String>,
}

impl AddressBook {
    /// Where a broker is, if that is known.
    pub fn address(&self, broker: BrokerId) -> Option<String> {
        let entries = self.entries.read();
        entries.registered.get(&broker).or_else(|| entries.met.get(&broker)).cloned()
    }

    /// A broker was configured, or answered, there.
    pub fn meet(&self, broker: BrokerId, address: &str) {
        self.entries.write().met.insert(broker, address.to_owned());
    }

    /// Takes the registrations; `listener` is the one that brokers use.
    pub fn learn(&self, image: &Image, listener: &str) {
        let registered = image.brokers().values().filter_map(|broker| {
            let endpoint = broker.endpoint(listener)?;
            Some((broker.id, format!("{}:{}", endpoint.host, endpoint.port)))
        });
        let registered: BTreeMap<_, _> = registered.collect();
        let mut entries = self.entries.write();
        let before = std::mem::replace(&mut entries.registered, registered);
        for gone in before.keys().filter(|id| !image.brokers().contains_key(id)) {
            entries.met.remove(gone);
        }
    }

    /// Everybody whose address is known.
    pub fn all(&self) -> BTreeMap<BrokerId, String> {
        let entries = self.entries.read();
        let mut all = entries.met.clone();
        all.extend(entries.registered.iter().map(|(id, address)| (*id, address.clone())));
        all
    }
}
