//! Blocks of producer ids (KIP-730, Kafka's `ProducerIdControlManager`).

use super::error::ApiError;
use super::{Controller, Outcome, Reply};
use crate::metadata::record;
use ottla_types::{BrokerEpoch, BrokerId, ErrorCode};

/// How many ids a broker gets at once (`ProducerIdsBlock.PRODUCER_ID_BLOCK_SIZE`).
const BLOCK: i64 = 1_000;

impl Controller {
    pub(super) fn allocate_producer_ids(&mut self, id: BrokerId, epoch: BrokerEpoch) -> Outcome {
        if let Err(error) = self.check_broker(id, epoch) {
            return Outcome::reply(Reply::ProducerIds(Err(error)));
        }
        let from = self.image.next_producer_id().0;
        let Some(to) = from.checked_add(BLOCK) else {
            let message = "All producer IDs have been handed out.";
            let error = ApiError::new(ErrorCode::UnknownServerError, message);
            return Outcome::reply(Reply::ProducerIds(Err(error)));
        };
        let mut draft = self.draft();
        draft.push(record::ProducerIds { broker_id: id.0, broker_epoch: epoch.0, next_producer_id: to });
        self.finish(draft, Reply::ProducerIds(Ok(from..to)))
    }
}
