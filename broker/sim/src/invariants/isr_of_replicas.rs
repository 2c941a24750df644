//! A partition's ISR is a subset of its replicas, its leader is in it, and all brokers see the same at one epoch.

use crate::observation::Observation;
use ottla_types::{BrokerId, LeaderEpoch, TopicIdPartition};
use std::collections::BTreeMap;

type Seen = (LeaderEpoch, BrokerId, Vec<BrokerId>);

/// The partitions' states by partition epoch.
#[derive(Debug, Default)]
pub struct Partitions {
    seen: BTreeMap<(TopicIdPartition, i32), Seen>,
}

impl Partitions {
    /// Looks at one event.
    pub fn check(&mut self, observation: &Observation, broken: &mut Vec<String>) {
        let Observation::Partition { partition, partition_epoch, leader_epoch, leader, replicas, isr } =
            observation
        else {
            return;
        };
        if isr.iter().any(|member| !replicas.contains(member)) {
            broken.push(format!("{partition:?}: ISR {isr:?} is not among the replicas {replicas:?}"));
        }
        if !leader.is_none() && !isr.contains(leader) {
            broken.push(format!("{partition:?}: leader {leader} is not in the ISR {isr:?}"));
        }
        let now = (*leader_epoch, *leader, isr.clone());
        let first = self.seen.entry((*partition, *partition_epoch)).or_insert_with(|| now.clone());
        if *first != now {
            broken
                .push(format!("{partition:?} at partition epoch {partition_epoch} is {first:?} and {now:?}"));
        }
    }
}
