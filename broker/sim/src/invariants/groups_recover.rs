//! When the faults are over, every group has shared out all partitions, each to one member, and has committed all that
//! is committed in them.

use crate::client::Member;
use crate::oracle::Oracle;
use ottla_types::TopicIdPartition;
use std::collections::BTreeMap;

/// Checks one group's members.
pub fn check(
    oracle: &Oracle,
    group: &str,
    members: &[&Member],
    partitions: &[TopicIdPartition],
    broken: &mut Vec<String>,
) {
    let mut owned: BTreeMap<i32, (usize, i64)> = BTreeMap::new();
    for (partition, committed) in members.iter().flat_map(|member| member.owned()) {
        let known = owned.entry(partition).or_insert((0, 0));
        *known = (known.0 + 1, known.1.max(committed));
    }
    for id in partitions {
        let end = oracle.of(*id).len();
        match owned.get(&id.partition) {
            Some((1, committed)) if usize::try_from(*committed) == Ok(end) => {}
            Some((1, committed)) => broken.push(format!(
                "group {group} has committed {committed} of {end} in partition {} after the faults",
                id.partition
            )),
            owners => broken.push(format!(
                "partition {} has {} owners in group {group} after the faults",
                id.partition,
                owners.map_or(0, |owners| owners.0)
            )),
        }
    }
}
