//! ListOffsets (key 2): the first, last or a point in time's offset of a partition.

use super::Context;
use crate::replicas::Partition;
use kafka_protocol::messages::list_offsets_request::ListOffsetsPartition;
use kafka_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use kafka_protocol::messages::{ListOffsetsRequest, ListOffsetsResponse};
use ottla_core::replication::check_leader_epoch;
use ottla_types::{ErrorCode, LeaderEpoch, Offset, TimestampMs};
use std::collections::BTreeSet;

/// Special timestamps (`org.apache.kafka.common.requests.ListOffsetsRequest`).
const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;
const EARLIEST_PENDING_UPLOAD: i64 = -6;
/// Nothing of that kind.
const UNKNOWN: i64 = -1;
const READ_COMMITTED: i8 = 1;
const LEADER_EPOCH_FROM: i16 = 4;

/// First version in which each special timestamp may be asked for.
fn is_known(timestamp: i64, version: i16) -> bool {
    match timestamp {
        MAX_TIMESTAMP => version >= 7,
        EARLIEST_LOCAL => version >= 8,
        LATEST_TIERED => version >= 9,
        EARLIEST_PENDING_UPLOAD => version >= 11,
        LATEST | EARLIEST | 0.. => true,
        _ => false,
    }
}

struct Found {
    timestamp: TimestampMs,
    offset: Offset,
    leader_epoch: LeaderEpoch,
}

impl Found {
    const NOTHING: Found = Found { timestamp: UNKNOWN, offset: UNKNOWN, leader_epoch: LeaderEpoch::NONE };
}

/// Answers the request.
pub fn handle(context: &Context, request: &ListOffsetsRequest) -> ListOffsetsResponse {
    let mut response = ListOffsetsResponse::default();
    for topic in &request.topics {
        let mut seen = BTreeSet::new();
        let mut told = BTreeSet::new();
        let doubled: BTreeSet<i32> = topic
            .partitions
            .iter()
            .map(|asked| asked.partition_index)
            .filter(|index| !seen.insert(*index))
            .collect();
        let once = topic.partitions.iter().filter(|asked| told.insert(asked.partition_index));
        let partitions = once.map(|asked| {
            let found = if doubled.contains(&asked.partition_index) {
                Err(ErrorCode::InvalidRequest)
            } else {
                find(context, request, &topic.name, asked)
            };
            answer(context.version, asked, found)
        });
        let partitions = partitions.collect();
        response.topics.push(
            ListOffsetsTopicResponse::default().with_name(topic.name.clone()).with_partitions(partitions),
        );
    }
    response
}

fn answer(
    version: i16,
    asked: &ListOffsetsPartition,
    found: Result<Found, ErrorCode>,
) -> ListOffsetsPartitionResponse {
    let answer = ListOffsetsPartitionResponse::default().with_partition_index(asked.partition_index);
    match found {
        Ok(found) => {
            let answer = answer.with_timestamp(found.timestamp).with_offset(found.offset);
            if version >= LEADER_EPOCH_FROM { answer.with_leader_epoch(found.leader_epoch.0) } else { answer }
        }
        Err(error) => answer.with_error_code(error.code()).with_timestamp(UNKNOWN).with_offset(UNKNOWN),
    }
}

fn find(
    context: &Context,
    request: &ListOffsetsRequest,
    topic: &str,
    asked: &ListOffsetsPartition,
) -> Result<Found, ErrorCode> {
    if !is_known(asked.timestamp, context.version) {
        return Err(ErrorCode::UnsupportedVersion);
    }
    let replica = context.replica(topic, asked.partition_index)?;
    let is_consumer = request.replica_id.0 < 0;
    let committed_only = request.isolation_level == READ_COMMITTED;
    look_up(&replica, asked, is_consumer, committed_only)
}

fn look_up(
    replica: &Partition,
    asked: &ListOffsetsPartition,
    is_consumer: bool,
    committed_only: bool,
) -> Result<Found, ErrorCode> {
    let state = replica.lock();
    check_leader_epoch(state.leader_epoch(), LeaderEpoch(asked.current_leader_epoch))
        .map_err(|error| error.code())?;
    let leader_epoch = state.leader()?.leader_epoch();
    let high_watermark = state.high_watermark();
    let mut log = state.log()?;
    let end = match (is_consumer, committed_only) {
        (false, _) => log.log_end_offset(),
        (true, false) => high_watermark,
        (true, true) => log.last_stable_offset(high_watermark),
    };
    let at = |offset: Offset, epoch: LeaderEpoch| Found { timestamp: UNKNOWN, offset, leader_epoch: epoch };
    let storage_error = |error: ottla_storage::ReadError| {
        tracing::error!(%error, %replica, "looking up a timestamp failed");
        error.code()
    };
    let found = match asked.timestamp {
        LATEST => return Ok(at(end, leader_epoch)),
        EARLIEST | EARLIEST_LOCAL => {
            let start = log.log_start_offset();
            return Ok(at(start, log.epoch_at(start).unwrap_or(LeaderEpoch::NONE)));
        }
        // Nothing is tiered, and nothing waits to be.
        LATEST_TIERED | EARLIEST_PENDING_UPLOAD => return Ok(Found::NOTHING),
        MAX_TIMESTAMP => log.max_timestamp_offset().map_err(storage_error)?,
        timestamp => log.offset_for_timestamp(timestamp).map_err(storage_error)?,
    };
    let found = found.filter(|found| found.offset < end).map(|found| Found {
        timestamp: found.timestamp,
        offset: found.offset,
        leader_epoch: log.epoch_at(found.offset).unwrap_or(LeaderEpoch::NONE),
    });
    Ok(found.unwrap_or(Found::NOTHING))
}
