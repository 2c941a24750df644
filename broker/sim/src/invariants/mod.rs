//! What must hold, one file each. Some are checked at the event that could break them, some at the end of a run.

pub mod acknowledged;
pub mod acks_survive;
pub mod committed_records;
pub mod consumed;
pub mod controller_per_term;
pub mod groups_recover;
pub mod in_sync_have_it;
pub mod isr_of_replicas;
pub mod leader_per_epoch;
pub mod metadata_agrees;
pub mod no_duplicates;
pub mod one_permit;
pub mod order;
pub mod recovers;
pub mod replica_logs;

use crate::observation::Observation;
use crate::oracle::Oracle;

/// The checkers that look at what happens inside, with what they remember.
#[derive(Debug, Default)]
pub struct Checkers {
    controllers: controller_per_term::Controllers,
    partitions: isr_of_replicas::Partitions,
}

impl Checkers {
    /// Looks at one event; what is broken goes to `broken`.
    pub fn check(&mut self, oracle: &mut Oracle, observation: &Observation, broken: &mut Vec<String>) {
        if let Observation::Broken(what) = observation {
            broken.push(what.clone());
        }
        leader_per_epoch::check(oracle, observation, broken);
        committed_records::check(oracle, observation, broken);
        self.controllers.check(observation, broken);
        self.partitions.check(observation, broken);
        one_permit::check(observation, broken);
    }
}
