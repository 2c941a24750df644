//! The cluster, its brokers, and their directories.

use super::{Admin, missing, outcome, text};
use crate::error::{ApiError, ClientError};
use kafka_protocol::messages::describe_log_dirs_request::DescribableLogDirTopic;
use kafka_protocol::messages::describe_quorum_request::{
    PartitionData as QuorumPartition, TopicData as QuorumTopic,
};
use kafka_protocol::messages::describe_quorum_response::ReplicaState;
use kafka_protocol::messages::{
    DescribeClusterRequest, DescribeLogDirsRequest, DescribeQuorumRequest, TopicName,
};
use ottla_types::{DirectoryId, ErrorCode};

/// A cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterDescription {
    /// Its id.
    pub cluster_id: String,
    /// Broker that takes changes; -1 if none is known.
    pub controller: i32,
    /// Brokers that are alive, by id.
    pub brokers: Vec<NodeDescription>,
}

/// A broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeDescription {
    /// Id.
    pub id: i32,
    /// Host it told clients to use.
    pub host: String,
    /// Port it told clients to use.
    pub port: i32,
    /// Rack, if it has one.
    pub rack: Option<String>,
}

/// A data directory of a broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogDir {
    /// Path on the broker's machine.
    pub path: String,
    /// What is wrong with it.
    pub error: ErrorCode,
    /// Bytes of its volume; -1 if unknown.
    pub total_bytes: i64,
    /// Bytes left on its volume; -1 if unknown.
    pub usable_bytes: i64,
    /// Replicas in it.
    pub replicas: Vec<ReplicaSize>,
}

/// A replica in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaSize {
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: i32,
    /// Bytes of its log.
    pub bytes: i64,
    /// Records it is behind.
    pub lag: i64,
    /// Whether it is being moved here.
    pub is_future: bool,
}

/// The metadata quorum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuorumDescription {
    /// Broker that leads it; -1 if none is known.
    pub leader: i32,
    /// Its epoch.
    pub leader_epoch: i32,
    /// End of what is committed.
    pub high_watermark: i64,
    /// Those that vote.
    pub voters: Vec<QuorumReplica>,
    /// Those that only follow.
    pub observers: Vec<QuorumReplica>,
}

/// A broker's copy of the metadata log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuorumReplica {
    /// The broker.
    pub broker: i32,
    /// The directory it is in; zero if unknown.
    pub directory: DirectoryId,
    /// End of its log; -1 if unknown.
    pub log_end_offset: i64,
    /// When it last had all there was, in milliseconds since the epoch; -1 if unknown.
    pub last_caught_up: i64,
}

impl Admin {
    /// The metadata quorum, as its leader sees it.
    ///
    /// # Errors
    /// If it cannot be reached or refuses.
    pub async fn describe_quorum(&self) -> Result<QuorumDescription, ClientError> {
        let partition = QuorumPartition::default().with_partition_index(0);
        let topic = QuorumTopic::default()
            .with_topic_name(TopicName(text("__cluster_metadata")))
            .with_partitions(vec![partition]);
        let request = DescribeQuorumRequest::default().with_topics(vec![topic]);
        let response = self.to_controller(request, |response| response.error_code).await?;
        let what = "the metadata quorum";
        outcome(response.error_code, response.error_message.as_ref())
            .map_err(|error| ClientError::refused(what, error))?;
        let found = response.topics.iter().flat_map(|topic| &topic.partitions).next();
        let found = found.ok_or_else(|| missing(what))?;
        outcome(found.error_code, found.error_message.as_ref())
            .map_err(|error| ClientError::refused(what, error))?;
        let replicas = |states: &[ReplicaState]| {
            let replica = |state: &ReplicaState| QuorumReplica {
                broker: *state.replica_id,
                directory: DirectoryId(state.replica_directory_id),
                log_end_offset: state.log_end_offset,
                last_caught_up: state.last_caught_up_timestamp,
            };
            states.iter().map(replica).collect()
        };
        Ok(QuorumDescription {
            leader: *found.leader_id,
            leader_epoch: found.leader_epoch,
            high_watermark: found.high_watermark,
            voters: replicas(&found.current_voters),
            observers: replicas(&found.observers),
        })
    }

    /// The cluster and its brokers.
    ///
    /// # Errors
    /// If it cannot be reached.
    pub async fn describe_cluster(&self) -> Result<ClusterDescription, ClientError> {
        let connection = self.client.any().await?;
        let response = connection.send(DescribeClusterRequest::default()).await?;
        let message = response.error_message.as_ref().map(|text| text.as_str());
        ApiError::check(response.error_code, message)
            .map_err(|error| ClientError::refused("the cluster's description", error))?;
        let mut brokers: Vec<_> = response
            .brokers
            .iter()
            .map(|broker| NodeDescription {
                id: *broker.broker_id,
                host: broker.host.as_str().to_owned(),
                port: broker.port,
                rack: broker.rack.as_ref().map(|rack| rack.as_str().to_owned()),
            })
            .collect();
        brokers.sort_by_key(|broker| broker.id);
        Ok(ClusterDescription {
            cluster_id: response.cluster_id.as_str().to_owned(),
            controller: *response.controller_id,
            brokers,
        })
    }

    /// Directories of a broker, with the replicas of `topics` (`None`: of all).
    ///
    /// # Errors
    /// If it cannot be reached or refuses.
    pub async fn describe_log_dirs(
        &self,
        broker: i32,
        topics: Option<&[(String, Vec<i32>)]>,
    ) -> Result<Vec<LogDir>, ClientError> {
        let topics = topics.map(|topics| {
            let named = |(topic, partitions): &(String, Vec<i32>)| {
                DescribableLogDirTopic::default()
                    .with_topic(TopicName(text(topic)))
                    .with_partitions(partitions.clone())
            };
            topics.iter().map(named).collect()
        });
        let connection = self.client.broker(broker).await?;
        let response = connection.send(DescribeLogDirsRequest::default().with_topics(topics)).await?;
        ApiError::check_code(response.error_code)
            .map_err(|error| ClientError::refused(format!("directories of broker {broker}"), error))?;
        let dirs = response.results.into_iter().map(|dir| {
            let mut replicas = Vec::new();
            for topic in &dir.topics {
                for partition in &topic.partitions {
                    replicas.push(ReplicaSize {
                        topic: topic.name.as_str().to_owned(),
                        partition: partition.partition_index,
                        bytes: partition.partition_size,
                        lag: partition.offset_lag,
                        is_future: partition.is_future_key,
                    });
                }
            }
            LogDir {
                path: dir.log_dir.as_str().to_owned(),
                error: ErrorCode::from_code(dir.error_code),
                total_bytes: dir.total_bytes,
                usable_bytes: dir.usable_bytes,
                replicas,
            }
        });
        Ok(dirs.collect())
    }
}
