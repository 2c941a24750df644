//! OffsetDelete (key 47, KIP-496): committed offsets of topics that a group does not read any more.

use super::Context;
use kafka_protocol::messages::offset_delete_response::{
    OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use kafka_protocol::messages::{OffsetDeleteRequest, OffsetDeleteResponse};
use ottla_core::group::offsets::{DeleteRequest, FetchTopic};
use ottla_types::ErrorCode;

/// Answers the request once the offsets are gone.
pub async fn handle(context: &Context, request: OffsetDeleteRequest) -> OffsetDeleteResponse {
    let image = context.image();
    let exists = |topic: &str, partition: i32| {
        image.topic_by_name(topic).is_some_and(|topic| topic.partition(partition).is_some())
    };
    let topics = request.topics.iter().map(|topic| FetchTopic {
        name: &topic.name,
        partitions: topic.partitions.iter().map(|partition| partition.partition_index).collect(),
    });
    let asked = DeleteRequest { group_id: &request.group_id, topics: topics.collect() };
    let verdicts = match context.broker.groups.shard_of(&image, &request.group_id) {
        Ok(shard) => {
            shard.request(&context.broker, |machine, call| machine.delete_offsets(call, &asked)).await
        }
        Err(error) => Err(error),
    };
    let verdicts = match verdicts {
        Ok(verdicts) => verdicts,
        Err(error) => return OffsetDeleteResponse::default().with_error_code(error.code()),
    };
    let topics = request.topics.iter().zip(verdicts).map(|(topic, verdicts)| {
        let partitions = topic.partitions.iter().zip(verdicts).map(|(asked, verdict)| {
            let verdict = if exists(&topic.name, asked.partition_index) {
                verdict
            } else {
                ErrorCode::UnknownTopicOrPartition
            };
            OffsetDeleteResponsePartition::default()
                .with_partition_index(asked.partition_index)
                .with_error_code(verdict.code())
        });
        OffsetDeleteResponseTopic::default()
            .with_name(topic.name.clone())
            .with_partitions(partitions.collect())
    });
    OffsetDeleteResponse::default().with_topics(topics.collect())
}
