//! One connection to a broker: requests go out as they come, answers find their askers by correlation id.
//!
//! A writer and a reader task share a table of those who wait. When either ends, everybody who waits is told, and the
//! connection is dead for good; [`crate::Client`] makes a new one. An answer that does not come in time ends the
//! connection too, since all later answers stand behind it.

mod reading;

use crate::error::ClientError;
use crate::options::ClientOptions;
use bytes::{BufMut, Bytes, BytesMut};
use ottla_protocol::frame::LENGTH_BYTES;
use ottla_protocol::header::decode_response_header;
use ottla_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse, ProduceResponse};
use ottla_protocol::{ApiKey, ProduceRequest, RequestBody, RequestHeader, StrBytes, encode_request, extra};
use ottla_types::ErrorCode;
use ottla_types::limits::REQUESTS_IN_FLIGHT;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::{mpsc, oneshot};

use kafka_protocol::protocol::{Decodable, Request};

type Answer = Result<Bytes, ClientError>;

/// A connection to a broker. Clones share it; it closes when the last one is dropped.
#[derive(Debug, Clone)]
pub struct Connection {
    shared: Arc<Shared>,
    outgoing: mpsc::Sender<Bytes>,
    versions: Arc<BTreeMap<i16, (i16, i16)>>,
    client_id: StrBytes,
    request_timeout: Duration,
}

#[derive(Debug)]
struct Shared {
    address: String,
    next_id: AtomicI32,
    waiting: Mutex<Waiting>,
}

#[derive(Debug)]
enum Waiting {
    Open(BTreeMap<i32, oneshot::Sender<Answer>>),
    Closed(ClientError),
}

impl Shared {
    fn waiting(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn register(&self, id: i32, asker: oneshot::Sender<Answer>) -> Result<(), ClientError> {
        match &mut *self.waiting() {
            Waiting::Closed(why) => Err(why.clone()),
            Waiting::Open(askers) => {
                askers.insert(id, asker);
                Ok(())
            }
        }
    }

    fn take(&self, id: i32) -> Option<oneshot::Sender<Answer>> {
        match &mut *self.waiting() {
            Waiting::Closed(_) => None,
            Waiting::Open(askers) => askers.remove(&id),
        }
    }

    fn close(&self, why: &ClientError) {
        let before = {
            let mut waiting = self.waiting();
            if matches!(*waiting, Waiting::Closed(_)) {
                return;
            }
            std::mem::replace(&mut *waiting, Waiting::Closed(why.clone()))
        };
        if let Waiting::Open(askers) = before {
            for asker in askers.into_values() {
                let _ = asker.send(Err(why.clone()));
            }
        }
    }

    fn closed(&self, reason: Option<String>) -> ClientError {
        ClientError::Closed { address: self.address.clone(), reason }
    }
}

impl Connection {
    /// Connects to `host:port` and asks what the broker offers.
    ///
    /// # Errors
    /// If nobody answers there in time, or not in Kafka's protocol.
    pub async fn open(address: &str, options: &ClientOptions) -> Result<Self, ClientError> {
        let failed = |reason: String| ClientError::Connect { address: address.to_owned(), reason };
        let stream = tokio::time::timeout(options.connect_timeout, TcpStream::connect(address))
            .await
            .map_err(|_| failed(format!("no answer within {:?}", options.connect_timeout)))?
            .map_err(|error| failed(error.to_string()))?;
        let _ = stream.set_nodelay(true);
        if let Some(after) = options.silence_timeout {
            crate::notice_silence(&stream, after).map_err(|error| failed(error.to_string()))?;
        }
        let (reading, writing) = stream.into_split();
        let shared = Arc::new(Shared {
            address: address.to_owned(),
            next_id: AtomicI32::new(0),
            waiting: Mutex::new(Waiting::Open(BTreeMap::new())),
        });
        let (outgoing, queue) = mpsc::channel(REQUESTS_IN_FLIGHT);
        let reader = tokio::spawn(reading::read(reading, Arc::clone(&shared), options.max_response_bytes));
        tokio::spawn(write(writing, queue, Arc::clone(&shared), reader));
        let mut connection = Self {
            shared,
            outgoing,
            versions: Arc::default(),
            client_id: StrBytes::from_string(options.client_id.clone()),
            request_timeout: options.request_timeout,
        };
        connection.negotiate().await?;
        Ok(connection)
    }

    /// `host:port` of the broker.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.shared.address
    }

