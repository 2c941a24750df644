//! Topics and their partitions.

use super::{Admin, missing, outcome, text};
use crate::error::{ApiError, ClientError};
use kafka_protocol::messages::create_partitions_request::{
    CreatePartitionsAssignment, CreatePartitionsTopic,
};
use kafka_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::metadata_response::MetadataResponseTopic;
use kafka_protocol::messages::{
    BrokerId, CreatePartitionsRequest, CreateTopicsRequest, DeleteTopicsRequest, TopicName,
};
use ottla_types::TopicId;

const TIMEOUT_MS: i32 = 30_000;

/// A topic to be made.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewTopic {
    /// Name.
    pub name: String,
    /// Number of partitions; the broker's default if not given.
    pub partitions: Option<i32>,
    /// Replicas of each; the broker's default if not given.
    pub replication_factor: Option<i16>,
    /// Brokers of each partition, preferred leader first, instead of the two numbers.
    pub assignments: Vec<Vec<i32>>,
    /// Settings.
    pub configs: Vec<(String, String)>,
}

/// A topic that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatedTopic {
    /// Its id.
    pub id: TopicId,
    /// Number of partitions; -1 if the broker did not say.
    pub partitions: i32,
    /// Replicas of each; -1 if the broker did not say.
    pub replication_factor: i16,
}

/// A topic as the cluster has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicDescription {
    /// Name.
    pub name: String,
    /// Id; zero if the broker did not say.
    pub id: TopicId,
    /// Whether it is the brokers' own.
    pub is_internal: bool,
    /// By index.
    pub partitions: Vec<PartitionDescription>,
}

/// A partition as the cluster has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionDescription {
    /// Index.
    pub index: i32,
    /// Leader; -1 for none.
    pub leader: i32,
    /// Its epoch.
    pub leader_epoch: i32,
    /// All replicas, preferred leader first.
    pub replicas: Vec<i32>,
    /// Those in sync.
    pub isr: Vec<i32>,
    /// Those that are down.
    pub offline: Vec<i32>,
}

impl Admin {
    /// Makes topics; with `validate_only` says whether it could.
    ///
    /// # Errors
    /// If the cluster cannot be reached; refusals are told topic by topic.
    pub async fn create_topics(
        &self,
        topics: &[NewTopic],
        validate_only: bool,
    ) -> Result<Vec<(String, Result<CreatedTopic, ApiError>)>, ClientError> {
        let request = CreateTopicsRequest::default()
            .with_topics(topics.iter().map(creatable).collect())
            .with_timeout_ms(TIMEOUT_MS)
            .with_validate_only(validate_only);
        let response = self
            .to_controller(request, |response| response.topics.first().map_or(0, |topic| topic.error_code))
            .await?;
        let each = response.topics.iter().map(|topic| {
            let created = CreatedTopic {
                id: TopicId(topic.topic_id),
                partitions: topic.num_partitions,
                replication_factor: topic.replication_factor,
            };
            let name = topic.name.as_str().to_owned();
            (name, outcome(topic.error_code, topic.error_message.as_ref()).map(|()| created))
        });
        Ok(each.collect())
    }

    /// Deletes topics.
    ///
    /// # Errors
    /// If the cluster cannot be reached; refusals are told topic by topic.
    pub async fn delete_topics(
        &self,
        names: &[String],
    ) -> Result<Vec<(String, Result<(), ApiError>)>, ClientError> {
        let connection = self.client.controller().await?;
        let (_, offered) = connection.offered(ottla_protocol::ApiKey::DeleteTopics).unwrap_or((0, 0));
        let mut request = DeleteTopicsRequest::default().with_timeout_ms(TIMEOUT_MS);
        if offered >= 6 {
            let named = |name: &String| DeleteTopicState::default().with_name(Some(TopicName(text(name))));
            request = request.with_topics(names.iter().map(named).collect());
        } else {
            request = request.with_topic_names(names.iter().map(|name| TopicName(text(name))).collect());
        }
        let response = self
            .to_controller(request, |response| response.responses.first().map_or(0, |topic| topic.error_code))
            .await?;
        let each = response.responses.iter().map(|topic| {
            let name = topic.name.as_ref().map(|name| name.as_str().to_owned()).unwrap_or_default();
            (name, outcome(topic.error_code, topic.error_message.as_ref()))
        });
        for name in names {
            self.client.forget(name).await;
        }
        Ok(each.collect())
    }

