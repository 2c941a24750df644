//! Produce (key 0): validate, append, and wait as long as `acks` asks for.
//!
//! All appends of a request happen before its first wait, in the order of the request.

use super::Context;
use crate::cluster::isolation::Isolation;
use crate::net::Response;
use crate::replicas::{Now, Partition, ProduceFailed, Topic, Wait};
use bytes::Bytes;
use kafka_protocol::messages::produce_response::{
    BatchIndexAndErrorMessage, LeaderIdAndEpoch, NodeEndpoint, PartitionProduceResponse, TopicProduceResponse,
};
use kafka_protocol::messages::{BrokerId as WireBrokerId, ProduceResponse, TopicName};
use ottla_protocol::StrBytes;
use ottla_protocol::produce_request::{PartitionRecords, ProduceRequest, TopicRecords};
use ottla_records::Compression;
use ottla_records::validate::{self, ProduceError};
use ottla_storage::AppendError;
use ottla_types::{ErrorCode, TopicId, TopicIdPartition};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::time::Instant;

const TOPIC_IDS_FROM: i16 = 13;
const ZSTD_FROM: i16 = 7;
const LEADER_HINTS_FROM: i16 = 10;
const RECORD_ERRORS_FROM: i16 = 8;

/// An append whose answer must wait, and where that answer stands in the response.
struct Waiting {
    topic: usize,
    partition: usize,
    replica: Arc<Partition>,
    wait: Wait,
}

/// Answers the request; with `acks=0` there is no answer.
pub async fn handle(context: &Context, request: ProduceRequest) -> Response {
    let acks = request.acks;
    if let Some(error) = refused_whole(&request) {
        return context.reply(&refuse_all(&request, error, context.version));
    }
    let timeout = Duration::from_millis(u64::try_from(request.timeout_ms).unwrap_or(0));
    let mut waiting = Vec::new();
    let mut topics = Vec::with_capacity(request.topics.len());
    for records in request.topics {
        let topic = append_topic(context, acks, records, topics.len(), &mut waiting);
        topics.push(topic);
    }
    if acks == 0 {
        // A producer that gets no answers learns of a failure by losing its connection, as with Kafka.
        let failed =
            topics.iter().flat_map(|topic| &topic.partition_responses).any(|one| one.error_code != 0);
        return if failed { Response::Close } else { Response::None };
    }
    if !waiting.is_empty() {
        wait_for_all(Instant::now() + timeout, waiting, &mut topics).await;
    }
    let mut response = ProduceResponse::default().with_responses(topics);
    if context.version < RECORD_ERRORS_FROM {
        for answer in response.responses.iter_mut().flat_map(|topic| &mut topic.partition_responses) {
            answer.record_errors.clear();
        }
    }
    if context.version >= LEADER_HINTS_FROM {
        add_leader_hints(context, &mut response);
    }
    context.reply(&response)
}

fn refused_whole(request: &ProduceRequest) -> Option<ErrorCode> {
    if !(-1..=1).contains(&request.acks) {
        Some(ErrorCode::InvalidRequiredAcks)
    } else if request.transactional_id.is_some() {
        // Transactions are not served: nothing may be written that looks like part of one.
        Some(ErrorCode::UnsupportedVersion)
    } else {
        None
    }
}

fn refuse_all(request: &ProduceRequest, error: ErrorCode, version: i16) -> ProduceResponse {
    let topics = request.topics.iter().map(|records| {
        let partitions = records.partitions.iter().map(|partition| failed(partition.index, error, None));
        named(records, version).with_partition_responses(partitions.collect())
    });
    ProduceResponse::default().with_responses(topics.collect())
}

fn named(records: &TopicRecords, version: i16) -> TopicProduceResponse {
    if version >= TOPIC_IDS_FROM {
        TopicProduceResponse::default().with_topic_id(records.topic_id)
    } else {
        TopicProduceResponse::default().with_name(TopicName(records.name.clone()))
    }
}

