//! When the faults are over, everything works again: leaders, full ISRs, nothing in flight, all consumed.

use ottla_core::metadata::Image;
use ottla_types::{Offset, TopicIdPartition};
use std::collections::BTreeMap;

/// Checks the metadata of one broker.
pub fn check_metadata(image: &Image, broken: &mut Vec<String>) {
    for topic in image.topics().values() {
        for (index, partition) in topic.partitions.iter().enumerate() {
            if partition.leader.is_none() {
                broken.push(format!("{}-{index} has no leader after the faults", topic.name));
            }
            if partition.is_reassigning() {
                broken.push(format!("{}-{index} is still moving after the faults", topic.name));
            }
            if partition.isr.len() < partition.replicas.len() {
                broken.push(format!(
                    "{}-{index} has the ISR {:?} of {:?} after the faults",
                    topic.name, partition.isr, partition.replicas
                ));
            }
        }
    }
}

/// Checks that a consumer has read all that is committed.
pub fn check_consumed(
    positions: &BTreeMap<TopicIdPartition, Offset>,
    committed: &BTreeMap<TopicIdPartition, usize>,
    broken: &mut Vec<String>,
) {
    for (partition, &count) in committed {
        let position = positions.get(partition).copied().unwrap_or(0);
        if usize::try_from(position).unwrap_or(0) < count {
            broken.push(format!("a consumer of {partition:?} is at {position} of {count} after the faults"));
        }
    }
}
