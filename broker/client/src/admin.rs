//! Looking at and changing a cluster: topics, settings, offsets, directories.
//!
//! Calls that name several things answer for each of them. What the controller must decide is sent to it, and sent
//! again if it moved.

mod batch;
mod cluster;
mod configs;
mod control;
mod groups;
mod offsets;
mod placement;
mod topics;

pub use batch::PartitionGrowth;
pub use cluster::{
    ClusterDescription, LogDir, NodeDescription, QuorumDescription, QuorumReplica, ReplicaSize,
};
pub use configs::{AlterOp, ConfigEntry, ConfigResource, ConfigSynonym, ResourceKind};
pub use groups::{CommittedOffset, GroupDescription, GroupListing, GroupMember};
pub use offsets::{OffsetSpec, ResolvedOffset};
pub use placement::Reassignment;
pub use topics::{CreatedTopic, NewTopic, PartitionDescription, TopicDescription};

use crate::client::{Backoff, Client};
use crate::error::{ApiError, ClientError};
use kafka_protocol::protocol::Request;
use ottla_protocol::{RequestBody, StrBytes};
use ottla_types::ErrorCode;
use std::time::{Duration, Instant};

/// Looks at and changes a cluster.
#[derive(Debug, Clone)]
pub struct Admin {
    client: Client,
}

impl Admin {
    /// On the connections of `client`.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// The client it stands on.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Sends to the controller, again if `code_of` says that it moved.
    async fn to_controller<R>(
        &self,
        request: R,
        code_of: impl Fn(&R::Response) -> i16,
    ) -> Result<R::Response, ClientError>
    where
        R: Request + Into<RequestBody> + Clone,
    {
        let deadline = Instant::now() + self.client.options().retry_timeout;
        let mut backoff = Backoff::default();
        loop {
            let sent = match self.client.controller().await {
                Ok(controller) => {
                    controller.send_with(request.clone(), i16::MAX, Duration::from_secs(30)).await
                }
                Err(error) => Err(error),
            };
            let moved = match &sent {
                Ok(response) => ErrorCode::from_code(code_of(response)) == ErrorCode::NotController,
                Err(ClientError::Closed { .. }) => true,
                Err(_) => false,
            };
            if !moved || Instant::now() >= deadline {
                return sent;
            }
            backoff.wait().await;
        }
    }
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn outcome(code: i16, message: Option<&StrBytes>) -> Result<(), ApiError> {
    ApiError::check(code, message.map(|text| text.as_str()))
}

fn missing(what: &str) -> ClientError {
    ClientError::Protocol {
        what: what.to_owned(),
        reason: "the answer does not have what was asked for".to_owned(),
    }
}
