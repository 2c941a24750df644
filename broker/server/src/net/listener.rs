//! Listeners and the server made of them: accept, count, hand each connection its task, drain.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::OnceLock;
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::NetConfig;
use super::budget::Budget;
use super::connection::{Connection, Shared};
use super::frame_pool::FramePool;
use super::log_limit::LogLimit;
use super::observer::{CloseReason, Observer};
use super::registry::{Registry, Signal, sweep_interval};
use super::request::{ConnectionInfo, Handler};

/// Sweeps between two looks at the frame pool.
const TRIM_EVERY: u32 = 10;
/// Pause after a failed accept (out of descriptors, mostly).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
const KEEPALIVE: TcpKeepalive = TcpKeepalive::new()
    .with_time(Duration::from_secs(60))
    .with_interval(Duration::from_secs(15))
    .with_retries(4);

/// Congestion control without pacing, for connections within the machine: there is nothing to share with others on the
/// way, and pacing (BBR) programs a timer for each piece sent, which costs several times what sending does. Reno is in
/// every kernel. Without it a connection is slower, not wrong.
const UNPACED: &[u8] = b"reno";

/// Why a listener cannot be opened. One line for the user.
#[derive(Debug, thiserror::Error)]
#[error("listener {name}: cannot listen on {address}: {}", describe(.cause))]
pub struct BindError {
    /// The listener's name.
    pub name: String,
    /// The address asked for.
    pub address: String,
    /// What the system says; already part of the line.
    pub cause: io::Error,
}

fn describe(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => "the port is in use by another process".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied (ports below 1024 need a privilege)".to_owned(),
        io::ErrorKind::AddrNotAvailable => "this machine does not have that address".to_owned(),
        _ => error.to_string(),
    }
}

/// A listening socket that nobody accepts from yet.
#[derive(Debug)]
pub struct BoundListener {
    name: Arc<str>,
    socket: std::net::TcpListener,
    address: SocketAddr,
}

impl BoundListener {
    /// Listens on `host:port`; an empty host means all interfaces, port 0 any free port.
    ///
    /// # Errors
    /// If the name cannot be resolved or the address cannot be listened on.
    pub fn bind(name: &str, host: &str, port: u16, backlog: i32) -> Result<Self, BindError> {
        let failed = |cause| BindError { name: name.to_owned(), address: format!("{host}:{port}"), cause };
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the host name has no address");
        for address in resolve(host, port).map_err(failed)? {
            match listen(address, backlog) {
                Ok(socket) => {
                    let address = socket.local_addr().map_err(failed)?;
                    return Ok(Self { name: name.into(), socket, address });
                }
                Err(error) => last = error,
            }
        }
        Err(failed(last))
    }

    /// The name given to [`BoundListener::bind`].
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The socket itself, for another kind of server.
    pub(crate) fn into_socket(self) -> std::net::TcpListener {
        self.socket
    }

    /// Where it really listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    use std::net::{Ipv4Addr, Ipv6Addr, ToSocketAddrs};
    if host.is_empty() {
        return Ok(vec![(Ipv6Addr::UNSPECIFIED, port).into(), (Ipv4Addr::UNSPECIFIED, port).into()]);
    }
    Ok((host.trim_start_matches('[').trim_end_matches(']'), port).to_socket_addrs()?.collect())
}

fn listen(address: SocketAddr, backlog: i32) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    if address.is_ipv6() && address.ip().is_unspecified() {
        socket.set_only_v6(false)?;
    }
    if address.ip().is_loopback() {
        // What is accepted has it from the beginning: a connection that was paced once stays so.
        let _ = socket.set_tcp_congestion(UNPACED);
    }
    socket.bind(&address.into())?;
    socket.listen(backlog.max(1))?;
    Ok(socket.into())
}

/// A running server; ends its connections when dropped.
pub struct Server {
    shared: Arc<Shared>,
    acceptors: Vec<JoinHandle<()>>,
    sweeper: JoinHandle<()>,
}

impl Server {
    /// Accepts on all `listeners` from now on. Must be called on a tokio runtime.
    ///
    /// # Errors
    /// If the runtime cannot watch a socket.
    pub fn start(
        config: NetConfig,
        listeners: Vec<BoundListener>,
        handler: Arc<dyn Handler>,
        observer: Arc<dyn Observer>,
    ) -> io::Result<Self> {
        let registry = Arc::new(Registry::new(&config));
        let budget = Budget::new(config.request_memory_bytes);
        let pool = Arc::new(FramePool::default());
        let shared = Arc::new(Shared { config, handler, observer, budget, pool, registry });
        let mut acceptors = Vec::new();
        for listener in listeners {
            let socket = TcpListener::from_std(listener.socket)?;
            acceptors.push(tokio::spawn(accept_loop(Arc::clone(&shared), socket, listener.name)));
        }
        let sweeper = tokio::spawn(sweep_loop(Arc::clone(&shared)));
        Ok(Self { shared, acceptors, sweeper })
    }

