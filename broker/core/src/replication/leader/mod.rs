//! The leader of one partition: what is committed, who is in sync, what the controller must be asked.
//!
//! It sees offsets and epochs, never records. The server tells it what happened to the log (appended, flushed),
//! what followers fetched and what the metadata says; it answers with [`Effect`]s.
//!
//! Invariants: the high watermark only grows; it stays at or below what every member of the maximal ISR (the
//! committed ISR and those proposed to join) has, and it does not move while the committed ISR is smaller than
//! `min.insync.replicas` (KIP-966); one proposal to the controller is open at a time, and its answer is taken only
//! if nothing newer was learnt in between (KIP-497).

mod acks;
mod follower_progress;
mod isr;
#[cfg(test)]
mod tests;

pub use acks::{Ack, AckState, AppendRefused};
pub use follower_progress::FollowerProgress;
pub use isr::{AlterPartition, Altered, IsrMember};

use super::partition_state::{Brokers, InvalidEpoch, PartitionChange, PartitionState, check_leader_epoch};
use crate::planted::{self, Bug};
use isr::Pending;
use ottla_types::{BrokerEpoch, BrokerId, ErrorCode, LeaderEpoch, Offset, PartitionEpoch};

/// What a leader asks its surroundings to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Everything below is committed: answer those who wait for it.
    HighWatermarkAdvanced(Offset),
    /// Every live replica's log starts at or after this offset (answers DeleteRecords).
    LowWatermarkAdvanced(Offset),
    /// Fewer replicas are in sync than `min.insync.replicas`, and were enough before: what is not committed will not be
    /// soon. Answer the producers that wait for it with `NOT_ENOUGH_REPLICAS_AFTER_APPEND`.
    TooFewInSync,
    /// Ask the controller to change the ISR, and bring the answer, whatever it is, to
    /// [`Leader::handle_alter_partition_answer`].
    AlterPartition(AlterPartition),
}

/// What settings say about this partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// `min.insync.replicas`.
    pub min_insync_replicas: usize,
    /// `replica.lag.time.max.ms`.
    pub replica_lag_time_max_ms: u64,
    /// `flush.messages=1`: the leader's own copy counts only as far as it is on disk. (Followers with this setting
    /// fetch only from where they have flushed.)
    pub count_flushed_only: bool,
}

/// Where the local log stands when leadership begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogPosition {
    /// First offset.
    pub log_start_offset: Offset,
    /// The offset the next record gets.
    pub log_end_offset: Offset,
    /// Everything below is on disk.
    pub flushed_offset: Offset,
    /// The last known high watermark of this replica.
    pub high_watermark: Offset,
}

/// One partition's part of a follower's Fetch request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FollowerFetch {
    /// The follower.
    pub broker: BrokerId,
    /// Its registration, or `BrokerEpoch::NONE` in old request versions.
    pub broker_epoch: BrokerEpoch,
    /// The leader epoch it follows, or `LeaderEpoch::NONE`.
    pub leader_epoch: LeaderEpoch,
    /// The offset it asks for: it has everything below.
    pub fetch_offset: Offset,
    /// The first offset of its log.
    pub log_start_offset: Offset,
}

/// A follower's fetch changes nothing and is answered with an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FetchRefused {
    /// One side has not heard of the last election.
    #[error(transparent)]
    Epoch(#[from] InvalidEpoch),
    /// The follower is no replica here; if it named the right leader epoch, this broker may not know it yet.
    #[error("broker {broker} is not known as a replica")]
    NotReplica {
        /// Who asked.
        broker: BrokerId,
        /// Whether the request named a leader epoch.
        named_epoch: bool,
    },
    /// The request is from an incarnation of the follower that was replaced (KIP-903).
    #[error("broker epoch {asked} of the follower is stale, {current} is registered")]
    StaleBrokerEpoch {
        /// The epoch in the request.
        asked: BrokerEpoch,
        /// The registered epoch.
        current: BrokerEpoch,
    },
    /// The offset is not in this log.
    #[error("offset {asked} is outside of the log, which holds {start} to {end}")]
    OffsetOutOfRange {
        /// The offset in the request.
        asked: Offset,
        /// First offset here.
        start: Offset,
        /// End here (exclusive).
        end: Offset,
    },
}

