//! Puts answers on the wire in order: bytes by vectored writes, file ranges by `sendfile`.
//!
//! The kernel is told (`MSG_MORE`) when a file range follows bytes, so that a response header does not
//! travel in a packet of its own; a response with several file ranges is corked as a whole.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::num::NonZeroUsize;
use std::os::fd::{AsRawFd, RawFd};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::{Buf, Bytes};
use ottla_storage::LogSlice;
use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::TcpStream;

use super::observer::Observer;
use super::request::Part;
use super::slot::Timing;

/// Pieces of one vectored write.
const MAX_SLICES: usize = 64;
/// Most bytes of one `sendfile` call.
const SENDFILE_BYTES: u64 = 512 * 1024;
/// Bytes after which other tasks get a turn.
const TURN_BYTES: u64 = 4 * 1024 * 1024;
/// Read at once from a file that has no descriptor.
const COPY_BYTES: u64 = 64 * 1024;

/// The answers of one connection on their way out.
#[derive(Default)]
pub(crate) struct ResponseWriter {
    queue: VecDeque<Outgoing>,
    written: u64,
}

struct Outgoing {
    parts: VecDeque<Part>,
    timing: Timing,
    cork: Cork,
}

#[derive(PartialEq, Eq)]
enum Cork {
    Unneeded,
    Wanted,
    Set,
}

