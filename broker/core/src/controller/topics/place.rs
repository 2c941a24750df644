//! Replicas of new partitions: where they go, and the records that make them.

use super::super::draft::Draft;
use super::{ApiError, Assignment};
use crate::metadata::record::{Partition, broker_list, directory_bytes};
use crate::metadata::{Image, TopicImage};
use crate::placement::{self, Availability, PlacementError};
use ottla_types::{BrokerId, DirectoryId, ErrorCode};
use std::collections::BTreeMap;

/// The brokers as placement sees them, for a topic that exists already or is new.
pub fn brokers(image: &Image, topic: Option<&TopicImage>) -> Vec<placement::Broker> {
    let mut topic_replicas: BTreeMap<BrokerId, u32> = BTreeMap::new();
    let mut topic_leaders: BTreeMap<BrokerId, u32> = BTreeMap::new();
    for partition in topic.into_iter().flat_map(|topic| &topic.partitions) {
        *topic_leaders.entry(partition.preferred_leader()).or_default() += 1;
        for replica in &partition.replicas {
            *topic_replicas.entry(*replica).or_default() += 1;
        }
    }
    let of = |counts: &BTreeMap<BrokerId, u32>, id| counts.get(&id).copied().unwrap_or(0);
    let known = image.brokers().values();
    known
        .map(|broker| placement::Broker {
            id: broker.id,
            rack: broker.rack.clone(),
            availability: match (broker.cordoned, broker.is_active()) {
                (true, _) => Availability::Closed,
                (false, true) => Availability::Active,
                (false, false) => Availability::Away,
            },
            replicas: u32::try_from(image.replica_count(broker.id)).unwrap_or(u32::MAX),
            // Over all topics the preferred leaders follow the replicas: nobody counts them again each time.
            leaders: 0,
            topic_replicas: of(&topic_replicas, broker.id),
            topic_leaders: of(&topic_leaders, broker.id),
        })
        .collect()
}

/// Replica sets for new partitions of a topic.
pub fn place(
    image: &Image,
    topic: Option<&TopicImage>,
    partitions: usize,
    replication_factor: usize,
    seed: u64,
) -> Result<Vec<Vec<BrokerId>>, ApiError> {
    placement::place(&brokers(image, topic), partitions, replication_factor, seed).map_err(|error| {
        let why = match error {
            PlacementError::NoActiveBroker => "All brokers are currently fenced.".to_owned(),
            PlacementError::TooFewBrokers { replication_factor, brokers } => format!(
                "The target replication factor of {replication_factor} cannot be reached because only {brokers} \
                 broker(s) are registered."
            ),
            PlacementError::NoReplicas => "The replication factor must be positive.".to_owned(),
        };
        let message = format!("Unable to replicate the partition {replication_factor} time(s): {why}");
        ApiError::new(error.code(), message)
    })
}

/// Checks one replica set that somebody wants; `replication_factor` is that of the partitions before.
pub fn check_assignment(
    image: &Image,
    assignment: &Assignment,
    replication_factor: Option<usize>,
) -> Result<(), ApiError> {
    let invalid = |why: String| Err(ApiError::new(ErrorCode::InvalidReplicaAssignment, why));
    let brokers = &assignment.brokers;
    if brokers.is_empty() {
        return invalid("The manual partition assignment includes an empty replica list.".to_owned());
    }
    for (index, broker) in brokers.iter().enumerate() {
        if brokers[..index].contains(broker) {
            return invalid(format!(
                "The manual partition assignment includes the broker {broker} more than once."
            ));
        }
        if image.broker(*broker).is_none() {
            return invalid(format!(
                "The manual partition assignment includes broker {broker}, but no such broker is registered."
            ));
        }
    }
    if let Some(before) = replication_factor.filter(|before| *before != brokers.len()) {
        return invalid(format!(
            "The manual partition assignment includes a partition with {} replica(s), but this is not consistent \
             with previous partitions, which have {before} replica(s).",
            brokers.len()
        ));
    }
    Ok(())
}

/// A new partition; its ISR are the replicas that are there.
pub fn new_partition(image: &Image, index: i32, replicas: &[BrokerId]) -> Result<Partition, ApiError> {
    let isr: Vec<BrokerId> = replicas.iter().copied().filter(|broker| image.is_active(*broker)).collect();
    let Some(leader) = isr.first() else {
        return Err(ApiError::new(
            ErrorCode::InvalidReplicaAssignment,
            format!(
                "All brokers specified in the manual partition assignment for partition {index} are fenced or in \
                 controlled shutdown."
            ),
        ));
    };
    let directories: Vec<DirectoryId> =
        replicas.iter().map(|broker| new_directory(image, *broker, index)).collect();
    Ok(Partition {
        partition: index,
        replicas: broker_list(replicas),
        isr: broker_list(&isr),
        leader: leader.0,
        directories: directory_bytes(&directories),
        ..Partition::default()
    })
}

/// The directory in which a broker is to make a replica: its directories take turns.
pub fn new_directory(image: &Image, broker: BrokerId, index: i32) -> DirectoryId {
    let Some(known) = image.broker(broker) else { return DirectoryId::ZERO };
    let count = known.directories.len();
    if count == 0 {
        return DirectoryId::ZERO;
    }
    let turn = image.replica_count(broker) + index.max(0) as usize;
    known.directories[turn % count]
}

/// Adds the partitions to the topic's draft in one record.
pub fn push(draft: &mut Draft, topic_id: bytes::Bytes, partitions: Vec<Partition>) {
    draft.push(crate::metadata::record::Partitions { topic_id, partitions });
}
