//! DescribeProducers (key 61, KIP-664): the idempotent producers that a partition remembers.

use super::Context;
use kafka_protocol::messages::describe_producers_response::{
    PartitionResponse, ProducerState, TopicResponse,
};
use kafka_protocol::messages::{
    DescribeProducersRequest, DescribeProducersResponse, ProducerId as WireProducerId,
};
use ottla_types::ErrorCode;

/// Answers the request.
pub fn handle(context: &Context, request: &DescribeProducersRequest) -> DescribeProducersResponse {
    let topics = request.topics.iter().map(|topic| {
        let partitions = topic.partition_indexes.iter().map(|&index| {
            let answer = PartitionResponse::default().with_partition_index(index);
            match producers(context, &topic.name, index) {
                Ok(producers) => answer.with_active_producers(producers),
                Err(error) => answer.with_error_code(error.code()),
            }
        });
        let partitions = partitions.collect();
        TopicResponse::default().with_name(topic.name.clone()).with_partitions(partitions)
    });
    DescribeProducersResponse::default().with_topics(topics.collect())
}

fn producers(context: &Context, topic: &str, index: i32) -> Result<Vec<ProducerState>, ErrorCode> {
    let replica = context.replica(topic, index)?;
    let state = replica.lock();
    state.leader()?;
    let log = state.log()?;
    let known = log.producers();
    let described = known.into_iter().map(|producer| {
        ProducerState::default()
            .with_producer_id(WireProducerId(producer.producer_id.0))
            .with_producer_epoch(i32::from(producer.producer_epoch.0))
            .with_last_sequence(producer.last_sequence)
            .with_last_timestamp(producer.last_timestamp)
            .with_coordinator_epoch(producer.coordinator_epoch)
            .with_current_txn_start_offset(producer.transaction_start_offset)
    });
    Ok(described.collect())
}
