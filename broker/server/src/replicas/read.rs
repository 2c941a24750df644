//! Reading from a replica: which bytes, and what goes with them.

use super::append::Now;
use super::partition::{Partition, Role, State, lock_log};
use ottla_core::replication::{
    EpochEnd, FollowerFetch, FollowerProgress, Leader, check_leader_epoch, diverging,
};
use ottla_protocol::fetch_response::Replicated;
use ottla_storage::{Log, LogSlice, ReadError};
use ottla_types::{BrokerEpoch, BrokerId, ErrorCode, LeaderEpoch, Offset};
use std::sync::Arc;

/// Who reads, and so how far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// A consumer: up to the high watermark.
    Consumer,
    /// A consumer that wants only what committed transactions wrote: up to the last stable offset.
    CommittedConsumer,
    /// A replica: up to the end.
    Follower {
        /// Whose.
        broker: BrokerId,
        /// Its registration; `NONE` in old versions.
        epoch: BrokerEpoch,
    },
}

/// One partition of a fetch.
#[derive(Debug, Clone, Copy)]
pub struct ReadRequest {
    /// Who reads.
    pub reader: Reader,
    /// From this offset.
    pub fetch_offset: Offset,
    /// At most so many bytes.
    pub max_bytes: u64,
    /// Return the first batch even if it alone is larger.
    pub min_one_batch: bool,
    /// The leader epoch the reader knows; `NONE` for no check.
    pub current_leader_epoch: LeaderEpoch,
    /// The epoch of the last record the reader has; `NONE` for no check.
    pub last_fetched_epoch: LeaderEpoch,
    /// First offset of a follower's log.
    pub log_start_offset: Offset,
    /// A consumer that can be sent to another replica (KIP-392) may read from one that follows.
    pub any_replica: bool,
}

/// What was found.
#[derive(Debug)]
pub struct ReadAnswer {
    /// `None`, or why there are no records.
    pub error: ErrorCode,
    /// Everything below is committed; -1 with an error.
    pub high_watermark: Offset,
    /// Everything below is decided.
    pub last_stable_offset: Offset,
    /// First offset of the log.
    pub log_start_offset: Offset,
    /// The bytes; `None` if there are none.
    pub slice: Option<LogSlice>,
    /// Where the reader's log leaves this one.
    pub diverging: Option<EpochEnd>,
    /// What every replica has.
    pub replicated: Option<Replicated>,
    /// The replica that the consumer is to read from instead; `BrokerId::NONE` if there is none better.
    pub preferred: BrokerId,
}

impl ReadAnswer {
    /// An answer without records.
    pub fn failed(error: ErrorCode) -> Self {
        Self {
            error,
            high_watermark: -1,
            last_stable_offset: -1,
            log_start_offset: -1,
            slice: None,
            diverging: None,
            replicated: None,
            preferred: BrokerId::NONE,
        }
    }

    /// Bytes of records in it.
    pub fn bytes(&self) -> u64 {
        self.slice.as_ref().map_or(0, |slice| slice.bytes)
    }

    /// Must be answered now, whatever the reader is willing to wait for.
    pub fn is_urgent(&self) -> bool {
        self.error != ErrorCode::None || self.diverging.is_some() || !self.preferred.is_none()
    }
}

impl Partition {
    /// The replica among `near` from which a consumer reads best at `offset`: one in sync that has it, the furthest of
    /// those (Kafka's `RackAwareReplicaSelector`). None on a broker that does not lead.
    pub fn preferred_reader(&self, near: &[BrokerId], offset: Offset) -> Option<BrokerId> {
        let state = self.lock();
        let leader = state.leader().ok()?;
        let has_it = |follower: &&FollowerProgress| {
            near.contains(&follower.broker)
                && leader.isr().contains(&follower.broker)
                && follower.log_end_offset.is_some_and(|end| end >= offset)
                && follower.log_start_offset.is_some_and(|start| start <= offset)
        };
        let found = leader.followers().iter().filter(has_it);
        found
            .max_by_key(|follower| (follower.log_end_offset, follower.last_caught_up_ms))
            .map(|best| best.broker)
    }

    /// Finds what `request` asks for. A follower's fetch counts as its progress.
    pub fn read(self: &Arc<Self>, request: &ReadRequest, now: Now) -> ReadAnswer {
        let mut guard = self.lock();
        let answer = guard.read(request, now).unwrap_or_else(|error| match error {
            Failure::Code(code) => ReadAnswer::failed(code),
            Failure::OutOfRange { start, high_watermark } => ReadAnswer {
                log_start_offset: start,
                high_watermark,
                ..ReadAnswer::failed(ErrorCode::OffsetOutOfRange)
            },
        });
        self.run_effects(&mut guard);
        answer
    }
}

