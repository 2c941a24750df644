//! DeleteRecords (key 21, KIP-107): moves the start of a partition's log up to an offset.

use super::Context;
use crate::replicas::{Role, lock_log};
use kafka_protocol::messages::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsTopicResult,
};
use kafka_protocol::messages::{DeleteRecordsRequest, DeleteRecordsResponse};
use ottla_types::{ErrorCode, Offset};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// Everything up to the high watermark.
const TO_HIGH_WATERMARK: Offset = -1;

type Pending = Option<oneshot::Receiver<Result<(), ErrorCode>>>;

/// Answers the request once every live replica has moved its log start.
pub async fn handle(context: &Context, request: DeleteRecordsRequest) -> DeleteRecordsResponse {
    let deadline = Instant::now() + Duration::from_millis(u64::try_from(request.timeout_ms).unwrap_or(0));
    let mut response = DeleteRecordsResponse::default();
    let mut pending = Vec::new();
    for topic in &request.topics {
        let mut result = DeleteRecordsTopicResult::default().with_name(topic.name.clone());
        for asked in &topic.partitions {
            let answer = DeleteRecordsPartitionResult::default().with_partition_index(asked.partition_index);
            result.partitions.push(match delete(context, &topic.name, asked.partition_index, asked.offset) {
                Ok((low_watermark, wait)) => {
                    if let Some(wait) = wait {
                        pending.push((response.topics.len(), result.partitions.len(), wait));
                    }
                    answer.with_low_watermark(low_watermark)
                }
                Err(error) => answer.with_low_watermark(-1).with_error_code(error.code()),
            });
        }
        response.topics.push(result);
    }
    for (topic, partition, wait) in pending {
        let outcome = match tokio::time::timeout_at(deadline, wait).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(ErrorCode::NotLeaderOrFollower),
            Err(_) => Err(ErrorCode::RequestTimedOut),
        };
        if let Err(error) = outcome {
            let answer = &mut response.topics[topic].partitions[partition];
            answer.low_watermark = -1;
            answer.error_code = error.code();
        }
    }
    response
}

fn delete(
    context: &Context,
    topic: &str,
    partition: i32,
    offset: Offset,
) -> Result<(Offset, Pending), ErrorCode> {
    let replica = context.replica(topic, partition)?;
    let mut guard = replica.lock();
    let state = &mut *guard;
    let Role::Leader(leader) = &mut state.role else { return Err(ErrorCode::NotLeaderOrFollower) };
    let mut log = lock_log(&state.log)?;
    if !log.config().delete {
        // As Kafka: a compacted log has no records that may go by offset.
        return Err(ErrorCode::PolicyViolation);
    }
    let target = if offset == TO_HIGH_WATERMARK { leader.high_watermark() } else { offset };
    if target < 0 || target > leader.high_watermark() {
        return Err(ErrorCode::OffsetOutOfRange);
    }
    log.delete_records_before(target).map_err(|error| {
        tracing::error!(%error, "deleting records failed");
        error.code()
    })?;
    let start = log.log_start_offset();
    drop(log);
    leader.handle_log_start_change(start);
    let low_watermark = leader.low_watermark();
    replica.run_effects(state);
    if low_watermark >= target {
        return Ok((low_watermark, None));
    }
    Ok((target, Some(state.low_watermark.wait_for(target))))
}
