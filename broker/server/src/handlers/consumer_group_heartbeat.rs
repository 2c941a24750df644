//! ConsumerGroupHeartbeat (key 68, KIP-848): a member of a consumer group speaks, and hears what it owns.

use super::Context;
use kafka_protocol::messages::consumer_group_heartbeat_response::{Assignment, TopicPartitions};
use kafka_protocol::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};
use ottla_core::group::Refusal;
use ottla_core::group::classic::Client;
use ottla_core::group::consumer::{HeartbeatReply, HeartbeatRequest, Partitions};
use ottla_protocol::StrBytes;
use ottla_types::{ErrorCode, TopicId, Uuid};

/// KIP-1082: from this version on a member makes its own id.
const MEMBERS_NAME_THEMSELVES_FROM: i16 = 1;

/// Answers the request once what it changed is safe.
pub async fn handle(
    context: &Context,
    request: ConsumerGroupHeartbeatRequest,
) -> ConsumerGroupHeartbeatResponse {
    match heartbeat(context, &request).await {
        Ok(reply) => {
            let assignment = reply.assignment.map(|owned| {
                let topics = owned.into_iter().map(|(topic, partitions)| {
                    TopicPartitions::default()
                        .with_topic_id(topic.0)
                        .with_partitions(partitions.into_iter().collect())
                });
                Assignment::default().with_topic_partitions(topics.collect())
            });
            ConsumerGroupHeartbeatResponse::default()
                .with_member_id(Some(StrBytes::from_string(reply.member_id.to_string())))
                .with_member_epoch(reply.member_epoch)
                .with_heartbeat_interval_ms(reply.heartbeat_interval_ms)
                .with_assignment(assignment)
        }
        Err((error, message)) => ConsumerGroupHeartbeatResponse::default()
            .with_error_code(error.code())
            .with_error_message(message.map(StrBytes::from_string)),
    }
}

async fn heartbeat(
    context: &Context,
    request: &ConsumerGroupHeartbeatRequest,
) -> Result<HeartbeatReply, (ErrorCode, Option<String>)> {
    if context.version >= MEMBERS_NAME_THEMSELVES_FROM && request.member_id.is_empty() {
        return Err((ErrorCode::InvalidRequest, Some("MemberId can't be empty.".to_owned())));
    }
    let shard = context.broker.groups.consumer_shard_of(&context.image(), &request.group_id);
    let shard = shard.map_err(|error| (error, None))?;
    let host = context.client_host();
    let topics = request.subscribed_topic_names.as_ref();
    let asked = HeartbeatRequest {
        group_id: &request.group_id,
        member_id: &request.member_id,
        member_epoch: request.member_epoch,
        instance_id: request.instance_id.as_deref(),
        rack_id: request.rack_id.as_deref(),
        rebalance_timeout_ms: request.rebalance_timeout_ms,
        subscribed_topics: topics.map(|names| names.iter().map(|name| name.as_str()).collect()),
        subscribed_regex: request.subscribed_topic_regex.as_deref(),
        server_assignor: request.server_assignor.as_deref(),
        owned: request.topic_partitions.as_ref().map(|topics| {
            let topics = topics.iter();
            topics
                .map(|topic| (TopicId(topic.topic_id), topic.partitions.iter().copied().collect()))
                .collect::<Partitions>()
        }),
        client: Client { id: &context.client_id, host: &host },
        fresh_id: Uuid::new_v4(),
    };
    let mut words = None;
    let turn = shard.request(&context.broker, |machine, call| {
        machine.consumer_heartbeat(call, &asked).map_err(|refusal: Refusal| {
            words = Some(refusal.message().to_owned());
            refusal.code()
        })
    });
    let answer = turn.await;
    answer.map_err(|error| (error, words))
}
