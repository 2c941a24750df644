//! The task of one connection: read, handle, write, in one poll as far as it goes.
//!
//! Each poll first gives waiting answers their turn, then alternates between one read (with all the
//! frames it brought) and writing, until neither moves. All requests of a connection are polled with the
//! task's own waker; there are at most [`NetConfig::max_in_flight`](super::NetConfig) of them.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use ottla_protocol::{HeaderError, RequestHeader};
use tokio::net::TcpStream;

use super::NetConfig;
use super::budget::{Budget, Permit};
use super::frame_pool::FramePool;
use super::log_limit::LogLimit;
use super::observer::{CloseReason, Observer};
use super::reader::{Advance, BadLength, FrameReader, Permits};
use super::registry::{Membership, Registry, Signal};
use super::request::{BoxFuture, ConnectionInfo, Handler, Request, Response};
use super::slot::{Slot, Timing};
use super::writer::{ResponseWriter, WriteError};

/// How long the end of a draining connection waits for the peer to close its side.
const LINGER: Duration = Duration::from_millis(200);

/// Bytes read after which other tasks get a turn.
const TURN_BYTES: u64 = 1024 * 1024;

/// What all connections of a server share.
pub(crate) struct Shared {
    pub(crate) config: NetConfig,
    pub(crate) handler: Arc<dyn Handler>,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) budget: Budget,
    pub(crate) pool: Arc<FramePool>,
    pub(crate) registry: Arc<Registry>,
}

