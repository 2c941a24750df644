//! RemoveRaftVoter (key 81, KIP-853): a broker is not to vote in the metadata quorum any more.

use super::Context;
use super::add_raft_voter::{Wish, carry_out};
use kafka_protocol::messages::{RemoveRaftVoterRequest, RemoveRaftVoterResponse};
use ottla_core::metadata::record::Preference;
use ottla_protocol::StrBytes;
use ottla_types::{BrokerId, DirectoryId};
use std::time::Duration;

/// How long the vote may take to be handed over and given up.
const WAIT: Duration = Duration::from_secs(10);

/// Answers the request when the broker does not vote any more.
pub async fn handle(context: &Context, request: RemoveRaftVoterRequest) -> RemoveRaftVoterResponse {
    let wish = Wish {
        cluster_id: request.cluster_id,
        broker: BrokerId(request.voter_id),
        directory: DirectoryId(request.voter_directory_id),
        preference: Preference::Barred,
        wait: WAIT,
    };
    let response = RemoveRaftVoterResponse::default();
    match carry_out(context, wish).await {
        Ok(()) => response,
        Err(error) => response
            .with_error_code(error.code.code())
            .with_error_message(error.message.map(StrBytes::from_string)),
    }
}