fn append_topic(
    context: &Context,
    acks: i16,
    records: TopicRecords,
    topic_index: usize,
    waiting: &mut Vec<Waiting>,
) -> TopicProduceResponse {
    let replicas = &context.broker.replicas;
    let by_id = context.version >= TOPIC_IDS_FROM;
    let topic =
        if by_id { replicas.topic_by_id(TopicId(records.topic_id)) } else { replicas.topic(&records.name) };
    let mut response = named(&records, context.version);
    for partition in records.partitions {
        let index = partition.index;
        let replica = topic.as_ref().and_then(|topic| topic.partition(index));
        let answer = match (&topic, replica) {
            (Some(topic), Some(replica)) => {
                let Appended { answer, wait } = append_partition(context, acks, topic, &replica, partition);
                if let Some(wait) = wait {
                    let partition = response.partition_responses.len();
                    waiting.push(Waiting { topic: topic_index, partition, replica, wait });
                }
                answer
            }
            _ => {
                let missing = if by_id {
                    context.replica_by_id(&context.image(), TopicId(records.topic_id), index)
                } else {
                    context.replica(&records.name, index)
                };
                // It may have come in this instant; the client asks again.
                failed(index, missing.err().unwrap_or(ErrorCode::NotLeaderOrFollower), None)
            }
        };
        response.partition_responses.push(answer);
    }
    response
}

struct Appended {
    answer: PartitionProduceResponse,
    wait: Option<Wait>,
}

fn append_partition(
    context: &Context,
    acks: i16,
    topic: &Topic,
    replica: &Arc<Partition>,
    records: PartitionRecords,
) -> Appended {
    let index = records.index;
    let broker = &context.broker;
    let refusal =
        (broker.cluster.isolation.is_isolated() && replica.others_may_lead()).then_some(Isolation::REFUSAL);
    let now = Now { ms: broker.clock.now_ms(), wall_ms: broker.clock.wall_ms() };
    let bytes = records.records.unwrap_or_default();
    let size = bytes.len() as u64;
    topic.metrics.produce_requests.fetch_add(1, Relaxed);
    match validate_and_append(topic, replica, (acks, refusal), bytes, now, context.version) {
        Ok((produced, record_count)) => {
            topic.metrics.messages_in.fetch_add(record_count, Relaxed);
            topic.metrics.bytes_in.fetch_add(size, Relaxed);
            let answer = PartitionProduceResponse::default()
                .with_index(index)
                .with_base_offset(produced.base_offset)
                .with_log_append_time_ms(produced.log_append_time)
                .with_log_start_offset(produced.log_start_offset);
            let wait = (!matches!(produced.wait, Wait::Nothing)).then_some(produced.wait);
            Appended { answer, wait }
        }
        Err(error) => {
            topic.metrics.failed_produce_requests.fetch_add(1, Relaxed);
            topic.metrics.bytes_rejected.fetch_add(size, Relaxed);
            if matches!(error, ProduceFailed::Invalid(_)) {
                topic.metrics.invalid_batches.fetch_add(1, Relaxed);
            }
            let code = error.code();
            if matches!(error, ProduceFailed::Append(AppendError::DiskFull { .. })) {
                broker.cluster.found_full();
            } else if code == ErrorCode::KafkaStorageError || code == ErrorCode::UnknownServerError {
                tracing::warn!(%error, %replica, "an append failed");
            }
            Appended { answer: failed(index, code, Some(&error)), wait: None }
        }
    }
}

fn validate_and_append(
    topic: &Topic,
    replica: &Arc<Partition>,
    (acks, refusal): (i16, Option<ErrorCode>),
    records: Bytes,
    now: Now,
    version: i16,
) -> Result<(crate::replicas::Produced, u64), ProduceFailed> {
    let batch = validate::sole_batch(&records)?;
    if let Some(code) = refusal {
        return Err(replica.refuse(&batch.header, code, now));
    }
    let compression = batch.header.compression();
    if compression == Compression::Zstd && version < ZSTD_FROM {
        return Err(ProduceFailed::Refused(ErrorCode::UnsupportedCompressionType));
    }
    if batch.header.is_transactional() {
        return Err(ProduceFailed::Refused(ErrorCode::InvalidTxnState));
    }
    let settings = topic.settings.load();
    let validated = validate::for_produce(&batch, &settings.produce_rules(now.wall_ms))?;
    if validated.was_rewritten() {
        topic.metrics.produce_conversions.fetch_add(1, Relaxed);
    }
    let record_count = u64::try_from(batch.header.record_count).unwrap_or(0);
    Ok((replica.produce(&validated, acks, now)?, record_count))
}