/// One connection.
pub(crate) struct Connection {
    shared: Arc<Shared>,
    stream: TcpStream,
    info: Arc<ConnectionInfo>,
    membership: Membership,
    reader: FrameReader,
    charging: Option<BoxFuture<Option<Permit>>>,
    slots: VecDeque<Slot>,
    writer: ResponseWriter,
    draining: bool,
    /// No more requests are read: the handler closes after what is queued.
    closing: bool,
    /// Reader's progress and writer's bytes when the due time was last set.
    marks: (u32, u64),
    due: Due,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Due {
    Unset,
    Never,
    Idle,
    SlowSender,
    SlowReceiver,
}

#[derive(Debug, thiserror::Error)]
enum End {
    #[error("peer closed the connection")]
    PeerClosed,
    #[error("{0}")]
    Signalled(&'static str, CloseReason),
    #[error("{0}")]
    Length(#[from] BadLength),
    #[error("{0}")]
    Header(#[from] HeaderError),
    #[error("{0}")]
    Read(#[source] io::Error),
    #[error("{0}")]
    Write(#[from] WriteError),
    #[error("closed by the request handler")]
    Handler,
    #[error("drained")]
    Drained,
}

impl Connection {
    pub(crate) fn new(
        shared: Arc<Shared>,
        stream: TcpStream,
        info: Arc<ConnectionInfo>,
        membership: Membership,
    ) -> Self {
        let reader = FrameReader::new(shared.config.max_request_bytes, Arc::clone(&shared.pool));
        Self {
            shared,
            stream,
            info,
            membership,
            reader,
            charging: None,
            slots: VecDeque::new(),
            writer: ResponseWriter::default(),
            draining: false,
            closing: false,
            marks: (0, 0),
            due: Due::Unset,
        }
    }

    /// Serves the connection until it ends.
    pub(crate) async fn run(mut self) {
        self.shared.observer.connection_opened(&self.info.listener);
        let end = poll_fn(|cx| self.poll(cx)).await;
        self.slots.clear();
        self.shared.handler.connection_closed(&self.info);
        self.shared.observer.connection_closed(&self.info.listener, end.reason());
        end.log(&self.info);
        if matches!(end, End::Drained | End::Handler) {
            // Closing with unread bytes would reset the connection and could lose the last answers.
            // Boxed, because every idle connection would carry its buffer and timer.
            Box::pin(linger(self.stream)).await;
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        self.membership.entry.register(cx.waker());
        for slot in &mut self.slots {
            slot.poll(cx);
        }
        match self.poll_work(cx) {
            Ok(()) => {
                self.settle();
                Poll::Pending
            }
            Err(end) => Poll::Ready(end),
        }
    }

    /// Works until nothing moves. `Err` is the end of the connection.
    fn poll_work(&mut self, cx: &mut Context<'_>) -> Result<(), End> {
        let turn = self.reader.received();
        loop {
            match self.membership.entry.signal() {
                Some(Signal::Close(reason)) => return Err(End::Signalled(reason.name(), reason)),
                Some(Signal::Drain) => self.draining = true,
                None => {}
            }
            let read = self.poll_read_burst(cx)?;
            self.queue_ready();
            let written = self.writer.written();
            let flushed = self.writer.poll_flush(&self.stream, &*self.shared.observer, cx)?.is_ready();
            if self.writer.is_empty() {
                if self.closing && self.slots.is_empty() {
                    return Err(End::Handler);
                }
                if self.draining && self.slots.iter().all(Slot::may_be_abandoned) {
                    return Err(End::Drained);
                }
            }
            if !read && (written == self.writer.written() || !flushed) {
                return Ok(());
            }
            if self.reader.received() - turn > TURN_BYTES {
                cx.waker().wake_by_ref();
                return Ok(());
            }
        }
    }

    /// Handles the frames at hand, and after at most one read those it brought. `true` if any moved.
    fn poll_read_burst(&mut self, cx: &mut Context<'_>) -> Result<bool, End> {
        let mut may_read = true;
        let mut moved = false;
        let mut clock = None;
        while !self.draining && !self.closing && self.has_room() {
            match self.poll_advance(cx)? {
                Poll::Pending => break,
                Poll::Ready(Advance::Frame(frame, permits)) => {
                    moved = true;
                    let now = *clock.get_or_insert_with(Instant::now);
                    clock = Some(self.dispatch(frame, permits, now, cx)?);
                }
                Poll::Ready(_) if !may_read => break,
                Poll::Ready(_) => {
                    if !self.poll_fill(cx)? {
                        break;
                    }
                    moved = true;
                    may_read = false;
                }
            }
        }
        Ok(moved)
    }

    fn has_room(&self) -> bool {
        self.slots.len() + self.writer.len() < self.shared.config.max_in_flight
    }

    /// The reader's next step, with the budget already charged for it.
    fn poll_advance(&mut self, cx: &mut Context<'_>) -> Result<Poll<Advance>, End> {
        loop {
            if let Some(charging) = &mut self.charging {
                let Poll::Ready(permit) = charging.as_mut().poll(cx) else { return Ok(Poll::Pending) };
                self.charging = None;
                let permit = permit.ok_or(End::Drained)?;
                self.reader.charged(permit);
            }
            match self.reader.advance()? {
                Advance::Charge { bytes, further } => match self.shared.budget.try_charge(bytes) {
                    Some(permit) => self.reader.charged(permit),
                    None => self.charging = Some(self.shared.budget.charge(bytes, further)),
                },
                other => return Ok(Poll::Ready(other)),
            }
        }
    }

    /// One read; `false` if there is nothing to read now.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Result<bool, End> {
        loop {
            match self.stream.poll_read_ready(cx) {
                Poll::Pending => return Ok(false),
                Poll::Ready(ready) => ready.map_err(End::Read)?,
            }
            match self.reader.fill(&self.stream) {
                Ok(0) => return Err(End::PeerClosed),
                Ok(_) => return Ok(true),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(End::Read(error)),
            }
        }
    }

    /// Hands a frame to the handler. Returns when the handler's first poll ended.
    fn dispatch(
        &mut self,
        frame: Bytes,
        permits: Permits,
        received: Instant,
        cx: &mut Context<'_>,
    ) -> Result<Instant, End> {
        let request_bytes = frame.len() as u64;
        let (header, body) = RequestHeader::decode(frame)?;
        let timing = Timing {
            api_key: header.api_key.code(),
            api_version: header.api_version,
            request_bytes,
            response_bytes: 0,
            received,
            started: received,
            handled: received,
            ready: received,
            sending: received,
        };
        let request = Request { header, body, connection: Arc::clone(&self.info), received_at: received };
        let future = Arc::clone(&self.shared.handler).handle(request);
        let slot = Slot::start(future, timing, permits, cx);
        let handled = slot.handled();
        self.slots.push_back(slot);
        Ok(handled)
    }

    /// Moves answers whose turn has come to the writer.
    fn queue_ready(&mut self) {
        while !self.closing && self.slots.front().is_some_and(Slot::is_ready) {
            let Some((response, mut timing)) = self.slots.pop_front().and_then(Slot::into_response) else {
                return;
            };
            timing.sending = if self.slots.is_empty() && timing.ready == timing.handled {
                timing.ready
            } else {
                Instant::now()
            };
            match response {
                Response::Parts(parts) => self.writer.push(parts, timing),
                Response::None => self.shared.observer.request_done(&timing.done(timing.sending)),
                Response::Close => {
                    self.closing = true;
                    self.slots.clear();
                }
            }
        }
    }

    /// Before waiting: gives back memory and says until when something must happen.
    fn settle(&mut self) {
        let between_requests = self.slots.is_empty() && self.writer.is_empty();
        self.reader.rest();
        if between_requests && !self.reader.is_mid_frame() {
            self.writer.rest();
            if self.slots.capacity() > 4 {
                self.slots = VecDeque::new();
            }
        }
        let due = if !self.writer.is_empty() {
            Due::SlowReceiver
        } else if self.charging.is_some() || !self.slots.is_empty() {
            Due::Never
        } else if self.reader.is_mid_frame() {
            Due::SlowSender
        } else {
            Due::Idle
        };
        let marks = (self.reader.progress(), self.writer.written());
        if due != self.due || marks != self.marks {
            self.due = due;
            self.marks = marks;
            self.publish_due();
        }
    }

    fn publish_due(&self) {
        let config = &self.shared.config;
        let (after, reason) = match self.due {
            Due::Never | Due::Unset => (None, CloseReason::Idle),
            Due::SlowSender => (Some(config.slow_sender_timeout), CloseReason::SlowSender),
            // A paused consumer leaves its answers unread as long as it likes, up to the idle time.
            Due::SlowReceiver | Due::Idle => (config.idle_timeout, CloseReason::Idle),
        };
        let now = self.shared.registry.coarse_ms();
        let at = after.map_or(u64::MAX, |after| now.saturating_add(after.as_millis() as u64));
        self.membership.entry.due(at, reason);
    }
}

impl End {
    fn reason(&self) -> CloseReason {
        match self {
            Self::PeerClosed | Self::Read(_) | Self::Write(WriteError::Socket(_)) => CloseReason::Peer,
            Self::Signalled(_, reason) => *reason,
            Self::Length(_) => CloseReason::BadLength,
            Self::Header(_) => CloseReason::BadHeader,
            Self::Write(_) => CloseReason::File,
            Self::Handler => CloseReason::Handler,
            Self::Drained => CloseReason::Shutdown,
        }
    }

    fn log(&self, info: &ConnectionInfo) {
        static LIMIT: LogLimit = LogLimit::new();
        let (peer, listener) = (info.peer, &*info.listener);
        match self.reason() {
            CloseReason::Peer | CloseReason::Shutdown | CloseReason::Handler | CloseReason::Idle => {
                tracing::debug!(%peer, listener, "connection ended: {self}");
            }
            CloseReason::File => tracing::error!(%peer, listener, "connection closed: {self}"),
            _ => {
                if let Some(suppressed) = LIMIT.pass() {
                    tracing::warn!(%peer, listener, suppressed, "connection closed: {self}");
                }
            }
        }
    }
}

/// Ends the sending side and reads what the peer still sends, until it closes too.
async fn linger(mut stream: TcpStream) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let drain = async {
        let mut rest = [0; 4096];
        if stream.shutdown().await.is_ok() {
            while matches!(stream.read(&mut rest).await, Ok(bytes) if bytes > 0) {}
        }
    };
    let _ = tokio::time::timeout(LINGER, drain).await;
}
