//! What a client may be told.

use ottla_types::limits;
use std::time::Duration;

/// Names and time-outs of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientOptions {
    /// Name in the broker's logs and metrics.
    pub client_id: String,
    /// Time for a connection to be made.
    pub connect_timeout: Duration,
    /// Time for an answer, beyond what the request itself lets the broker wait.
    pub request_timeout: Duration,
    /// Time over which failed operations are tried again.
    pub retry_timeout: Duration,
    /// A broker whose machine acknowledges nothing for so long is gone, see [`crate::notice_silence`]; if not given,
    /// only time-outs of requests tell.
    pub silence_timeout: Option<Duration>,
    /// Largest answer that is accepted, in bytes.
    pub max_response_bytes: usize,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            client_id: "ottla".to_owned(),
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
            retry_timeout: Duration::from_secs(30),
            silence_timeout: None,
            max_response_bytes: limits::RESPONSE_BYTES,
        }
    }
}
