//! Heartbeat (key 12): a member of a classic group is there.

use super::Context;
use kafka_protocol::messages::{HeartbeatRequest, HeartbeatResponse};
use ottla_core::group::classic::HeartbeatRequest as Heartbeat;
use ottla_types::ErrorCode;

/// Answers the request.
pub async fn handle(context: &Context, request: HeartbeatRequest) -> HeartbeatResponse {
    let error = heartbeat(context, &request).await.err().unwrap_or(ErrorCode::None);
    HeartbeatResponse::default().with_error_code(error.code())
}

async fn heartbeat(context: &Context, request: &HeartbeatRequest) -> Result<(), ErrorCode> {
    let shard = context.broker.groups.shard_of(&context.image(), &request.group_id)?;
    let asked = Heartbeat {
        group_id: &request.group_id,
        member_id: &request.member_id,
        group_instance_id: request.group_instance_id.as_deref(),
        generation_id: request.generation_id,
    };
    shard.request(&context.broker, |machine, call| machine.heartbeat(call, &asked)).await
}