impl FetchRefused {
    /// Kafka's error code.
    #[must_use]
    pub fn code(self) -> ErrorCode {
        match self {
            FetchRefused::Epoch(epoch) => epoch.code(),
            FetchRefused::NotReplica { named_epoch: true, .. } => ErrorCode::UnknownLeaderEpoch,
            FetchRefused::NotReplica { named_epoch: false, .. } | FetchRefused::StaleBrokerEpoch { .. } => {
                ErrorCode::NotLeaderOrFollower
            }
            FetchRefused::OffsetOutOfRange { .. } => ErrorCode::OffsetOutOfRange,
        }
    }
}

/// The leader of one partition on this broker. See the module's description.
#[derive(Debug)]
pub struct Leader {
    local: BrokerId,
    local_epoch: BrokerEpoch,
    config: Config,
    leader_epoch: LeaderEpoch,
    partition_epoch: PartitionEpoch,
    /// The leader epoch at which this unbroken leadership began.
    since_epoch: LeaderEpoch,
    /// The end of the log when `leader_epoch` began.
    epoch_start_offset: Offset,
    log_start_offset: Offset,
    log_end_offset: Offset,
    flushed_offset: Offset,
    high_watermark: Offset,
    low_watermark: Offset,
    replicas: Vec<BrokerId>,
    /// Committed.
    isr: Vec<BrokerId>,
    /// All replicas but this one.
    followers: Vec<FollowerProgress>,
    pending: Option<Box<Pending>>,
    next_proposal: u64,
    /// No new proposal before this time: the controller refused the last one.
    propose_not_before_ms: u64,
    /// Whether [`Effect::TooFewInSync`] was said of the ISR as it is.
    too_few_said: bool,
    effects: Vec<Effect>,
}

impl Leader {
    /// Begins to lead `local`'s replica as `state` (which must name `local` as leader) says.
    ///
    /// # Panics
    /// If `state.leader` is another broker.
    pub fn new(
        now_ms: u64,
        local: (BrokerId, BrokerEpoch),
        config: Config,
        state: &PartitionState,
        log: LogPosition,
        brokers: &impl Brokers,
    ) -> Self {
        assert_eq!(state.leader, local.0, "a leader machine is started on the broker that was elected");
        let mut leader = Self {
            local: local.0,
            local_epoch: local.1,
            config,
            leader_epoch: state.leader_epoch,
            partition_epoch: state.partition_epoch,
            since_epoch: state.leader_epoch,
            epoch_start_offset: log.log_end_offset,
            log_start_offset: log.log_start_offset,
            log_end_offset: log.log_end_offset,
            flushed_offset: log.flushed_offset,
            high_watermark: log.high_watermark.clamp(log.log_start_offset, log.log_end_offset),
            low_watermark: -1,
            replicas: Vec::new(),
            isr: Vec::new(),
            followers: Vec::new(),
            pending: None,
            next_proposal: 0,
            propose_not_before_ms: 0,
            too_few_said: false,
            effects: Vec::new(),
        };
        leader.take_over(state, brokers);
        for follower in &mut leader.followers {
            follower.begin_epoch(now_ms, log.log_end_offset, state.isr.contains(&follower.broker));
        }
        leader.advance_high_watermark(now_ms);
        leader
    }

