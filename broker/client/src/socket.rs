//! What is asked of a TCP connection beyond sending and receiving.

use socket2::{SockRef, TcpKeepalive};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;

/// Addresses remembered at most.
const KNOWN_MAX: usize = 1_000;
/// A name that was reached before is waited for no longer than this.
const LOOKUP_PATIENCE: Duration = Duration::from_millis(300);

static KNOWN: Mutex<BTreeMap<String, SocketAddr>> = Mutex::new(BTreeMap::new());

/// Connects to `host:port`; while the name cannot be looked up, to where this process reached it last.
///
/// For those who find out whom they have reached: what was at an address may be somewhere else by now. With it brokers
/// that know each other go on when the name service is away.
///
/// # Errors
/// If the name is not known or nobody answers there.
pub async fn connect_as_before(address: &str) -> io::Result<TcpStream> {
    connect_through(address, async || Ok(tokio::net::lookup_host(address).await?.collect())).await
}

async fn connect_through(
    address: &str,
    look_up: impl AsyncFnOnce() -> io::Result<Vec<SocketAddr>>,
) -> io::Result<TcpStream> {
    let known = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let before = known().get(address).copied();
    let found = match before {
        None => look_up().await,
        Some(before) => match tokio::time::timeout(LOOKUP_PATIENCE, look_up()).await {
            Ok(Ok(found)) => Ok(found),
            Ok(Err(_)) | Err(_) => return TcpStream::connect(before).await,
        },
    };
    let stream = TcpStream::connect(&found?[..]).await?;
    let peer = stream.peer_addr()?;
    if before != Some(peer) {
        let mut known = known();
        if known.len() < KNOWN_MAX || known.contains_key(address) {
            known.insert(address.to_owned(), peer);
        }
    }
    Ok(stream)
}

/// Ends a connection whose other machine has acknowledged nothing for `after`, whether something is under way or not.
///
/// Without it a connection over a cut path lives on: its next attempt to send comes ever later, and an answer that was
/// lost is waited for. It is about machines and paths: the kernel acknowledges for a program that hangs.
pub fn notice_silence(stream: &TcpStream, after: Duration) -> std::io::Result<()> {
    let socket = SockRef::from(stream);
    let pace = (after / 3).max(Duration::from_secs(1));
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(pace).with_interval(pace))?;
    socket.set_tcp_user_timeout(Some(after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_that_is_not_known_any_more_leads_to_where_it_led_before() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let gone = async || Err(io::ErrorKind::NotFound.into());
        assert!(connect_through("broker-0:9092", gone).await.is_err());
        connect_through("broker-0:9092", async || Ok(vec![at])).await.unwrap();
        assert_eq!(connect_through("broker-0:9092", gone).await.unwrap().peer_addr().unwrap(), at);
        let hangs = async || std::future::pending().await;
        assert_eq!(connect_through("broker-0:9092", hangs).await.unwrap().peer_addr().unwrap(), at);
        let moved = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        drop(listener);
        // Where the name leads now counts, even if nobody answers there.
        assert!(connect_through("broker-0:9092", async || Ok(vec![moved])).await.is_err());
    }

    #[tokio::test]
    async fn probes_and_the_time_without_acknowledgement_are_set() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        notice_silence(&stream, Duration::from_secs(3)).unwrap();
        let socket = SockRef::from(&stream);
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(1));
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(Duration::from_secs(3)));
    }
}
