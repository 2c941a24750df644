//! One unanswered request of a connection: its future, what it is charged, and its times.

use std::task::{Context, Poll};
use std::time::Instant;

use super::observer::RequestDone;
use super::reader::Permits;
use super::request::{BoxFuture, Response};

/// A request between its arrival and the moment its answer is queued for sending.
pub(crate) struct Slot {
    state: State,
    timing: Timing,
    permits: Option<Permits>,
}

enum State {
    Waiting(BoxFuture<Response>),
    Ready(Response),
}

/// When what happened, and what it was about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timing {
    pub(crate) api_key: i16,
    pub(crate) api_version: i16,
    pub(crate) request_bytes: u64,
    pub(crate) response_bytes: u64,
    pub(crate) received: Instant,
    pub(crate) started: Instant,
    pub(crate) handled: Instant,
    pub(crate) ready: Instant,
    pub(crate) sending: Instant,
}

impl Slot {
    /// Polls the new future for the first time.
    pub(crate) fn start(
        mut future: BoxFuture<Response>,
        mut timing: Timing,
        permits: Permits,
        cx: &mut Context<'_>,
    ) -> Self {
        let polled = future.as_mut().poll(cx);
        timing.handled = Instant::now();
        timing.ready = timing.handled;
        match polled {
            Poll::Ready(response) => Self { state: State::Ready(response), timing, permits: None },
            Poll::Pending => Self { state: State::Waiting(future), timing, permits: Some(permits) },
        }
    }

    /// Polls a future that is still waiting.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) {
        if let State::Waiting(future) = &mut self.state
            && let Poll::Ready(response) = future.as_mut().poll(cx)
        {
            self.state = State::Ready(response);
            self.permits = None;
            self.timing.ready = Instant::now();
        }
    }

    pub(crate) fn is_ready(&self) -> bool {
        matches!(self.state, State::Ready(_))
    }

    /// Whether the answer is still to come and nothing is lost if it never does: the client asks again,
    /// and it may well take minutes (Fetch, JoinGroup, SyncGroup, ShareFetch).
    pub(crate) fn may_be_abandoned(&self) -> bool {
        !self.is_ready() && matches!(self.timing.api_key, 1 | 11 | 14 | 78)
    }

    /// When the handler's first poll ended.
    pub(crate) fn handled(&self) -> Instant {
        self.timing.handled
    }

    /// The answer, if it is there.
    pub(crate) fn into_response(self) -> Option<(Response, Timing)> {
        match self.state {
            State::Ready(response) => Some((response, self.timing)),
            State::Waiting(_) => None,
        }
    }
}

impl Timing {
    pub(crate) fn done(&self, sent: Instant) -> RequestDone {
        RequestDone {
            api_key: self.api_key,
            api_version: self.api_version,
            request_bytes: self.request_bytes,
            response_bytes: self.response_bytes,
            queue: self.started.saturating_duration_since(self.received),
            local: self.handled.saturating_duration_since(self.started),
            remote: self.ready.saturating_duration_since(self.handled),
            response_queue: self.sending.saturating_duration_since(self.ready),
            send: sent.saturating_duration_since(self.sending),
            total: sent.saturating_duration_since(self.received),
        }
    }
}
