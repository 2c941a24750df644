//! AlterPartitionReassignments (key 45, KIP-455): moves replicas to other brokers, or cancels that.

use super::Context;
use kafka_protocol::messages::alter_partition_reassignments_response::{
    ReassignablePartitionResponse, ReassignableTopicResponse,
};
use kafka_protocol::messages::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse, TopicName,
};
use ottla_core::controller::{ApiError, Reply, Request};
use ottla_protocol::StrBytes;
use ottla_types::{BrokerId, ErrorCode, TopicPartition};

/// Answers the request once the reassignments have begun.
pub async fn handle(
    context: &Context,
    request: AlterPartitionReassignmentsRequest,
) -> AlterPartitionReassignmentsResponse {
    let moves = request.topics.iter().flat_map(|topic| {
        topic.partitions.iter().map(|partition| {
            let replicas =
                partition.replicas.as_ref().map(|ids| ids.iter().map(|id| BrokerId(id.0)).collect());
            (TopicPartition::new(topic.name.to_string(), partition.partition_index), replicas)
        })
    });
    let moves = moves.collect();
    // Version 0 cannot say; it may change the replication factor.
    let allow_replication_factor_change = context.version < 1 || request.allow_replication_factor_change;
    let asked = Request::Reassign { moves, allow_replication_factor_change };
    let response = AlterPartitionReassignmentsResponse::default();
    let response = if context.version >= 1 {
        response.with_allow_replication_factor_change(allow_replication_factor_change)
    } else {
        response
    };
    match context.broker.metadata.submit(asked).await {
        Ok(Reply::Reassign(results)) => response.with_responses(topics(results)),
        Ok(_) => response.with_error_code(ErrorCode::UnknownServerError.code()),
        Err(error) => response.with_error_code(error.code()),
    }
}

fn topics(results: Vec<(TopicPartition, Result<(), ApiError>)>) -> Vec<ReassignableTopicResponse> {
    let mut topics: Vec<ReassignableTopicResponse> = Vec::new();
    for (partition, result) in results {
        let one = ReassignablePartitionResponse::default().with_partition_index(partition.partition);
        let one = match result {
            Ok(()) => one,
            Err(error) => one
                .with_error_code(error.code.code())
                .with_error_message(error.message.map(StrBytes::from_string)),
        };
        match topics.last_mut().filter(|topic| *topic.name.as_str() == *partition.topic) {
            Some(topic) => topic.partitions.push(one),
            None => topics.push(
                ReassignableTopicResponse::default()
                    .with_name(TopicName(StrBytes::from_string(partition.topic)))
                    .with_partitions(vec![one]),
            ),
        }
    }
    topics
}
