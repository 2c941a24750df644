//! An idempotent producer's record is committed once.

use crate::oracle::Oracle;
use std::collections::BTreeSet;

/// Checks everything that was committed, for the producers for which `is_idempotent`.
pub fn check(oracle: &Oracle, is_idempotent: impl Fn(u32) -> bool, broken: &mut Vec<String>) {
    for (partition, committed) in &oracle.committed {
        let mut seen = BTreeSet::new();
        for (offset, record) in committed.iter().enumerate() {
            if is_idempotent(record.value.producer) && !seen.insert(record.value) {
                broken.push(format!(
                    "{:?} is committed twice, again at offset {offset} of {partition:?}",
                    record.value
                ));
            }
        }
    }
}
