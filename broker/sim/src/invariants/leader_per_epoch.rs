//! One broker at most leads a partition in an epoch, and begins to only once: after a restart it leads in a new one.

use crate::observation::Observation;
use crate::oracle::Oracle;

/// Looks at one event.
pub fn check(oracle: &mut Oracle, observation: &Observation, broken: &mut Vec<String>) {
    let Observation::Leads { partition, broker, epoch, .. } = observation else { return };
    if let Some(first) = oracle.leaders.insert((*partition, *epoch), *broker) {
        broken.push(format!("brokers {first} and {broker} lead {partition:?} in epoch {epoch}"));
    }
}
