//! At the end, everything that was acknowledged with `acks=all` is where it was said to be.

use crate::oracle::Oracle;

/// Checks every promise again.
pub fn check(oracle: &Oracle, broken: &mut Vec<String>) {
    for promise in &oracle.promises {
        super::acknowledged::check(oracle, promise, broken);
    }
}