    /// True once the connection has ended.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(*self.shared.waiting(), Waiting::Closed(_))
    }

    async fn negotiate(&mut self) -> Result<(), ClientError> {
        let request = ApiVersionsRequest::default()
            .with_client_software_name("ottla".into())
            .with_client_software_version(env!("CARGO_PKG_VERSION").into());
        let mut response = self.api_versions(request, 4).await?;
        if response.error_code == ErrorCode::UnsupportedVersion.code() {
            response = self.api_versions(ApiVersionsRequest::default(), 0).await?;
        }
        let ranges = response.api_keys.iter().map(|api| (api.api_key, (api.min_version, api.max_version)));
        self.versions = Arc::new(ranges.collect());
        Ok(())
    }

    async fn api_versions(
        &self,
        request: ApiVersionsRequest,
        version: i16,
    ) -> Result<ApiVersionsResponse, ClientError> {
        let body = self.exchange(&RequestBody::ApiVersions(request), version, self.request_timeout).await?;
        let first = ApiVersionsResponse::decode(&mut body.clone(), version);
        // A broker that does not know the version answers in version 0 (KIP-511).
        first.or_else(|_| ApiVersionsResponse::decode(&mut body.clone(), 0)).map_err(|error| {
            ClientError::Protocol {
                what: format!("{} is no Kafka broker", self.address()),
                reason: error.to_string(),
            }
        })
    }

    /// The range of versions the broker offers of `key`.
    #[must_use]
    pub fn offered(&self, key: ApiKey) -> Option<(i16, i16)> {
        self.versions.get(&key.code()).copied()
    }

    /// The highest version of `key`, at most `most`, that both sides know.
    ///
    /// # Errors
    /// If there is none.
    pub fn version(&self, key: ApiKey, most: i16) -> Result<i16, ClientError> {
        let ours = key.api();
        let least = if key == ApiKey::Produce { 3 } else { ours.min };
        let offered = self.offered(key);
        let unsupported = || ClientError::Unsupported {
            address: self.address().to_owned(),
            key,
            offered: offered.map_or("not at all".to_owned(), |(min, max)| format!("versions {min} to {max}")),
        };
        let (min, max) = offered.ok_or_else(unsupported)?;
        let best = max.min(most).min(known_to_client(key)).min(ours.max);
        if best < min.max(least) { Err(unsupported()) } else { Ok(best) }
    }

    /// Sends a request in the highest version both sides know and reads its answer.
    ///
    /// # Errors
    /// If there is no such version, the connection ends, or the answer does not come in time.
    pub async fn send<R>(&self, request: R) -> Result<R::Response, ClientError>
    where
        R: Request + Into<RequestBody>,
    {
        self.send_with(request, i16::MAX, Duration::ZERO).await
    }

    /// As [`Connection::send`], with a version of at most `most`, and `waits` beyond the usual time-out, which is what
    /// the request lets the broker wait.
    ///
    /// # Errors
    /// As [`Connection::send`].
    pub async fn send_with<R>(
        &self,
        request: R,
        most: i16,
        waits: Duration,
    ) -> Result<R::Response, ClientError>
    where
        R: Request + Into<RequestBody>,
    {
        let body: RequestBody = request.into();
        let key = body.key();
        let version = self.version(key, most)?;
        let mut answer = self.exchange(&body, version, self.request_timeout + waits).await?;
        R::Response::decode(&mut answer, extra::generated_version(key, version)).map_err(|error| {
            ClientError::Protocol {
                what: format!("the {key} answer of {} cannot be read", self.address()),
                reason: error.to_string(),
            }
        })
    }

    /// Sends a Produce request by topic name; `None` if it asks for no answer (`acks` 0).
    ///
    /// # Errors
    /// As [`Connection::send`].
    pub async fn produce(&self, request: ProduceRequest) -> Result<Option<ProduceResponse>, ClientError> {
        let version = self.version(ApiKey::Produce, 12)?;
        let waits = Duration::from_millis(request.timeout_ms.max(0).unsigned_abs().into());
        let silent = request.acks == 0;
        let body = RequestBody::Produce(request);
        if silent {
            let frame = self.frame(&body, version, self.next_id())?;
            self.queue(frame).await?;
            return Ok(None);
        }
        let mut answer = self.exchange(&body, version, self.request_timeout + waits).await?;
        ProduceResponse::decode(&mut answer, version).map(Some).map_err(|error| ClientError::Protocol {
            what: format!("the Produce answer of {} cannot be read", self.address()),
            reason: error.to_string(),
        })
    }

    /// Sends a body in a version of the caller's choice and returns the body of the answer, unread.
    ///
    /// # Errors
    /// If the request cannot be written, the connection ends, or the answer does not come within `timeout`.
    pub async fn exchange(&self, body: &RequestBody, version: i16, timeout: Duration) -> Answer {
        let id = self.next_id();
        let frame = self.frame(body, version, id)?;
        self.await_answer(body.key(), version, (id, frame), timeout).await
    }

    /// Sends a body that is no message of Kafka's, for an API of Ottla's own, and returns the body of the answer.
    ///
    /// # Errors
    /// If the connection ends, as it does where the API is not known, or the answer does not come within `timeout`.
    pub(crate) async fn exchange_own(
        &self,
        key: ApiKey,
        version: i16,
        body: &[u8],
        timeout: Duration,
    ) -> Answer {
        let id = self.next_id();
        let frame = framed(&self.header(key, version, id), body.len(), |out| {
            out.put_slice(body);
            Ok(())
        })?;
        self.await_answer(key, version, (id, frame), timeout).await
    }

    async fn await_answer(
        &self,
        key: ApiKey,
        version: i16,
        (id, frame): (i32, Bytes),
        timeout: Duration,
    ) -> Answer {
        let (asker, answer) = oneshot::channel();
        self.shared.register(id, asker)?;
        let exchange = async {
            self.queue(frame).await?;
            answer.await.unwrap_or_else(|_| Err(self.shared.closed(None)))
        };
        let Ok(answer) = tokio::time::timeout(timeout, exchange).await else {
            let late = ClientError::TimedOut {
                address: self.address().to_owned(),
                what: key.to_string(),
                after: timeout,
            };
            self.shared.close(&late);
            return Err(late);
        };
        let (_, rest) =
            decode_response_header(answer?, key, version).map_err(|error| ClientError::Protocol {
                what: format!("the {key} answer of {} has no header", self.address()),
                reason: error.to_string(),
            })?;
        Ok(rest)
    }

    fn next_id(&self) -> i32 {
        self.shared.next_id.fetch_add(1, Ordering::Relaxed)
    }

    fn header(&self, key: ApiKey, version: i16, id: i32) -> RequestHeader {
        RequestHeader {
            api_key: key,
            api_version: version,
            correlation_id: id,
            client_id: Some(self.client_id.clone()),
        }
    }

    fn frame(&self, body: &RequestBody, version: i16, id: i32) -> Result<Bytes, ClientError> {
        framed(&self.header(body.key(), version, id), 0, |out| {
            encode_request(body, version, out).map_err(|error| error.to_string())
        })
    }

    async fn queue(&self, frame: Bytes) -> Result<(), ClientError> {
        self.outgoing.send(frame).await.map_err(|_| match &*self.shared.waiting() {
            Waiting::Closed(why) => why.clone(),
            Waiting::Open(_) => self.shared.closed(None),
        })
    }
}

