//! AlterPartitionReassignments: replicas move to other brokers (KIP-455).
//!
//! While a reassignment is under way a partition has the old replicas and the new; it is through when all of the new
//! are in sync (see `partition`). Cancelling takes the new ones away again.

use super::draft::Draft;
use super::error::ApiError;
use super::partition::Election;
use super::sweep;
use super::topics::{self, Assignment};
use super::{Controller, Outcome, Reply};
use crate::metadata::{Image, PartitionImage};
use ottla_types::{BrokerId, DirectoryId, ErrorCode, TopicIdPartition, TopicPartition};

/// The replicas that a partition is to have, or `None` to cancel what is under way.
pub type Reassignment = (TopicPartition, Option<Vec<BrokerId>>);

impl Controller {
    pub(super) fn reassign(
        &mut self,
        moves: Vec<Reassignment>,
        allow_replication_factor_change: bool,
    ) -> Outcome {
        let mut draft = self.draft();
        let mut results = Vec::with_capacity(moves.len());
        for (partition, target) in moves {
            let result = self.reassign_one(&mut draft, &partition, target, allow_replication_factor_change);
            results.push((partition, result));
        }
        self.finish(draft, Reply::Reassign(results))
    }

    pub(super) fn reassign_one(
        &self,
        draft: &mut Draft,
        of: &TopicPartition,
        target: Option<Vec<BrokerId>>,
        allow_replication_factor_change: bool,
    ) -> Result<(), ApiError> {
        let unknown = |what| ApiError::new(ErrorCode::UnknownTopicOrPartition, what);
        let topic = draft.image.topic_by_name(&of.topic);
        let topic = topic.ok_or_else(|| unknown(format!("Unable to find a topic named {}.", of.topic)))?;
        let key = TopicIdPartition { topic_id: topic.id, partition: of.partition };
        let partition = topic.partition(of.partition);
        let partition = partition.ok_or_else(|| unknown(format!("Unable to find partition {of}.")))?;
        let of_topic = self.rules.topic_rules(&draft.image, &topic.name);
        let mut update = sweep::update(&draft.image, partition, key, of_topic);
        match target {
            None => {
                if !partition.is_reassigning() {
                    return Err(ErrorCode::NoReassignmentInProgress.into());
                }
                cancel(&mut update, partition, of, of_topic.unclean_election)?;
            }
            Some(target) => {
                let plan = Plan::new(partition, target);
                plan.check(&draft.image, of, partition, allow_replication_factor_change)?;
                update.assigned = plan.new_places(&draft.image, partition, of.partition);
                (update.replicas, update.adding, update.removing) =
                    (plan.replicas, plan.adding, plan.removing);
            }
        }
        let change = update.build();
        sweep::apply(draft, key, change);
        Ok(())
    }
}

fn cancel(
    update: &mut super::partition::PartitionUpdate<'_>,
    partition: &PartitionImage,
    of: &TopicPartition,
    unclean_election: bool,
) -> Result<(), ApiError> {
    let was_there = |broker: &BrokerId| !partition.adding.contains(broker);
    update.replicas = partition.replicas.iter().copied().filter(was_there).collect();
    update.isr = partition.isr.iter().copied().filter(was_there).collect();
    update.adding.clear();
    update.removing.clear();
    if update.isr.is_empty() && !partition.isr.is_empty() {
        if !unclean_election {
            let message = format!(
                "Unable to revert partition assignment for {of} because it would require an unclean leader election."
            );
            return Err(ApiError::new(ErrorCode::InvalidReplicaAssignment, message));
        }
        update.election = Election::Unclean;
    }
    Ok(())
}

/// The way from what a partition has to what it is to have.
struct Plan {
    target: Vec<BrokerId>,
    replicas: Vec<BrokerId>,
    adding: Vec<BrokerId>,
    removing: Vec<BrokerId>,
}

impl Plan {
    fn new(partition: &PartitionImage, target: Vec<BrokerId>) -> Self {
        // What an unfinished reassignment adds still has to be added.
        let is_new =
            |broker: &BrokerId| !partition.replicas.contains(broker) || partition.adding.contains(broker);
        let adding = target.iter().copied().filter(is_new).collect();
        let gone = partition.replicas.iter().copied().filter(|broker| !target.contains(broker));
        let removing: Vec<BrokerId> = gone.collect();
        let replicas = target.iter().chain(&removing).copied().collect();
        Self { target, replicas, adding, removing }
    }

    fn check(
        &self,
        image: &Image,
        of: &TopicPartition,
        partition: &PartitionImage,
        allow_replication_factor_change: bool,
    ) -> Result<(), ApiError> {
        let assignment = Assignment { partition: of.partition, brokers: self.target.clone() };
        topics::check_assignment(image, &assignment, None)?;
        let before = partition.replicas.len() - partition.adding.len();
        if !allow_replication_factor_change && self.target.len() != before {
            let message = format!(
                "The replication factor is changed from {before} to {}, and that was not to be allowed.",
                self.target.len()
            );
            return Err(ApiError::new(ErrorCode::InvalidReplicationFactor, message));
        }
        Ok(())
    }

    fn new_places(
        &self,
        image: &Image,
        partition: &PartitionImage,
        index: i32,
    ) -> Vec<(BrokerId, DirectoryId)> {
        let new = self.target.iter().filter(|broker| !partition.replicas.contains(broker));
        new.map(|&broker| (broker, topics::new_directory(image, broker, index))).collect()
    }
}

/// The reassignments that are under way: of all partitions, or of those that are named.
#[must_use]
pub fn reassignments(image: &Image, wanted: Option<&[TopicPartition]>) -> Vec<TopicIdPartition> {
    match wanted {
        None => image.reassigning().iter().copied().collect(),
        Some(wanted) => {
            let keys = wanted.iter().filter_map(|of| {
                let topic_id = image.topic_id(&of.topic)?;
                Some(TopicIdPartition { topic_id, partition: of.partition })
            });
            keys.filter(|key| image.reassigning().contains(key)).collect()
        }
    }
}
