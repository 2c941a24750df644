//! An idempotent producer's records are committed in the order in which it sent them. (Without idempotence a batch
//! that was sent again may be overtaken by later ones.)

use crate::oracle::Oracle;
use std::collections::BTreeMap;

/// Checks everything that was committed, for the producers for which `is_idempotent`.
pub fn check(oracle: &Oracle, is_idempotent: impl Fn(u32) -> bool, broken: &mut Vec<String>) {
    for (partition, committed) in &oracle.committed {
        let mut highest: BTreeMap<u32, u32> = BTreeMap::new();
        let mut seen = std::collections::BTreeSet::new();
        for (offset, record) in committed.iter().enumerate() {
            if !is_idempotent(record.value.producer) || !seen.insert(record.value) {
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
