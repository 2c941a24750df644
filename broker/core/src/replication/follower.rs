//! One replica that follows: where it continues to fetch, when it must truncate, what it knows to be committed.
//!
//! The log itself is elsewhere; this machine is told its ends. Invariants: it asks only from its log's end (or from
//! what is flushed, if only that counts); an answer to anything but its latest question changes nothing; what it
//! calls committed is never past its own end.

use super::partition_state::EpochEnd;
use crate::fetch_session::FetchPartition;
use crate::planted::{self, Bug};
use ottla_types::{ErrorCode, LeaderEpoch, Offset};

/// The local log, as far as fetching goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FollowerLog {
    /// First offset.
    pub log_start_offset: Offset,
    /// The offset to fetch next.
    pub log_end_offset: Offset,
    /// Everything below is on disk.
    pub flushed_offset: Offset,
    /// The epoch of the last record; `LeaderEpoch::NONE` for an empty log without history.
    pub latest_epoch: LeaderEpoch,
}

/// Whom to follow, and from where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Follow {
    /// The leader's epoch.
    pub leader_epoch: LeaderEpoch,
    /// The local log.
    pub log: FollowerLog,
    /// The last known high watermark of this replica.
    pub high_watermark: Offset,
    /// `flush.messages=1`: ask for more only when what came is on disk, for asking says that it is safe here.
    pub flush_first: bool,
}

/// One partition of a Fetch response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fetched {
    /// Its error.
    pub error: ErrorCode,
    /// The leader's high watermark.
    pub high_watermark: Offset,
    /// The first offset of the leader's log.
    pub log_start_offset: Offset,
    /// The logs diverge: the leader's end of the last epoch that both may share.
    pub diverging: Option<EpochEnd>,
    /// The size of the records; 0 if there are none.
    pub records_bytes: usize,
}

/// The first and the end offset of the leader's log (ListOffsets with -2 and -1 from a follower).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaderOffsets {
    /// First offset.
    pub log_start_offset: Offset,
    /// End (exclusive).
    pub log_end_offset: Offset,
}

/// Why records that came could not be appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppendFailure {
    /// They are damaged or do not fit: fetch again.
    Invalid,
    /// The disk failed: this replica is out until it is followed anew.
    Storage,
}

/// What a follower asks its surroundings to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FollowerEffect {
    /// Append the records of the response, then call `handle_appended`.
    Append,
    /// Truncate to [`truncation_offset`] of this end, then call `handle_log_reset`.
    Truncate {
        /// The leader's end of the epoch.
        leader_end: EpochEnd,
    },
    /// The leader's log ends before ours: truncate to this offset, then call `handle_log_reset`.
    TruncateTo(Offset),
    /// The leader's log begins after our end: drop everything, continue at this offset, then call
    /// `handle_log_reset`.
    StartAt(Offset),
    /// Ask the leader for the ends of its log, then call `handle_leader_offsets`.
    AskOffsets,
    /// Sync the log, then call `handle_flushed`.
    Flush,
    /// Everything below is committed.
    HighWatermarkAdvanced(Offset),
    /// The log may start here: the leader's does.
    LogStartAdvanced(Offset),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Asks for records.
    Fetching,
    /// Something local or at the leader is under way (append, truncation, offsets).
    Busy,
    /// Records are appended, but not on disk.
    Flushing,
    /// Until this time.
    Delayed(u64),
    /// The leader is of a newer epoch, or the log failed: waits to be followed anew.
    Stopped,
}

/// One replica that follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Follower {
    leader_epoch: LeaderEpoch,
    log: FollowerLog,
    high_watermark: Offset,
    flush_first: bool,
    stage: Stage,
    /// What the last request that named this partition asked.
    asked: Option<FetchPartition>,
    /// The question to which the last answer was that the logs diverge.
    diverged: Option<FetchPartition>,
    /// Errors in a row.
    failures: u32,
    /// Offsets behind the leader's high watermark, as of the last answer.
    lag: Option<Offset>,
}

impl Follower {
    pub(super) fn new(follow: Follow) -> Self {
        let mut follower = Self {
            leader_epoch: follow.leader_epoch,
            log: follow.log,
            high_watermark: follow
                .high_watermark
                .clamp(follow.log.log_start_offset, follow.log.log_end_offset),
            flush_first: follow.flush_first,
            stage: Stage::Fetching,
            asked: None,
            diverged: None,
            failures: 0,
            lag: None,
        };
        if follower.must_flush() {
            follower.stage = Stage::Flushing;
        }
        follower
    }

