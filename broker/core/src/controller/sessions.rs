//! When each broker was last heard of: state that is not in the log and begins anew with each controller.

use super::rules::Rules;
use ottla_types::{BrokerEpoch, BrokerId, DirectoryId};
use std::collections::BTreeMap;

/// When a broker was last heard of, and what it said.
#[derive(Debug, Clone)]
pub(super) struct Session {
    pub epoch: BrokerEpoch,
    /// Monotonic milliseconds.
    pub last_contact_ms: u64,
    /// Its connection broke then.
    pub suspect_since_ms: Option<u64>,
    /// The metadata offset that it has applied.
    pub metadata_offset: u64,
    /// How far its controlled shutdown is.
    pub shutdown: Shutdown,
    /// Version of its software; empty if not known.
    pub software_version: String,
    /// Its directories without room.
    pub full_directories: Vec<DirectoryId>,
}

/// How far a controlled shutdown is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shutdown {
    /// This controller has not begun one.
    None,
    /// Its leaders were moved away by records whose offset is not known yet.
    Begun,
    /// Its leaders were moved away at this offset.
    At(u64),
}

/// The sessions of all registered brokers.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    by_broker: BTreeMap<BrokerId, Session>,
}

impl Sessions {
    /// A broker registered, or is known from before.
    pub fn begin(&mut self, id: BrokerId, epoch: BrokerEpoch, now_ms: u64) {
        let session = Session {
            epoch,
            last_contact_ms: now_ms,
            suspect_since_ms: None,
            metadata_offset: 0,
            shutdown: Shutdown::None,
            software_version: String::new(),
            full_directories: Vec::new(),
        };
        self.by_broker.insert(id, session);
    }

    pub fn end(&mut self, id: BrokerId) {
        self.by_broker.remove(&id);
    }

    pub fn get(&self, id: BrokerId) -> Option<&Session> {
        self.by_broker.get(&id)
    }

    pub fn get_mut(&mut self, id: BrokerId) -> Option<&mut Session> {
        self.by_broker.get_mut(&id)
    }

    pub fn iter(&self) -> impl Iterator<Item = (BrokerId, &Session)> {
        self.by_broker.iter().map(|(id, session)| (*id, session))
    }

    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut Session> {
        self.by_broker.values_mut()
    }

    /// True if the broker was heard of lately.
    pub fn is_valid(&self, id: BrokerId, now_ms: u64, rules: &Rules) -> bool {
        self.by_broker.get(&id).is_some_and(|session| now_ms < session.deadline_ms(rules))
    }
}

impl Session {
    /// When it is over unless the broker is heard of; monotonic milliseconds.
    pub fn deadline_ms(&self, rules: &Rules) -> u64 {
        let silent = self.last_contact_ms + rules.session_timeout_ms;
        let suspect = self.suspect_since_ms.map(|since| since + rules.suspect_timeout_ms);
        suspect.map_or(silent, |suspect| suspect.min(silent))
    }

    pub fn heard(&mut self, now_ms: u64, metadata_offset: u64) {
        self.last_contact_ms = now_ms;
        self.suspect_since_ms = None;
        self.metadata_offset = self.metadata_offset.max(metadata_offset);
    }
}
