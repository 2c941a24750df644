//! Whoever is in the ISR and runs has everything that its leader calls committed.

use crate::node::{Process, Role};
use ottla_core::metadata::PartitionImage;
use ottla_types::{BrokerId, TopicIdPartition};

/// Compares the logs of a partition's in-sync replicas, by the newest metadata there are, with the leader's high watermark.
pub fn check<'a>(
    id: TopicIdPartition,
    partition: &PartitionImage,
    process: impl Fn(BrokerId) -> Option<&'a Process>,
    broken: &mut Vec<String>,
) {
    let replica = |broker| process(broker).and_then(|process| process.replicas.get(&id));
    let Some(leader) = replica(partition.leader) else { return };
    let Role::Leader(leads) = &leader.role else { return };
    if leads.leader_epoch() != partition.leader_epoch {
        return;
    }
    let high_watermark = leads.high_watermark();
    for member in &partition.isr {
        let Some(replica) = replica(*member) else { continue };
        let follows = matches!(replica.role, Role::Follower { epoch, .. } if epoch == partition.leader_epoch);
        let end = replica.log.log_end_offset();
        if follows && end < high_watermark {
            broken.push(format!(
                "broker {member} is in sync for {id:?} in epoch {} with a log that ends at {end}, and {high_watermark} \
                 is the high watermark",
                partition.leader_epoch
            ));
        }
    }
}