    /// What to ask, if it may ask now.
    pub(super) fn question(&self, max_bytes: i32) -> Option<FetchPartition> {
        (self.stage == Stage::Fetching).then_some(FetchPartition {
            fetch_offset: self.log.log_end_offset,
            log_start_offset: self.log.log_start_offset,
            max_bytes,
            current_leader_epoch: self.leader_epoch,
            last_fetched_epoch: self.log.latest_epoch,
        })
    }

    pub(super) fn set_asked(&mut self, question: FetchPartition) {
        self.asked = Some(question);
    }

    /// An answer; `backoff_ms` gives the delay after so many failures in a row.
    pub(super) fn handle_fetched(
        &mut self,
        now_ms: u64,
        fetched: &Fetched,
        backoff_ms: impl Fn(u32) -> u64,
        effects: &mut Vec<FollowerEffect>,
    ) {
        let current = self.asked.filter(|asked| {
            self.stage == Stage::Fetching
                && asked.fetch_offset == self.log.log_end_offset
                && asked.current_leader_epoch == self.leader_epoch
        });
        if current.is_none() {
            return;
        }
        match fetched.error {
            // The truncation before changed nothing: again, but not at once.
            ErrorCode::None if fetched.diverging.is_some() && self.diverged == self.asked => {
                self.diverged = None;
                self.delay(now_ms, backoff_ms);
            }
            ErrorCode::None => self.handle_answer(fetched, effects),
            ErrorCode::OffsetOutOfRange => {
                self.stage = Stage::Busy;
                effects.push(FollowerEffect::AskOffsets);
            }
            ErrorCode::FencedLeaderEpoch => self.stage = Stage::Stopped,
            _ => self.delay(now_ms, backoff_ms),
        }
    }

    fn handle_answer(&mut self, fetched: &Fetched, effects: &mut Vec<FollowerEffect>) {
        if let Some(leader_end) = fetched.diverging {
            // Nothing else in this answer counts: the marks are about a log that is not ours.
            self.stage = Stage::Busy;
            self.diverged = self.asked;
            effects.push(FollowerEffect::Truncate { leader_end });
            return;
        }
        if fetched.records_bytes == 0 {
            self.failures = 0;
        }
        self.lag = Some((fetched.high_watermark - self.log.log_end_offset).max(0));
        if fetched.records_bytes > 0 {
            self.stage = Stage::Busy;
            effects.push(FollowerEffect::Append);
        }
        self.advance(fetched.high_watermark, fetched.log_start_offset, effects);
    }

    /// Takes the leader's marks as far as the local log goes.
    pub(super) fn advance(
        &mut self,
        high_watermark: Offset,
        log_start: Offset,
        effects: &mut Vec<FollowerEffect>,
    ) {
        let committed = high_watermark.min(self.log.log_end_offset);
        if committed > self.high_watermark {
            self.high_watermark = committed;
            effects.push(FollowerEffect::HighWatermarkAdvanced(committed));
        }
        let start = log_start.min(self.high_watermark);
        if start > self.log.log_start_offset {
            self.log.log_start_offset = start;
            effects.push(FollowerEffect::LogStartAdvanced(start));
        }
    }

    pub(super) fn delay(&mut self, now_ms: u64, backoff_ms: impl Fn(u32) -> u64) {
        self.stage = Stage::Delayed(now_ms + backoff_ms(self.failures));
        self.failures = self.failures.saturating_add(1);
    }

    /// The records are in the log, which ends at `log_end_offset` now with records of `latest_epoch`.
    pub(super) fn handle_appended(
        &mut self,
        log_end_offset: Offset,
        latest_epoch: LeaderEpoch,
        effects: &mut Vec<FollowerEffect>,
    ) {
        self.failures = 0;
        self.log.log_end_offset = log_end_offset;
        self.log.latest_epoch = latest_epoch;
        self.resume(effects);
    }

    pub(super) fn stop(&mut self) {
        self.stage = Stage::Stopped;
    }

    /// The log was truncated or started anew.
    pub(super) fn handle_log_reset(&mut self, log: FollowerLog, effects: &mut Vec<FollowerEffect>) {
        self.log = log;
        self.high_watermark = self.high_watermark.clamp(log.log_start_offset, log.log_end_offset);
        self.lag = None;
        self.resume(effects);
    }

    /// Everything below `flushed_offset` is on disk.
    pub(super) fn handle_flushed(&mut self, flushed_offset: Offset) {
        self.log.flushed_offset = self.log.flushed_offset.max(flushed_offset.min(self.log.log_end_offset));
        if self.stage == Stage::Flushing && !self.must_flush() {
            self.stage = Stage::Fetching;
        }
    }

