//! SyncGroup (key 14): members get what the leader assigned.

use super::Context;
use crate::groups::{Begun, Shard};
use kafka_protocol::messages::{SyncGroupRequest, SyncGroupResponse};
use ottla_core::group::classic::{SyncReply, SyncRequest};
use ottla_protocol::StrBytes;
use ottla_types::ErrorCode;
use std::sync::Arc;

const PROTOCOL_TYPE_FROM: i16 = 5;

/// Answers the request when the leader has assigned.
pub async fn handle(context: &Context, request: SyncGroupRequest) -> SyncGroupResponse {
    let begun = begin(context, &request);
    // As with JoinGroup: whoever waits keeps nothing.
    drop(request);
    let reply = match begun {
        Ok((shard, begun)) => shard.finish(&context.broker, begun).await,
        Err(error) => Err(error),
    };
    let reply = reply.unwrap_or_else(SyncReply::refused);
    let optional = |value: Option<Arc<str>>| value.map(|value| StrBytes::from_string(value.to_string()));
    let response =
        SyncGroupResponse::default().with_error_code(reply.error.code()).with_assignment(reply.assignment);
    if context.version >= PROTOCOL_TYPE_FROM {
        response
            .with_protocol_type(optional(reply.protocol_type))
            .with_protocol_name(optional(reply.protocol_name))
    } else {
        response
    }
}

fn begin(context: &Context, request: &SyncGroupRequest) -> Result<(Arc<Shard>, Begun<SyncReply>), ErrorCode> {
    // KIP-559: from version 5 on both must be named.
    let is_unnamed = request.protocol_type.is_none() || request.protocol_name.is_none();
    if context.version >= PROTOCOL_TYPE_FROM && is_unnamed {
        return Err(ErrorCode::InconsistentGroupProtocol);
    }
    let shard = context.broker.groups.shard_of(&context.image(), &request.group_id)?;
    let begun = shard.sync(&context.broker, |machine, call, token| {
        let assignments = request.assignments.iter();
        let asked = SyncRequest {
            token,
            group_id: &request.group_id,
            member_id: &request.member_id,
            group_instance_id: request.group_instance_id.as_deref(),
            generation_id: request.generation_id,
            protocol_type: request.protocol_type.as_deref(),
            protocol_name: request.protocol_name.as_deref(),
            assignments: assignments.map(|a| (a.member_id.as_str(), a.assignment.clone())).collect(),
        };
        machine.sync(call, &asked)
    })?;
    Ok((shard, begun))
}
