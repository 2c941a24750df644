//! What can go wrong, in words that say what to do.

use ottla_protocol::ApiKey;
use ottla_types::ErrorCode;
use std::time::Duration;

/// A broker's refusal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.describe())]
pub struct ApiError {
    /// Kafka's code.
    pub code: ErrorCode,
    /// The broker's own words, if it sent any.
    pub message: Option<String>,
}

impl ApiError {
    /// `Err` unless `code` is success.
    ///
    /// # Errors
    /// If it is not.
    pub fn check(code: i16, message: Option<impl Into<String>>) -> Result<(), Self> {
        match ErrorCode::from_code(code) {
            ErrorCode::None => Ok(()),
            code => Err(Self { code, message: message.map(Into::into).filter(|text| !text.is_empty()) }),
        }
    }

    /// As [`ApiError::check`], where the broker sends no words.
    ///
    /// # Errors
    /// If `code` is not success.
    pub fn check_code(code: i16) -> Result<(), Self> {
        Self::check(code, None::<String>)
    }

    fn describe(&self) -> String {
        match &self.message {
            Some(message) => format!("{message} ({})", self.code),
            None => format!("{} ({})", plain_words(self.code), self.code),
        }
    }
}

/// The common refusals without Kafka's jargon.
fn plain_words(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::UnknownTopicOrPartition | ErrorCode::UnknownTopicId => "no such topic or partition",
        ErrorCode::TopicAlreadyExists => "the topic exists already",
        ErrorCode::InvalidTopicException => "the name is not allowed for a topic",
        ErrorCode::InvalidReplicationFactor => "there are not that many brokers for the replicas",
        ErrorCode::InvalidPartitions => "that number of partitions is not possible",
        ErrorCode::InvalidConfig => "a setting's value is not allowed",
        ErrorCode::OffsetOutOfRange => "the offset is not in the log",
        ErrorCode::MessageTooLarge => "the batch is larger than max.message.bytes allows",
        ErrorCode::NotEnoughReplicas | ErrorCode::NotEnoughReplicasAfterAppend => {
            "fewer replicas are in sync than min.insync.replicas asks for"
        }
        ErrorCode::NotLeaderOrFollower | ErrorCode::LeaderNotAvailable => {
            "the partition has no leader there now"
        }
        ErrorCode::NotController => "this broker is not the controller",
        ErrorCode::TopicAuthorizationFailed
        | ErrorCode::GroupAuthorizationFailed
        | ErrorCode::ClusterAuthorizationFailed => "you are not allowed to",
        ErrorCode::KafkaStorageError => "the broker's disk failed",
        ErrorCode::UnsupportedVersion => "the broker does not offer that",
        ErrorCode::NonEmptyGroup => "the group has members; stop them first",
        ErrorCode::GroupIdNotFound => "no such group",
        ErrorCode::CoordinatorNotAvailable | ErrorCode::CoordinatorLoadInProgress => {
            "the coordinator is not ready yet"
        }
        ErrorCode::RequestTimedOut => "it took the broker too long",
        _ => "the broker refused",
    }
}

/// A failed operation of a client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// No connection.
    #[error(
        "cannot connect to {address}: {reason}; is a broker running there? (start one with `ottla broker`)"
    )]
    Connect {
        /// Whom to.
        address: String,
        /// Why not.
        reason: String,
    },
    /// None of the addresses given answers.
    #[error("none of the brokers can be reached: {}", tried.join("; "))]
    NoBroker {
        /// What each attempt said.
        tried: Vec<String>,
    },
    /// The connection ended before the answer.
    #[error("{address} closed the connection{}", reason.as_deref().map(|why| format!(": {why}")).unwrap_or_default())]
    Closed {
        /// Whose.
        address: String,
        /// Why, if known.
        reason: Option<String>,
    },
    /// No answer in time.
    #[error("{address} did not answer {what} within {after:?}")]
    TimedOut {
        /// Who.
        address: String,
        /// Which request.
        what: String,
        /// How long it was given.
        after: Duration,
    },
    /// The broker has no version of the API that this client knows.
    #[error("{address} does not offer {key} in a version this client knows ({offered})")]
    Unsupported {
        /// Who.
        address: String,
        /// Which API.
        key: ApiKey,
        /// What it offers.
        offered: String,
    },
    /// An answer that cannot be read, or a request that cannot be written.
    #[error("{what}: {reason}")]
    Protocol {
        /// Of what.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The broker refused.
    #[error("{what}: {error}")]
    Refused {
        /// What was asked for.
        what: String,
        /// Its answer.
        error: ApiError,
    },
    /// The producer or consumer was closed, or asked for what it cannot do.
    #[error("{0}")]
    Misuse(String),
}

impl ClientError {
    /// A refusal of `what`.
    pub fn refused(what: impl Into<String>, error: ApiError) -> Self {
        ClientError::Refused { what: what.into(), error }
    }

    /// The broker's code, if it refused.
    #[must_use]
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            ClientError::Refused { error, .. } => Some(error.code),
            _ => None,
        }
    }

    /// True if trying again may help.
    #[must_use]
    pub fn is_retriable(&self) -> bool {
        match self {
            ClientError::Refused { error, .. } => error.code.is_retriable(),
            ClientError::Connect { .. }
            | ClientError::NoBroker { .. }
            | ClientError::Closed { .. }
            | ClientError::TimedOut { .. } => true,
            ClientError::Unsupported { .. } | ClientError::Protocol { .. } | ClientError::Misuse(_) => false,
        }
    }
}
