//! Getting one batch to the leader of its partition.

use super::batch::{Pending, Sent};
use super::{Acks, Delivered, ProducerOptions};
use crate::client::{Backoff, Client};
use crate::error::{ApiError, ClientError};
use bytes::Bytes;
use ottla_protocol::produce_request::{PartitionRecords, TopicRecords};
use ottla_protocol::{ProduceRequest, StrBytes};
use ottla_types::ErrorCode;
use tokio::time::Instant;

pub(super) struct Batch {
    pub(super) bytes: Bytes,
    pub(super) records: Vec<Pending>,
    pub(super) first_sequence: i32,
}

/// Sends until the batch is delivered, refused for good or out of time, and tells those who wait.
pub(super) async fn deliver(
    client: &Client,
    options: &ProducerOptions,
    to: &(String, i32),
    batch: Batch,
) -> Sent {
    let deadline = Instant::now() + options.delivery_timeout;
    let mut backoff = Backoff::default();
    let mut again = false;
    let outcome = loop {
        let failed = match attempt(client, options, to, &batch.bytes, again).await {
            Ok(placed) => break Ok(placed),
            Err(error) => error,
        };
        // The broker has the batch from an attempt whose answer was lost.
        if failed.code() == Some(ErrorCode::DuplicateSequenceNumber) {
            break Ok((-1, -1));
        }
        if !failed.is_retriable() || Instant::now() >= deadline {
            break Err(failed);
        }
        again = true;
        backoff.wait().await;
    };
    let sent = Sent::by(&outcome, again, batch.first_sequence);
    for (index, pending) in batch.records.into_iter().enumerate() {
        let told = outcome.clone().map(|(base_offset, log_append_time)| Delivered {
            partition: to.1,
            offset: if base_offset < 0 { -1 } else { base_offset + index as i64 },
            timestamp: match log_append_time {
                ..0 => pending.record.timestamp.unwrap_or(-1),
                time => time,
            },
        });
        let _ = pending.outcome.send(told);
    }
    sent
}

/// Base offset and log append time, -1 each if the broker did not say.
async fn attempt(
    client: &Client,
    options: &ProducerOptions,
    (topic, partition): &(String, i32),
    records: &Bytes,
    again: bool,
) -> Result<(i64, i64), ClientError> {
    let what = || format!("sending to {topic}-{partition}");
    let no_leader = || {
        let error = ApiError { code: ErrorCode::LeaderNotAvailable, message: None };
        ClientError::refused(what(), error)
    };
    let leader = client.leader(topic, *partition, again).await?.ok_or_else(no_leader)?;
    let connection = client.broker(leader.broker).await?;
    let request = ProduceRequest {
        transactional_id: None,
        acks: options.acks.code(),
        timeout_ms: i32::try_from(options.request_timeout.as_millis()).unwrap_or(i32::MAX),
        topics: vec![TopicRecords {
            name: StrBytes::from_string(topic.clone()),
            partitions: vec![PartitionRecords { index: *partition, records: Some(records.clone()) }],
            ..TopicRecords::default()
        }],
    };
    let Some(response) = connection.produce(request).await? else {
        debug_assert_eq!(options.acks, Acks::None, "only acks=0 goes unanswered");
        return Ok((-1, -1));
    };
    let answer = response.responses.into_iter().flat_map(|topic| topic.partition_responses).next();
    let answer = answer.ok_or_else(|| ClientError::Protocol {
        what: what(),
        reason: "the answer does not have the partition".to_owned(),
    })?;
    let message = answer.error_message.as_ref().map(|text| text.as_str());
    ApiError::check(answer.error_code, message).map_err(|error| ClientError::refused(what(), error))?;
    Ok((answer.base_offset, answer.log_append_time_ms))
}
