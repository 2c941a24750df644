//! What is acknowledged with `acks=all` is committed, at the offset that the producer was told.

use crate::oracle::{Oracle, Promise};

/// Checks a promise when it is made.
pub fn check(oracle: &Oracle, promise: &Promise, broken: &mut Vec<String>) {
    let committed = oracle.of(promise.partition);
    for (index, value) in promise.values.iter().enumerate() {
        let offset = promise.base_offset + i64::try_from(index).unwrap_or(0);
        let found = usize::try_from(offset).ok().and_then(|offset| committed.get(offset));
        if found.is_none_or(|found| found.value != *value) {
            broken.push(format!(
                "{value:?} was acknowledged at offset {offset} of {:?}, where {found:?} is committed",
                promise.partition
            ));
        }
    }
}
