//! Hands out producer ids from a block that the controller gave to this broker (KIP-730).

use crate::metadata::Metadata;
use ottla_core::controller::{Reply, Request};
use ottla_types::{BrokerEpoch, BrokerId, ErrorCode, ProducerId};
use std::ops::Range;

/// The block in use.
#[derive(Debug)]
pub struct ProducerIds {
    /// A lock that waits: whoever comes while the next block is fetched shares it.
    block: tokio::sync::Mutex<Range<i64>>,
}

impl Default for ProducerIds {
    fn default() -> Self {
        Self { block: tokio::sync::Mutex::new(0..0) }
    }
}

impl ProducerIds {
    /// An id that nobody has had and nobody else will get.
    ///
    /// # Errors
    /// If the controller cannot give a new block now.
    pub async fn next(&self, metadata: &Metadata, broker: BrokerId) -> Result<ProducerId, ErrorCode> {
        let mut block = self.block.lock().await;
        if block.is_empty() {
            *block = allocate(metadata, broker).await?;
        }
        block.next().map(ProducerId).ok_or(ErrorCode::CoordinatorLoadInProgress)
    }
}

async fn allocate(metadata: &Metadata, broker: BrokerId) -> Result<Range<i64>, ErrorCode> {
    let epoch = metadata.image().broker(broker).map_or(BrokerEpoch::NONE, |broker| broker.epoch);
    match metadata.submit(Request::AllocateProducerIds { broker, epoch }).await? {
        Reply::ProducerIds(block) => block.map_err(|error| error.code),
        _ => Err(ErrorCode::UnknownServerError),
    }
}
