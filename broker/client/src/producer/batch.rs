//! The task that gathers records into batches and has them sent.

use super::sender::{self, Batch};
use super::{Delivered, OutgoingRecord, ProducerOptions};
use crate::client::Client;
use crate::error::ClientError;
use ottla_records::{BuilderOptions, RecordBatchBuilder, TimestampType};
use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;

pub(super) enum Command {
    Send { topic: String, partition: i32, pending: Pending },
    Flush(oneshot::Sender<()>),
}

/// A record and who waits for it.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) record: OutgoingRecord,
    pub(super) bytes: usize,
    pub(super) outcome: oneshot::Sender<Result<Delivered, ClientError>>,
    pub(super) _room: OwnedSemaphorePermit,
}

type Partition = (String, i32);

/// What became of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    /// It is in the log, or may be.
    Done,
    /// It is not in the log for sure, so that its sequence numbers are free again.
    Refused { first_sequence: i32 },
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Pending>,
    bytes: usize,
    since: Option<Instant>,
    under_way: bool,
    next_sequence: i32,
}

pub(super) struct Accumulator {
    client: Client,
    options: ProducerOptions,
    producer_id: Option<(i64, i16)>,
    queues: BTreeMap<Partition, Queue>,
    sending: JoinSet<(Partition, Sent)>,
    flushing: Vec<oneshot::Sender<()>>,
}

impl Accumulator {
    pub(super) fn new(client: Client, options: ProducerOptions, producer_id: Option<(i64, i16)>) -> Self {
        Self {
            client,
            options,
            producer_id,
            queues: BTreeMap::new(),
            sending: JoinSet::new(),
            flushing: Vec::new(),
        }
    }

    pub(super) async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        loop {
            let due = self.next_due();
            let timer = tokio::time::sleep_until(due.unwrap_or_else(Instant::now));
            tokio::select! {
                biased;
                Some(done) = self.sending.join_next(), if !self.sending.is_empty() => {
                    self.sent(done.ok());
                }
                command = commands.recv() => match command {
                    Some(command) => self.take(command),
                    None => break,
                },
                () = timer, if due.is_some() => {}
            }
            self.dispatch();
            self.finish_flush();
        }
        // The producer was dropped: what it took is still delivered.
        self.flushing.push(oneshot::channel().0);
        while self.queues.values().any(|queue| !queue.waiting.is_empty()) || !self.sending.is_empty() {
            self.dispatch();
            let done = self.sending.join_next().await;
            self.sent(done.and_then(Result::ok));
        }
    }

    fn sent(&mut self, done: Option<(Partition, Sent)>) {
        let Some((partition, sent)) = done else { return };
        let Some(queue) = self.queues.get_mut(&partition) else { return };
        queue.under_way = false;
        if let Sent::Refused { first_sequence } = sent {
            queue.next_sequence = first_sequence;
        }
    }

    fn take(&mut self, command: Command) {
        match command {
            Command::Flush(done) => self.flushing.push(done),
            Command::Send { topic, partition, pending } => {
                let queue = self.queues.entry((topic, partition)).or_default();
                queue.since.get_or_insert_with(Instant::now);
                queue.bytes += pending.bytes;
                queue.waiting.push_back(pending);
            }
        }
    }

    fn finish_flush(&mut self) {
        let idle = self.sending.is_empty() && self.queues.values().all(|queue| queue.waiting.is_empty());
        if idle {
            for done in self.flushing.drain(..) {
                let _ = done.send(());
            }
        }
    }

    /// When the oldest batch that still waits has waited long enough.
    fn next_due(&self) -> Option<Instant> {
        let idle = self.queues.values().filter(|queue| !queue.under_way);
        idle.filter_map(|queue| queue.since).min().map(|since| since + self.options.linger)
    }

    fn dispatch(&mut self) {
        let now = Instant::now();
        for (partition, queue) in &mut self.queues {
            let lingered = queue.since.is_some_and(|since| since + self.options.linger <= now);
            let full = queue.bytes >= self.options.batch_bytes;
            if queue.under_way || queue.waiting.is_empty() {
                continue;
            }
            if !(lingered || full || !self.flushing.is_empty()) {
                continue;
            }
            if let Some(batch) = build(queue, &self.options, self.producer_id) {
                queue.under_way = true;
                let (client, options, partition) =
                    (self.client.clone(), self.options.clone(), partition.clone());
                self.sending.spawn(async move {
                    let sent = sender::deliver(&client, &options, &partition, batch).await;
                    (partition, sent)
                });
            }
        }
    }
}

/// Makes a batch of what waits, up to its limit. A record that no batch can hold is refused here.
fn build(queue: &mut Queue, options: &ProducerOptions, producer_id: Option<(i64, i16)>) -> Option<Batch> {
    let mut builder = RecordBatchBuilder::new(BuilderOptions {
        compression: options.compression,
        level: options.level,
        leader_epoch: -1,
        timestamp_type: TimestampType::CreateTime,
        producer: producer_id.map(|(id, epoch)| (id, epoch, queue.next_sequence)),
        ..BuilderOptions::default()
    });
    let mut records: Vec<Pending> = Vec::new();
    let (mut bytes, now) = (0, now_ms());
    while let Some(next) = queue.waiting.front() {
        if !records.is_empty() && bytes + next.bytes > options.batch_bytes {
            break;
        }
        let Some(mut pending) = queue.waiting.pop_front() else { break };
        queue.bytes -= pending.bytes;
        bytes += pending.bytes;
        let record = &mut pending.record;
        let timestamp = *record.timestamp.get_or_insert(now);
        let headers: Vec<_> =
            record.headers.iter().map(|(key, value)| (key.as_str(), value.as_deref())).collect();
        match builder.append(timestamp, record.key.as_deref(), record.value.as_deref(), &headers) {
            Ok(_) => records.push(pending),
            Err(error) => drop(pending.outcome.send(Err(ClientError::Misuse(error.to_string())))),
        }
    }
    queue.since = (!queue.waiting.is_empty()).then(Instant::now);
    if records.is_empty() {
        return None;
    }
    let first_sequence = queue.next_sequence;
    queue.next_sequence = (i64::from(queue.next_sequence) + records.len() as i64).rem_euclid(1 << 31) as i32;
    Some(Batch { bytes: builder.build(), records, first_sequence })
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
