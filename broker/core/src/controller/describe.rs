//! What the controller knows of the brokers that is not in the log.

use super::{Controller, Outcome, Reply};
use ottla_types::{BrokerEpoch, BrokerId};

/// What the controller knows of a broker that is not in the log.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct BrokerSession {
    /// Which broker.
    pub broker: BrokerId,
    /// Its registration.
    pub epoch: BrokerEpoch,
    /// Since it was last heard of, milliseconds.
    pub silent_ms: u64,
    /// Version of its software; empty if this controller has not heard it yet.
    pub software_version: String,
    /// How long its permit still holds, milliseconds; 0 if it has none.
    pub permit_remaining_ms: u64,
}

impl Controller {
    pub(super) fn describe_sessions(&self, now_ms: u64) -> Outcome {
        let permit_of = |id| self.image.permits().get(&id);
        let sessions = self.sessions.iter().map(|(id, session)| BrokerSession {
            broker: id,
            epoch: session.epoch,
            silent_ms: now_ms.saturating_sub(session.last_contact_ms),
            software_version: session.software_version.clone(),
            permit_remaining_ms: permit_of(id)
                .map_or(0, |permit| self.permit_remaining_ms(now_ms, permit.epoch)),
        });
        Outcome::reply(Reply::Sessions(sessions.collect()))
    }
}
