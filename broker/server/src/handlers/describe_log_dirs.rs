//! DescribeLogDirs (key 35): the data directories, what is in them, and their room (KIP-113, KIP-827).

use super::Context;
use crate::net::Response;
use kafka_protocol::messages::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use kafka_protocol::messages::{DescribeLogDirsRequest, DescribeLogDirsResponse, TopicName};
use ottla_protocol::{StrBytes, extra};
use ottla_storage::DirView;
use ottla_types::{ErrorCode, TopicPartition};
use std::collections::{BTreeMap, BTreeSet};

const ROOM_FROM: i16 = 4;

/// Answers the request.
pub fn handle(context: &Context, request: &DescribeLogDirsRequest) -> Response {
    let wanted: Option<BTreeSet<TopicPartition>> = request.topics.as_ref().map(|topics| {
        let named = topics.iter().flat_map(|topic| {
            topic.partitions.iter().map(|&partition| TopicPartition::new(topic.topic.to_string(), partition))
        });
        named.collect()
    });
    let views = context.broker.dirs.describe();
    let results = views.iter().map(|view| result(context, view, wanted.as_ref()));
    let response = DescribeLogDirsResponse::default().with_results(results.collect());
    match extra::encode_describe_log_dirs(context.version, context.correlation_id, &response, &[]) {
        Ok(frame) => Response::bytes(frame),
        Err(error) => {
            tracing::error!(%error, "closing: an answer could not be written");
            Response::Close
        }
    }
}

fn result(
    context: &Context,
    view: &DirView,
    wanted: Option<&BTreeSet<TopicPartition>>,
) -> DescribeLogDirsResult {
    let result =
        DescribeLogDirsResult::default().with_log_dir(StrBytes::from_string(view.path.display().to_string()));
    if view.offline.is_some() {
        return result.with_error_code(ErrorCode::KafkaStorageError.code());
    }
    let mut topics: BTreeMap<&str, Vec<DescribeLogDirsPartition>> = BTreeMap::new();
    for (partition, bytes) in &view.logs {
        if wanted.is_none_or(|wanted| wanted.contains(partition)) {
            topics.entry(&partition.topic).or_default().push(
                DescribeLogDirsPartition::default()
                    .with_partition_index(partition.partition)
                    .with_partition_size(i64::try_from(*bytes).unwrap_or(i64::MAX)),
            );
        }
    }
    for copy in &view.future {
        if wanted.is_none_or(|wanted| wanted.contains(&copy.partition)) {
            topics.entry(&copy.partition.topic).or_default().push(
                DescribeLogDirsPartition::default()
                    .with_partition_index(copy.partition.partition)
                    .with_partition_size(i64::try_from(copy.bytes).unwrap_or(i64::MAX))
                    .with_offset_lag(copy.lag)
                    .with_is_future_key(true),
            );
        }
    }
    let topics = topics.into_iter().map(|(name, partitions)| {
        DescribeLogDirsTopic::default()
            .with_name(TopicName(StrBytes::from_string(name.to_owned())))
            .with_partitions(partitions)
    });
    let result = result.with_topics(topics.collect());
    if context.version >= ROOM_FROM {
        result.with_total_bytes(view.total_bytes).with_usable_bytes(view.free_bytes)
    } else {
        result
    }
}