    /// Raises a topic's number of partitions to `count`. `assignments` names the brokers of each new one.
    ///
    /// # Errors
    /// If the cluster cannot be reached or refuses.
    pub async fn create_partitions(
        &self,
        topic: &str,
        count: i32,
        assignments: Option<&[Vec<i32>]>,
    ) -> Result<(), ClientError> {
        let assignments = assignments.map(|assignments| {
            let brokers = |ids: &Vec<i32>| ids.iter().copied().map(BrokerId).collect();
            let each = assignments.iter().map(brokers);
            each.map(|ids| CreatePartitionsAssignment::default().with_broker_ids(ids)).collect()
        });
        let topics = vec![
            CreatePartitionsTopic::default()
                .with_name(TopicName(text(topic)))
                .with_count(count)
                .with_assignments(assignments),
        ];
        let request = CreatePartitionsRequest::default().with_topics(topics).with_timeout_ms(TIMEOUT_MS);
        let response = self
            .to_controller(request, |response| response.results.first().map_or(0, |topic| topic.error_code))
            .await?;
        let what = format!("more partitions for topic {topic:?}");
        let result = response.results.first().ok_or_else(|| missing(&what))?;
        outcome(result.error_code, result.error_message.as_ref())
            .map_err(|error| ClientError::refused(what, error))?;
        self.client.forget(topic).await;
        Ok(())
    }

    /// All topics, by name.
    ///
    /// # Errors
    /// If the cluster cannot be reached.
    pub async fn list_topics(&self) -> Result<Vec<TopicDescription>, ClientError> {
        let response = self.client.refresh(None).await?;
        let mut topics: Vec<_> =
            response.topics.iter().filter(|topic| topic.error_code == 0).map(description).collect();
        topics.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(topics)
    }

    /// These topics, in the order they were named.
    ///
    /// # Errors
    /// If the cluster cannot be reached; an unknown one is told in its place.
    pub async fn describe_topics(
        &self,
        names: &[String],
    ) -> Result<Vec<(String, Result<TopicDescription, ApiError>)>, ClientError> {
        let response = self.client.refresh(Some(names)).await?;
        let describe = |name: &String| {
            let named = |topic: &&MetadataResponseTopic| {
                topic.name.as_ref().is_some_and(|known| known.as_str() == name)
            };
            let found = response.topics.iter().find(named).ok_or_else(|| missing(name))?;
            let described = ApiError::check_code(found.error_code).map(|()| description(found));
            Ok((name.clone(), described))
        };
        names.iter().map(describe).collect()
    }
}

fn creatable(topic: &NewTopic) -> CreatableTopic {
    let brokers = |ids: &[i32]| ids.iter().copied().map(BrokerId).collect();
    let assignments = topic.assignments.iter().enumerate().map(|(index, ids)| {
        CreatableReplicaAssignment::default()
            .with_partition_index(i32::try_from(index).unwrap_or(i32::MAX))
            .with_broker_ids(brokers(ids))
    });
    let configs = topic.configs.iter().map(|(key, value)| {
        CreatableTopicConfig::default().with_name(text(key)).with_value(Some(text(value)))
    });
    CreatableTopic::default()
        .with_name(TopicName(text(&topic.name)))
        .with_num_partitions(topic.partitions.unwrap_or(-1))
        .with_replication_factor(topic.replication_factor.unwrap_or(-1))
        .with_assignments(assignments.collect())
        .with_configs(configs.collect())
}

fn description(topic: &MetadataResponseTopic) -> TopicDescription {
    let ids = |ids: &[BrokerId]| ids.iter().map(|id| **id).collect::<Vec<i32>>();
    let mut partitions: Vec<_> = topic
        .partitions
        .iter()
        .map(|partition| PartitionDescription {
            index: partition.partition_index,
            leader: *partition.leader_id,
            leader_epoch: partition.leader_epoch,
            replicas: ids(&partition.replica_nodes),
            isr: ids(&partition.isr_nodes),
            offline: ids(&partition.offline_replicas),
        })
        .collect();
    partitions.sort_by_key(|partition| partition.index);
    TopicDescription {
        name: topic.name.as_ref().map(|name| name.as_str().to_owned()).unwrap_or_default(),
        id: TopicId(topic.topic_id),
        is_internal: topic.is_internal,
        partitions,
    }
}