fn failed(index: i32, code: ErrorCode, error: Option<&ProduceFailed>) -> PartitionProduceResponse {
    let mut answer = PartitionProduceResponse::default()
        .with_index(index)
        .with_error_code(code.code())
        .with_base_offset(-1)
        .with_log_append_time_ms(-1)
        .with_log_start_offset(-1);
    match error {
        Some(ProduceFailed::Invalid(invalid)) => {
            answer.record_errors = record_errors(invalid);
            answer.error_message = Some(StrBytes::from_string(invalid.to_string()));
        }
        Some(other @ ProduceFailed::Append(_)) => {
            answer.error_message = Some(StrBytes::from_string(other.to_string()));
        }
        Some(ProduceFailed::Refused(_)) | None => {}
    }
    answer
}

fn record_errors(error: &ProduceError) -> Vec<BatchIndexAndErrorMessage> {
    let errors = error.record_errors().iter();
    errors
        .map(|error| {
            BatchIndexAndErrorMessage::default()
                .with_batch_index(error.index)
                .with_batch_index_error_message(Some(StrBytes::from_string(error.message.clone())))
        })
        .collect()
}

async fn wait_for_all(deadline: Instant, waiting: Vec<Waiting>, topics: &mut [TopicProduceResponse]) {
    for Waiting { topic, partition, replica, wait } in waiting {
        let result = match wait {
            Wait::Nothing => Ok(()),
            Wait::Failed(error) => Err(error),
            Wait::Flushed(receiver) => until(deadline, receiver).await,
            Wait::Committed(receiver, ack) => match until(deadline, receiver).await {
                Ok(()) => replica.check_ack(ack),
                Err(error) => Err(error),
            },
        };
        if let Err(code) = result {
            let answer = &mut topics[topic].partition_responses[partition];
            *answer = failed(answer.index, code, None);
        }
    }
}

async fn until(
    deadline: Instant,
    receiver: tokio::sync::oneshot::Receiver<Result<(), ErrorCode>>,
) -> Result<(), ErrorCode> {
    match tokio::time::timeout_at(deadline, receiver).await {
        Ok(Ok(result)) => result,
        // The replica went away without an answer.
        Ok(Err(_)) => Err(ErrorCode::NotLeaderOrFollower),
        Err(_) => Err(ErrorCode::RequestTimedOut),
    }
}

/// KIP-951: tells who leads now, so that the producer need not ask.
fn add_leader_hints(context: &Context, response: &mut ProduceResponse) {
    let image = context.image();
    let mut leaders = Vec::new();
    for topic in &mut response.responses {
        for answer in &mut topic.partition_responses {
            if answer.error_code != ErrorCode::NotLeaderOrFollower.code() {
                continue;
            }
            let id = match image.topic_id(&topic.name) {
                Some(id) => id,
                None => TopicId(topic.topic_id),
            };
            let Some(partition) = image.partition(TopicIdPartition { topic_id: id, partition: answer.index })
            else {
                continue;
            };
            answer.current_leader = LeaderIdAndEpoch::default()
                .with_leader_id(WireBrokerId(partition.leader.0))
                .with_leader_epoch(partition.leader_epoch.0);
            leaders.push(partition.leader);
        }
    }
    leaders.sort_unstable();
    leaders.dedup();
    for leader in leaders {
        if let Some(broker) = image.broker(leader)
            && let Some(endpoint) = broker.endpoint(&context.listener)
        {
            response.node_endpoints.push(
                NodeEndpoint::default()
                    .with_node_id(WireBrokerId(leader.0))
                    .with_host(StrBytes::from_string(endpoint.host.clone()))
                    .with_port(i32::try_from(endpoint.port).unwrap_or_default())
                    .with_rack(broker.rack.clone().map(StrBytes::from_string)),
            );
        }
    }
}
