//! A producer's records are committed in the order in which it sent them (a repetition of one aside).

use crate::oracle::Oracle;
use std::collections::BTreeMap;

/// Checks everything that was committed.
pub fn check(oracle: &Oracle, broken: &mut Vec<String>) {
    for (partition, committed) in &oracle.committed {
        let mut highest: BTreeMap<u32, u32> = BTreeMap::new();
        let mut seen = std::collections::BTreeSet::new();
        for (offset, record) in committed.iter().enumerate() {
            if !seen.insert(record.value) {
                continue;
            }
            let last = highest.entry(record.value.producer).or_insert(0);
            if record.value.sequence < *last {
                broken.push(format!(
                    "{:?} is committed at {offset} of {partition:?} after {last}",
                    record.value
                ));
            }
            *last = record.value.sequence;
        }
    }
}
