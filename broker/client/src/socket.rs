//! What is asked of a TCP connection beyond sending and receiving.

use socket2::{SockRef, TcpKeepalive};
use std::time::Duration;
use tokio::net::TcpStream;

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
