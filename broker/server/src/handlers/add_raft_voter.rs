//! AddRaftVoter (key 80, KIP-853): a broker is to vote in the metadata quorum.
//!
//! How many vote follows the number of brokers; this says who is to be among them. It is answered when that broker
//! votes.

use super::Context;
use kafka_protocol::messages::{AddRaftVoterRequest, AddRaftVoterResponse};
use ottla_core::controller::{ApiError, Reply, Request};
use ottla_core::metadata::NodeId;
use ottla_core::metadata::record::Preference;
use ottla_protocol::StrBytes;
use ottla_types::{BrokerId, DirectoryId, ErrorCode};
use std::time::Duration;

/// The longest time that anybody is waited for.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// A change of the voters that somebody wants.
pub(super) struct Wish {
    /// The cluster that is meant; `None`: any.
    pub cluster_id: Option<StrBytes>,
    pub broker: BrokerId,
    pub directory: DirectoryId,
    pub preference: Preference,
    pub wait: Duration,
}

/// Answers the request.
pub async fn handle(context: &Context, request: AddRaftVoterRequest) -> AddRaftVoterResponse {
    let wish = Wish {
        cluster_id: request.cluster_id,
        broker: BrokerId(request.voter_id),
        directory: DirectoryId(request.voter_directory_id),
        preference: Preference::Wanted,
        wait: Duration::from_millis(request.timeout_ms.max(0).unsigned_abs().into()),
    };
    let response = AddRaftVoterResponse::default();
    match carry_out(context, wish).await {
        Ok(()) => response,
        Err(error) => response
            .with_error_code(error.code.code())
            .with_error_message(error.message.map(StrBytes::from_string)),
    }
}

/// Records the wish and waits until it has come true.
pub(super) async fn carry_out(context: &Context, wish: Wish) -> Result<(), ApiError> {
    let metadata = &context.broker.metadata;
    if let Some(named) = wish.cluster_id.filter(|named| named.as_str() != metadata.image().cluster_id()) {
        let message = format!("This is cluster {}, not {named}.", metadata.image().cluster_id());
        return Err(ApiError::new(ErrorCode::InconsistentClusterId, message));
    }
    let (broker, directory, preference) = (wish.broker, wish.directory, wish.preference);
    match metadata.submit(Request::PreferVoter { broker, directory, preference }).await? {
        Reply::PreferVoter(result) => result?,
        _ => return Err(ErrorCode::UnknownServerError.into()),
    }
    let node = NodeId::new(broker, directory);
    let should_vote = preference == Preference::Wanted;
    let come_true = metadata.wait_until(|image| image.membership().voters.contains(&node) == should_vote);
    tokio::time::timeout(wish.wait.min(LONGEST_WAIT), come_true).await.map_err(|_| {
        let what = if should_vote { "does not vote yet: it has to catch up" } else { "still votes" };
        ApiError::new(ErrorCode::RequestTimedOut, format!("Broker {broker} {what}; the wish is recorded."))
    })
}