enum Failure {
    Code(ErrorCode),
    OutOfRange { start: Offset, high_watermark: Offset },
}

impl From<ErrorCode> for Failure {
    fn from(code: ErrorCode) -> Self {
        Self::Code(code)
    }
}

impl State {
    fn read(&mut self, request: &ReadRequest, now: Now) -> Result<ReadAnswer, Failure> {
        check_leader_epoch(self.leader_epoch(), request.current_leader_epoch)
            .map_err(|error| error.code())?;
        let log = &mut *lock_log(&self.log)?;
        let leader = match &mut self.role {
            Role::Leader(leader) => leader,
            Role::Follower { high_watermark, .. } if request.any_replica => {
                return read_committed_part(log, request, *high_watermark);
            }
            Role::Follower { .. } => return Err(ErrorCode::NotLeaderOrFollower.into()),
        };
        if let Some(end) = divergence(log, request)? {
            let found = answer(log, leader.high_watermark(), None, Some(end));
            return Ok(ReadAnswer { replicated: Some(replicated(leader)), ..found });
        }
        if let Reader::Follower { broker, epoch } = request.reader {
            let fetch = FollowerFetch {
                broker,
                broker_epoch: epoch,
                leader_epoch: request.current_leader_epoch,
                fetch_offset: request.fetch_offset,
                log_start_offset: request.log_start_offset,
            };
            leader.handle_follower_fetch(now.ms, fetch).map_err(|refused| refused.code())?;
        }
        let found = read_committed_part(log, request, leader.high_watermark())?;
        Ok(ReadAnswer { replicated: Some(replicated(leader)), ..found })
    }
}

fn replicated(leader: &Leader) -> Replicated {
    Replicated { partition_epoch: leader.partition_epoch().0, offset: leader.replicated_offset() }
}

/// Reads as far as the reader may see.
fn read_committed_part(
    log: &mut Log,
    request: &ReadRequest,
    high_watermark: Offset,
) -> Result<ReadAnswer, Failure> {
    let out_of_range = Failure::OutOfRange { start: log.log_start_offset(), high_watermark };
    let end = match request.reader {
        Reader::Follower { .. } => log.log_end_offset(),
        Reader::Consumer => high_watermark,
        Reader::CommittedConsumer => log.last_stable_offset(high_watermark),
    };
    if request.fetch_offset < log.log_start_offset() || request.fetch_offset > log.log_end_offset() {
        return Err(out_of_range);
    }
    if request.fetch_offset >= end || (request.max_bytes == 0 && !request.min_one_batch) {
        return Ok(answer(log, high_watermark, None, None));
    }
    let (offset, max_bytes, min_one) = (request.fetch_offset, request.max_bytes, request.min_one_batch);
    let found = match request.reader {
        Reader::Follower { .. } => log.read(offset, max_bytes, min_one, end),
        Reader::Consumer | Reader::CommittedConsumer => log.read_records(offset, max_bytes, min_one, end),
    };
    match found {
        Ok(slice) => Ok(answer(log, high_watermark, (slice.bytes > 0).then_some(slice), None)),
        Err(ReadError::OffsetOutOfRange { .. }) => Err(out_of_range),
        Err(error) => {
            tracing::error!(%error, "a read failed");
            Err(error.code().into())
        }
    }
}

fn divergence(log: &Log, request: &ReadRequest) -> Result<Option<EpochEnd>, ErrorCode> {
    if request.last_fetched_epoch.is_none() {
        return Ok(None);
    }
    let known = log.end_offset_for_epoch(request.last_fetched_epoch);
    let (epoch, end_offset) = known.unwrap_or((LeaderEpoch::NONE, -1));
    let leader_end = EpochEnd { epoch, end_offset };
    diverging(request.fetch_offset, request.last_fetched_epoch, leader_end, log.log_start_offset())
}

fn answer(
    log: &mut Log,
    high_watermark: Offset,
    slice: Option<LogSlice>,
    diverging: Option<EpochEnd>,
) -> ReadAnswer {
    ReadAnswer {
        error: ErrorCode::None,
        high_watermark,
        last_stable_offset: log.last_stable_offset(high_watermark),
        log_start_offset: log.log_start_offset(),
        slice,
        diverging,
        replicated: None,
        preferred: BrokerId::NONE,
    }
}
