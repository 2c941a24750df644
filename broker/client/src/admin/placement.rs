//! Where replicas are: moving them, and who leads.

use super::{Admin, outcome, text};
use crate::error::{ApiError, ClientError};
use kafka_protocol::messages::alter_partition_reassignments_request::{
    ReassignablePartition, ReassignableTopic,
};
use kafka_protocol::messages::elect_leaders_request::TopicPartitions;
use kafka_protocol::messages::{
    AlterPartitionReassignmentsRequest, BrokerId, ElectLeadersRequest, ListPartitionReassignmentsRequest,
    TopicName,
};
use ottla_types::TopicPartition;
use std::collections::BTreeMap;

/// Kafka's number for the election of a replica that is in sync; 1 is for any.
const PREFERRED: i8 = 0;
const UNCLEAN: i8 = 1;

/// A partition whose replicas are moving.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reassignment {
    /// The partition.
    pub partition: TopicPartition,
    /// Its replicas now, those that come and those that go among them.
    pub replicas: Vec<i32>,
    /// Those that come.
    pub adding: Vec<i32>,
    /// Those that go.
    pub removing: Vec<i32>,
}

impl Admin {
    /// Begins to move partitions to these replicas, preferred leader first; `None` cancels a move.
    ///
    /// # Errors
    /// If the cluster cannot be reached or refuses all of it; refusals are told partition by partition.
    pub async fn reassign(
        &self,
        moves: &[(TopicPartition, Option<Vec<i32>>)],
    ) -> Result<Vec<(TopicPartition, Result<(), ApiError>)>, ClientError> {
        let mut topics: BTreeMap<&str, Vec<ReassignablePartition>> = BTreeMap::new();
        for (at, replicas) in moves {
            let replicas = replicas.as_ref().map(|ids| ids.iter().copied().map(BrokerId).collect());
            let partition =
                ReassignablePartition::default().with_partition_index(at.partition).with_replicas(replicas);
            topics.entry(&at.topic).or_default().push(partition);
        }
        let topics = topics.into_iter().map(|(topic, partitions)| {
            ReassignableTopic::default().with_name(TopicName(text(topic))).with_partitions(partitions)
        });
        let request = AlterPartitionReassignmentsRequest::default()
            .with_timeout_ms(30_000)
            .with_topics(topics.collect());
        let response = self.to_controller(request, |response| response.error_code).await?;
        outcome(response.error_code, response.error_message.as_ref())
            .map_err(|error| ClientError::refused("moving partitions", error))?;
        let mut outcomes = Vec::new();
        for topic in &response.responses {
            for partition in &topic.partitions {
                let at = TopicPartition::new(topic.name.as_str(), partition.partition_index);
                outcomes.push((at, outcome(partition.error_code, partition.error_message.as_ref())));
            }
        }
        Ok(outcomes)
    }

    /// Partitions whose replicas are moving.
    ///
    /// # Errors
    /// If the cluster cannot be reached or refuses.
    pub async fn reassignments(&self) -> Result<Vec<Reassignment>, ClientError> {
        let request = ListPartitionReassignmentsRequest::default().with_timeout_ms(30_000).with_topics(None);
        let response = self.to_controller(request, |response| response.error_code).await?;
        outcome(response.error_code, response.error_message.as_ref())
            .map_err(|error| ClientError::refused("the moves under way", error))?;
        let ids = |ids: &[BrokerId]| ids.iter().map(|id| **id).collect();
        let mut moving = Vec::new();
        for topic in &response.topics {
            for partition in &topic.partitions {
                moving.push(Reassignment {
                    partition: TopicPartition::new(topic.name.as_str(), partition.partition_index),
                    replicas: ids(&partition.replicas),
                    adding: ids(&partition.adding_replicas),
                    removing: ids(&partition.removing_replicas),
                });
            }
        }
        moving.sort_by(|a, b| a.partition.cmp(&b.partition));
        Ok(moving)
    }

    /// Makes preferred replicas leaders of `partitions` (`None`: of all). With `unclean`, gives those without a leader
    /// any replica that is alive, at the price of records that only others had.
    ///
    /// # Errors
    /// If the cluster cannot be reached or refuses all of it; refusals are told partition by partition, and a partition
    /// that has the right leader already is among them (`ELECTION_NOT_NEEDED`).
    pub async fn elect_leaders(
        &self,
        partitions: Option<&[TopicPartition]>,
        unclean: bool,
    ) -> Result<Vec<(TopicPartition, Result<(), ApiError>)>, ClientError> {
        let topics = partitions.map(|partitions| {
            let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
            for at in partitions {
                topics.entry(&at.topic).or_default().push(at.partition);
            }
            let named = topics.into_iter().map(|(topic, partitions)| {
                TopicPartitions::default().with_topic(TopicName(text(topic))).with_partitions(partitions)
            });
            named.collect()
        });
        let request = ElectLeadersRequest::default()
            .with_election_type(if unclean { UNCLEAN } else { PREFERRED })
            .with_topic_partitions(topics)
            .with_timeout_ms(30_000);
        let response = self.to_controller(request, |response| response.error_code).await?;
        ApiError::check_code(response.error_code)
            .map_err(|error| ClientError::refused("electing leaders", error))?;
        let mut outcomes = Vec::new();
        for topic in &response.replica_election_results {
            for partition in &topic.partition_result {
                let at = TopicPartition::new(topic.topic.as_str(), partition.partition_id);
                outcomes.push((at, outcome(partition.error_code, partition.error_message.as_ref())));
            }
        }
        Ok(outcomes)
    }
}
