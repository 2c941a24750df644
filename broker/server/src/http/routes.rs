//! From a path to its answer.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE};
use hyper::{Method, Request, Response, StatusCode};

use super::BODY_BYTES;
use crate::logging::Levels;
use crate::metrics::{self, Metrics};

const INDEX: &str = "Ottla\n\n/metrics   metrics for Prometheus\n/livez     whether the process works\n\
                     /readyz    whether it takes traffic\n/loglevel  log level (GET, PUT)\n";

/// Knows how the broker is. Asked at each probe: must be cheap and must not block.
pub trait Health: Send + Sync {
    /// `Err` if only a restart helps; one line.
    fn live(&self) -> Result<(), String>;
    /// `Err` if it does not take traffic, or is not fully in sync; one line.
    fn ready(&self) -> Result<(), String>;
}

/// What the server answers from.
#[derive(Clone)]
pub struct HttpState {
    /// Behind `/metrics`.
    pub metrics: Arc<Metrics>,
    /// Behind `/livez` and `/readyz`.
    pub health: Arc<dyn Health>,
    /// Behind `/loglevel`.
    pub levels: Levels,
}

type Answer = Response<Full<Bytes>>;

pub(super) async fn answer(state: Arc<HttpState>, request: Request<Incoming>) -> Result<Answer, Infallible> {
    let get = matches!(*request.method(), Method::GET | Method::HEAD);
    let path = request.uri().path().trim_end_matches('/').to_owned();
    Ok(match path.as_str() {
        "/loglevel" if request.method() == Method::PUT => set_level(&state, request.into_body()).await,
        "/loglevel" if get => text(StatusCode::OK, state.levels.current() + "\n"),
        "/loglevel" => not_allowed("GET, HEAD, PUT"),
        "" | "/metrics" | "/livez" | "/readyz" if !get => not_allowed("GET, HEAD"),
        "" => text(StatusCode::OK, INDEX),
        "/metrics" => with_type(StatusCode::OK, metrics::CONTENT_TYPE, state.metrics.scrape().await),
        "/livez" => health(state.health.live()),
        "/readyz" => health(state.health.ready()),
        _ => text(StatusCode::NOT_FOUND, "not found\n"),
    })
}

async fn set_level(state: &HttpState, body: Incoming) -> Answer {
    let Ok(body) = Limited::new(body, BODY_BYTES).collect().await else {
        return text(StatusCode::PAYLOAD_TOO_LARGE, format!("at most {BODY_BYTES} bytes\n"));
    };
    let bytes = body.to_bytes();
    let Ok(directives) = std::str::from_utf8(&bytes) else {
        return text(StatusCode::BAD_REQUEST, "not UTF-8\n");
    };
    match state.levels.set(directives.trim()) {
        Ok(()) => {
            let levels = state.levels.current();
            tracing::info!("log levels are now {levels}");
            text(StatusCode::OK, levels + "\n")
        }
        Err(error) => text(StatusCode::BAD_REQUEST, format!("{error}\n")),
    }
}

fn health(state: Result<(), String>) -> Answer {
    match state {
        Ok(()) => text(StatusCode::OK, "ok\n"),
        Err(reason) => text(StatusCode::SERVICE_UNAVAILABLE, reason + "\n"),
    }
}

fn not_allowed(methods: &'static str) -> Answer {
    let mut answer = text(StatusCode::METHOD_NOT_ALLOWED, "method not allowed\n");
    answer.headers_mut().insert(ALLOW, hyper::header::HeaderValue::from_static(methods));
    answer
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    with_type(status, "text/plain; charset=utf-8", body)
}

fn with_type(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(kind));
    answer
}
