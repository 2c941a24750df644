//! What a partition knows of its producers: the sequence checks of KIP-98 (`ProducerStateManager`,
//! `ProducerAppendInfo`) and the transactions that are open. Pure: no files, no clock.
//!
//! Invariants: a producer's remembered batches have rising offsets and are at most five; `ongoing` holds exactly the
//! producers with an open transaction, by its first offset.
//!
//! As in Kafka 4, a producer that is not known may begin with any sequence: its state may have expired. So
//! `UNKNOWN_PRODUCER_ID` is not answered here.

mod refused;
mod snapshot;

pub(crate) use refused::RefusedBatches;
pub use snapshot::SnapshotError;

use crate::compaction::LastBatch;
use ottla_records::BatchSummary;
use ottla_types::{ErrorCode, Offset, ProducerEpoch, ProducerId, TimestampMs};
use std::collections::BTreeMap;

/// Batches remembered for each producer; also the most a producer may have in flight.
const BATCHES_KEPT: usize = 5;
const NO_SEQUENCE: i32 = -1;

/// Who appends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A producer: everything is checked.
    Client,
    /// The partition's leader, or our own log at recovery: it was checked there.
    Replication,
}

/// What is to be done with a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Append it.
    Append,
    /// It is in the log already: answer with these.
    Duplicate {
        /// Offset of its first record.
        base_offset: Offset,
        /// Offset of its last record.
        last_offset: Offset,
        /// Its timestamp in the log.
        timestamp: TimestampMs,
    },
}

/// Why a producer's batch is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProducerStateError {
    /// Not the sequence that follows.
    #[error("producer {producer_id}: sequence {sequence} does not follow {last_sequence}")]
    OutOfOrderSequence {
        /// The producer.
        producer_id: ProducerId,
        /// The batch's first sequence.
        sequence: i32,
        /// The last one in the log; -1 if there is none.
        last_sequence: i32,
    },
    /// A newer producer has the same id.
    #[error("producer {producer_id}: epoch {epoch} is older than {current}")]
    InvalidEpoch {
        /// The producer.
        producer_id: ProducerId,
        /// The batch's.
        epoch: ProducerEpoch,
        /// The log's.
        current: ProducerEpoch,
    },
    /// A batch outside of the transaction its producer has open.
    #[error("producer {producer_id}: a batch outside of its open transaction")]
    InvalidTransactionState {
        /// The producer.
        producer_id: ProducerId,
    },
    /// A marker of a transaction coordinator that is no longer it.
    #[error("producer {producer_id}: marker of coordinator epoch {epoch} after {current}")]
    CoordinatorFenced {
        /// The producer.
        producer_id: ProducerId,
        /// The marker's.
        epoch: i32,
        /// The log's.
        current: i32,
    },
}

impl ProducerStateError {
    /// Kafka's error code.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::OutOfOrderSequence { .. } => ErrorCode::OutOfOrderSequenceNumber,
            Self::InvalidEpoch { .. } => ErrorCode::InvalidProducerEpoch,
            Self::InvalidTransactionState { .. } => ErrorCode::InvalidTxnState,
            Self::CoordinatorFenced { .. } => ErrorCode::TransactionCoordinatorFenced,
        }
    }
}

/// A batch of a producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct ProducerBatch {
    last_sequence: i32,
    last_offset: Offset,
    offset_delta: i32,
    timestamp: TimestampMs,
}

impl ProducerBatch {
    fn first_sequence(&self) -> i32 {
        self.last_sequence.wrapping_sub(self.offset_delta) & i32::MAX
    }

    fn base_offset(&self) -> Offset {
        self.last_offset - i64::from(self.offset_delta)
    }
}

/// One producer.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Producer {
    epoch: ProducerEpoch,
    coordinator_epoch: i32,
    last_timestamp: TimestampMs,
    transaction_start: Option<Offset>,
    /// Oldest first, at most [`BATCHES_KEPT`].
    batches: Vec<ProducerBatch>,
}

impl Producer {
    fn new(epoch: ProducerEpoch) -> Self {
        Self {
            epoch,
            coordinator_epoch: -1,
            last_timestamp: -1,
            transaction_start: None,
            batches: Vec::new(),
        }
    }

