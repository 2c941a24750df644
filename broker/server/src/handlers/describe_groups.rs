//! DescribeGroups (key 15): classic groups with their members.

use super::Context;
use super::authorized_operations::of_group;
use kafka_protocol::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use kafka_protocol::messages::{DescribeGroupsRequest, DescribeGroupsResponse};
use ottla_core::group::classic::Described;
use ottla_protocol::StrBytes;
use ottla_types::ErrorCode;

const MESSAGES_FROM: i16 = 6;

/// Answers the request.
pub async fn handle(context: &Context, request: &DescribeGroupsRequest) -> DescribeGroupsResponse {
    let mut response = DescribeGroupsResponse::default();
    let operations = of_group(request.include_authorized_operations);
    for group in &request.groups {
        let answer = DescribedGroup::default().with_group_id(group.clone());
        response.groups.push(match describe(context, group).await {
            Ok(described) => fill(answer.with_authorized_operations(operations), described),
            // KIP-1043: from version 6 on a group that is not there is an error; before it is dead.
            Err(ErrorCode::GroupIdNotFound) if context.version >= MESSAGES_FROM => answer
                .with_group_state(StrBytes::from_static_str("Dead"))
                .with_error_code(ErrorCode::GroupIdNotFound.code())
                .with_error_message(Some(StrBytes::from_string(format!(
                    "Group {} not found.",
                    group.as_str()
                )))),
            Err(ErrorCode::GroupIdNotFound) => {
                fill(answer.with_authorized_operations(operations), Described::dead())
            }
            Err(error) => answer.with_error_code(error.code()),
        });
    }
    response
}

async fn describe(context: &Context, group: &str) -> Result<Described, ErrorCode> {
    let shard = context.broker.groups.shard_of(&context.image(), group)?;
    shard.settled(&context.broker).await?;
    shard.look(|machine| machine.describe_group(group))?.map_err(|error| error.code())
}

fn fill(answer: DescribedGroup, described: Described) -> DescribedGroup {
    let text = |text: &str| StrBytes::from_string(text.to_owned());
    let members = described.members.into_iter().map(|member| {
        DescribedGroupMember::default()
            .with_member_id(text(&member.member_id))
            .with_group_instance_id(member.group_instance_id.as_deref().map(text))
            .with_client_id(text(&member.client_id))
            .with_client_host(text(&member.client_host))
            .with_member_metadata(member.metadata)
            .with_member_assignment(member.assignment)
    });
    answer
        .with_group_state(StrBytes::from_static_str(described.state))
        .with_protocol_type(text(&described.protocol_type))
        .with_protocol_data(text(&described.protocol))
        .with_members(members.collect())
}
