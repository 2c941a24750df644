//! The HTTP server beside the broker: metrics, health, and the log level.
//!
//! | path | method | answer |
//! |---|---|---|
//! | `/metrics` | GET | all metrics, Prometheus text format |
//! | `/livez` | GET | 200 while the process works, else 503 and why |
//! | `/readyz` | GET | 200 when traffic and restarts of others are welcome, else 503 and why |
//! | `/loglevel` | GET, PUT | the levels in force; PUT takes `info` or `info,ottla_server::net=debug` |
//!
//! Bounds: [`CONNECTIONS`] at a time, heads within [`HEAD_TIMEOUT`], bodies of [`BODY_BYTES`].

mod routes;

#[cfg(test)]
mod tests;

pub use routes::{Health, HttpState};

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::net::BoundListener;

/// Connections served at a time; more wait.
const CONNECTIONS: usize = 32;
/// Time a client has to send a request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest life of one connection.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(300);
/// Largest body of a request.
const BODY_BYTES: usize = 4096;
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A running HTTP server; stops when dropped.
#[derive(Debug)]
pub struct HttpServer {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl HttpServer {
    /// Serves on `listener` from now on. Must be called on a tokio runtime.
    ///
    /// # Errors
    /// If the runtime cannot watch the socket.
    pub fn start(listener: BoundListener, state: HttpState) -> std::io::Result<Self> {
        let address = listener.address();
        let socket = TcpListener::from_std(listener.into_socket())?;
        Ok(Self { address, task: tokio::spawn(accept_loop(socket, Arc::new(state))) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept_loop(socket: TcpListener, state: Arc<HttpState>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
        match socket.accept().await {
            Ok((stream, _)) => {
                let state = Arc::clone(&state);
                tokio::spawn(async move {
                    let _permit = permit;
                    if tokio::time::timeout(CONNECTION_TIMEOUT, serve(stream, state)).await.is_err() {
                        tracing::debug!("an HTTP connection was closed for its age");
                    }
                });
            }
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

async fn serve(stream: TcpStream, state: Arc<HttpState>) {
    let service = service_fn(move |request| routes::answer(Arc::clone(&state), request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        tracing::debug!("an HTTP connection ended: {error}");
    }
}