    /// Connections open now.
    pub fn open_connections(&self) -> usize {
        self.shared.registry.open_connections()
    }

    /// Bytes of the request budget that are free now.
    pub fn available_request_bytes(&self) -> usize {
        self.shared.budget.available_bytes()
    }

    /// Shows the state of the request budget in `metrics` from now on.
    pub fn report_to(&self, metrics: &crate::metrics::Metrics) {
        let shared = Arc::clone(&self.shared);
        metrics.add_gauge(
            "ottla_request_memory_available_bytes",
            "Bytes of the budget for request frames that are free.",
            move || shared.budget.available_bytes() as f64,
        );
    }

    /// Stops accepting, lets requests in flight end, then closes all; after `deadline` without waiting.
    pub async fn shutdown(mut self, deadline: Duration) {
        self.stop_accepting();
        self.shared.registry.signal_all(Signal::Drain);
        if tokio::time::timeout(deadline, self.all_ended()).await.is_err() {
            self.shared.registry.signal_all(Signal::Close(CloseReason::Shutdown));
            let _ = tokio::time::timeout(Duration::from_secs(1), self.all_ended()).await;
        }
    }

    fn stop_accepting(&mut self) {
        for acceptor in self.acceptors.drain(..) {
            acceptor.abort();
        }
    }

    async fn all_ended(&self) {
        loop {
            let ended = self.shared.registry.ended.notified();
            if self.open_connections() == 0 {
                return;
            }
            ended.await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop_accepting();
        self.sweeper.abort();
        self.shared.registry.signal_all(Signal::Close(CloseReason::Shutdown));
    }
}

async fn sweep_loop(shared: Arc<Shared>) {
    let mut interval = tokio::time::interval(sweep_interval(&shared.config));
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    for sweep in 0u32.. {
        interval.tick().await;
        shared.registry.sweep();
        if sweep % TRIM_EVERY == TRIM_EVERY - 1 {
            shared.pool.trim();
        }
    }
}

async fn accept_loop(shared: Arc<Shared>, socket: TcpListener, name: Arc<str>) {
    static LIMIT: LogLimit = LogLimit::new();
    loop {
        wait_for_room(&shared).await;
        match socket.accept().await {
            Ok((stream, peer)) => admit(&shared, stream, peer, &name),
            Err(error) => {
                if let Some(suppressed) = LIMIT.pass() {
                    tracing::error!(listener = &*name, suppressed, "cannot accept a connection: {error}");
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Waits until fewer than `max.connections` are open.
async fn wait_for_room(shared: &Shared) {
    loop {
        let ended = shared.registry.ended.notified();
        if shared.registry.open_connections() < shared.config.max_connections {
            return;
        }
        ended.await;
    }
}

fn admit(shared: &Arc<Shared>, stream: TcpStream, peer: SocketAddr, listener: &Arc<str>) {
    static LIMIT: LogLimit = LogLimit::new();
    if let Err(error) = set_options(&stream, peer, &shared.config) {
        tracing::debug!(%peer, "connection ended before it began: {error}");
        return;
    }
    let Some(membership) = shared.registry.join(peer.ip().to_canonical()) else {
        if let Some(suppressed) = LIMIT.pass() {
            tracing::warn!(%peer, suppressed, "connection refused: max.connections.per.ip reached");
        }
        shared.observer.connection_opened(listener);
        shared.observer.connection_closed(listener, CloseReason::TooMany);
        return;
    };
    let id = membership.id;
    let info = ConnectionInfo { id, peer, listener: Arc::clone(listener), software: OnceLock::new() };
    let connection = Connection::new(Arc::clone(shared), stream, Arc::new(info), membership);
    tokio::spawn(connection.run());
}

fn set_options(stream: &TcpStream, peer: SocketAddr, config: &NetConfig) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    socket.set_tcp_keepalive(&KEEPALIVE)?;
    if let Some(idle) = config.idle_timeout {
        // Counts also while the peer's window is closed, so it must not undercut the idle time.
        socket.set_tcp_user_timeout(Some(idle))?;
    }
    if let Some(bytes) = config.send_buffer_bytes {
        socket.set_send_buffer_size(bytes)?;
    }
    if let Some(bytes) = config.receive_buffer_bytes {
        socket.set_recv_buffer_size(bytes)?;
    }
    if peer.ip().to_canonical().is_loopback() {
        let _ = socket.set_tcp_congestion(UNPACED);
    }
    Ok(())
}
