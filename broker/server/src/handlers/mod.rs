//! From a request frame to its answer: one file for each API.
//!
//! A handler turns wire words into the broker's own, asks, and turns the answer back. What is decided is decided in
//! `ottla_core`; what is stored, in `ottla_storage`.
//!
//! What a handler does before its first wait happens in the order in which a connection's requests arrived, so an
//! append must come before any wait.

mod add_raft_voter;
mod alter_configs;
mod alter_partition_reassignments;
mod alter_replica_log_dirs;
mod api_versions;
mod authorized_operations;
mod cluster_admin;
mod configs;
mod consumer_group_describe;
mod consumer_group_heartbeat;
mod context;
mod create_partitions;
mod create_topics;
mod delete_groups;
mod delete_records;
mod delete_topics;
mod describe_cluster;
mod describe_configs;
mod describe_groups;
mod describe_log_dirs;
mod describe_producers;
mod describe_quorum;
mod describe_topic_partitions;
mod elect_leaders;
mod errors;
mod fetch;
mod find_coordinator;
mod heartbeat;
mod incremental_alter_configs;
mod init_producer_id;
mod join_group;
mod leave_group;
mod list_config_resources;
mod list_groups;
mod list_offsets;
mod list_partition_reassignments;
mod metadata;
mod offset_commit;
mod offset_delete;
mod offset_fetch;
mod offset_for_leader_epoch;
mod produce;
mod remove_raft_voter;
mod sync_group;
mod unregister_broker;
mod update_features;

pub use context::Context;
pub use metadata::is_internal;

use crate::broker::Broker;
use crate::net::{self, BoxFuture, Request, Response};
use ottla_protocol::{ApiKey, RequestBody, api, decode_request};
use std::sync::Arc;

impl net::Handler for Broker {
    fn handle(self: Arc<Self>, request: Request) -> BoxFuture<Response> {
        Box::pin(dispatch(self, request))
    }
}

async fn dispatch(broker: Arc<Broker>, request: Request) -> Response {
    let peer = request.peer();
    let key = request.header.api_key;
    let context = Context::new(broker, key, &request);
    if key == ApiKey::ApiVersions {
        return api_versions::handle(&context, &request);
    }
    if key == ApiKey::ClusterAdmin {
        return cluster_admin::handle(&context, &request.body).await;
    }
    if !api::supported(key, context.version) {
        tracing::debug!(%peer, api = key.name(), version = context.version, "closing: not a version that is advertised");
        return Response::Close;
    }
    match decode_request(key, context.version, request.into_body()) {
        Ok(body) => answer(&context, body).await,
        Err(error) => {
            // Kafka too answers what it cannot read by closing the connection.
            tracing::debug!(%peer, client = context.client_id, %error, "closing: a request could not be read");
            Response::Close
        }
    }
}

async fn answer(context: &Context, body: RequestBody) -> Response {
    match body {
        RequestBody::Produce(request) => produce::handle(context, request).await,
        RequestBody::Fetch(request) => fetch::handle(context, request).await,
        RequestBody::ListOffsets(request) => context.reply(&list_offsets::handle(context, &request)),
        RequestBody::Metadata(request) => context.reply(&metadata::handle(context, request).await),
        RequestBody::FindCoordinator(request) => {
            context.reply(&find_coordinator::handle(context, &request).await)
        }
        RequestBody::OffsetCommit(request) => context.reply(&offset_commit::handle(context, request).await),
        RequestBody::OffsetFetch(request) => context.reply(&offset_fetch::handle(context, request).await),
        RequestBody::JoinGroup(request) => context.reply(&join_group::handle(context, request).await),
        RequestBody::Heartbeat(request) => context.reply(&heartbeat::handle(context, request).await),
        RequestBody::LeaveGroup(request) => context.reply(&leave_group::handle(context, request).await),
        RequestBody::SyncGroup(request) => context.reply(&sync_group::handle(context, request).await),
        RequestBody::DescribeGroups(request) => {
            context.reply(&describe_groups::handle(context, &request).await)
        }
        RequestBody::ListGroups(request) => context.reply(&list_groups::handle(context, &request)),
        RequestBody::DeleteGroups(request) => context.reply(&delete_groups::handle(context, request).await),
        RequestBody::OffsetDelete(request) => context.reply(&offset_delete::handle(context, request).await),
        RequestBody::ConsumerGroupHeartbeat(request) => {
            context.reply(&consumer_group_heartbeat::handle(context, request).await)
        }
        RequestBody::ConsumerGroupDescribe(request) => {
            context.reply(&consumer_group_describe::handle(context, &request).await)
        }
        RequestBody::CreateTopics(request) => context.reply(&create_topics::handle(context, request).await),
        RequestBody::DeleteTopics(request) => context.reply(&delete_topics::handle(context, request).await),
        RequestBody::DeleteRecords(request) => context.reply(&delete_records::handle(context, request).await),
        RequestBody::InitProducerId(request) => {
            context.reply(&init_producer_id::handle(context, &request).await)
        }
        RequestBody::OffsetForLeaderEpoch(request) => {
            context.reply(&offset_for_leader_epoch::handle(context, &request))
        }
        RequestBody::DescribeConfigs(request) => context.reply(&describe_configs::handle(context, &request)),
        RequestBody::ListConfigResources(request) => {
            context.reply(&list_config_resources::handle(context, &request))
        }
        RequestBody::AlterReplicaLogDirs(request) => {
            context.reply(&alter_replica_log_dirs::handle(context, &request))
        }
        RequestBody::DescribeLogDirs(request) => describe_log_dirs::handle(context, &request),
        RequestBody::DescribeCluster(request) => context.reply(&describe_cluster::handle(context, &request)),
        RequestBody::CreatePartitions(request) => {
            context.reply(&create_partitions::handle(context, request).await)
        }
        RequestBody::AlterConfigs(request) => context.reply(&alter_configs::handle(context, request).await),
        RequestBody::IncrementalAlterConfigs(request) => {
            context.reply(&incremental_alter_configs::handle(context, request).await)
        }
        RequestBody::DescribeQuorum(request) => {
            context.reply(&describe_quorum::handle(context, &request).await)
        }
        RequestBody::UpdateFeatures(request) => {
            context.reply(&update_features::handle(context, request).await)
        }
        RequestBody::ElectLeaders(request) => context.reply(&elect_leaders::handle(context, request).await),
        RequestBody::AlterPartitionReassignments(request) => {
            context.reply(&alter_partition_reassignments::handle(context, request).await)
        }
        RequestBody::ListPartitionReassignments(request) => {
            context.reply(&list_partition_reassignments::handle(context, &request))
        }
        RequestBody::UnregisterBroker(request) => {
            context.reply(&unregister_broker::handle(context, &request).await)
        }
        RequestBody::AddRaftVoter(request) => context.reply(&add_raft_voter::handle(context, request).await),
        RequestBody::RemoveRaftVoter(request) => {
            context.reply(&remove_raft_voter::handle(context, request).await)
        }
        RequestBody::DescribeProducers(request) => {
            context.reply(&describe_producers::handle(context, &request))
        }
        RequestBody::DescribeTopicPartitions(request) => {
            context.reply(&describe_topic_partitions::handle(context, &request))
        }
        other => {
            tracing::error!(api = other.key().name(), "an API is advertised that nobody answers");
            Response::Close
        }
    }
}
