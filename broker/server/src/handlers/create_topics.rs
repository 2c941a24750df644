//! CreateTopics (key 19).

use super::Context;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::create_topics_response::CreatableTopicResult;
use kafka_protocol::messages::{CreateTopicsRequest, CreateTopicsResponse, TopicName};
use ottla_core::controller::{ApiError, Assignment, CreateTopic, CreatedTopic, Reply, Request};
use ottla_protocol::StrBytes;
use ottla_types::{BrokerId, ErrorCode};

const MESSAGES_FROM: i16 = 1;
const DETAILS_FROM: i16 = 5;
const TOPIC_IDS_FROM: i16 = 7;

/// Answers the request once the topics are there.
pub async fn handle(context: &Context, request: CreateTopicsRequest) -> CreateTopicsResponse {
    let names: Vec<String> = request.topics.iter().map(|topic| topic.name.to_string()).collect();
    let topics = request.topics.iter().map(create_topic).collect();
    let asked = Request::CreateTopics { topics, validate_only: request.validate_only };
    let results = match context.broker.metadata.submit(asked).await {
        Ok(Reply::CreateTopics(results)) => results,
        Ok(_) => failed(names, ErrorCode::UnknownServerError),
        Err(error) => failed(names, error),
    };
    let results = results.into_iter().map(|(name, result)| answer(context, &name, result));
    CreateTopicsResponse::default().with_topics(results.collect())
}

fn failed(names: Vec<String>, error: ErrorCode) -> Vec<(String, Result<CreatedTopic, ApiError>)> {
    names.into_iter().map(|name| (name, Err(error.into()))).collect()
}

fn create_topic(topic: &CreatableTopic) -> CreateTopic {
    CreateTopic {
        name: topic.name.to_string(),
        partitions: topic.num_partitions,
        replication_factor: topic.replication_factor,
        assignments: topic
            .assignments
            .iter()
            .map(|assignment| Assignment {
                partition: assignment.partition_index,
                brokers: assignment.broker_ids.iter().map(|id| BrokerId(id.0)).collect(),
            })
            .collect(),
        configs: topic
            .configs
            .iter()
            .map(|config| (config.name.to_string(), config.value.as_ref().map(ToString::to_string)))
            .collect(),
    }
}

fn answer(context: &Context, name: &str, result: Result<CreatedTopic, ApiError>) -> CreatableTopicResult {
    let answer = CreatableTopicResult::default().with_name(TopicName(StrBytes::from_string(name.to_owned())));
    match result {
        Err(error) => {
            let answer = answer.with_error_code(error.code.code());
            let answer = if context.version >= DETAILS_FROM {
                answer.with_num_partitions(-1).with_replication_factor(-1)
            } else {
                answer
            };
            if context.version >= MESSAGES_FROM {
                answer.with_error_message(error.message.map(StrBytes::from_string))
            } else {
                answer
            }
        }
        Ok(created) => {
            let mut answer = answer;
            if context.version >= TOPIC_IDS_FROM {
                answer.topic_id = created.topic_id.0;
            }
            if context.version >= DETAILS_FROM {
                answer.num_partitions = created.partitions;
                answer.replication_factor = created.replication_factor;
                answer.configs = Some(super::describe_configs::of_created_topic(context, name));
            }
            answer
        }
    }
}
