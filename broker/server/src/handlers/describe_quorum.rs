//! DescribeQuorum (key 55, KIP-595): who leads the metadata quorum, who votes, how far each is.
//!
//! Only the leader knows the others' positions; any other broker says who it is.

use super::Context;
use kafka_protocol::messages::describe_quorum_response::{
    Listener, Node, PartitionData, ReplicaState, TopicData,
};
use kafka_protocol::messages::{
    BrokerId as WireBrokerId, DescribeQuorumRequest, DescribeQuorumResponse, TopicName,
    describe_quorum_request,
};
use ottla_core::metadata::Image;
use ottla_core::quorum::{Member, Status};
use ottla_protocol::StrBytes;
use ottla_types::ErrorCode;

const TOPIC: &str = "__cluster_metadata";
const NODES_FROM: i16 = 2;
const TIMES_FROM: i16 = 1;

/// Answers the request.
pub async fn handle(context: &Context, request: &DescribeQuorumRequest) -> DescribeQuorumResponse {
    let asks_for_quorum = matches!(
        request.topics.as_slice(),
        [topic] if topic.topic_name.as_str() == TOPIC && matches!(topic.partitions.as_slice(), [p] if p.partition_index == 0)
    );
    if !asks_for_quorum {
        return DescribeQuorumResponse::default().with_topics(request.topics.iter().map(unknown).collect());
    }
    let Some(status) = context.broker.metadata.quorum_status().await else {
        return DescribeQuorumResponse::default().with_error_code(ErrorCode::NotLeaderOrFollower.code());
    };
    let leader_answered = status.leader.is_some_and(|leader| {
        status.members.iter().any(|member| member.node == leader && member.matched == status.last_index)
    });
    if !leader_answered {
        let leader = status.leader.map_or(-1, |leader| leader.broker().0);
        return answer(
            PartitionData::default()
                .with_error_code(ErrorCode::NotLeaderOrFollower.code())
                .with_leader_id(WireBrokerId(leader)),
        );
    }
    let image = context.image();
    let partition = describe(context, &image, &status);
    let response = answer(partition);
    if context.version >= NODES_FROM { response.with_nodes(nodes(&image)) } else { response }
}

fn unknown(topic: &describe_quorum_request::TopicData) -> TopicData {
    let error = ErrorCode::UnknownTopicOrPartition.code();
    let partitions = topic.partitions.iter().map(|asked| {
        PartitionData::default().with_partition_index(asked.partition_index).with_error_code(error)
    });
    TopicData::default().with_topic_name(topic.topic_name.clone()).with_partitions(partitions.collect())
}

fn answer(partition: PartitionData) -> DescribeQuorumResponse {
    let topic = TopicData::default()
        .with_topic_name(TopicName(StrBytes::from_static_str(TOPIC)))
        .with_partitions(vec![partition]);
    DescribeQuorumResponse::default().with_topics(vec![topic])
}

fn describe(context: &Context, image: &Image, status: &Status) -> PartitionData {
    let now = context.broker.clock.wall_ms();
    let replica = |member: &Member| {
        let end = i64::try_from(member.matched).unwrap_or(i64::MAX) + 1;
        let mut state = ReplicaState::default()
            .with_replica_id(WireBrokerId(member.node.broker().0))
            .with_log_end_offset(end);
        if context.version >= TIMES_FROM {
            let seen = if member.is_recently_active { now } else { -1 };
            let caught_up = if member.matched >= status.committed { seen } else { -1 };
            state = state.with_last_fetch_timestamp(seen).with_last_caught_up_timestamp(caught_up);
        }
        if context.version >= NODES_FROM
            && let Some(broker) = image.broker(member.node.broker())
            && broker.node() == member.node
        {
            state = state.with_replica_directory_id(broker.metadata_directory.0);
        }
        state
    };
    PartitionData::default()
        .with_leader_id(WireBrokerId(status.leader.map_or(-1, |leader| leader.broker().0)))
        .with_leader_epoch(i32::try_from(status.term).unwrap_or(i32::MAX))
        .with_high_watermark(i64::try_from(status.committed).unwrap_or(i64::MAX) + 1)
        .with_current_voters(status.members.iter().filter(|member| member.is_voter).map(replica).collect())
        .with_observers(status.members.iter().filter(|member| !member.is_voter).map(replica).collect())
}

fn nodes(image: &Image) -> Vec<Node> {
    let listener = |endpoint: &ottla_core::metadata::record::Endpoint| {
        Listener::default()
            .with_name(StrBytes::from_string(endpoint.listener.clone()))
            .with_host(StrBytes::from_string(endpoint.host.clone()))
            .with_port(u16::try_from(endpoint.port).unwrap_or_default())
    };
    let node = |broker: &std::sync::Arc<ottla_core::metadata::BrokerImage>| {
        Node::default()
            .with_node_id(WireBrokerId(broker.id.0))
            .with_listeners(broker.endpoints.iter().map(listener).collect())
    };
    let members: Vec<_> = image.membership().nodes().collect();
    image.brokers().values().filter(|broker| members.contains(&broker.node())).map(node).collect()
}