    /// The metadata has a (possibly new) registration of the partition. After [`PartitionChange::NotLeader`] this
    /// machine must not be used any more; those who wait for acks get `NOT_LEADER_OR_FOLLOWER`.
    ///
    /// A change that leaves the leader epoch alone keeps everything known about the followers.
    pub fn handle_partition_change(
        &mut self,
        now_ms: u64,
        state: &PartitionState,
        brokers: &impl Brokers,
    ) -> PartitionChange {
        if state.partition_epoch < self.partition_epoch || state.leader_epoch < self.leader_epoch {
            return PartitionChange::Stale;
        }
        if state.partition_epoch == self.partition_epoch && state.leader_epoch == self.leader_epoch {
            return self.complete_answer(now_ms, state, brokers);
        }
        if state.leader != self.local {
            return PartitionChange::NotLeader;
        }
        let new_epoch = state.leader_epoch > self.leader_epoch;
        self.pending = None;
        self.partition_epoch = state.partition_epoch;
        self.leader_epoch = state.leader_epoch;
        self.take_over(state, brokers);
        if new_epoch {
            self.epoch_start_offset = self.log_end_offset;
            for follower in &mut self.followers {
                follower.begin_epoch(now_ms, self.log_end_offset, state.isr.contains(&follower.broker));
            }
        }
        self.isr_changed(now_ms);
        PartitionChange::Applied
    }

    /// The answer to AlterPartition came before the metadata that says the same: the ISR is known, but the change
    /// may also have completed a reassignment. An open proposal is based on this epoch and stays open.
    fn complete_answer(
        &mut self,
        now_ms: u64,
        state: &PartitionState,
        brokers: &impl Brokers,
    ) -> PartitionChange {
        if state.replicas == self.replicas {
            return PartitionChange::Stale;
        }
        self.take_over(state, brokers);
        self.isr_changed(now_ms);
        PartitionChange::Applied
    }

    fn take_over(&mut self, state: &PartitionState, brokers: &impl Brokers) {
        let mut known = std::mem::take(&mut self.followers);
        for &broker in state.replicas.iter().filter(|&&broker| broker != self.local) {
            let status = brokers.status(broker);
            let mut follower = match known.iter().position(|known| known.broker == broker) {
                Some(index) => known.swap_remove(index),
                None => FollowerProgress::new(broker, status),
            };
            follower.set_status(status);
            self.followers.push(follower);
        }
        self.replicas.clone_from(&state.replicas);
        self.isr.clone_from(&state.isr);
    }

    /// Brokers came, went, were fenced or restarted.
    pub fn handle_brokers_change(&mut self, now_ms: u64, brokers: &impl Brokers) {
        for follower in &mut self.followers {
            follower.set_status(brokers.status(follower.broker));
        }
        if let Some(status) = brokers.status(self.local) {
            self.local_epoch = self.local_epoch.max(status.epoch);
        }
        self.isr_changed(now_ms);
    }

    /// Settings of the topic or broker changed.
    pub fn handle_config_change(&mut self, now_ms: u64, config: Config) {
        self.config = config;
        self.isr_changed(now_ms);
    }

    /// Records were appended: the log ends at `log_end_offset` now. On the produce path.
    #[inline]
    pub fn handle_append(&mut self, now_ms: u64, log_end_offset: Offset) {
        debug_assert!(log_end_offset >= self.log_end_offset, "a leader never truncates");
        for follower in &mut self.followers {
            follower.leader_appends(now_ms, self.log_end_offset);
        }
        self.log_end_offset = log_end_offset;
        if !self.config.count_flushed_only || planted::is(Bug::AnswerBeforeFlush) {
            self.advance_high_watermark(now_ms);
        }
    }

    /// Everything below `flushed_offset` is on disk.
    #[inline]
    pub fn handle_flushed(&mut self, now_ms: u64, flushed_offset: Offset) {
        self.flushed_offset = self.flushed_offset.max(flushed_offset).min(self.log_end_offset);
        if self.config.count_flushed_only {
            self.advance_high_watermark(now_ms);
        }
    }

    /// The log starts at `log_start_offset` now (retention, DeleteRecords).
    pub fn handle_log_start_change(&mut self, log_start_offset: Offset) {
        self.log_start_offset = self.log_start_offset.max(log_start_offset);
        self.high_watermark = self.high_watermark.max(self.log_start_offset);
        self.advance_low_watermark();
    }