/// Length, header and whatever `put` writes.
fn framed(
    header: &RequestHeader,
    body_bytes: usize,
    put: impl FnOnce(&mut BytesMut) -> Result<(), String>,
) -> Result<Bytes, ClientError> {
    let unwritable = |reason: String| ClientError::Protocol {
        what: format!("a {} request cannot be written", header.api_key),
        reason,
    };
    let mut out = BytesMut::with_capacity(64 + body_bytes);
    out.put_i32(0);
    header.encode(&mut out);
    put(&mut out).map_err(unwritable)?;
    let length =
        i32::try_from(out.len() - LENGTH_BYTES).map_err(|_| unwritable("it is above 2 GB".to_owned()))?;
    out[..LENGTH_BYTES].copy_from_slice(&length.to_be_bytes());
    Ok(out.freeze())
}

/// The highest version this client reads: it names topics, and does not read who is cordoned.
fn known_to_client(key: ApiKey) -> i16 {
    match key {
        ApiKey::OffsetCommit | ApiKey::OffsetFetch => 9,
        ApiKey::DescribeLogDirs => 4,
        ApiKey::WriteTxnMarkers => 1,
        ApiKey::AddRaftVoter => 0,
        _ => i16::MAX,
    }
}

async fn write(
    mut half: OwnedWriteHalf,
    mut queue: mpsc::Receiver<Bytes>,
    shared: Arc<Shared>,
    reader: tokio::task::JoinHandle<()>,
) {
    while let Some(frame) = queue.recv().await {
        if let Err(error) = half.write_all(&frame).await {
            shared.close(&shared.closed(Some(error.to_string())));
            break;
        }
        if matches!(*shared.waiting(), Waiting::Closed(_)) {
            break;
        }
    }
    // The last clone is gone, or the connection is dead: an answer would interest nobody.
    let _ = half.shutdown().await;
    reader.abort();
    shared.close(&shared.closed(None));
}