    fn last_sequence(&self) -> i32 {
        self.batches.last().map_or(NO_SEQUENCE, |batch| batch.last_sequence)
    }

    fn raise_epoch(&mut self, epoch: ProducerEpoch) {
        if epoch != self.epoch {
            self.epoch = epoch;
            self.batches.clear();
        }
    }
}

/// A producer as `DescribeProducers` shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerView {
    /// The producer.
    pub producer_id: ProducerId,
    /// Its epoch.
    pub producer_epoch: ProducerEpoch,
    /// Sequence of its last record; -1 if none is known.
    pub last_sequence: i32,
    /// Timestamp of its last batch.
    pub last_timestamp: TimestampMs,
    /// Epoch of the coordinator that wrote its last marker; -1 if none.
    pub coordinator_epoch: i32,
    /// Where its open transaction starts; -1 if none.
    pub transaction_start_offset: Offset,
}

/// A transaction that a marker ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompletedTransaction {
    /// The producer.
    pub producer_id: ProducerId,
    /// Offset of its first record.
    pub first_offset: Offset,
    /// Offset of the marker.
    pub last_offset: Offset,
    /// Aborted, not committed.
    pub aborted: bool,
}

/// All producers of one partition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProducerStates {
    producers: BTreeMap<ProducerId, Producer>,
    /// First offset to producer of open transactions.
    ongoing: BTreeMap<Offset, ProducerId>,
    /// First to last offset of ended transactions whose marker may not be replicated yet.
    unreplicated: BTreeMap<Offset, Offset>,
}