    /// A follower asks for records: it has what is below, if the fetch does not diverge from this log (which the
    /// caller has checked with [`super::diverging`]).
    ///
    /// # Errors
    /// If the follower must not be counted; the state is as before.
    pub fn handle_follower_fetch(&mut self, now_ms: u64, fetch: FollowerFetch) -> Result<(), FetchRefused> {
        check_leader_epoch(self.leader_epoch, fetch.leader_epoch)?;
        let (start, end, low) = (self.log_start_offset, self.log_end_offset, self.high_watermark);
        let not_replica =
            FetchRefused::NotReplica { broker: fetch.broker, named_epoch: !fetch.leader_epoch.is_none() };
        let follower =
            self.followers.iter_mut().find(|known| known.broker == fetch.broker).ok_or(not_replica)?;
        if let Some(status) = follower.status
            && !status.fenced
            && !fetch.broker_epoch.is_none()
            && status.epoch > fetch.broker_epoch
        {
            return Err(FetchRefused::StaleBrokerEpoch { asked: fetch.broker_epoch, current: status.epoch });
        }
        if fetch.fetch_offset < start || fetch.fetch_offset > end {
            return Err(FetchRefused::OffsetOutOfRange { asked: fetch.fetch_offset, start, end });
        }
        let moved = follower.log_end_offset != Some(fetch.fetch_offset);
        let start_moved = follower.log_start_offset != Some(fetch.log_start_offset);
        follower.fetch_epoch = Some(fetch.broker_epoch);
        follower.fetched(now_ms, fetch.fetch_offset, fetch.log_start_offset, end);
        let may_join = fetch.fetch_offset >= low && !self.isr.contains(&fetch.broker);
        if may_join {
            self.consider_expansion(now_ms);
        }
        if moved {
            self.advance_high_watermark(now_ms);
        }
        if start_moved {
            self.advance_low_watermark();
        }
        Ok(())
    }

    /// Time passed: followers that lag leave the ISR, refused proposals are made again.
    pub fn tick(&mut self, now_ms: u64) {
        if now_ms >= self.propose_not_before_ms {
            self.propose_not_before_ms = 0;
        }
        self.consider_retry(now_ms);
        self.consider_shrink(now_ms);
        self.consider_expansion(now_ms);
        self.advance_high_watermark(now_ms);
    }

