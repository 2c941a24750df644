//! Sending records: batched by partition, compressed, idempotent if asked for.
//!
//! One task holds the batches that fill. A partition has at most one batch under way, so that order and sequence
//! numbers hold whatever fails; the next fills meanwhile. What waits is bounded in bytes: [`Producer::send`] waits
//! when the bound is reached. A record counts as delivered when its [`Delivery`] says so, and not before.

mod batch;
mod sender;

use crate::client::Client;
use crate::error::ClientError;
use crate::partitioner::{Sticky, by_key};
use batch::{Accumulator, Command, Pending};
use bytes::Bytes;
use kafka_protocol::messages::InitProducerIdRequest;
use ottla_records::Compression;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc, oneshot};

/// Who must have a record before it counts as delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acks {
    /// Nobody: the broker does not even answer.
    None,
    /// The leader.
    Leader,
    /// All in-sync replicas.
    All,
}

impl Acks {
    fn code(self) -> i16 {
        match self {
            Acks::None => 0,
            Acks::Leader => 1,
            Acks::All => -1,
        }
    }
}

/// How a producer works.
#[derive(Debug, Clone, PartialEq)]
pub struct ProducerOptions {
    /// Who must have a record.
    pub acks: Acks,
    /// Codec of batches.
    pub compression: Compression,
    /// Level of the codec; its own default if not given.
    pub level: Option<i32>,
    /// How long a batch waits for more records.
    pub linger: Duration,
    /// Bytes after which a batch is full, before compression.
    pub batch_bytes: usize,
    /// Bytes of all records that are not delivered yet.
    pub buffer_bytes: usize,
    /// Whether the broker tells a batch sent again from a new one. Needs [`Acks::All`].
    pub idempotent: bool,
    /// Time for a record to be delivered, with all attempts.
    pub delivery_timeout: Duration,
    /// Time the broker may wait for replicas.
    pub request_timeout: Duration,
    /// Whether topics may be created by sending to them.
    pub create_topics: bool,
}

impl Default for ProducerOptions {
    fn default() -> Self {
        Self {
            acks: Acks::All,
            compression: Compression::None,
            level: None,
            linger: Duration::from_millis(5),
            batch_bytes: 256 << 10,
            buffer_bytes: 32 << 20,
            idempotent: true,
            delivery_timeout: Duration::from_secs(120),
            request_timeout: Duration::from_secs(30),
            create_topics: true,
        }
    }
}

/// A record to send.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OutgoingRecord {
    /// Topic.
    pub topic: String,
    /// Partition; chosen by key, or one for a whole batch, if not given.
    pub partition: Option<i32>,
    /// Key.
    pub key: Option<Bytes>,
    /// Value; none is a tombstone in a compacted topic.
    pub value: Option<Bytes>,
    /// Headers, in order.
    pub headers: Vec<(String, Option<Bytes>)>,
    /// Milliseconds since the epoch; now, if not given.
    pub timestamp: Option<i64>,
}

impl OutgoingRecord {
    fn bytes(&self) -> usize {
        let part = |part: &Option<Bytes>| part.as_ref().map_or(0, Bytes::len);
        let headers: usize = self.headers.iter().map(|(key, value)| key.len() + part(value) + 10).sum();
        part(&self.key) + part(&self.value) + headers + 40
    }
}

/// Where a record went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivered {
    /// Partition.
    pub partition: i32,
    /// Offset; -1 with [`Acks::None`].
    pub offset: i64,
    /// The broker's time for it if the topic says so, else the producer's.
    pub timestamp: i64,
}

/// Tells whether a record was delivered.
#[derive(Debug)]
pub struct Delivery {
    outcome: oneshot::Receiver<Result<Delivered, ClientError>>,
}

impl Delivery {
    /// Waits for the outcome.
    ///
    /// # Errors
    /// If the record could not be delivered in time, or the broker refused it.
    pub async fn wait(self) -> Result<Delivered, ClientError> {
        self.outcome.await.unwrap_or_else(|_| Err(ClientError::Misuse("the producer was closed".to_owned())))
    }
}

