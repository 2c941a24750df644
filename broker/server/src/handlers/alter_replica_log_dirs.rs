//! AlterReplicaLogDirs (key 34, KIP-113): replicas move to other data directories of this broker.

use super::Context;
use crate::replicas::move_dirs;
use kafka_protocol::messages::alter_replica_log_dirs_response::{
    AlterReplicaLogDirPartitionResult, AlterReplicaLogDirTopicResult,
};
use kafka_protocol::messages::{AlterReplicaLogDirsRequest, AlterReplicaLogDirsResponse, TopicName};
use ottla_types::{ErrorCode, TopicPartition};
use std::collections::BTreeMap;
use std::path::Path;

/// Answers the request; the replicas move in the background.
pub fn handle(context: &Context, request: &AlterReplicaLogDirsRequest) -> AlterReplicaLogDirsResponse {
    let mut topics: BTreeMap<TopicName, Vec<AlterReplicaLogDirPartitionResult>> = BTreeMap::new();
    for dir in &request.dirs {
        for topic in &dir.topics {
            let results = topics.entry(topic.name.clone()).or_default();
            for &index in &topic.partitions {
                let name = TopicPartition::new(topic.name.to_string(), index);
                let error = move_one(context, &name, Path::new(&*dir.path));
                results.push(
                    AlterReplicaLogDirPartitionResult::default()
                        .with_partition_index(index)
                        .with_error_code(error.code()),
                );
            }
        }
    }
    let results = topics.into_iter().map(|(name, partitions)| {
        AlterReplicaLogDirTopicResult::default().with_topic_name(name).with_partitions(partitions)
    });
    AlterReplicaLogDirsResponse::default().with_results(results.collect())
}

fn move_one(context: &Context, name: &TopicPartition, to: &Path) -> ErrorCode {
    match context.replica(&name.topic, name.partition) {
        Ok(_) => match move_dirs::begin(&context.broker, name, to) {
            Ok(()) => ErrorCode::None,
            Err(error) => {
                tracing::warn!(%name, to = %to.display(), %error, "a replica does not move");
                error.code()
            }
        },
        Err(ErrorCode::NotLeaderOrFollower) => ErrorCode::ReplicaNotAvailable,
        Err(error) => error,
    }
}
