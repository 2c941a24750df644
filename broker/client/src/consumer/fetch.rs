//! One fetch from one broker.

use super::decode::{self, Decoded};
use super::{ConsumerOptions, Fetched, Isolation, Partition};
use crate::client::Client;
use crate::error::{ApiError, ClientError};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::{BrokerId, FetchRequest, FetchResponse, TopicName};
use ottla_protocol::StrBytes;
use std::collections::BTreeMap;

/// Topics go by name up to this version.
const BY_NAME: i16 = 12;

/// What a broker said, or why it did not, of each partition that was asked for.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) broker: i32,
    /// Partition, offset that was asked for, and the outcome.
    pub(super) partitions: Vec<(Partition, i64, Result<PartitionAnswer, ClientError>)>,
}

#[derive(Debug)]
pub(super) struct PartitionAnswer {
    pub(super) fetched: Fetched,
    pub(super) next_offset: i64,
    pub(super) end: i64,
}

pub(super) async fn fetch(
    client: &Client,
    options: &ConsumerOptions,
    broker: i32,
    asked: Vec<(Partition, i64, i32)>,
) -> Answer {
    let answered = request(client, options, broker, &asked).await;
    let mut answers: BTreeMap<Partition, PartitionData> = match &answered {
        Ok(response) => by_partition(response),
        Err(_) => BTreeMap::new(),
    };
    let partitions = asked.into_iter().map(|(partition, offset, _)| {
        let outcome = match (&answered, answers.remove(&partition)) {
            (Err(error), _) => Err(error.clone()),
            (Ok(_), Some(data)) => accept(options, &partition, offset, data),
            (Ok(_), None) => Err(ClientError::Closed {
                address: format!("broker {broker}"),
                reason: Some("its answer lacks a partition".to_owned()),
            }),
        };
        (partition, offset, outcome)
    });
    Answer { broker, partitions: partitions.collect() }
}

async fn request(
    client: &Client,
    options: &ConsumerOptions,
    broker: i32,
    asked: &[(Partition, i64, i32)],
) -> Result<FetchResponse, ClientError> {
    let mut topics: BTreeMap<&str, Vec<FetchPartition>> = BTreeMap::new();
    for ((topic, partition), offset, leader_epoch) in asked {
        let partition = FetchPartition::default()
            .with_partition(*partition)
            .with_current_leader_epoch(*leader_epoch)
            .with_fetch_offset(*offset)
            .with_partition_max_bytes(options.max_partition_bytes);
        topics.entry(topic).or_default().push(partition);
    }
    let topics = topics.into_iter().map(|(topic, partitions)| {
        let name = TopicName(StrBytes::from_string(topic.to_owned()));
        FetchTopic::default().with_topic(name).with_partitions(partitions)
    });
    let isolation = i8::from(options.isolation == Isolation::ReadCommitted);
    let request = FetchRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_max_wait_ms(i32::try_from(options.max_wait.as_millis()).unwrap_or(i32::MAX))
        .with_min_bytes(options.min_bytes)
        .with_max_bytes(options.max_bytes)
        .with_isolation_level(isolation)
        .with_session_epoch(-1)
        .with_rack_id(StrBytes::from_string(options.rack.clone()))
        .with_topics(topics.collect());
    let connection = client.broker(broker).await?;
    let response = connection.send_with(request, BY_NAME, options.max_wait).await?;
    ApiError::check_code(response.error_code)
        .map_err(|error| ClientError::refused(format!("fetching from broker {broker}"), error))?;
    Ok(response)
}

fn by_partition(response: &FetchResponse) -> BTreeMap<Partition, PartitionData> {
    let each = response.responses.iter().flat_map(|topic| {
        let name = topic.topic.as_str().to_owned();
        topic.partitions.iter().map(move |data| ((name.clone(), data.partition_index), data.clone()))
    });
    each.collect()
}

fn accept(
    options: &ConsumerOptions,
    (topic, partition): &Partition,
    offset: i64,
    data: PartitionData,
) -> Result<PartitionAnswer, ClientError> {
    let what = || format!("reading {topic}-{partition} at offset {offset}");
    ApiError::check_code(data.error_code).map_err(|error| ClientError::refused(what(), error))?;
    let aborted = match (options.isolation, &data.aborted_transactions) {
        (Isolation::ReadCommitted, Some(aborted)) => {
            aborted.iter().map(|transaction| (*transaction.producer_id, transaction.first_offset)).collect()
        }
        _ => Vec::new(),
    };
    let bytes = data.records.unwrap_or_default();
    let Decoded { records, next_offset } =
        decode::records(bytes, offset, aborted, options.max_decompressed_bytes)
            .map_err(|error| ClientError::Protocol { what: what(), reason: error.to_string() })?;
    let end = match options.isolation {
        Isolation::ReadCommitted if data.last_stable_offset >= 0 => data.last_stable_offset,
        _ => data.high_watermark,
    };
    let fetched =
        Fetched { topic: topic.clone(), partition: *partition, high_watermark: data.high_watermark, records };
    Ok(PartitionAnswer { fetched, next_offset, end })
}
