//! Two brokers never hold a restart permit at once.

use crate::observation::Observation;

/// The permits seen.
#[derive(Debug, Default)]
pub struct Permits {
    /// How many were seen, so that a run can tell that it had any.
    pub seen: u64,
}

impl Permits {
    /// Looks at one event.
    pub fn check(&mut self, observation: &Observation, broken: &mut Vec<String>) {
        let Observation::Permits { offset, holders, .. } = observation else { return };
        self.seen += 1;
        if holders.len() > 1 {
            broken.push(format!("brokers {holders:?} hold restart permits at metadata offset {offset}"));
        }
    }
}