/// Why nothing more can be sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    #[error("{0}")]
    Socket(#[source] io::Error),
    #[error("log file could not be sent: {0}")]
    File(#[source] io::Error),
    #[error("log file ends {missing} bytes before the range to send")]
    FileTooShort { missing: u64 },
}

impl ResponseWriter {
    /// Queues a response; empty parts are dropped.
    pub(crate) fn push(&mut self, mut parts: Vec<Part>, mut timing: Timing) {
        parts.retain(|part| !part.is_empty());
        timing.response_bytes = parts.iter().map(Part::len).sum();
        let files = parts.iter().filter(|part| matches!(part, Part::File(_))).count();
        let cork = if files > 1 { Cork::Wanted } else { Cork::Unneeded };
        self.queue.push_back(Outgoing { parts: parts.into(), timing, cork });
    }

    /// Responses not yet wholly with the kernel.
    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Bytes handed to the kernel so far.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    /// Gives back memory that only a burst needed.
    pub(crate) fn rest(&mut self) {
        if self.queue.is_empty() && self.queue.capacity() > 0 {
            self.queue = VecDeque::new();
        }
    }

    /// Writes until all is sent or the socket takes no more.
    pub(crate) fn poll_flush(
        &mut self,
        stream: &TcpStream,
        observer: &dyn Observer,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), WriteError>> {
        let until = self.written + TURN_BYTES;
        loop {
            self.finish_sent(stream, observer);
            if self.queue.is_empty() {
                return Poll::Ready(Ok(()));
            }
            if self.written >= until {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            ready!(stream.poll_write_ready(cx)).map_err(WriteError::Socket)?;
            self.write_once(stream)?;
        }
    }

    fn finish_sent(&mut self, stream: &TcpStream, observer: &dyn Observer) {
        while self.queue.front().is_some_and(|response| response.parts.is_empty()) {
            if let Some(response) = self.queue.pop_front() {
                if response.cork == Cork::Set {
                    // A failure shows in the next write.
                    let _ = SockRef::from(stream).set_tcp_cork(false);
                }
                observer.request_done(&response.timing.done(Instant::now()));
            }
        }
    }

    fn write_once(&mut self, stream: &TcpStream) -> Result<(), WriteError> {
        let Some(response) = self.queue.front_mut() else { return Ok(()) };
        match response.parts.front_mut() {
            Some(Part::File(slice)) => {
                let sent = send_file(stream, slice)?;
                self.written += sent.bytes();
                if slice.bytes == 0 {
                    response.parts.pop_front();
                }
                if let FileStep::Copied(bytes) = sent {
                    response.parts.push_front(Part::Bytes(bytes));
                }
                Ok(())
            }
            _ => self.write_bytes(stream),
        }
    }

    /// One vectored write of all bytes before the next file range, over several responses.
    fn write_bytes(&mut self, stream: &TcpStream) -> Result<(), WriteError> {
        if let Some(first) = self.queue.front_mut()
            && first.cork == Cork::Wanted
        {
            first.cork = Cork::Set;
            let _ = SockRef::from(stream).set_tcp_cork(true);
        }
        let mut slices = [IoSlice::new(&[]); MAX_SLICES];
        let mut count = 0;
        let mut more = false;
        for part in self.queue.iter().flat_map(|response| &response.parts) {
            match part {
                Part::Bytes(bytes) if count < MAX_SLICES => {
                    slices[count] = IoSlice::new(bytes);
                    count += 1;
                }
                _ => {
                    more = true;
                    break;
                }
            }
        }
        let sent = send_vectored(stream, &slices[..count], more)?;
        self.written += sent as u64;
        self.consume(sent);
        Ok(())
    }

    fn consume(&mut self, mut sent: usize) {
        for response in &mut self.queue {
            while let Some(Part::Bytes(bytes)) = response.parts.front_mut() {
                if sent < bytes.len() {
                    bytes.advance(sent);
                    return;
                }
                sent -= bytes.len();
                response.parts.pop_front();
            }
            if !response.parts.is_empty() {
                return;
            }
        }
    }
}

/// 0 if the socket takes nothing now. A short write marks the socket as full.
fn send_vectored(stream: &TcpStream, slices: &[IoSlice<'_>], more: bool) -> Result<usize, WriteError> {
    let flags = libc::MSG_NOSIGNAL | if more { libc::MSG_MORE } else { 0 };
    let wanted: usize = slices.iter().map(|slice| slice.len()).sum();
    let mut sent = 0;
    let outcome = stream.try_io(Interest::WRITABLE, || {
        sent = SockRef::from(stream).send_vectored_with_flags(slices, flags)?;
        if sent < wanted { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
    });
    match outcome {
        Err(error) if !is_transient(&error) => Err(WriteError::Socket(error)),
        _ => Ok(sent),
    }
}

enum FileStep {
    Sent(u64),
    Copied(Bytes),
}

impl FileStep {
    fn bytes(&self) -> u64 {
        match self {
            Self::Sent(bytes) => *bytes,
            Self::Copied(_) => 0,
        }
    }
}

/// Sends the next bytes of a range and shortens it by them.
fn send_file(stream: &TcpStream, slice: &mut LogSlice) -> Result<FileStep, WriteError> {
    let Some(fd) = slice.file.raw_fd() else { return copy_file(slice) };
    let wanted = slice.bytes.min(SENDFILE_BYTES);
    let Some(length) = NonZeroUsize::new(wanted as usize) else { return Ok(FileStep::Sent(0)) };
    let position = slice.position as usize;
    let outcome = stream.try_io(Interest::WRITABLE, || {
        SockRef::from(stream).sendfile(&Descriptor(fd), position, Some(length))
    });
    match outcome {
        Ok(0) => Err(WriteError::FileTooShort { missing: slice.bytes }),
        Ok(sent) => {
            slice.position += sent as u64;
            slice.bytes -= sent as u64;
            Ok(FileStep::Sent(sent as u64))
        }
        Err(error) if is_transient(&error) => Ok(FileStep::Sent(0)),
        Err(error) if is_of_socket(&error) => Err(WriteError::Socket(error)),
        Err(error) => Err(WriteError::File(error)),
    }
}

fn copy_file(slice: &mut LogSlice) -> Result<FileStep, WriteError> {
    let mut buffer = vec![0; slice.bytes.min(COPY_BYTES) as usize];
    let read = slice.file.read_at(&mut buffer, slice.position).map_err(WriteError::File)?;
    if read == 0 {
        return Err(WriteError::FileTooShort { missing: slice.bytes });
    }
    buffer.truncate(read);
    slice.position += read as u64;
    slice.bytes -= read as u64;
    Ok(FileStep::Copied(buffer.into()))
}

struct Descriptor(RawFd);

impl AsRawFd for Descriptor {
    fn as_raw_fd(&self) -> RawFd {
        self.0
    }
}

fn is_transient(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

fn is_of_socket(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::NotConnected
            | io::ErrorKind::TimedOut
    )
}
