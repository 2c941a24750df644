//! One broker at most is elected to lead the metadata quorum in a term.

use crate::observation::Observation;
use ottla_types::BrokerId;
use std::collections::BTreeMap;

/// Who was in control when.
#[derive(Debug, Default)]
pub struct Controllers {
    by_term: BTreeMap<u64, BrokerId>,
}

impl Controllers {
    /// Looks at one event.
    pub fn check(&mut self, observation: &Observation, broken: &mut Vec<String>) {
        let Observation::Controls { broker, term } = observation else { return };
        let first = *self.by_term.entry(*term).or_insert(*broker);
        if first != *broker {
            broken.push(format!("brokers {first} and {broker} are elected in term {term}"));
        }
    }
}