    /// The leader's log is elsewhere than ours: follow it there (Kafka's `fetchOffsetAndTruncate`).
    pub(super) fn handle_leader_offsets(&mut self, leader: LeaderOffsets, effects: &mut Vec<FollowerEffect>) {
        if self.stage != Stage::Busy {
            return;
        }
        let end = self.log.log_end_offset;
        if leader.log_end_offset < end {
            effects.push(FollowerEffect::TruncateTo(leader.log_end_offset));
        } else if leader.log_start_offset > end {
            effects.push(FollowerEffect::StartAt(leader.log_start_offset));
        } else {
            self.resume(effects);
        }
    }

    /// Asking for the leader's offsets failed.
    pub(super) fn handle_no_offsets(&mut self, now_ms: u64, backoff_ms: impl Fn(u32) -> u64) {
        if self.stage == Stage::Busy {
            self.delay(now_ms, backoff_ms);
        }
    }

    fn resume(&mut self, effects: &mut Vec<FollowerEffect>) {
        if self.stage == Stage::Stopped {
            return;
        }
        self.stage = if self.must_flush() { Stage::Flushing } else { Stage::Fetching };
        if self.stage == Stage::Flushing {
            effects.push(FollowerEffect::Flush);
        }
    }

    fn must_flush(&self) -> bool {
        self.flush_first
            && self.log.flushed_offset < self.log.log_end_offset
            && !planted::is(Bug::FetchBeforeFlush)
    }

    pub(super) fn is_flushing(&self) -> bool {
        self.stage == Stage::Flushing
    }

    /// Ends a delay that is over; true if it asks again.
    pub(super) fn tick(&mut self, now_ms: u64) -> bool {
        match self.stage {
            Stage::Delayed(until) if now_ms >= until => {
                self.stage = Stage::Fetching;
                true
            }
            _ => false,
        }
    }

    pub(super) fn delayed_until(&self) -> Option<u64> {
        match self.stage {
            Stage::Delayed(until) => Some(until),
            _ => None,
        }
    }

    /// The epoch it follows.
    #[must_use]
    pub fn leader_epoch(&self) -> LeaderEpoch {
        self.leader_epoch
    }

    /// Everything below is committed, as far as this replica knows.
    #[must_use]
    pub fn high_watermark(&self) -> Offset {
        self.high_watermark
    }

    /// The end of its log.
    #[must_use]
    pub fn log_end_offset(&self) -> Offset {
        self.log.log_end_offset
    }

    /// How far it is behind the leader's high watermark; `None` before the first answer.
    #[must_use]
    pub fn lag(&self) -> Option<Offset> {
        self.lag
    }

    /// It gave up until it is followed anew.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.stage == Stage::Stopped
    }
}

/// Where to truncate when the leader says that the logs diverge (KIP-279): `local_end` is the local log's answer
/// for `leader_end.epoch`. If the local log does not have that epoch, what follows the epochs both may share goes;
/// the next fetch says whether that was enough.
#[must_use]
pub fn truncation_offset(leader_end: EpochEnd, local_end: EpochEnd, log_end_offset: Offset) -> Offset {
    if local_end.epoch.is_none() || local_end.end_offset < 0 {
        return leader_end.end_offset.clamp(0, log_end_offset);
    }
    if local_end.epoch == leader_end.epoch {
        return local_end.end_offset.min(leader_end.end_offset).min(log_end_offset);
    }
    local_end.end_offset.min(log_end_offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(epoch: i32, end_offset: Offset) -> EpochEnd {
        EpochEnd { epoch: LeaderEpoch(epoch), end_offset }
    }

    #[test]
    fn a_shared_epoch_is_cut_at_the_lower_end() {
        assert_eq!(truncation_offset(end(3, 50), end(3, 60), 80), 50);
        assert_eq!(truncation_offset(end(3, 70), end(3, 60), 80), 60);
    }

    #[test]
    fn an_epoch_that_only_the_leader_has_cuts_back_to_the_one_before() {
        assert_eq!(truncation_offset(end(3, 70), end(2, 40), 80), 40);
    }

    #[test]
    fn without_local_epochs_the_leaders_end_counts() {
        assert_eq!(truncation_offset(end(3, 70), end(-1, -1), 80), 70);
        assert_eq!(truncation_offset(end(3, 90), end(-1, -1), 80), 80);
    }
}