impl ProducerStates {
    /// True if no producer is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.producers.is_empty()
    }

    /// Known producers.
    #[must_use]
    pub fn len(&self) -> usize {
        self.producers.len()
    }

    /// May this batch of a client be appended now?
    ///
    /// # Errors
    /// [`ProducerStateError`]: the batch is refused and nothing has changed.
    pub fn check(&self, batch: &BatchSummary) -> Result<Verdict, ProducerStateError> {
        let Some(producer) = self.producers.get(&batch.producer_id).filter(|_| batch.has_producer()) else {
            return Ok(Verdict::Append);
        };
        let producer_id = batch.producer_id;
        if batch.producer_epoch < producer.epoch {
            let (epoch, current) = (batch.producer_epoch, producer.epoch);
            return Err(ProducerStateError::InvalidEpoch { producer_id, epoch, current });
        }
        if batch.is_control {
            return Ok(Verdict::Append);
        }
        if batch.producer_epoch == producer.epoch
            && let Some(known) = producer.batches.iter().find(|known| {
                known.first_sequence() == batch.base_sequence && known.last_sequence == batch.last_sequence
            })
        {
            return Ok(Verdict::Duplicate {
                base_offset: known.base_offset(),
                last_offset: known.last_offset,
                timestamp: known.timestamp,
            });
        }
        let last_sequence =
            if batch.producer_epoch == producer.epoch { producer.last_sequence() } else { NO_SEQUENCE };
        if !follows(last_sequence, batch.base_sequence) {
            let sequence = batch.base_sequence;
            return Err(ProducerStateError::OutOfOrderSequence { producer_id, sequence, last_sequence });
        }
        if producer.transaction_start.is_some() && !batch.is_transactional {
            return Err(ProducerStateError::InvalidTransactionState { producer_id });
        }
        Ok(Verdict::Append)
    }

    /// True if batches of its producer are missing before this one, or may be: the producer is not known.
    pub(crate) fn is_gap(&self, batch: &BatchSummary) -> bool {
        match self.check(batch) {
            Ok(Verdict::Append) => !self.producers.contains_key(&batch.producer_id),
            Err(ProducerStateError::OutOfOrderSequence { .. }) => true,
            Ok(Verdict::Duplicate { .. }) | Err(_) => false,
        }
    }

    /// May this marker of a transaction coordinator be appended now?
    ///
    /// # Errors
    /// [`ProducerStateError::CoordinatorFenced`] or [`ProducerStateError::InvalidEpoch`].
    pub fn check_marker(&self, marker: &BatchSummary, epoch: i32) -> Result<(), ProducerStateError> {
        self.check(marker)?;
        let producer_id = marker.producer_id;
        match self.producers.get(&producer_id) {
            Some(producer) if producer.coordinator_epoch > epoch => {
                let current = producer.coordinator_epoch;
                Err(ProducerStateError::CoordinatorFenced { producer_id, epoch, current })
            }
            _ => Ok(()),
        }
    }

    /// Takes a batch that was appended into account. Markers go to [`Self::apply_marker`].
    pub fn apply(&mut self, batch: &BatchSummary) {
        if !batch.has_producer() || batch.is_control {
            return;
        }
        let producer =
            self.producers.entry(batch.producer_id).or_insert_with(|| Producer::new(batch.producer_epoch));
        producer.raise_epoch(batch.producer_epoch);
        if producer.batches.len() == BATCHES_KEPT {
            producer.batches.remove(0);
        }
        producer.batches.push(ProducerBatch {
            last_sequence: batch.last_sequence,
            last_offset: batch.last_offset,
            offset_delta: i32::try_from(batch.last_offset - batch.base_offset).unwrap_or(i32::MAX),
            timestamp: batch.max_timestamp,
        });
        producer.last_timestamp = batch.max_timestamp;
        if batch.is_transactional && producer.transaction_start.is_none() {
            producer.transaction_start = Some(batch.base_offset);
            self.ongoing.insert(batch.base_offset, batch.producer_id);
        }
    }

    /// Takes an appended marker into account; returns the transaction it ended, if one was open.
    pub fn apply_marker(
        &mut self,
        batch: &BatchSummary,
        aborted: bool,
        coordinator_epoch: i32,
    ) -> Option<CompletedTransaction> {
        let producer =
            self.producers.entry(batch.producer_id).or_insert_with(|| Producer::new(batch.producer_epoch));
        producer.raise_epoch(batch.producer_epoch);
        producer.coordinator_epoch = coordinator_epoch;
        producer.last_timestamp = batch.max_timestamp;
        let first_offset = producer.transaction_start.take()?;
        self.ongoing.remove(&first_offset);
        let last_offset = batch.last_offset;
        self.unreplicated.insert(first_offset, last_offset);
        Some(CompletedTransaction { producer_id: batch.producer_id, first_offset, last_offset, aborted })
    }

    /// First offset of the oldest transaction that is open, or whose end is not yet below `high_watermark`.
    pub fn first_unstable_offset(&mut self, high_watermark: Offset) -> Option<Offset> {
        if !self.unreplicated.is_empty() {
            self.unreplicated.retain(|_, last_offset| *last_offset >= high_watermark);
        }
        let open = self.first_open_offset();
        let ended = self.unreplicated.keys().next().copied();
        match (open, ended) {
            (Some(open), Some(ended)) => Some(open.min(ended)),
            (open, ended) => open.or(ended),
        }
    }

    /// First offset of the oldest open transaction.
    #[must_use]
    pub fn first_open_offset(&self) -> Option<Offset> {
        self.ongoing.keys().next().copied()
    }

    /// Forgets producers that were silent for `expiration_ms` and have no open transaction.
    pub fn expire(&mut self, now: TimestampMs, expiration_ms: i64) {
        self.producers.retain(|_, producer| {
            producer.transaction_start.is_some()
                || now.saturating_sub(producer.last_timestamp) < expiration_ms
        });
    }

    /// The batch of each producer that its state is read off.
    pub(crate) fn last_batches(&self) -> impl Iterator<Item = (ProducerId, LastBatch)> + '_ {
        self.producers.iter().map(|(&producer_id, producer)| {
            let last_offset = producer.batches.last().map(|batch| batch.last_offset);
            (producer_id, LastBatch { last_offset, epoch: producer.epoch })
        })
    }

    /// Every producer, by id.
    pub fn views(&self) -> impl Iterator<Item = ProducerView> + '_ {
        self.producers.iter().map(|(&producer_id, producer)| ProducerView {
            producer_id,
            producer_epoch: producer.epoch,
            last_sequence: producer.last_sequence(),
            last_timestamp: producer.last_timestamp,
            coordinator_epoch: producer.coordinator_epoch,
            transaction_start_offset: producer.transaction_start.unwrap_or(-1),
        })
    }
}

fn follows(last_sequence: i32, next_sequence: i32) -> bool {
    i64::from(next_sequence) == i64::from(last_sequence) + 1
        || (next_sequence == 0 && last_sequence == i32::MAX)
}

#[cfg(test)]
mod tests;
