//! Consumers see what is committed and nothing else, in order and without gaps.

use crate::oracle::Oracle;
use crate::records::Parsed;
use ottla_types::{Offset, TopicIdPartition};

/// Checks a record that a consumer at `position` got.
pub fn check(
    oracle: &Oracle,
    partition: TopicIdPartition,
    (position, record): (Offset, Parsed),
    broken: &mut Vec<String>,
) {
    if record.offset != position {
        broken.push(format!("a consumer of {partition:?} at {position} got offset {}", record.offset));
    }
    let committed = usize::try_from(record.offset).ok().and_then(|offset| oracle.of(partition).get(offset));
    if committed.is_none_or(|committed| committed.value != record.value) {
        broken.push(format!(
            "a consumer of {partition:?} got {:?} at {}, where {committed:?} is committed",
            record.value, record.offset
        ));
    }
}
