//! The reading end: answers off the wire, each to the one who asked.

use super::Shared;
use bytes::{BufMut, Bytes, BytesMut};
use ottla_protocol::frame::{self, LENGTH_BYTES};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::tcp::OwnedReadHalf;

/// An answer above this is read into memory that is used again for the next one.
const LARGE_ANSWER_BYTES: usize = 64 << 10;
/// That memory is given back after so long without an answer.
const ROOM_KEPT: Duration = Duration::from_secs(5);
/// Room is made as bytes come, not as they are claimed.
const ROOM_STEP_BYTES: usize = 1 << 20;

pub(super) async fn read(mut half: OwnedReadHalf, shared: Arc<Shared>, max_bytes: usize) {
    let mut room = BytesMut::new();
    let why = loop {
        match read_frame(&mut half, &mut room, max_bytes).await {
            Ok(Some(answer)) => {
                let id = answer.first_chunk::<4>().map(|bytes| i32::from_be_bytes(*bytes));
                match id.and_then(|id| shared.take(id)) {
                    Some(asker) => drop(asker.send(Ok(answer))),
                    None => break Some("it answered what nobody asked".to_owned()),
                }
            }
            Ok(None) => break None,
            Err(reason) => break Some(reason),
        }
    };
    shared.close(&shared.closed(why));
}

/// The next answer; none at the end of the connection. `room` is what the one before was read into: used again when
/// nobody holds that one any more. Small answers have memory of their own, so that holding one is cheap.
async fn read_frame(
    half: &mut OwnedReadHalf,
    room: &mut BytesMut,
    max_bytes: usize,
) -> Result<Option<Bytes>, String> {
    if room.capacity() > 0 && tokio::time::timeout(ROOM_KEPT, half.readable()).await.is_err() {
        *room = BytesMut::new();
    }
    let mut prefix = [0u8; LENGTH_BYTES];
    match half.read_exact(&mut prefix).await {
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error.to_string()),
    }
    let length = frame::length(prefix, max_bytes).map_err(|error| error.to_string())?;
    let mut own = BytesMut::new();
    let body = if length > LARGE_ANSWER_BYTES { room } else { &mut own };
    // All of it at once, if it is there already and free.
    let _ = body.try_reclaim(length);
    while body.len() < length {
        let missing = length - body.len();
        body.reserve(missing.min(ROOM_STEP_BYTES));
        let read =
            half.read_buf(&mut (&mut *body).limit(missing)).await.map_err(|error| error.to_string())?;
        if read == 0 {
            return Err("the connection ended within an answer".to_owned());
        }
    }
    Ok(Some(body.split().freeze()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

    use super::*;
    use tokio::io::AsyncWriteExt;
    use tokio::net::{TcpListener, TcpStream};

    async fn pair() -> (TcpStream, OwnedReadHalf) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let reading = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (listener.accept().await.unwrap().0, reading.into_split().0)
    }

    async fn answer(
        to: &mut TcpStream,
        half: &mut OwnedReadHalf,
        room: &mut BytesMut,
        bytes: usize,
    ) -> Bytes {
        let mut frame = u32::try_from(bytes).unwrap().to_be_bytes().to_vec();
        frame.resize(LENGTH_BYTES + bytes, 7);
        let (written, read) = tokio::join!(to.write_all(&frame), read_frame(half, room, 1 << 24));
        written.unwrap();
        let read = read.unwrap().unwrap();
        assert_eq!(read, frame[LENGTH_BYTES..]);
        read
    }

    #[tokio::test]
    async fn memory_of_a_large_answer_is_used_again_once_nobody_holds_it() {
        let ((mut to, mut half), mut room) = (pair().await, BytesMut::new());
        let first = answer(&mut to, &mut half, &mut room, 3 << 20).await;
        let place = first.as_ptr();
        drop(first);
        let second = answer(&mut to, &mut half, &mut room, 2 << 20).await;
        assert_eq!(second.as_ptr(), place);
        let third = answer(&mut to, &mut half, &mut room, 3 << 20).await;
        assert_ne!(third.as_ptr(), second.as_ptr());
    }

    #[tokio::test]
    async fn a_small_answer_holds_no_memory_of_large_ones() {
        let ((mut to, mut half), mut room) = (pair().await, BytesMut::new());
        drop(answer(&mut to, &mut half, &mut room, 3 << 20).await);
        let kept = room.capacity();
        let _small = answer(&mut to, &mut half, &mut room, 100).await;
        assert_eq!(room.capacity(), kept);
        assert!(room.try_reclaim(3 << 20));
    }
}
