//! Sockets: from accepted connection to whole request frames, and from responses back to bytes.
//!
//! One task owns one connection: it reads frames, hands each to the [`Handler`] and polls the
//! handler's future itself, then writes the answers in the order of the requests. A request whose
//! future is ready at its first poll is answered without any task switch.
//!
//! Invariants:
//! - bytes of a frame are copied once, from the socket into the buffer the handler sees;
//! - an idle connection holds no buffer;
//! - frames in flight over all connections stay within one memory budget, plus at most one frame of
//!   the largest allowed size (see [`budget`]);
//! - at most [`NetConfig::max_in_flight`] requests of a connection are unanswered; beyond that its
//!   socket is not read;
//! - answers leave in request order, each whole or (when the connection dies) not at all.

mod budget;
mod connection;
mod descriptors;
mod frame_pool;
mod listener;
mod log_limit;
mod observer;
mod reader;
mod registry;
mod request;
mod slot;
mod writer;

#[cfg(test)]
mod tests;

pub use descriptors::raise_descriptor_limit;
pub use listener::{BindError, BoundListener, Server};
pub use observer::{CloseReason, NoObserver, Observer, RequestDone};
pub use request::{BoxFuture, ConnectionInfo, Handler, Part, Request, Response};

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

/// Limits and socket options of the network layer. Every field is a bound that holds at all times.
#[derive(Debug, Clone)]
pub struct NetConfig {
    /// Largest request frame without its length prefix (`socket.request.max.bytes`).
    pub max_request_bytes: usize,
    /// Budget for request frames in flight over all connections (`queued.max.request.bytes`, else a
    /// share of the memory limit).
    pub request_memory_bytes: usize,
    /// Unanswered requests of one connection.
    pub max_in_flight: usize,
    /// A connection without traffic is closed after this long (`connections.max.idle.ms`); `None`: never.
    pub idle_timeout: Option<Duration>,
    /// A frame that has begun must go on arriving: [`reader::PROGRESS_BYTES`] or its end within this time.
    pub slow_sender_timeout: Duration,
    /// Open connections over all listeners (`max.connections`); more wait in the backlog.
    pub max_connections: usize,
    /// Open connections of one address (`max.connections.per.ip`); more are closed at once.
    pub max_connections_per_ip: usize,
    /// Exceptions from `max_connections_per_ip` (`max.connections.per.ip.overrides`).
    pub max_connections_per_ip_overrides: BTreeMap<IpAddr, usize>,
    /// `SO_SNDBUF` in bytes; `None` lets the kernel tune it (`socket.send.buffer.bytes`).
    pub send_buffer_bytes: Option<usize>,
    /// `SO_RCVBUF` in bytes; `None` lets the kernel tune it (`socket.receive.buffer.bytes`).
    pub receive_buffer_bytes: Option<usize>,
    /// Connections the kernel may hold before they are accepted (`socket.listen.backlog.size`).
    pub backlog: i32,
}

impl Default for NetConfig {
    fn default() -> Self {
        Self {
            max_request_bytes: 100 * 1024 * 1024,
            request_memory_bytes: 128 * 1024 * 1024,
            max_in_flight: 32,
            idle_timeout: Some(Duration::from_secs(600)),
            slow_sender_timeout: Duration::from_secs(30),
            max_connections: i32::MAX as usize,
            max_connections_per_ip: i32::MAX as usize,
            max_connections_per_ip_overrides: BTreeMap::new(),
            send_buffer_bytes: None,
            receive_buffer_bytes: None,
            backlog: 512,
        }
    }
}
