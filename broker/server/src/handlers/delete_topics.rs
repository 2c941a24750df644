//! DeleteTopics (key 20), by name or by id.

use super::Context;
use kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
use kafka_protocol::messages::{DeleteTopicsRequest, DeleteTopicsResponse, TopicName};
use ottla_core::controller::{Reply, Request, TopicRef};
use ottla_protocol::StrBytes;
use ottla_types::{ErrorCode, TopicId};

const TOPICS_FROM: i16 = 6;
const MESSAGES_FROM: i16 = 5;

/// Answers the request once the topics are gone.
pub async fn handle(context: &Context, request: DeleteTopicsRequest) -> DeleteTopicsResponse {
    let topics: Vec<TopicRef> = if context.version >= TOPICS_FROM {
        let topics = request.topics.iter();
        topics
            .map(|topic| match &topic.name {
                Some(name) => TopicRef::Name(name.to_string()),
                None => TopicRef::Id(TopicId(topic.topic_id)),
            })
            .collect()
    } else {
        request.topic_names.iter().map(|name| TopicRef::Name(name.to_string())).collect()
    };
    if !context.broker.config.settings.boolean("delete.topic.enable") {
        let refused =
            topics.iter().map(|topic| result(context, topic, ErrorCode::TopicDeletionDisabled, None));
        return DeleteTopicsResponse::default().with_responses(refused.collect());
    }
    let answers = match context.broker.metadata.submit(Request::DeleteTopics { topics: topics.clone() }).await
    {
        Ok(Reply::DeleteTopics(results)) => results
            .into_iter()
            .map(|(asked, outcome)| match outcome {
                Ok((id, name)) => {
                    let mut gone = result(context, &TopicRef::Name(name), ErrorCode::None, None);
                    if context.version >= TOPICS_FROM {
                        gone.topic_id = id.0;
                    }
                    gone
                }
                Err(error) => result(context, &asked, error.code, error.message),
            })
            .collect(),
        Ok(_) => {
            topics.iter().map(|topic| result(context, topic, ErrorCode::UnknownServerError, None)).collect()
        }
        Err(error) => topics.iter().map(|topic| result(context, topic, error, None)).collect(),
    };
    DeleteTopicsResponse::default().with_responses(answers)
}

fn result(
    context: &Context,
    topic: &TopicRef,
    error: ErrorCode,
    message: Option<String>,
) -> DeletableTopicResult {
    let mut answer = DeletableTopicResult::default().with_error_code(error.code());
    match topic {
        TopicRef::Name(name) => answer.name = Some(TopicName(StrBytes::from_string(name.clone()))),
        TopicRef::Id(id) => {
            answer.name = None;
            answer.topic_id = id.0;
        }
    }
    if context.version >= MESSAGES_FROM {
        answer.error_message = message.map(StrBytes::from_string);
    }
    answer
}
