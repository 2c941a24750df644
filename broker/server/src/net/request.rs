//! What the network layer hands to the handlers and takes back from them.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use bytes::Bytes;
use ottla_protocol::RequestHeader;
use ottla_storage::LogSlice;

/// The future of one answer.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Answers requests. One handler serves all connections.
pub trait Handler: Send + Sync + 'static {
    /// Makes the future that answers `request`.
    ///
    /// Called in the order in which a connection's requests arrived; the future is polled at once,
    /// before the next request is looked at, so what it does before its first wait happens in
    /// arrival order. The future is dropped when the peer goes away.
    fn handle(self: Arc<Self>, request: Request) -> BoxFuture<Response>;

    /// The connection has ended; nothing more comes from it.
    fn connection_closed(&self, _connection: &ConnectionInfo) {}
}

/// Who is at the other end.
#[derive(Debug)]
pub struct ConnectionInfo {
    /// Unique within this process.
    pub id: u64,
    /// The client's address.
    pub peer: SocketAddr,
    /// The name of the listener that accepted the connection.
    pub listener: Arc<str>,
    /// Name and version of the client's software, once it has told them (KIP-511).
    pub software: OnceLock<(String, String)>,
}

/// One request frame, its header already parsed.
#[derive(Debug)]
pub struct Request {
    /// API, version, correlation id and client id.
    pub header: RequestHeader,
    /// What follows the header; a slice of the frame's buffer. Keeping it keeps the whole buffer.
    pub body: Bytes,
    /// The connection it came from.
    pub connection: Arc<ConnectionInfo>,
    /// When the frame's last byte had arrived.
    pub received_at: Instant,
}

impl Request {
    /// The client's address.
    pub fn peer(&self) -> SocketAddr {
        self.connection.peer
    }

    /// The name of the listener that accepted the connection.
    pub fn listener(&self) -> &str {
        &self.connection.listener
    }

    /// What follows the header; nothing else of the request keeps the buffer then.
    pub fn into_body(self) -> Bytes {
        self.body
    }
}

/// The answer to a request.
#[derive(Debug)]
pub enum Response {
    /// Nothing is sent (Produce with `acks=0`).
    None,
    /// The connection is closed after the answers before this one have been sent.
    Close,
    /// A whole frame in pieces; the first begins with the 4-byte length and the response header.
    Parts(Vec<Part>),
}

impl Response {
    /// A response of one piece.
    pub fn bytes(bytes: Bytes) -> Self {
        Self::Parts(vec![Part::Bytes(bytes)])
    }
}

/// A piece of a response.
#[derive(Debug)]
pub enum Part {
    /// Bytes in memory.
    Bytes(Bytes),
    /// A range of a log file, sent without passing through this process.
    File(LogSlice),
}

impl Part {
    /// Bytes this piece puts on the wire.
    pub fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File(slice) => slice.bytes,
        }
    }

    /// Whether it puts nothing on the wire.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
