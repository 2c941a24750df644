//! ListPartitionReassignments (key 46, KIP-455): what is being moved.

use super::Context;
use super::metadata::wire_ids;
use kafka_protocol::messages::list_partition_reassignments_response::{
    OngoingPartitionReassignment, OngoingTopicReassignment,
};
use kafka_protocol::messages::{
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse, TopicName,
};
use ottla_protocol::StrBytes;
use std::collections::{BTreeMap, BTreeSet};

/// Answers the request.
pub fn handle(
    context: &Context,
    request: &ListPartitionReassignmentsRequest,
) -> ListPartitionReassignmentsResponse {
    let image = context.image();
    let wanted: Option<BTreeSet<(&str, i32)>> = request.topics.as_ref().map(|topics| {
        let named = topics
            .iter()
            .flat_map(|topic| topic.partition_indexes.iter().map(|&index| (topic.name.as_str(), index)));
        named.collect()
    });
    let mut topics: BTreeMap<&str, Vec<OngoingPartitionReassignment>> = BTreeMap::new();
    for id in image.reassigning() {
        let Some(topic) = image.topic(id.topic_id) else { continue };
        let Some(partition) = topic.partition(id.partition) else { continue };
        if wanted.as_ref().is_none_or(|wanted| wanted.contains(&(&*topic.name, id.partition))) {
            topics.entry(&topic.name).or_default().push(
                OngoingPartitionReassignment::default()
                    .with_partition_index(id.partition)
                    .with_replicas(wire_ids(&partition.replicas))
                    .with_adding_replicas(wire_ids(&partition.adding))
                    .with_removing_replicas(wire_ids(&partition.removing)),
            );
        }
    }
    let topics = topics.into_iter().map(|(name, partitions)| {
        OngoingTopicReassignment::default()
            .with_name(TopicName(StrBytes::from_string(name.to_owned())))
            .with_partitions(partitions)
    });
    ListPartitionReassignmentsResponse::default().with_topics(topics.collect())
}
