//! The way to a broker, also while its name cannot be looked up.
//!
//! Brokers that know each other must go on when the name service is away: a name leads to where it led before, while its
//! lookup fails or hangs. Somebody else may be at that address by then, so who is there is asked first.

use super::greet;
use super::link::Lost;
use super::wire::Hello;
use ottla_types::BrokerId;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;

/// A name that was reached before is waited for alone no longer than this.
const LOOKUP_PATIENCE: Duration = Duration::from_millis(300);

/// Where names led, as `host:port`.
#[derive(Debug)]
pub struct Reached {
    addresses: Mutex<BTreeMap<String, SocketAddr>>,
    patience: Duration,
}

impl Default for Reached {
    fn default() -> Self {
        Self { addresses: Mutex::default(), patience: LOOKUP_PATIENCE }
    }
}

impl Reached {
    /// Connects to `peer` at `address`.
    ///
    /// # Errors
    /// If the name is not known, or nobody or another broker answers there. The caller limits the time.
    pub async fn connect(&self, peer: BrokerId, address: &str, hello: &Hello) -> io::Result<TcpStream> {
        let look_up = async { Ok(tokio::net::lookup_host(address).await?.collect()) };
        self.connect_through(peer, address, hello, look_up).await
    }

    /// Forgets all but these.
    pub fn retain(&self, is_known: impl Fn(&str) -> bool) {
        self.addresses.lock().retain(|address, _| is_known(address));
    }

    async fn connect_through(
        &self,
        peer: BrokerId,
        address: &str,
        hello: &Hello,
        look_up: impl Future<Output = io::Result<Vec<SocketAddr>>>,
    ) -> io::Result<TcpStream> {
        let mut look_up = std::pin::pin!(look_up);
        let before = self.addresses.lock().get(address).copied();
        let Some(before) = before else {
            return self.connect_now(address, &look_up.await?).await;
        };
        match tokio::time::timeout(self.patience, look_up.as_mut()).await {
            Ok(Ok(found)) => self.connect_now(address, &found).await,
            Ok(Err(_)) => connect_as_before(peer, before, hello).await,
            Err(_) => tokio::select! {
                biased;
                Ok(found) = look_up.as_mut() => self.connect_now(address, &found).await,
                Ok(stream) = connect_as_before(peer, before, hello) => Ok(stream),
                else => Err(io::ErrorKind::NotConnected.into()),
            },
        }
    }

    async fn connect_now(&self, address: &str, found: &[SocketAddr]) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(found).await?;
        self.addresses.lock().insert(address.to_owned(), stream.peer_addr()?);
        Ok(stream)
    }
}

async fn connect_as_before(peer: BrokerId, at: SocketAddr, hello: &Hello) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(at).await?;
    let answer = greet::over(&mut stream, hello).await.map_err(|Lost| io::ErrorKind::InvalidData)?;
    if answer.node != peer || answer.cluster_id != hello.cluster_id {
        return Err(io::Error::other(format!("broker {} is there now", answer.node)));
    }
    Ok(stream)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

    use super::*;
    use crate::peers::wire::{self, HelloAnswer};
    use bytes::{BufMut, BytesMut};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    const ADDRESS: &str = "broker-1.test:9092";

    fn hello() -> Hello {
        Hello { from: BrokerId(2), cluster_id: Some("c".to_owned()), candidate: None, wants_grant: false }
    }

    /// Says to everybody who greets it that it is that broker.
    async fn broker(id: i32) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let length = stream.read_i32().await.unwrap();
                    let mut question = vec![0; length as usize];
                    stream.read_exact(&mut question).await.unwrap();
                    let answer = wire::to_json(&HelloAnswer {
                        node: BrokerId(id),
                        cluster_id: Some("c".to_owned()),
                        candidate: None,
                        granted: false,
                        leader: None,
                        addresses: BTreeMap::new(),
                    });
                    let mut frame = BytesMut::new();
                    frame.put_i32(4 + answer.len() as i32);
                    frame.put_i32(1);
                    frame.put_slice(&answer);
                    stream.write_all(&frame).await.unwrap();
                });
            }
        });
        at
    }

    fn impatient() -> Reached {
        Reached { patience: Duration::ZERO, ..Reached::default() }
    }

    async fn gone() -> io::Result<Vec<SocketAddr>> {
        Err(io::ErrorKind::NotFound.into())
    }

    #[tokio::test]
    async fn a_name_that_is_not_known_any_more_leads_to_where_it_led_before() {
        let (reached, at) = (impatient(), broker(1).await);
        let connect = async |look_up: std::pin::Pin<Box<dyn Future<Output = _>>>| {
            let stream = reached.connect_through(BrokerId(1), ADDRESS, &hello(), look_up).await?;
            stream.peer_addr()
        };
        assert!(connect(Box::pin(gone())).await.is_err());
        assert_eq!(connect(Box::pin(async move { Ok(vec![at]) })).await.unwrap(), at);
        assert_eq!(connect(Box::pin(gone())).await.unwrap(), at);
        assert_eq!(connect(Box::pin(std::future::pending())).await.unwrap(), at);
        // Where the name leads now counts, even if nobody answers there.
        let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        assert!(connect(Box::pin(async move { Ok(vec![nobody]) })).await.is_err());
        reached.retain(|_| false);
        assert!(connect(Box::pin(gone())).await.is_err());
    }

    #[tokio::test]
    async fn another_broker_at_the_old_address_is_not_taken_for_the_peer() {
        let (reached, other) = (impatient(), broker(3).await);
        let look_up = async move { Ok(vec![other]) };
        reached.connect_through(BrokerId(1), ADDRESS, &hello(), look_up).await.unwrap();
        let error = reached.connect_through(BrokerId(1), ADDRESS, &hello(), gone()).await.unwrap_err();
        assert_eq!(error.to_string(), "broker 3 is there now");
    }

    #[tokio::test]
    async fn a_slow_lookup_still_finds_a_broker_that_has_moved() {
        let (reached, now) = (impatient(), broker(1).await);
        let before = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = before.local_addr().unwrap();
        let look_up = async move { Ok(vec![at]) };
        reached.connect_through(BrokerId(1), ADDRESS, &hello(), look_up).await.unwrap();
        drop(before);
        let slow = async move {
            tokio::task::yield_now().await;
            Ok(vec![now])
        };
        let stream = reached.connect_through(BrokerId(1), ADDRESS, &hello(), slow).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), now);
    }
}
