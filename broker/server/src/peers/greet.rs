//! Greetings: a connection of its own for one question to an address, before anybody knows who is there.

use super::link::Lost;
use super::wire::{self, Hello, HelloAnswer};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use ottla_protocol::ApiKey;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Bytes of the largest answer.
const ANSWER_BYTES: usize = 1 << 20;

/// Greets every address at once; those that answered in time, with what they said.
pub async fn all(addresses: &[String], hello: &Hello, within: Duration) -> Vec<(String, HelloAnswer)> {
    let mut greetings = JoinSet::new();
    for address in addresses {
        let (address, hello) = (address.clone(), hello.clone());
        greetings.spawn(async move {
            let answer = tokio::time::timeout(within, one(&address, &hello)).await;
            Some((address, answer.ok()?.ok()?))
        });
    }
    let mut answers = Vec::new();
    while let Some(answer) = greetings.join_next().await {
        answers.extend(answer.ok().flatten());
    }
    answers.sort_by_key(|(_, answer)| answer.node);
    answers
}

async fn one(address: &str, hello: &Hello) -> Result<HelloAnswer, Lost> {
    let mut stream = TcpStream::connect(address).await.map_err(|_| Lost)?;
    let _ = stream.set_nodelay(true);
    over(&mut stream, hello).await
}

/// Greets over a connection on which nothing was said yet. It can be used for other things afterwards.
pub async fn over(stream: &mut TcpStream, hello: &Hello) -> Result<HelloAnswer, Lost> {
    let lost = |_: std::io::Error| Lost;
    let body = wire::to_json(hello);
    let mut frame = BytesMut::with_capacity(14 + body.len());
    frame.put_i32(i32::try_from(10 + body.len()).map_err(|_| Lost)?);
    frame.put_i16(ApiKey::PeerHello.code());
    frame.put_i16(0);
    frame.put_i32(1);
    frame.put_i16(-1);
    frame.put_slice(&body);
    stream.write_all(&frame).await.map_err(lost)?;
    let length = usize::try_from(stream.read_i32().await.map_err(lost)?).map_err(|_| Lost)?;
    if !(4..=ANSWER_BYTES).contains(&length) {
        return Err(Lost);
    }
    let mut answer = vec![0; length];
    stream.read_exact(&mut answer).await.map_err(lost)?;
    let mut answer = Bytes::from(answer);
    answer.advance(4);
    wire::from_json(&answer).map_err(|_| Lost)
}
