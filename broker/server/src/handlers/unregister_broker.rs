//! UnregisterBroker (key 64): takes a broker that is gone for good out of the cluster.

use super::Context;
use kafka_protocol::messages::{UnregisterBrokerRequest, UnregisterBrokerResponse};
use ottla_core::controller::{Reply, Request};
use ottla_protocol::StrBytes;
use ottla_types::{BrokerId, ErrorCode};

/// Answers the request once the broker is out.
pub async fn handle(context: &Context, request: &UnregisterBrokerRequest) -> UnregisterBrokerResponse {
    let asked = Request::UnregisterBroker { broker: BrokerId(request.broker_id.0), only_if_unused: false };
    let response = UnregisterBrokerResponse::default();
    match context.broker.metadata.submit(asked).await {
        Ok(Reply::UnregisterBroker(Ok(()))) => response,
        Ok(Reply::UnregisterBroker(Err(error))) => response
            .with_error_code(error.code.code())
            .with_error_message(error.message.map(StrBytes::from_string)),
        Ok(_) => response.with_error_code(ErrorCode::UnknownServerError.code()),
        Err(error) => response.with_error_code(error.code()),
    }
}
