//! The network layer against real loopback sockets, with a handler whose answers the request spells out.

mod frames;
mod hostile;
mod idle;
mod responses;
mod stress;

use std::io::{IoSlice, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use ottla_storage::{DiskFile, LogSlice};
use parking_lot::Mutex;

use super::*;

/// Answers as the first byte of the body says.
#[derive(Default)]
struct Toy {
    file: Option<LogSlice>,
    handled: AtomicUsize,
    closed: AtomicUsize,
    dropped: Arc<AtomicUsize>,
}

/// Counts when a future that never ends is dropped.
struct CountDrop(Arc<AtomicUsize>);

impl Drop for CountDrop {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

impl Handler for Toy {
    fn handle(self: Arc<Self>, request: Request) -> BoxFuture<Response> {
        self.handled.fetch_add(1, SeqCst);
        let id = request.header.correlation_id;
        Box::pin(async move {
            match request.body.first() {
                Some(b'w') => {
                    tokio::time::sleep(Duration::from_millis(request.body[1].into())).await;
                    reply(id, &[Part::Bytes(request.body.slice(2..))])
                }
                Some(b'p') => {
                    let _count = CountDrop(Arc::clone(&self.dropped));
                    std::future::pending().await
                }
                Some(b'n') => Response::None,
                Some(b'c') => Response::Close,
                Some(b'f') => {
                    let slice = self.file.clone().unwrap();
                    let half = LogSlice { bytes: slice.bytes / 2, ..slice.clone() };
                    let rest = LogSlice {
                        position: slice.position + half.bytes,
                        bytes: slice.bytes - half.bytes,
                        ..slice
                    };
                    let separator = Part::Bytes(Bytes::from_static(b"--"));
                    reply(id, &[Part::File(half), separator, Part::File(rest)])
                }
                Some(b'z') => reply(id, &[Part::Bytes(vec![b'z'; 8 << 20].into())]),
                _ => reply(id, &[Part::Bytes(request.body.clone())]),
            }
        })
    }

    fn connection_closed(&self, _connection: &ConnectionInfo) {
        self.closed.fetch_add(1, SeqCst);
    }
}

fn reply(correlation_id: i32, parts: &[Part]) -> Response {
    let length: u64 = parts.iter().map(Part::len).sum();
    let mut head = BytesMut::new();
    head.put_u32(4 + length as u32);
    head.put_i32(correlation_id);
    let mut all = vec![Part::Bytes(head.freeze())];
    for part in parts {
        all.push(match part {
            Part::Bytes(bytes) => Part::Bytes(bytes.clone()),
            Part::File(slice) => Part::File(slice.clone()),
        });
    }
    Response::Parts(all)
}

#[derive(Default)]
struct Recorder {
    done: Mutex<Vec<RequestDone>>,
    closed: Mutex<Vec<CloseReason>>,
}

impl Observer for Recorder {
    fn connection_opened(&self, _listener: &str) {}
    fn connection_closed(&self, _listener: &str, reason: CloseReason) {
        self.closed.lock().push(reason);
    }
    fn request_done(&self, done: &RequestDone) {
        self.done.lock().push(*done);
    }
}

struct Fixture {
    server: Server,
    address: SocketAddr,
    toy: Arc<Toy>,
    recorder: Arc<Recorder>,
}

impl Fixture {
    fn start(config: NetConfig) -> Self {
        Self::with(config, Toy::default())
    }

    fn with(config: NetConfig, toy: Toy) -> Self {
        let listener = BoundListener::bind("TEST", "127.0.0.1", 0, config.backlog).unwrap();
        let address = listener.address();
        let toy = Arc::new(toy);
        let recorder = Arc::new(Recorder::default());
        let server = Server::start(config, vec![listener], toy.clone(), recorder.clone()).unwrap();
        Self { server, address, toy, recorder }
    }

    fn connect(&self) -> Client {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        Client { stream }
    }

    async fn closed_with(&self, reason: CloseReason) {
        eventually(|| self.recorder.closed.lock().contains(&reason)).await;
    }
}

async fn eventually(mut condition: impl FnMut() -> bool) {
    for _ in 0..1000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("condition did not become true within ten seconds");
}

/// A blocking client; the server runs on other threads.
struct Client {
    stream: TcpStream,
}

impl Client {
    fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    fn request(&mut self, id: i32, body: &[u8]) {
        self.send(&frame(id, body));
    }

    fn response(&mut self) -> (i32, Vec<u8>) {
        let mut head = [0; 8];
        self.stream.read_exact(&mut head).unwrap();
        let length = u32::from_be_bytes(head[..4].try_into().unwrap()) as usize;
        let mut body = vec![0; length - 4];
        self.stream.read_exact(&mut body).unwrap();
        (i32::from_be_bytes(head[4..].try_into().unwrap()), body)
    }

    /// True if the server closes without sending anything more.
    fn is_closed(&mut self) -> bool {
        matches!(self.stream.read(&mut [0; 1]), Ok(0))
            || self.stream.take_error().is_ok_and(|error| error.is_some())
            || self.stream.write_all(b"x").is_err()
    }
}

/// A Metadata v1 request without a client id.
fn frame(id: i32, body: &[u8]) -> Vec<u8> {
    frame_of(3, 1, id, body)
}

fn frame_of(api_key: i16, version: i16, id: i32, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    out.put_u32(10 + body.len() as u32);
    out.put_i16(api_key);
    out.put_i16(version);
    out.put_i32(id);
    out.put_i16(-1);
    out.put_slice(body);
    out
}

/// A temporary file as a log segment; without its descriptor if `fd` is false.
#[derive(Debug)]
struct TestFile {
    file: std::fs::File,
    fd: bool,
}

impl DiskFile for TestFile {
    fn raw_fd(&self) -> Option<RawFd> {
        self.fd.then(|| self.file.as_raw_fd())
    }

    fn read_at(&self, buffer: &mut [u8], position: u64) -> std::io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(&self.file, buffer, position)
    }

    fn len(&self) -> std::io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn write_all_at(&self, _slices: &[IoSlice<'_>], _position: u64) -> std::io::Result<()> {
        Err(std::io::ErrorKind::Unsupported.into())
    }

    fn allocate(&self, _bytes: u64) -> std::io::Result<()> {
        Err(std::io::ErrorKind::Unsupported.into())
    }

    fn sync_data(&self) -> std::io::Result<()> {
        Ok(())
    }

    fn set_len(&self, _len_bytes: u64) -> std::io::Result<()> {
        Err(std::io::ErrorKind::Unsupported.into())
    }
}

/// Bytes that differ at every position.
fn pattern(bytes: usize) -> Vec<u8> {
    (0..bytes as u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}
