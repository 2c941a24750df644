//! DescribeTopicPartitions (key 75, KIP-966): topics page by page, with eligible leader replicas.

use super::Context;
use super::authorized_operations::of_topic;
use super::metadata::{is_internal, offline_replicas, wire_ids};
use kafka_protocol::messages::describe_topic_partitions_response::{
    Cursor, DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
};
use kafka_protocol::messages::{
    BrokerId as WireBrokerId, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse, TopicName,
};
use ottla_core::controller::is_valid_topic_name;
use ottla_core::metadata::{Image, PartitionImage};
use ottla_protocol::StrBytes;
use ottla_types::{ErrorCode, limits};
use std::collections::BTreeSet;

/// Answers the request: topics by name, from the cursor on, as many partitions as the limit allows.
pub fn handle(
    context: &Context,
    request: &DescribeTopicPartitionsRequest,
) -> DescribeTopicPartitionsResponse {
    let image = context.image();
    let asked_for_all = request.topics.is_empty();
    let mut names: BTreeSet<&str> = if asked_for_all {
        image.topic_ids().keys().map(|name| &**name).collect()
    } else {
        request.topics.iter().map(|topic| topic.name.as_str()).collect()
    };
    if request.cursor.as_ref().is_some_and(|cursor| cursor.partition_index < 0) {
        let refused = names.into_iter().map(|name| failed(name, ErrorCode::InvalidRequest));
        return DescribeTopicPartitionsResponse::default().with_topics(refused.collect());
    }
    let mut first_partition = 0;
    if let Some(cursor) = &request.cursor {
        names = names.split_off(cursor.topic_name.as_str());
        if names.first() == Some(&cursor.topic_name.as_str()) {
            first_partition = usize::try_from(cursor.partition_index).unwrap_or(0);
        }
    }
    let limit = usize::try_from(request.response_partition_limit).unwrap_or(0);
    let mut room = limit.clamp(1, limits::DESCRIBED_PARTITIONS);
    let mut response = DescribeTopicPartitionsResponse::default();
    for name in names {
        if room == 0 {
            return response.with_next_cursor(Some(cursor_at(name, 0)));
        }
        let Some(topic) = image.topic_by_name(name) else {
            if !asked_for_all {
                response.topics.push(unknown(name));
            }
            continue;
        };
        let count = topic.partitions.len();
        let end = count.min(first_partition.saturating_add(room));
        let partitions: Vec<_> = (first_partition..end)
            .filter_map(|index| Some(describe(&image, index, topic.partitions.get(index)?)))
            .collect();
        room -= partitions.len();
        first_partition = 0;
        response.topics.push(
            DescribeTopicPartitionsResponseTopic::default()
                .with_name(Some(TopicName(StrBytes::from_string(name.to_owned()))))
                .with_topic_id(topic.id.0)
                .with_is_internal(is_internal(name))
                .with_partitions(partitions)
                .with_topic_authorized_operations(of_topic(true)),
        );
        if end < count {
            return response.with_next_cursor(Some(cursor_at(name, end)));
        }
    }
    response
}

fn cursor_at(topic: &str, partition: usize) -> Cursor {
    Cursor::default()
        .with_topic_name(TopicName(StrBytes::from_string(topic.to_owned())))
        .with_partition_index(i32::try_from(partition).unwrap_or(i32::MAX))
}

fn unknown(name: &str) -> DescribeTopicPartitionsResponseTopic {
    let error = if is_valid_topic_name(name) {
        ErrorCode::UnknownTopicOrPartition
    } else {
        ErrorCode::InvalidTopicException
    };
    failed(name, error).with_is_internal(is_internal(name)).with_topic_authorized_operations(of_topic(true))
}

fn failed(name: &str, error: ErrorCode) -> DescribeTopicPartitionsResponseTopic {
    DescribeTopicPartitionsResponseTopic::default()
        .with_error_code(error.code())
        .with_name(Some(TopicName(StrBytes::from_string(name.to_owned()))))
}

fn describe(
    image: &Image,
    index: usize,
    partition: &PartitionImage,
) -> DescribeTopicPartitionsResponsePartition {
    let error = if partition.leader.is_none() { ErrorCode::LeaderNotAvailable } else { ErrorCode::None };
    DescribeTopicPartitionsResponsePartition::default()
        .with_error_code(error.code())
        .with_partition_index(i32::try_from(index).unwrap_or(i32::MAX))
        .with_leader_id(WireBrokerId(partition.leader.0))
        .with_leader_epoch(partition.leader_epoch.0)
        .with_replica_nodes(wire_ids(&partition.replicas))
        .with_isr_nodes(wire_ids(&partition.isr))
        .with_eligible_leader_replicas(Some(wire_ids(&partition.elr)))
        .with_last_known_elr(Some(wire_ids(&partition.last_known_elr)))
        .with_offline_replicas(wire_ids(&offline_replicas(image, partition)))
}
