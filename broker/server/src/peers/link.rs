//! One outgoing connection to another broker, made again whenever it breaks.
//!
//! What is sent goes into a bounded queue and is lost while there is no connection: whoever needs an answer asks
//! again. Invariants: sending never waits; a question is answered once, if only by its loss; a break is reported
//! once for each connection that was up.

use super::book::AddressBook;
use super::reach::Reached;
use super::wire::Hello;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use ottla_protocol::ApiKey;
use ottla_types::BrokerId;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};

/// Frames that wait to be sent; more are lost.
const QUEUE: usize = 512;
/// Bytes of the largest answer.
const ANSWER_BYTES: usize = 64 << 20;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// A peer whose machine acknowledges nothing for so long is gone, and connected to again.
pub const SILENCE_TIMEOUT: Duration = Duration::from_secs(3);
/// A peer that takes nothing for so long has hung.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);
const FIRST_BACKOFF: Duration = Duration::from_millis(10);
const LONGEST_BACKOFF: Duration = Duration::from_millis(500);

/// There is no answer: the connection broke, or there was none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the connection to the broker broke")]
pub struct Lost;

/// How a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum LinkState {
    /// It was not tried yet.
    New = 0,
    /// It is there.
    Up = 1,
    /// It broke, or could not be made.
    Down = 2,
}

/// A frame to send.
#[derive(Debug)]
pub struct Outgoing {
    /// What kind of request it is.
    pub key: ApiKey,
    /// Its body.
    pub body: Bytes,
    /// Where the answer's body goes, if there is one.
    pub answer: Option<oneshot::Sender<Bytes>>,
}

/// The sending end of a connection.
#[derive(Debug, Clone)]
pub struct Link {
    queue: mpsc::Sender<Outgoing>,
    state: Arc<AtomicU8>,
}

/// What a connection is made with.
pub struct LinkOptions {
    /// To whom.
    pub peer: BrokerId,
    /// Where brokers are.
    pub book: Arc<AddressBook>,
    /// Where their names led.
    pub reached: Arc<Reached>,
    /// What to say where it is not certain who is there.
    pub hello: Hello,
    /// Told when a connection that was up broke.
    pub broken: mpsc::UnboundedSender<BrokerId>,
}

impl Link {
    /// Begins to connect.
    pub fn start(options: LinkOptions, runtime: &tokio::runtime::Handle) -> Self {
        let (queue, receiver) = mpsc::channel(QUEUE);
        let state = Arc::new(AtomicU8::new(LinkState::New as u8));
        runtime.spawn(run(options, receiver, state.clone()));
        Self { queue, state }
    }

    /// How it is.
    pub fn state(&self) -> LinkState {
        match self.state.load(Ordering::Relaxed) {
            0 => LinkState::New,
            1 => LinkState::Up,
            _ => LinkState::Down,
        }
    }

    /// Sends, or loses it.
    pub fn send(&self, key: ApiKey, body: Bytes) {
        // A full queue means that the peer does not keep up; what is lost is sent again by whoever needs it.
        let _ = self.queue.try_send(Outgoing { key, body, answer: None });
    }

    /// Asks.
    ///
    /// # Errors
    /// [`Lost`] if no answer came; whether the question arrived is not known.
    pub async fn ask(&self, key: ApiKey, body: Bytes) -> Result<Bytes, Lost> {
        let (answer, receiver) = oneshot::channel();
        self.queue.try_send(Outgoing { key, body, answer: Some(answer) }).map_err(|_| Lost)?;
        receiver.await.map_err(|_| Lost)
    }
}

async fn run(options: LinkOptions, mut queue: mpsc::Receiver<Outgoing>, state: Arc<AtomicU8>) {
    let mut backoff = FIRST_BACKOFF;
    loop {
        let stream = connect(&options).await;
        if let Some(stream) = stream {
            backoff = FIRST_BACKOFF;
            state.store(LinkState::Up as u8, Ordering::Relaxed);
            let ended = serve(stream, &mut queue).await;
            state.store(LinkState::Down as u8, Ordering::Relaxed);
            if ended == Ended::NobodySends {
                return;
            }
            let _ = options.broken.send(options.peer);
        } else {
            state.store(LinkState::Down as u8, Ordering::Relaxed);
        }
        // Whoever waits is told at once; what could be late is better lost.
        while queue.try_recv().is_ok() {}
        if queue.is_closed() {
            return;
        }
        tokio::time::sleep(backoff).await;
        backoff = (backoff * 2).min(LONGEST_BACKOFF);
    }
}

