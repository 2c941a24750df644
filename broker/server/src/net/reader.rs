//! Cuts a connection's bytes into frames with one copy, from the socket into the frame's buffer.
//!
//! Small frames are slices of one chunk into which many may be read at once. A frame larger than
//! [`OWN_BUFFER_BYTES`] gets a buffer of its own and the rest of it is received straight into that;
//! after such a frame the next read is a short probe, so that at most [`PROBE_BYTES`] of the next one
//! are copied twice.
//!
//! Invariants: no frame's buffer is allocated before it is charged to the budget; a frame above
//! [`FIRST_STEP_BYTES`] is charged that much first and the rest when so much has arrived, and its buffer
//! grows with what arrives; at a frame boundary without further bytes no memory is held.

use std::io;
use std::mem::MaybeUninit;
use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::TcpStream;

use super::budget::Permit;
use super::frame_pool::{FrameBuffer, FramePool, LARGEST_CLASS_BYTES};

/// Capacity of the chunk that small frames share.
const CHUNK_BYTES: usize = 32 * 1024;
/// Largest frame that waits for its rest in the chunk.
const OWN_BUFFER_BYTES: usize = 16 * 1024;
/// Bytes asked for where a large frame is expected to begin.
const PROBE_BYTES: usize = 512;
/// What a frame is charged, and allocated, before anything of it has been seen.
const FIRST_STEP_BYTES: usize = LARGEST_CLASS_BYTES;
/// A sender that delivers this much, or ends a frame, makes progress.
pub(crate) const PROGRESS_BYTES: usize = 256 * 1024;

/// Reads frames from one socket.
pub(crate) struct FrameReader {
    max_request_bytes: usize,
    pool: Arc<FramePool>,
    chunk: BytesMut,
    head_charge: Option<Permit>,
    large: Option<LargeFrame>,
    probing: bool,
    progress: u32,
    received: u64,
}

struct LargeFrame {
    buffer: FrameBuffer,
    length: usize,
    charged_bytes: usize,
    permits: Permits,
}

/// What a frame is charged; returns to the budget when dropped.
#[derive(Debug)]
pub(crate) struct Permits {
    _first: Permit,
    further: Option<Permit>,
}

/// What has to happen next.
pub(crate) enum Advance {
    /// A whole frame, without its length.
    Frame(Bytes, Permits),
    /// The budget must be charged; answer with [`FrameReader::charged`].
    Charge { bytes: usize, further: bool },
    /// Bytes must be read with [`FrameReader::fill`].
    Read,
}

/// A length that no request has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("frame length {length} is outside 0..={max}")]
pub(crate) struct BadLength {
    pub(crate) length: i32,
    pub(crate) max: usize,
}

impl FrameReader {
    pub(crate) fn new(max_request_bytes: usize, pool: Arc<FramePool>) -> Self {
        Self {
            max_request_bytes,
            pool,
            chunk: BytesMut::new(),
            head_charge: None,
            large: None,
            probing: false,
            progress: 0,
            received: 0,
        }
    }

    /// Looks at what has been read.
    pub(crate) fn advance(&mut self) -> Result<Advance, BadLength> {
        if let Some(large) = self.large.take() {
            return Ok(self.advance_large(large));
        }
        let Some(length) = self.head_length()? else { return Ok(Advance::Read) };
        let whole = self.chunk.len() >= 4 + length;
        match self.head_charge.take() {
            Some(first) if whole => {
                self.chunk.advance(4);
                self.progress = self.progress.wrapping_add(1);
                self.probing = false;
                let frame = self.chunk.split_to(length).freeze();
                Ok(Advance::Frame(frame, Permits { _first: first, further: None }))
            }
            Some(first) => {
                self.begin_large(length, first);
                Ok(Advance::Read)
            }
            None if whole || length > OWN_BUFFER_BYTES => {
                Ok(Advance::Charge { bytes: length.min(FIRST_STEP_BYTES), further: false })
            }
            None => Ok(Advance::Read),
        }
    }

    /// Takes the permit asked for by [`Advance::Charge`].
    pub(crate) fn charged(&mut self, permit: Permit) {
        match &mut self.large {
            Some(large) => {
                large.permits.further = Some(permit);
                large.charged_bytes = large.length;
            }
            None => self.head_charge = Some(permit),
        }
    }

