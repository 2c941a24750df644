//! Fetch and ListOffsets requests of a follower, and their answers in core's words.

use super::Surroundings;
use crate::peers::link::SILENCE_TIMEOUT;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic, ForgottenTopic, ReplicaState};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::{
    BrokerId as WireBrokerId, FetchRequest, FetchResponse, ListOffsetsRequest, ListOffsetsResponse, TopicName,
};
use kafka_protocol::protocol::Decodable;
use ottla_client::{ClientError, ClientOptions, Connection};
use ottla_core::fetch_session::SessionRequest;
use ottla_core::replication::LeaderOffsets;
use ottla_protocol::{RequestBody, StrBytes};
use ottla_types::{BrokerId, ErrorCode, LeaderEpoch, Offset, TopicIdPartition};
use std::time::Duration;

/// Topic ids, the follower's registration, the leader's hints.
const FETCH_VERSION: i16 = 17;
const LIST_OFFSETS_VERSION: i16 = 7;
const EARLIEST: i64 = -2;
const LATEST: i64 = -1;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Connects to a leader.
pub async fn connect(around: &Surroundings, leader: BrokerId) -> Result<Connection, String> {
    let address = around.cluster.peers.book().address(leader).ok_or("its address is not known")?;
    let options = ClientOptions {
        client_id: format!("broker-{}-fetcher", around.me),
        connect_timeout: CONNECT_TIMEOUT,
        request_timeout: around.socket_timeout,
        silence_timeout: Some(SILENCE_TIMEOUT),
        max_response_bytes: usize::try_from(around.response_max_bytes).unwrap_or(0).max(1 << 26) * 2,
        ..ClientOptions::default()
    };
    Connection::open(&address, &options).await.map_err(|error| error.to_string())
}

/// Fetches.
pub async fn fetch(
    around: &Surroundings,
    connection: &Connection,
    request: &SessionRequest<TopicIdPartition>,
    wait_ms: i32,
) -> Result<FetchResponse, ClientError> {
    let body = RequestBody::Fetch(fetch_request(around, request, wait_ms));
    let mut answer = connection.exchange(&body, FETCH_VERSION, around.socket_timeout).await?;
    FetchResponse::decode(&mut answer, FETCH_VERSION).map_err(|error| ClientError::Protocol {
        what: "the answer to a fetch cannot be read".to_owned(),
        reason: error.to_string(),
    })
}

fn fetch_request(
    around: &Surroundings,
    request: &SessionRequest<TopicIdPartition>,
    wait_ms: i32,
) -> FetchRequest {
    let mut topics: Vec<FetchTopic> = Vec::new();
    for (id, want) in &request.partitions {
        if topics.last().is_none_or(|topic| topic.topic_id != id.topic_id.0) {
            topics.push(FetchTopic::default().with_topic_id(id.topic_id.0));
        }
        let partition = FetchPartition::default()
            .with_partition(id.partition)
            .with_current_leader_epoch(want.current_leader_epoch.0)
            .with_fetch_offset(want.fetch_offset)
            .with_last_fetched_epoch(want.last_fetched_epoch.0)
            .with_log_start_offset(want.log_start_offset)
            .with_partition_max_bytes(want.max_bytes);
        if let Some(topic) = topics.last_mut() {
            topic.partitions.push(partition);
        }
    }
    let mut forgotten: Vec<ForgottenTopic> = Vec::new();
    for id in &request.forgotten {
        if forgotten.last().is_none_or(|topic| topic.topic_id != id.topic_id.0) {
            forgotten.push(ForgottenTopic::default().with_topic_id(id.topic_id.0));
        }
        if let Some(topic) = forgotten.last_mut() {
            topic.partitions.push(id.partition);
        }
    }
    let replica = ReplicaState::default()
        .with_replica_id(WireBrokerId(around.me.0))
        .with_replica_epoch(around.cluster.epoch().0);
    FetchRequest::default()
        .with_replica_state(replica)
        .with_max_wait_ms(wait_ms)
        .with_min_bytes(around.min_bytes)
        .with_max_bytes(around.response_max_bytes)
        .with_session_id(request.header.id)
        .with_session_epoch(request.header.epoch)
        .with_topics(topics)
        .with_forgotten_topics_data(forgotten)
}

/// Asks for both ends of the leader's log.
pub async fn leader_offsets(
    around: &Surroundings,
    connection: &Connection,
    (topic, partition, epoch): (&str, i32, LeaderEpoch),
) -> Result<LeaderOffsets, ErrorCode> {
    let log_start_offset = offset(around, connection, (topic, partition, epoch), EARLIEST).await?;
    let log_end_offset = offset(around, connection, (topic, partition, epoch), LATEST).await?;
    Ok(LeaderOffsets { log_start_offset, log_end_offset })
}

async fn offset(
    around: &Surroundings,
    connection: &Connection,
    (topic, partition, epoch): (&str, i32, LeaderEpoch),
    timestamp: i64,
) -> Result<Offset, ErrorCode> {
    let asked = ListOffsetsPartition::default()
        .with_partition_index(partition)
        .with_current_leader_epoch(epoch.0)
        .with_timestamp(timestamp);
    let topic = ListOffsetsTopic::default()
        .with_name(TopicName(StrBytes::from_string(topic.to_owned())))
        .with_partitions(vec![asked]);
    let request =
        ListOffsetsRequest::default().with_replica_id(WireBrokerId(around.me.0)).with_topics(vec![topic]);
    let body = RequestBody::ListOffsets(request);
    let lost = |_: ClientError| ErrorCode::NetworkException;
    let mut answer =
        connection.exchange(&body, LIST_OFFSETS_VERSION, around.socket_timeout).await.map_err(lost)?;
    let answer = ListOffsetsResponse::decode(&mut answer, LIST_OFFSETS_VERSION)
        .map_err(|_| ErrorCode::NetworkException)?;
    let found = answer.topics.first().and_then(|topic| topic.partitions.first());
    let found = found.ok_or(ErrorCode::NetworkException)?;
    match ErrorCode::from_code(found.error_code) {
        ErrorCode::None => Ok(found.offset),
        error => Err(error),
    }
}