async fn connect(options: &LinkOptions) -> Option<TcpStream> {
    let address = options.book.address(options.peer)?;
    let connecting = options.reached.connect(options.peer, &address, &options.hello);
    match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
        Ok(Ok(stream)) => {
            let _ = stream.set_nodelay(true);
            let _ = ottla_client::notice_silence(&stream, SILENCE_TIMEOUT);
            Some(stream)
        }
        Ok(Err(error)) => {
            tracing::debug!(peer = %options.peer, address, %error, "no connection");
            None
        }
        Err(_) => {
            tracing::debug!(peer = %options.peer, address, "no connection in time");
            None
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Ended {
    Broken,
    NobodySends,
}

async fn serve(mut stream: TcpStream, queue: &mut mpsc::Receiver<Outgoing>) -> Ended {
    let (mut reading, mut writing) = stream.split();
    let mut waiting: BTreeMap<i32, oneshot::Sender<Bytes>> = BTreeMap::new();
    let mut next_id = 0i32;
    let mut incoming = BytesMut::new();
    let mut outgoing = BytesMut::new();
    loop {
        tokio::select! {
            frame = queue.recv() => {
                let Some(frame) = frame else { return Ended::NobodySends };
                let mut frame = Some(frame);
                while let Some(next) = frame {
                    next_id = next_id.wrapping_add(1);
                    put_frame(&mut outgoing, &next, next_id);
                    if let Some(answer) = next.answer {
                        waiting.insert(next_id, answer);
                    }
                    frame = queue.try_recv().ok();
                }
                let written = tokio::time::timeout(WRITE_TIMEOUT, writing.write_all(&outgoing)).await;
                if !matches!(written, Ok(Ok(()))) {
                    return Ended::Broken;
                }
                outgoing.clear();
                if outgoing.capacity() > 1 << 16 {
                    outgoing = BytesMut::new();
                }
            }
            read = reading.read_buf(&mut incoming) => {
                if !matches!(read, Ok(1..)) {
                    return Ended::Broken;
                }
                if take_answers(&mut incoming, &mut waiting).is_err() {
                    return Ended::Broken;
                }
            }
        }
    }
}

fn put_frame(out: &mut BytesMut, frame: &Outgoing, id: i32) {
    // Key, version, correlation id, a client id that is absent.
    let bytes = 2 + 2 + 4 + 2 + frame.body.len();
    out.reserve(4 + bytes);
    out.put_i32(i32::try_from(bytes).unwrap_or(i32::MAX));
    out.put_i16(frame.key.code());
    out.put_i16(0);
    out.put_i32(id);
    out.put_i16(-1);
    out.put_slice(&frame.body);
}

fn take_answers(
    incoming: &mut BytesMut,
    waiting: &mut BTreeMap<i32, oneshot::Sender<Bytes>>,
) -> Result<(), Lost> {
    loop {
        let Some(length) = incoming.first_chunk::<4>().map(|bytes| i32::from_be_bytes(*bytes)) else {
            return Ok(());
        };
        let length = usize::try_from(length).map_err(|_| Lost)?;
        if !(4..=ANSWER_BYTES).contains(&length) {
            return Err(Lost);
        }
        if incoming.len() < 4 + length {
            incoming.reserve(4 + length - incoming.len());
            return Ok(());
        }
        incoming.advance(4);
        let mut frame = incoming.split_to(length).freeze();
        let id = frame.get_i32();
        let Some(asker) = waiting.remove(&id) else { return Err(Lost) };
        // Whoever asked may have given up.
        let _ = asker.send(frame);
    }
}
