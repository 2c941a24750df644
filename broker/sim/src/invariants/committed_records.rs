//! Committed records are never another, never gone, and in the log of every later leader.

use crate::observation::Observation;
use crate::oracle::Oracle;

/// Compares what a leader calls committed with what was called so before, and what a new leader has with that.
pub fn check(oracle: &mut Oracle, observation: &Observation, broken: &mut Vec<String>) {
    match observation {
        Observation::Committed { partition, broker, epoch, from, to, records } => {
            if let Err(error) = oracle.note_committed((*partition, *epoch), (*from, *to), records) {
                broken.push(format!("broker {broker}, {partition:?}: {error}"));
            }
        }
        Observation::Leads { partition, broker, epoch, log_end_offset } => {
            // A broker that stood still may learn of its election when others lead already: what those committed counts
            // not.
            let committed =
                oracle.of(*partition).iter().take_while(|record| record.committed_in < *epoch).count();
            if usize::try_from(*log_end_offset).unwrap_or(0) < committed {
                broken.push(format!(
                    "broker {broker} leads {partition:?} in epoch {epoch} with a log that ends at {log_end_offset}, \
                     but {committed} records were committed"
                ));
            }
        }
        _ => {}
    }
}
