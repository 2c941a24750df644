//! The task that gathers records into batches and has them sent.

use super::sender::{self, Batch};
use super::{Delivered, OutgoingRecord, ProducerOptions};
use crate::client::Client;
use crate::error::ClientError;
use ottla_records::{BuilderOptions, RecordBatchBuilder, TimestampType};
use ottla_types::ErrorCode;
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
    /// It is in the log.
    Done,
    /// It is not in the log for sure, so that its sequence numbers are free again.
    Refused { first_sequence: i32 },
    /// It may be in the log, now or later: its sequence numbers can be neither used again nor left out, so what
    /// follows needs an epoch of its own (as with KIP-360), which also keeps a late arrival out.
    Unsure,
}

impl Sent {
    /// What an outcome says, after one attempt or (`again`) several.
    pub(super) fn by<T>(outcome: &Result<T, ClientError>, again: bool, first_sequence: i32) -> Self {
        let code = match outcome {
            Ok(_) => return Sent::Done,
            Err(error) => error.code(),
        };
        match code {
            // What the broker knows of this producer is not what we think.
            Some(
                ErrorCode::OutOfOrderSequenceNumber
                | ErrorCode::UnknownProducerId
                | ErrorCode::InvalidProducerEpoch,
            )
            | None => Sent::Unsure,
            // An earlier attempt, or an answer like "timed out", may have left the batch in the leader's log.
            Some(code) if again || code.is_retriable() => Sent::Unsure,
            Some(_) => Sent::Refused { first_sequence },
        }
    }
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Pending>,
    bytes: usize,
    since: Option<Instant>,
    under_way: bool,
    next_sequence: i32,
    /// How many epochs after the producer's first this partition is.
    epochs: i16,
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
        match sent {
            Sent::Done => {}
            Sent::Refused { first_sequence } => queue.next_sequence = first_sequence,
            Sent::Unsure => {
                queue.epochs = queue.epochs.saturating_add(1);
                queue.next_sequence = 0;
            }
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
        producer: producer_id
            .map(|(id, epoch)| (id, epoch.saturating_add(queue.epochs), queue.next_sequence)),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ApiError;
    use std::time::Duration;

    fn refused(code: ErrorCode) -> Result<(), ClientError> {
        Err(ClientError::refused("sending", ApiError { code, message: None }))
    }

    #[test]
    fn sequences_are_used_again_only_after_a_sure_refusal() {
        let first = Sent::Refused { first_sequence: 7 };
        assert_eq!(Sent::by(&refused(ErrorCode::MessageTooLarge), false, 7), first);
        assert_eq!(Sent::by(&refused(ErrorCode::MessageTooLarge), true, 7), Sent::Unsure);
        assert_eq!(Sent::by(&Ok(()), true, 7), Sent::Done);
    }

    #[test]
    fn a_batch_given_up_that_may_be_in_the_log_ends_its_epoch() {
        for code in [
            ErrorCode::RequestTimedOut,
            ErrorCode::NotEnoughReplicasAfterAppend,
            ErrorCode::NotLeaderOrFollower,
            ErrorCode::OutOfOrderSequenceNumber,
        ] {
            assert_eq!(Sent::by(&refused(code), false, 7), Sent::Unsure, "{code:?}");
        }
        let closed = Err::<(), _>(ClientError::Closed { address: "a".to_owned(), reason: None });
        assert_eq!(Sent::by(&closed, false, 7), Sent::Unsure);
    }

    #[test]
    fn the_epoch_after_an_unsure_batch_begins_with_sequence_zero() {
        let mut queue = Queue { next_sequence: 5, epochs: 1, ..Queue::default() };
        let (outcome, _kept) = oneshot::channel();
        let room = std::sync::Arc::new(tokio::sync::Semaphore::new(1)).try_acquire_owned().unwrap();
        let record = OutgoingRecord { value: Some("x".into()), ..OutgoingRecord::default() };
        queue.bytes = record.bytes();
        queue.waiting.push_back(Pending { bytes: queue.bytes, record, outcome, _room: room });
        let options = ProducerOptions { linger: Duration::ZERO, ..ProducerOptions::default() };
        let batch = build(&mut queue, &options, Some((9, 3))).unwrap();
        let header = ottla_records::BatchHeader::parse(&batch.bytes).unwrap();
        assert_eq!((header.producer_epoch, header.base_sequence), (4, 5));
    }
}
