//! FindCoordinator (key 10): which broker keeps a group's or a transactional producer's state.

use super::Context;
use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::{BrokerId as WireBrokerId, FindCoordinatorRequest, FindCoordinatorResponse};
use ottla_protocol::StrBytes;
use ottla_types::ErrorCode;

const BATCHED_FROM: i16 = 4;

/// Answers the request. There are no coordinators yet: every key is answered with `COORDINATOR_NOT_AVAILABLE`.
pub async fn handle(context: &Context, request: &FindCoordinatorRequest) -> FindCoordinatorResponse {
    let error = ErrorCode::CoordinatorNotAvailable.code();
    let text = Some(StrBytes::from_static_str("this broker has no coordinators"));
    if context.version < BATCHED_FROM {
        let response =
            FindCoordinatorResponse::default().with_error_code(error).with_node_id(WireBrokerId(-1));
        return if context.version >= 1 { response.with_error_message(text) } else { response };
    }
    let coordinators = request.coordinator_keys.iter().map(|key| {
        Coordinator::default()
            .with_key(key.clone())
            .with_node_id(WireBrokerId(-1))
            .with_error_code(error)
            .with_error_message(text.clone())
    });
    FindCoordinatorResponse::default().with_coordinators(coordinators.collect())
}
