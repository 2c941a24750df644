//! JoinGroup (key 11): a member joins or rejoins a classic group.

use super::Context;
use crate::groups::{Begun, Shard};
use kafka_protocol::messages::join_group_response::JoinGroupResponseMember;
use kafka_protocol::messages::{JoinGroupRequest, JoinGroupResponse};
use ottla_core::group::classic::{Client, JoinReply, JoinRequest};
use ottla_protocol::StrBytes;
use ottla_types::{ErrorCode, Uuid};
use std::sync::Arc;

const KNOWN_IDS_FROM: i16 = 4;
const PROTOCOL_TYPE_FROM: i16 = 7;
const SKIPPING_FROM: i16 = 9;

/// Answers the request when the group is ready for its next generation.
pub async fn handle(context: &Context, request: JoinGroupRequest) -> JoinGroupResponse {
    let member_id = request.member_id.to_string();
    let begun = begin(context, &request);
    // It may wait for minutes, and a request keeps the buffer it was read into.
    drop(request);
    let reply = match begun {
        Ok((shard, begun)) => shard.finish(&context.broker, begun).await,
        Err(error) => Err(error),
    };
    answer(context.version, reply.unwrap_or_else(|error| JoinReply::refused(error, member_id.as_str())))
}

fn begin(context: &Context, request: &JoinGroupRequest) -> Result<(Arc<Shard>, Begun<JoinReply>), ErrorCode> {
    let shard = context.broker.groups.shard_of(&context.image(), &request.group_id)?;
    let host = context.client_host();
    let begun = shard.join(&context.broker, |machine, call, token| {
        let asked = JoinRequest {
            token,
            group_id: &request.group_id,
            member_id: &request.member_id,
            group_instance_id: request.group_instance_id.as_deref(),
            client: Client { id: &context.client_id, host: &host },
            protocol_type: &request.protocol_type,
            protocols: request.protocols.iter().map(|p| (p.name.as_str(), p.metadata.clone())).collect(),
            session_timeout_ms: request.session_timeout_ms,
            rebalance_timeout_ms: request.rebalance_timeout_ms,
            requires_known_member_id: context.version >= KNOWN_IDS_FROM,
            supports_skipping_assignment: context.version >= SKIPPING_FROM,
            fresh_id: Uuid::new_v4(),
        };
        machine.join(call, &asked)
    })?;
    Ok((shard, begun))
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn answer(version: i16, reply: JoinReply) -> JoinGroupResponse {
    let optional = |value: Option<Arc<str>>| value.as_deref().map(text);
    let member = |member: ottla_core::group::classic::JoinedMember| {
        JoinGroupResponseMember::default()
            .with_member_id(text(&member.member_id))
            .with_group_instance_id(optional(member.group_instance_id))
            .with_metadata(member.metadata)
    };
    let response = JoinGroupResponse::default()
        .with_error_code(reply.error.code())
        .with_generation_id(reply.generation_id)
        .with_leader(text(&reply.leader))
        .with_skip_assignment(version >= SKIPPING_FROM && reply.skip_assignment)
        .with_member_id(text(&reply.member_id))
        .with_members(reply.members.into_iter().map(member).collect());
    if version >= PROTOCOL_TYPE_FROM {
        response
            .with_protocol_type(optional(reply.protocol_type))
            .with_protocol_name(optional(reply.protocol_name))
    } else {
        // Null only from version 7 on.
        response.with_protocol_name(Some(text(reply.protocol_name.as_deref().unwrap_or_default())))
    }
}
