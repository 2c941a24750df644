//! LeaveGroup (key 13): members leave a classic group (KIP-345: several at once).

use super::Context;
use kafka_protocol::messages::leave_group_response::MemberResponse;
use kafka_protocol::messages::{LeaveGroupRequest, LeaveGroupResponse};
use ottla_core::group::classic::{LeaveRequest, Leaver, Left};
use ottla_protocol::StrBytes;
use ottla_types::ErrorCode;

const BATCHED_FROM: i16 = 3;

/// Answers the request.
pub async fn handle(context: &Context, request: LeaveGroupRequest) -> LeaveGroupResponse {
    match leave(context, &request).await {
        Err(error) => LeaveGroupResponse::default().with_error_code(error.code()),
        Ok(left) if context.version < BATCHED_FROM => {
            let error = left.first().map_or(ErrorCode::None, |one| one.error);
            LeaveGroupResponse::default().with_error_code(error.code())
        }
        Ok(left) => {
            let text = |text: &str| StrBytes::from_string(text.to_owned());
            let one = |one: Left| {
                MemberResponse::default()
                    .with_member_id(text(&one.member_id))
                    .with_group_instance_id(one.group_instance_id.as_deref().map(text))
                    .with_error_code(one.error.code())
            };
            LeaveGroupResponse::default().with_members(left.into_iter().map(one).collect())
        }
    }
}

async fn leave(context: &Context, request: &LeaveGroupRequest) -> Result<Vec<Left>, ErrorCode> {
    let shard = context.broker.groups.shard_of(&context.image(), &request.group_id)?;
    let members = if context.version < BATCHED_FROM {
        vec![Leaver { member_id: &request.member_id, group_instance_id: None }]
    } else {
        let members = request.members.iter();
        members
            .map(|member| Leaver {
                member_id: &member.member_id,
                group_instance_id: member.group_instance_id.as_deref(),
            })
            .collect()
    };
    let asked = LeaveRequest { group_id: &request.group_id, members };
    shard.request(&context.broker, |machine, call| machine.leave(call, &asked)).await
}
