//! What a controller can be asked, and what it answers.

use super::error::ApiError;
use super::heartbeat::{BrokerHeartbeat, HeartbeatReply};
use super::registration::RegisterBroker;
use super::topics::{CreateTopic, CreatedTopic, TopicRef};
use crate::metadata::MetadataRecord;
use ottla_types::{BrokerEpoch, BrokerId, TopicId};
use std::ops::Range;

/// What a controller can be asked.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// A broker wants to be part of the cluster.
    RegisterBroker(RegisterBroker),
    /// A broker is to be taken out of the cluster.
    UnregisterBroker {
        /// Which.
        broker: BrokerId,
    },
    /// A broker says that it is there.
    BrokerHeartbeat(BrokerHeartbeat),
    /// The connection to a broker broke. It is fenced soon, unless a heartbeat comes.
    SuspectBroker {
        /// Which.
        broker: BrokerId,
        /// The registration that the connection was of.
        epoch: BrokerEpoch,
    },
    /// Topics are to be created.
    CreateTopics {
        /// Which.
        topics: Vec<CreateTopic>,
        /// Only say whether they could be.
        validate_only: bool,
    },
    /// Topics are to be deleted.
    DeleteTopics {
        /// Which.
        topics: Vec<TopicRef>,
    },
    /// A broker needs producer ids.
    AllocateProducerIds {
        /// Which.
        broker: BrokerId,
        /// Its registration.
        epoch: BrokerEpoch,
    },
}

/// What a controller answers; the variant follows the request's.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// There is nothing to say.
    Done,
    /// The registration's epoch.
    RegisterBroker(Result<BrokerEpoch, ApiError>),
    /// It is out.
    UnregisterBroker(Result<(), ApiError>),
    /// Where the broker stands.
    BrokerHeartbeat(Result<HeartbeatReply, ApiError>),
    /// For each topic of the request, in its order.
    CreateTopics(Vec<(String, Result<CreatedTopic, ApiError>)>),
    /// For each topic of the request, in its order: its id and name.
    DeleteTopics(Vec<(TopicRef, Result<(TopicId, String), ApiError>)>),
    /// The ids that belong to the broker now.
    ProducerIds(Result<Range<i64>, ApiError>),
}

/// What follows from a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// One batch for the metadata log; if it is empty there is nothing to wait for.
    pub records: Vec<MetadataRecord>,
    /// What to answer once they are committed.
    pub reply: Reply,
}

impl Outcome {
    /// An answer that changes nothing.
    #[must_use]
    pub const fn reply(reply: Reply) -> Self {
        Self { records: Vec::new(), reply }
    }
}
