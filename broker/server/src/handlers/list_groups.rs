//! ListGroups (key 16): the groups that this broker coordinates.

use super::Context;
use kafka_protocol::messages::list_groups_response::ListedGroup;
use kafka_protocol::messages::{GroupId, ListGroupsRequest, ListGroupsResponse};
use ottla_core::group::coordinator::ListFilter;
use ottla_protocol::StrBytes;
use ottla_types::ErrorCode;

const STATES_FROM: i16 = 4;
const TYPES_FROM: i16 = 5;

/// Answers the request.
pub fn handle(context: &Context, request: &ListGroupsRequest) -> ListGroupsResponse {
    let filter = ListFilter {
        states: request.states_filter.iter().map(|state| state.as_str()).collect(),
        types: request.types_filter.iter().map(|kind| kind.as_str()).collect(),
    };
    let text = |text: &str| StrBytes::from_string(text.to_owned());
    let mut response = ListGroupsResponse::default();
    for shard in context.broker.groups.shards() {
        match shard.look(|machine| machine.list_groups(&filter)) {
            Ok(Ok(listed)) => response.groups.extend(listed.into_iter().map(|group| {
                let mut line = ListedGroup::default()
                    .with_group_id(GroupId(text(&group.group_id)))
                    .with_protocol_type(text(&group.protocol_type));
                if context.version >= STATES_FROM {
                    line.group_state = StrBytes::from_static_str(group.state);
                }
                if context.version >= TYPES_FROM {
                    line.group_type = StrBytes::from_static_str(group.group_type.name());
                }
                line
            })),
            Ok(Err(error)) => response.error_code = error.code(),
            // It moved to another broker in this instant.
            Err(ErrorCode::NotCoordinator) => {}
            Err(error) => response.error_code = error.code(),
        }
    }
    response
}
