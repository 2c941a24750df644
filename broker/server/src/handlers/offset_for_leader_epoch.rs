//! OffsetForLeaderEpoch (key 23, KIP-101, KIP-320): where a leader epoch ends in the leader's log.

use super::Context;
use kafka_protocol::messages::offset_for_leader_epoch_request::OffsetForLeaderPartition;
use kafka_protocol::messages::offset_for_leader_epoch_response::{
    EpochEndOffset, OffsetForLeaderTopicResult,
};
use kafka_protocol::messages::{OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse};
use ottla_core::replication::check_leader_epoch;
use ottla_types::{ErrorCode, LeaderEpoch, Offset};

/// Answers the request.
pub fn handle(context: &Context, request: &OffsetForLeaderEpochRequest) -> OffsetForLeaderEpochResponse {
    let topics = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|asked| {
            let answer = EpochEndOffset::default().with_partition(asked.partition);
            match end_of(context, &topic.topic, asked) {
                Ok((epoch, end)) => answer.with_leader_epoch(epoch.0).with_end_offset(end),
                Err(error) => answer.with_error_code(error.code()).with_leader_epoch(-1).with_end_offset(-1),
            }
        });
        let partitions = partitions.collect();
        OffsetForLeaderTopicResult::default().with_topic(topic.topic.clone()).with_partitions(partitions)
    });
    OffsetForLeaderEpochResponse::default().with_topics(topics.collect())
}

fn end_of(
    context: &Context,
    topic: &str,
    asked: &OffsetForLeaderPartition,
) -> Result<(LeaderEpoch, Offset), ErrorCode> {
    let replica = context.replica(topic, asked.partition)?;
    let state = replica.lock();
    check_leader_epoch(state.leader_epoch(), LeaderEpoch(asked.current_leader_epoch))
        .map_err(|error| error.code())?;
    let current = state.leader()?.leader_epoch();
    let wanted = LeaderEpoch(asked.leader_epoch);
    let log = state.log()?;
    if wanted == current {
        // The epoch may not have a record yet.
        return Ok((current, log.log_end_offset()));
    }
    Ok(log.end_offset_for_epoch(wanted).unwrap_or((LeaderEpoch::NONE, -1)))
}