    /// When [`tick`](Self::tick) has something to do at the earliest, if nothing else happens; `None` for never.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<u64> {
        if let Some(pending) = &self.pending {
            return pending.retry_at();
        }
        let lag = self.config.replica_lag_time_max_ms;
        let lagging = self
            .followers
            .iter()
            .filter(|follower| self.isr.contains(&follower.broker))
            .filter(|follower| follower.log_end_offset != Some(self.log_end_offset))
            .map(|follower| follower.last_caught_up_ms.map_or(0, |then| then.saturating_add(lag + 1)));
        let paused = self.propose_not_before_ms > 0;
        let joining = paused
            && self.followers.iter().any(|follower| self.may_join(self.propose_not_before_ms, follower));
        lagging.chain(joining.then_some(0)).map(|at| at.max(self.propose_not_before_ms)).min()
    }

    /// Takes what is to be done, in order. Keeps the buffer, so that a produce request allocates nothing.
    #[inline]
    pub fn drain_effects(&mut self) -> std::vec::Drain<'_, Effect> {
        self.effects.drain(..)
    }

    /// True if [`drain_effects`](Self::drain_effects) has something.
    #[inline]
    #[must_use]
    pub fn has_effects(&self) -> bool {
        !self.effects.is_empty()
    }

    /// Moves the high watermark to the lowest end among the maximal ISR and among those who could join at once and
    /// are only held up by the high watermark running away from them.
    #[inline]
    fn advance_high_watermark(&mut self, now_ms: u64) {
        let flushed_only = self.config.count_flushed_only && !planted::is(Bug::AnswerBeforeFlush);
        let own_end = if flushed_only { self.flushed_offset } else { self.log_end_offset };
        let mut committed = own_end;
        if !self.followers.is_empty() {
            if self.is_under_min_isr() {
                return;
            }
            for follower in &self.followers {
                let end = follower.log_end_offset.unwrap_or(-1);
                if end < committed
                    && (self.in_maximal_isr(follower.broker) || self.is_worth_waiting(now_ms, follower))
                {
                    committed = end;
                }
            }
        }
        if planted::is(Bug::CountOnlyTheFastest)
            && let Some(fastest) = self.followers.iter().filter_map(|follower| follower.log_end_offset).max()
        {
            committed = fastest.min(own_end);
        }
        if committed > self.high_watermark {
            self.high_watermark = committed;
            match self.effects.last_mut() {
                Some(Effect::HighWatermarkAdvanced(offset)) => *offset = committed,
                _ => self.effects.push(Effect::HighWatermarkAdvanced(committed)),
            }
        }
    }

    fn is_worth_waiting(&self, now_ms: u64, follower: &FollowerProgress) -> bool {
        follower.is_caught_up(now_ms, self.log_end_offset, self.config.replica_lag_time_max_ms)
            && follower.is_eligible()
    }

    fn advance_low_watermark(&mut self) {
        let low = self.low_watermark();
        if low > self.low_watermark {
            self.low_watermark = low;
            self.effects.push(Effect::LowWatermarkAdvanced(low));
        }
    }

    /// The lowest log start among this replica and the live followers; -1 while one of them is unknown.
    #[must_use]
    pub fn low_watermark(&self) -> Offset {
        self.followers
            .iter()
            .filter(|follower| follower.status.is_some_and(|status| !status.fenced))
            .map(|follower| follower.log_start_offset.unwrap_or(-1))
            .fold(self.log_start_offset, Offset::min)
    }

    /// Checks the leader epoch that a request names.
    ///
    /// # Errors
    /// If the sender or this broker is behind.
    pub fn check_epoch(&self, asked: LeaderEpoch) -> Result<(), InvalidEpoch> {
        check_leader_epoch(self.leader_epoch, asked)
    }

    /// The end that consumers may be told of: the high watermark, once it has reached what was committed under
    /// earlier leaders (KIP-207).
    ///
    /// # Errors
    /// `OffsetNotAvailable` until then.
    pub fn latest_offset(&self) -> Result<Offset, ErrorCode> {
        if self.high_watermark < self.epoch_start_offset {
            return Err(ErrorCode::OffsetNotAvailable);
        }
        Ok(self.high_watermark)
    }

    /// Everything below is committed.
    #[inline]
    #[must_use]
    pub fn high_watermark(&self) -> Offset {
        self.high_watermark
    }

    /// Every replica, in sync or not, is known to have everything below that is committed; 0 while one has not been
    /// heard of.
    #[must_use]
    pub fn replicated_offset(&self) -> Offset {
        let followers = self.followers.iter().map(|follower| follower.log_end_offset.unwrap_or(0));
        followers.chain([self.high_watermark]).min().unwrap_or(0)
    }

    /// The end of the log as this machine knows it.
    #[inline]
    #[must_use]
    pub fn log_end_offset(&self) -> Offset {
        self.log_end_offset
    }

    /// The current leader epoch.
    #[inline]
    #[must_use]
    pub fn leader_epoch(&self) -> LeaderEpoch {
        self.leader_epoch
    }

    /// The newest partition epoch known.
    #[must_use]
    pub fn partition_epoch(&self) -> PartitionEpoch {
        self.partition_epoch
    }

    /// All replicas.
    #[must_use]
    pub fn replicas(&self) -> &[BrokerId] {
        &self.replicas
    }

    /// The committed ISR.
    #[must_use]
    pub fn isr(&self) -> &[BrokerId] {
        &self.isr
    }

    /// What is known of the followers.
    #[must_use]
    pub fn followers(&self) -> &[FollowerProgress] {
        &self.followers
    }

    /// `min.insync.replicas`, but never more than there are replicas.
    #[inline]
    #[must_use]
    pub fn required_in_sync(&self) -> usize {
        self.config.min_insync_replicas.min(self.followers.len() + 1)
    }

    /// Fewer in sync than required.
    #[inline]
    #[must_use]
    pub fn is_under_min_isr(&self) -> bool {
        self.isr.len() < self.required_in_sync()
    }

    /// Some replica is not in sync.
    #[must_use]
    pub fn is_under_replicated(&self) -> bool {
        self.isr.len() < self.replicas.len()
    }
}
