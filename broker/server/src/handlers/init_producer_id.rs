//! InitProducerId (key 22): an id and epoch for an idempotent producer (KIP-98, KIP-360).

use super::Context;
use kafka_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse, ProducerId as WireProducerId};
use ottla_types::{ErrorCode, ProducerEpoch, ProducerId};

const NONE: i64 = -1;

/// Answers the request. Transactional producers are refused: there are no transactions yet.
pub async fn handle(context: &Context, request: &InitProducerIdRequest) -> InitProducerIdResponse {
    match init(context, request).await {
        Ok((id, epoch)) => InitProducerIdResponse::default()
            .with_producer_id(WireProducerId(id.0))
            .with_producer_epoch(epoch.0),
        Err(error) => InitProducerIdResponse::default()
            .with_error_code(error.code())
            .with_producer_id(WireProducerId(-1))
            .with_producer_epoch(-1),
    }
}

async fn init(
    context: &Context,
    request: &InitProducerIdRequest,
) -> Result<(ProducerId, ProducerEpoch), ErrorCode> {
    // A producer that wants its epoch raised names both (KIP-360).
    if (request.producer_id.0 == NONE) != (i64::from(request.producer_epoch) == NONE) {
        return Err(ErrorCode::InvalidRequest);
    }
    match request.transactional_id.as_ref().map(|id| id.as_str()) {
        Some("") => return Err(ErrorCode::InvalidRequest),
        Some(_) => return Err(ErrorCode::CoordinatorNotAvailable),
        None => {}
    }
    // As Kafka: without a transactional id there is no state to bump an epoch in, so a new id is given.
    let broker = &context.broker;
    let id = broker.producer_ids.next(&broker.metadata, broker.id()).await?;
    Ok((id, ProducerEpoch(0)))
}
