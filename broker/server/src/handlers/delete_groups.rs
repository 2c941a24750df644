//! DeleteGroups (key 42, KIP-229): groups without members, with their offsets.

use super::Context;
use kafka_protocol::messages::delete_groups_response::DeletableGroupResult;
use kafka_protocol::messages::{DeleteGroupsRequest, DeleteGroupsResponse};
use ottla_types::ErrorCode;

/// Answers the request once the groups are gone.
pub async fn handle(context: &Context, request: DeleteGroupsRequest) -> DeleteGroupsResponse {
    let mut response = DeleteGroupsResponse::default();
    for group in &request.groups_names {
        let error = delete(context, group).await;
        let result =
            DeletableGroupResult::default().with_group_id(group.clone()).with_error_code(error.code());
        response.results.push(result);
    }
    response
}

async fn delete(context: &Context, group: &str) -> ErrorCode {
    let shard = match context.broker.groups.shard_of(&context.image(), group) {
        Ok(shard) => shard,
        Err(error) => return error,
    };
    let deleted =
        shard.request(&context.broker, |machine, call| Ok(machine.delete_groups(call, &[group]))).await;
    deleted.map_or_else(|error| error, |verdicts| verdicts.first().copied().unwrap_or(ErrorCode::None))
}
