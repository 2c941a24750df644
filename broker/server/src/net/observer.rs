//! What the network layer reports about connections and requests; the metrics implement it.

use std::time::Duration;

/// Times and sizes of one answered request, split as Kafka's `RequestChannel` does.
#[derive(Debug, Clone, Copy)]
pub struct RequestDone {
    /// Which API.
    pub api_key: i16,
    /// Which version of it.
    pub api_version: i16,
    /// Request frame without its length prefix.
    pub request_bytes: u64,
    /// Response frame with its length prefix.
    pub response_bytes: u64,
    /// From the frame's last byte to the handler's start.
    pub queue: Duration,
    /// The handler's first poll.
    pub local: Duration,
    /// From there until the answer was there (other replicas, more data, other brokers).
    pub remote: Duration,
    /// Waiting for the answers of earlier requests.
    pub response_queue: Duration,
    /// Writing it to the socket.
    pub send: Duration,
    /// All of it.
    pub total: Duration,
}

/// Why a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CloseReason {
    /// The peer closed or reset it.
    Peer,
    /// No traffic for `connections.max.idle.ms`.
    Idle,
    /// A frame began and did not go on.
    SlowSender,
    /// A length that is negative or above `socket.request.max.bytes`.
    BadLength,
    /// A frame without a valid request header.
    BadHeader,
    /// The handler asked for it.
    Handler,
    /// A log file was shorter than the range to send, or could not be read.
    File,
    /// More than `max.connections.per.ip`.
    TooMany,
    /// The broker stops.
    Shutdown,
}

impl CloseReason {
    /// Every reason, in the order of their discriminants.
    pub const ALL: [Self; 9] = [
        Self::Peer,
        Self::Idle,
        Self::SlowSender,
        Self::BadLength,
        Self::BadHeader,
        Self::Handler,
        Self::File,
        Self::TooMany,
        Self::Shutdown,
    ];

    /// The word for it in metrics and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Peer => "peer",
            Self::Idle => "idle",
            Self::SlowSender => "slow_sender",
            Self::BadLength => "bad_length",
            Self::BadHeader => "bad_header",
            Self::Handler => "handler",
            Self::File => "file",
            Self::TooMany => "too_many",
            Self::Shutdown => "shutdown",
        }
    }
}

/// Receives the reports. Called on the connections' tasks: must not block.
pub trait Observer: Send + Sync + 'static {
    /// A connection was accepted.
    fn connection_opened(&self, listener: &str);
    /// A connection ended.
    fn connection_closed(&self, listener: &str, reason: CloseReason);
    /// A request was answered and the answer is with the kernel.
    fn request_done(&self, done: &RequestDone);
}

/// Drops every report.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoObserver;

impl Observer for NoObserver {
    fn connection_opened(&self, _listener: &str) {}
    fn connection_closed(&self, _listener: &str, _reason: CloseReason) {}
    fn request_done(&self, _done: &RequestDone) {}
}
