//! Metadata (key 3): brokers, and topics with their leaders; creates topics on first use if the broker may.

use super::Context;
use super::authorized_operations::{of_cluster, of_topic};
use crate::auto_create;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{BrokerId as WireBrokerId, MetadataRequest, MetadataResponse, TopicName};
use ottla_core::controller::is_valid_topic_name;
use ottla_core::metadata::{Image, PartitionImage, TopicImage};
use ottla_protocol::StrBytes;
use ottla_types::{BrokerId, ErrorCode, TopicId};
use std::collections::BTreeMap;

/// Topics that the broker itself keeps things in.
pub const INTERNAL_TOPICS: [&str; 3] = ["__consumer_offsets", "__transaction_state", "__share_group_state"];

/// Topics may be asked for by id alone.
const TOPIC_IDS_FROM: i16 = 12;

/// Answers the request.
pub async fn handle(context: &Context, request: MetadataRequest) -> MetadataResponse {
    let wanted = wanted_topics(&request, context.version);
    context.broker.cluster.await_elections(&context.broker.metadata).await;
    let mut image = context.image();
    let mut failed = BTreeMap::new();
    // Version 0 to 3 cannot say; Kafka then creates.
    let may_create = context.version < 4 || request.allow_auto_topic_creation;
    if let Some(topics) = &wanted
        && may_create
        && context.broker.config.settings.boolean("auto.create.topics.enable")
    {
        let names = topics.iter().filter_map(|topic| topic.name.as_ref());
        let missing: Vec<String> =
            names.filter(|name| image.topic_id(name).is_none()).map(|name| name.to_string()).collect();
        if !missing.is_empty() {
            failed = auto_create::topics(&context.broker, missing).await;
            image = context.image();
        }
    }
    let mut topics: Vec<_> = match wanted {
        None => image
            .topic_ids()
            .values()
            .filter_map(|&id| image.topic(id))
            .map(|t| describe(&image, t))
            .collect(),
        Some(topics) => topics.iter().map(|topic| one(context.version, &image, topic, &failed)).collect(),
    };
    for topic in topics.iter_mut().filter(|topic| topic.name.is_some()) {
        topic.topic_authorized_operations = of_topic(request.include_topic_authorized_operations);
    }
    MetadataResponse::default()
        .with_brokers(brokers(&image, &context.listener))
        .with_cluster_id(Some(StrBytes::from_string(image.cluster_id().to_owned())))
        .with_controller_id(WireBrokerId(context.broker.metadata.controller_for_clients().0))
        .with_topics(topics)
        .with_cluster_authorized_operations(of_cluster(request.include_cluster_authorized_operations))
}

/// `None` asks for all topics.
fn wanted_topics(request: &MetadataRequest, version: i16) -> Option<&[MetadataRequestTopic]> {
    match request.topics.as_deref() {
        Some([]) if version == 0 => None,
        topics => topics,
    }
}

fn brokers(image: &Image, listener: &str) -> Vec<MetadataResponseBroker> {
    image
        .brokers()
        .values()
        .filter(|broker| !broker.fenced)
        .filter_map(|broker| {
            let endpoint = broker.endpoint(listener)?;
            Some(
                MetadataResponseBroker::default()
                    .with_node_id(WireBrokerId(broker.id.0))
                    .with_host(StrBytes::from_string(endpoint.host.clone()))
                    .with_port(i32::try_from(endpoint.port).unwrap_or_default())
                    .with_rack(broker.rack.clone().map(StrBytes::from_string)),
            )
        })
        .collect()
}

fn one(
    version: i16,
    image: &Image,
    wanted: &MetadataRequestTopic,
    failed: &BTreeMap<String, ErrorCode>,
) -> MetadataResponseTopic {
    if wanted.name.is_none() && version < TOPIC_IDS_FROM {
        return MetadataResponseTopic::default()
            .with_error_code(ErrorCode::InvalidRequest.code())
            .with_name(Some(TopicName::default()))
            .with_topic_id(wanted.topic_id);
    }
    let id = TopicId(wanted.topic_id);
    let found = match &wanted.name {
        Some(name) => image.topic_by_name(name),
        None => image.topic(id),
    };
    if let Some(topic) = found {
        return describe(image, topic);
    }
    let error = match &wanted.name {
        None => ErrorCode::UnknownTopicId,
        Some(name) if !is_valid_topic_name(name) => ErrorCode::InvalidTopicException,
        Some(name) => failed.get(name.as_str()).copied().unwrap_or(ErrorCode::UnknownTopicOrPartition),
    };
    MetadataResponseTopic::default()
        .with_error_code(error.code())
        .with_name(wanted.name.clone())
        .with_topic_id(wanted.topic_id)
        .with_is_internal(wanted.name.as_ref().is_some_and(|name| is_internal(name)))
}

/// True for a topic that the broker itself keeps things in.
pub fn is_internal(topic: &str) -> bool {
    INTERNAL_TOPICS.contains(&topic)
}

fn describe(image: &Image, topic: &TopicImage) -> MetadataResponseTopic {
    let partitions = topic.partitions.iter().enumerate();
    MetadataResponseTopic::default()
        .with_name(Some(TopicName(StrBytes::from_string(topic.name.to_string()))))
        .with_topic_id(topic.id.0)
        .with_is_internal(is_internal(&topic.name))
        .with_partitions(
            partitions.map(|(index, partition)| describe_partition(image, index, partition)).collect(),
        )
}

fn describe_partition(image: &Image, index: usize, partition: &PartitionImage) -> MetadataResponsePartition {
    let error = if partition.leader.is_none() { ErrorCode::LeaderNotAvailable } else { ErrorCode::None };
    MetadataResponsePartition::default()
        .with_error_code(error.code())
        .with_partition_index(i32::try_from(index).unwrap_or(i32::MAX))
        .with_leader_id(WireBrokerId(partition.leader.0))
        .with_leader_epoch(partition.leader_epoch.0)
        .with_replica_nodes(wire_ids(&partition.replicas))
        .with_isr_nodes(wire_ids(&partition.isr))
        .with_offline_replicas(wire_ids(&offline_replicas(image, partition)))
}

/// The replicas whose broker is not there.
pub fn offline_replicas(image: &Image, partition: &PartitionImage) -> Vec<BrokerId> {
    let is_there = |id: &BrokerId| image.broker(*id).is_some_and(|broker| !broker.fenced);
    partition.replicas.iter().copied().filter(|id| !is_there(id)).collect()
}

/// Broker ids in the protocol's type.
pub fn wire_ids(ids: &[BrokerId]) -> Vec<WireBrokerId> {
    ids.iter().map(|id| WireBrokerId(id.0)).collect()
}
