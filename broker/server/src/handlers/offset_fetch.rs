//! OffsetFetch (key 9): committed offsets, from version 8 on of several groups.

use super::Context;
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use kafka_protocol::messages::{OffsetFetchRequest, OffsetFetchResponse, TopicName};
use ottla_core::group::offsets::{FetchGroup, FetchTopic, FetchedPartition, FetchedTopic};
use ottla_core::metadata::Image;
use ottla_protocol::StrBytes;
use ottla_types::{ErrorCode, TopicId, Uuid};
use std::sync::Arc;

const GROUP_ERROR_FROM: i16 = 2;
const STABLE_FROM: i16 = 7;
const LEADER_EPOCH_FROM: i16 = 5;
const GROUPS_FROM: i16 = 8;
const TOPIC_IDS_FROM: i16 = 10;

/// Answers the request.
pub async fn handle(context: &Context, request: OffsetFetchRequest) -> OffsetFetchResponse {
    if context.version < GROUPS_FROM {
        return single(context, &request).await;
    }
    let mut response = OffsetFetchResponse::default();
    for group in &request.groups {
        response.groups.push(one_group(context, group, request.require_stable).await);
    }
    response
}

async fn fetch(
    context: &Context,
    image: &Image,
    asked: FetchGroup<'_>,
) -> Result<Vec<FetchedTopic>, ErrorCode> {
    let shard = context.broker.groups.shard_of(image, asked.group_id)?;
    // What is answered must not vanish again: wait for what is under way.
    shard.settled(&context.broker).await?;
    shard.look(|machine| machine.fetch_offsets(&asked))?
}

async fn single(context: &Context, request: &OffsetFetchRequest) -> OffsetFetchResponse {
    let topics = request.topics.as_ref().map(|topics| {
        let topics = topics.iter();
        topics
            .map(|topic| FetchTopic { name: &topic.name, partitions: topic.partition_indexes.clone() })
            .collect()
    });
    let asked = FetchGroup {
        group_id: &request.group_id,
        member_id: None,
        member_epoch: -1,
        topics,
        require_stable: context.version >= STABLE_FROM && request.require_stable,
    };
    let response = OffsetFetchResponse::default();
    match fetch(context, &context.image(), asked).await {
        Ok(topics) => {
            let topics = topics.into_iter().map(|topic| {
                let partitions = topic.partitions.iter().map(|found| partition(context.version, found));
                OffsetFetchResponseTopic::default()
                    .with_name(TopicName(StrBytes::from_string(topic.name.to_string())))
                    .with_partitions(partitions.collect())
            });
            response.with_topics(topics.collect())
        }
        // Versions 0 and 1 have no place for the group's error but its partitions.
        Err(error) if context.version < GROUP_ERROR_FROM => {
            let topics = request.topics.iter().flatten().map(|topic| {
                let failed = topic.partition_indexes.iter().map(|&index| {
                    OffsetFetchResponsePartition::default()
                        .with_partition_index(index)
                        .with_committed_offset(-1)
                        .with_metadata(Some(StrBytes::default()))
                        .with_error_code(error.code())
                });
                OffsetFetchResponseTopic::default()
                    .with_name(topic.name.clone())
                    .with_partitions(failed.collect())
            });
            response.with_topics(topics.collect())
        }
        Err(error) => response.with_error_code(error.code()),
    }
}

fn partition(version: i16, found: &FetchedPartition) -> OffsetFetchResponsePartition {
    let answer = OffsetFetchResponsePartition::default()
        .with_partition_index(found.partition)
        .with_committed_offset(found.offset)
        .with_metadata(Some(metadata(found)))
        .with_error_code(found.error.code());
    if version >= LEADER_EPOCH_FROM { answer.with_committed_leader_epoch(found.leader_epoch) } else { answer }
}

fn metadata(found: &FetchedPartition) -> StrBytes {
    StrBytes::from_string(found.metadata.as_deref().unwrap_or_default().to_owned())
}

async fn one_group(
    context: &Context,
    group: &OffsetFetchRequestGroup,
    require_stable: bool,
) -> OffsetFetchResponseGroup {
    let image = context.image();
    let by_id = context.version >= TOPIC_IDS_FROM;
    let mut answer = OffsetFetchResponseGroup::default().with_group_id(group.group_id.clone());
    let mut names: Vec<(Arc<str>, &[i32])> = Vec::new();
    for topic in group.topics.iter().flatten() {
        let name = if by_id {
            image.topic(TopicId(topic.topic_id)).map(|topic| topic.name.clone())
        } else {
            Some(Arc::from(topic.name.as_str()))
        };
        match name {
            Some(name) => names.push((name, &topic.partition_indexes)),
            None => answer.topics.push(unknown_id(topic.topic_id, &topic.partition_indexes)),
        }
    }
    let topics = names.iter().map(|(name, partitions)| FetchTopic { name, partitions: partitions.to_vec() });
    let asked = FetchGroup {
        group_id: &group.group_id,
        member_id: group.member_id.as_deref(),
        member_epoch: group.member_epoch,
        topics: group.topics.is_some().then(|| topics.collect()),
        require_stable,
    };
    match fetch(context, &image, asked).await {
        Err(error) => {
            answer.topics.clear();
            answer.with_error_code(error.code())
        }
        Ok(found) => {
            answer.topics.extend(found.into_iter().filter_map(|topic| topic_answer(&image, by_id, topic)));
            answer
        }
    }
}

fn unknown_id(topic_id: Uuid, partitions: &[i32]) -> OffsetFetchResponseTopics {
    let failed = partitions.iter().map(|&index| {
        OffsetFetchResponsePartitions::default()
            .with_partition_index(index)
            .with_committed_offset(-1)
            .with_metadata(Some(StrBytes::default()))
            .with_error_code(ErrorCode::UnknownTopicId.code())
    });
    OffsetFetchResponseTopics::default().with_topic_id(topic_id).with_partitions(failed.collect())
}

/// A topic that is gone has no id to be named by: it is left out then.
fn topic_answer(image: &Image, by_id: bool, topic: FetchedTopic) -> Option<OffsetFetchResponseTopics> {
    let partitions = topic.partitions.iter().map(|found| {
        OffsetFetchResponsePartitions::default()
            .with_partition_index(found.partition)
            .with_committed_offset(found.offset)
            .with_committed_leader_epoch(found.leader_epoch)
            .with_metadata(Some(metadata(found)))
            .with_error_code(found.error.code())
    });
    let answer = OffsetFetchResponseTopics::default().with_partitions(partitions.collect());
    if by_id {
        image.topic_id(&topic.name).map(|id| answer.with_topic_id(id.0))
    } else {
        Some(answer.with_name(TopicName(StrBytes::from_string(topic.name.to_string()))))
    }
}