    /// Receives once. `Ok(0)`: the peer sends nothing more. A read that gets less than asked for marks
    /// the socket as drained, which saves the call that would say so.
    pub(crate) fn fill(&mut self, stream: &TcpStream) -> io::Result<usize> {
        let received = match &mut self.large {
            Some(large) => {
                let had = large.buffer.bytes.len();
                if had == large.buffer.bytes.capacity() {
                    large.buffer.bytes.reserve_exact(had.min(large.length - had));
                }
                let wanted = large.charged_bytes - had;
                let received = receive(stream, large.buffer.bytes.spare_capacity_mut(), wanted)?;
                // SAFETY: `receive` has initialised this many bytes from the start of the spare capacity.
                unsafe { large.buffer.bytes.set_len(had + received) };
                if had / PROGRESS_BYTES != (had + received) / PROGRESS_BYTES {
                    self.progress = self.progress.wrapping_add(1);
                }
                received
            }
            None => {
                self.reserve_chunk();
                let wanted = if self.probing { PROBE_BYTES } else { usize::MAX };
                let had = self.chunk.len();
                let received = receive(stream, self.chunk.spare_capacity_mut(), wanted)?;
                // SAFETY: as above.
                unsafe { self.chunk.set_len(had + received) };
                received
            }
        };
        self.received += received as u64;
        Ok(received)
    }

    /// Bytes received so far.
    pub(crate) fn received(&self) -> u64 {
        self.received
    }

    /// Gives back the chunk if the connection is between frames.
    pub(crate) fn rest(&mut self) {
        if self.chunk.is_empty() && self.chunk.capacity() > 0 {
            self.chunk = BytesMut::new();
        }
    }

    /// Whether a frame has begun and is not yet handed out.
    pub(crate) fn is_mid_frame(&self) -> bool {
        !self.chunk.is_empty() || self.large.is_some()
    }

    /// Changes whenever the sender makes progress worth the name.
    pub(crate) fn progress(&self) -> u32 {
        self.progress
    }

    fn head_length(&self) -> Result<Option<usize>, BadLength> {
        let Some(prefix) = self.chunk.first_chunk::<4>() else { return Ok(None) };
        let length = i32::from_be_bytes(*prefix);
        match usize::try_from(length) {
            Ok(bytes) if bytes <= self.max_request_bytes => Ok(Some(bytes)),
            _ => Err(BadLength { length, max: self.max_request_bytes }),
        }
    }

    fn begin_large(&mut self, length: usize, first: Permit) {
        let charged_bytes = length.min(FIRST_STEP_BYTES);
        let mut buffer = self.pool.take(charged_bytes);
        buffer.bytes.extend_from_slice(&self.chunk[4..]);
        self.chunk = BytesMut::new();
        let permits = Permits { _first: first, further: None };
        self.large = Some(LargeFrame { buffer, length, charged_bytes, permits });
    }

    fn advance_large(&mut self, large: LargeFrame) -> Advance {
        let received = large.buffer.bytes.len();
        if received == large.length {
            self.progress = self.progress.wrapping_add(1);
            self.probing = true;
            return Advance::Frame(Bytes::from_owner(large.buffer), large.permits);
        }
        let advance = if received == large.charged_bytes {
            Advance::Charge { bytes: large.length - received, further: true }
        } else {
            Advance::Read
        };
        self.large = Some(large);
        advance
    }

    fn reserve_chunk(&mut self) {
        let had = self.chunk.len();
        let needed = match self.chunk.first_chunk::<4>() {
            Some(prefix) => 4 + i32::from_be_bytes(*prefix).max(0) as usize,
            None => 64,
        };
        if self.chunk.capacity() < needed.max(had + 1) {
            let fresh = if self.probing { PROBE_BYTES } else { CHUNK_BYTES };
            if had == 0 {
                self.chunk = BytesMut::with_capacity(fresh);
            } else {
                self.chunk.reserve(needed.max(fresh) - had);
            }
        }
    }
}

fn receive(stream: &TcpStream, spare: &mut [MaybeUninit<u8>], wanted: usize) -> io::Result<usize> {
    let wanted = wanted.min(spare.len());
    assert!(wanted > 0, "a read must ask for something");
    let mut received = None;
    let outcome = stream.try_io(Interest::READABLE, || {
        let bytes = loop {
            match SockRef::from(stream).recv(&mut spare[..wanted]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        received = Some(bytes);
        if bytes > 0 && bytes < wanted { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
    });
    match (received, outcome) {
        (Some(bytes), _) => Ok(bytes),
        (None, Err(error)) => Err(error),
        (None, Ok(())) => Err(io::ErrorKind::WouldBlock.into()),
    }
}
