//! CreatePartitions (key 37): topics grow.

use super::Context;
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use kafka_protocol::messages::{CreatePartitionsRequest, CreatePartitionsResponse, TopicName};
use ottla_core::controller::{ApiError, GrowTopic, Reply, Request};
use ottla_protocol::StrBytes;
use ottla_types::{BrokerId, ErrorCode};

/// Answers the request once the partitions are there.
pub async fn handle(context: &Context, request: CreatePartitionsRequest) -> CreatePartitionsResponse {
    let names: Vec<String> = request.topics.iter().map(|topic| topic.name.to_string()).collect();
    let topics = request.topics.iter().map(grow_topic).collect();
    let asked = Request::CreatePartitions { topics, validate_only: request.validate_only };
    let results = match context.broker.metadata.submit(asked).await {
        Ok(Reply::CreatePartitions(results)) => results,
        Ok(_) => failed(names, ErrorCode::UnknownServerError),
        Err(error) => failed(names, error),
    };
    let results = results.into_iter().map(|(name, result)| {
        let answer = CreatePartitionsTopicResult::default().with_name(TopicName(StrBytes::from_string(name)));
        match result {
            Ok(()) => answer,
            Err(error) => answer
                .with_error_code(error.code.code())
                .with_error_message(error.message.map(StrBytes::from_string)),
        }
    });
    CreatePartitionsResponse::default().with_results(results.collect())
}

fn failed(names: Vec<String>, error: ErrorCode) -> Vec<(String, Result<(), ApiError>)> {
    names.into_iter().map(|name| (name, Err(error.into()))).collect()
}

fn grow_topic(topic: &CreatePartitionsTopic) -> GrowTopic {
    let brokers =
        |ids: &Vec<kafka_protocol::messages::BrokerId>| ids.iter().map(|id| BrokerId(id.0)).collect();
    GrowTopic {
        name: topic.name.to_string(),
        count: topic.count,
        assignments: topic.assignments.as_ref().map(|assignments| {
            assignments.iter().map(|assignment| brokers(&assignment.broker_ids)).collect()
        }),
    }
}
