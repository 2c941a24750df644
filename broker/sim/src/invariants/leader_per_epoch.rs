//! One broker at most leads a partition in an epoch.

use crate::observation::Observation;
use crate::oracle::Oracle;

/// Looks at one event.
pub fn check(oracle: &mut Oracle, observation: &Observation, broken: &mut Vec<String>) {
    let Observation::Leads { partition, broker, epoch, .. } = observation else { return };
    let first = *oracle.leaders.entry((*partition, *epoch)).or_insert(*broker);
    if first != *broker {
        broken.push(format!("brokers {first} and {broker} lead {partition:?} in epoch {epoch}"));
    }
}