/// Sends records to a cluster.
#[derive(Debug)]
pub struct Producer {
    client: Client,
    options: ProducerOptions,
    commands: mpsc::Sender<Command>,
    room: Arc<Semaphore>,
    sticky: Mutex<BTreeMap<String, Sticky>>,
}

impl Producer {
    /// A producer; asks for a producer id if it is to be idempotent.
    ///
    /// # Errors
    /// If the broker cannot be reached or gives no producer id.
    pub async fn new(client: Client, options: ProducerOptions) -> Result<Self, ClientError> {
        let producer_id = match options.idempotent && options.acks == Acks::All {
            true => Some(init_producer_id(&client).await?),
            false => None,
        };
        let (commands, queue) = mpsc::channel(1024);
        let accumulator = Accumulator::new(client.clone(), options.clone(), producer_id);
        tokio::spawn(accumulator.run(queue));
        let room = Arc::new(Semaphore::new(options.buffer_bytes.min(u32::MAX as usize)));
        Ok(Self { client, options, commands, room, sticky: Mutex::default() })
    }

    /// Takes a record; waits while too much is undelivered. The record is under way when this returns.
    ///
    /// # Errors
    /// If the topic or partition does not exist, or the record is too large for the buffer.
    pub async fn send(&self, record: OutgoingRecord) -> Result<Delivery, ClientError> {
        let partition = self.partition_of(&record).await?;
        let bytes = record.bytes();
        if bytes > self.options.buffer_bytes {
            let limit = self.options.buffer_bytes;
            return Err(ClientError::Misuse(format!(
                "a record of {bytes} bytes is above the buffer of {limit}"
            )));
        }
        let permits = u32::try_from(bytes).unwrap_or(u32::MAX);
        let closed = || ClientError::Misuse("the producer was closed".to_owned());
        let room = Arc::clone(&self.room).acquire_many_owned(permits).await.map_err(|_| closed())?;
        let (outcome, delivery) = oneshot::channel();
        let topic = record.topic.clone();
        let pending = Pending { record, bytes, outcome, _room: room };
        self.commands.send(Command::Send { topic, partition, pending }).await.map_err(|_| closed())?;
        Ok(Delivery { outcome: delivery })
    }

    /// Sends what waits at once, and waits until all of it is delivered or given up.
    pub async fn flush(&self) {
        let (done, flushed) = oneshot::channel();
        if self.commands.send(Command::Flush(done)).await.is_ok() {
            let _ = flushed.await;
        }
    }

    async fn partition_of(&self, record: &OutgoingRecord) -> Result<i32, ClientError> {
        let partitions = self.client.partitions(&record.topic, self.options.create_topics).await?;
        if let Some(asked) = record.partition {
            if !partitions.contains(&asked) {
                let (topic, count) = (&record.topic, partitions.len());
                return Err(ClientError::Misuse(format!(
                    "topic {topic:?} has {count} partitions, none is {asked}"
                )));
            }
            return Ok(asked);
        }
        let index = match &record.key {
            Some(key) => by_key(key, partitions.len()),
            None => {
                let mut sticky = self.sticky.lock().unwrap_or_else(PoisonError::into_inner);
                let topic = sticky.entry(record.topic.clone()).or_default();
                topic.next(record.bytes(), partitions.len(), self.options.batch_bytes)
            }
        };
        partitions
            .get(index)
            .copied()
            .ok_or_else(|| ClientError::Misuse(format!("topic {:?} has no partitions", record.topic)))
    }
}

async fn init_producer_id(client: &Client) -> Result<(i64, i16), ClientError> {
    let deadline = tokio::time::Instant::now() + client.options().retry_timeout;
    let mut backoff = crate::client::Backoff::default();
    loop {
        let request =
            InitProducerIdRequest::default().with_transactional_id(None).with_transaction_timeout_ms(60_000);
        let response = client.any().await?.send(request).await?;
        match crate::error::ApiError::check_code(response.error_code) {
            Ok(()) => return Ok((*response.producer_id, response.producer_epoch)),
            Err(error) if error.code.is_retriable() && tokio::time::Instant::now() < deadline => {
                backoff.wait().await;
            }
            Err(error) => return Err(ClientError::refused("a producer id", error)),
        }
    }
}
