//! FindCoordinator (key 10): which broker keeps a group's or a transactional producer's state.

use super::Context;
use crate::groups;
use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::{BrokerId as WireBrokerId, FindCoordinatorRequest, FindCoordinatorResponse};
use ottla_protocol::StrBytes;
use ottla_types::ErrorCode;

const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;
const MESSAGES_FROM: i16 = 1;
const BATCHED_FROM: i16 = 4;

struct Found {
    node_id: i32,
    host: String,
    port: i32,
}

/// Answers the request. Transactions have no coordinators yet: `COORDINATOR_NOT_AVAILABLE`.
pub async fn handle(context: &Context, request: &FindCoordinatorRequest) -> FindCoordinatorResponse {
    if context.version < BATCHED_FROM {
        return single(context, find(context, request.key_type, &request.key).await);
    }
    let mut response = FindCoordinatorResponse::default();
    for key in &request.coordinator_keys {
        let one = Coordinator::default().with_key(key.clone());
        response.coordinators.push(match find(context, request.key_type, key).await {
            Ok(found) => one
                .with_node_id(WireBrokerId(found.node_id))
                .with_host(StrBytes::from_string(found.host))
                .with_port(found.port),
            Err((error, text)) => one
                .with_node_id(WireBrokerId(-1))
                .with_port(-1)
                .with_error_code(error.code())
                .with_error_message(Some(StrBytes::from_static_str(text))),
        });
    }
    response
}

fn single(context: &Context, found: Result<Found, (ErrorCode, &'static str)>) -> FindCoordinatorResponse {
    let response = FindCoordinatorResponse::default();
    match found {
        Ok(found) => response
            .with_node_id(WireBrokerId(found.node_id))
            .with_host(StrBytes::from_string(found.host))
            .with_port(found.port),
        Err((error, text)) => {
            let response =
                response.with_error_code(error.code()).with_node_id(WireBrokerId(-1)).with_port(-1);
            if context.version >= MESSAGES_FROM {
                response.with_error_message(Some(StrBytes::from_static_str(text)))
            } else {
                response
            }
        }
    }
}

async fn find(context: &Context, key_type: i8, key: &str) -> Result<Found, (ErrorCode, &'static str)> {
    match key_type {
        GROUP => {}
        TRANSACTION => {
            return Err((ErrorCode::CoordinatorNotAvailable, "transactions are not supported yet"));
        }
        _ => return Err((ErrorCode::InvalidRequest, "unknown kind of coordinator")),
    }
    let leader = groups::coordinator_of(&context.broker, key)
        .await
        .map_err(|error| (error, "the group's partition has no leader yet"))?;
    let image = context.image();
    let endpoint = image.broker(leader).and_then(|broker| broker.endpoint(&context.listener));
    let endpoint =
        endpoint.ok_or((ErrorCode::CoordinatorNotAvailable, "the coordinator is not reachable here"))?;
    Ok(Found {
        node_id: leader.0,
        host: endpoint.host.clone(),
        port: i32::try_from(endpoint.port).unwrap_or_default(),
    })
}
