//! ElectLeaders (key 43, KIP-183, KIP-460): preferred or unclean elections on request.

use super::Context;
use kafka_protocol::messages::elect_leaders_response::{PartitionResult, ReplicaElectionResult};
use kafka_protocol::messages::{ElectLeadersRequest, ElectLeadersResponse, TopicName};
use ottla_core::controller::{ApiError, ElectionType, Reply, Request};
use ottla_protocol::StrBytes;
use ottla_types::{ErrorCode, TopicPartition};
use std::collections::BTreeMap;

/// Answers the request once the leaders are elected.
pub async fn handle(context: &Context, request: ElectLeadersRequest) -> ElectLeadersResponse {
    let kind = match (context.version, request.election_type) {
        (0, _) | (1.., 0) => ElectionType::Preferred,
        (1.., 1) => ElectionType::Unclean,
        _ => return whole(context, ErrorCode::InvalidRequest),
    };
    let partitions = request.topic_partitions.as_ref().map(|topics| {
        let named = topics.iter().flat_map(|topic| {
            topic.partitions.iter().map(|&partition| TopicPartition::new(topic.topic.to_string(), partition))
        });
        named.collect()
    });
    match context.broker.metadata.submit(Request::ElectLeaders { kind, partitions }).await {
        Ok(Reply::ElectLeaders(results)) => answer(results),
        Ok(_) => whole(context, ErrorCode::UnknownServerError),
        Err(error) => whole(context, error),
    }
}

fn whole(context: &Context, error: ErrorCode) -> ElectLeadersResponse {
    let response = ElectLeadersResponse::default();
    if context.version >= 1 { response.with_error_code(error.code()) } else { response }
}

fn answer(results: Vec<(TopicPartition, Result<(), ApiError>)>) -> ElectLeadersResponse {
    let mut topics: BTreeMap<String, Vec<PartitionResult>> = BTreeMap::new();
    for (partition, result) in results {
        let one = PartitionResult::default().with_partition_id(partition.partition);
        topics.entry(partition.topic).or_default().push(match result {
            Ok(()) => one,
            Err(error) => one
                .with_error_code(error.code.code())
                .with_error_message(error.message.map(StrBytes::from_string)),
        });
    }
    let results = topics.into_iter().map(|(topic, partitions)| {
        ReplicaElectionResult::default()
            .with_topic(TopicName(StrBytes::from_string(topic)))
            .with_partition_result(partitions)
    });
    ElectLeadersResponse::default().with_replica_election_results(results.collect())
}
