//! What to ask next of one leader broker, for all the partitions followed from it: one request at a time, of an
//! incremental session that names only partitions that moved.
//!
//! A partition is asked for while its [`Follower`] may ask, is not delayed after an error, and is not throttled;
//! one that may not is taken out of the session and put back later, so it never holds up the others. A failed
//! connection delays everything, briefly at first. Invariant: what the session wants is exactly what the followers
//! may ask.

#[cfg(test)]
mod tests;

use super::follower::{AppendFailure, Fetched, Follow, Follower, FollowerEffect, FollowerLog, LeaderOffsets};
use crate::fetch_session::{ClientSession, SessionRequest};
use ottla_types::{ErrorCode, LeaderEpoch, Offset, TopicIdPartition};
use std::collections::{BTreeMap, BTreeSet};

/// The first delay after an error; it doubles up to `backoff_ms`.
const FIRST_BACKOFF_MS: u64 = 20;

/// Kafka's `replica.fetch.*` settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FetcherConfig {
    /// `replica.fetch.max.bytes`: per partition.
    pub partition_max_bytes: i32,
    /// `replica.fetch.backoff.ms`: the longest delay after errors.
    pub backoff_ms: u64,
}

/// The followers of one leader broker.
#[derive(Debug)]
pub struct Fetcher {
    config: FetcherConfig,
    followers: BTreeMap<TopicIdPartition, Follower>,
    session: ClientSession<TopicIdPartition>,
    throttled: BTreeSet<TopicIdPartition>,
    over_quota: bool,
    /// Ends of delays.
    delays: BTreeSet<(u64, TopicIdPartition)>,
    request_out: bool,
    connect_not_before_ms: u64,
    failures: u32,
    effects: Vec<(TopicIdPartition, FollowerEffect)>,
    scratch: Vec<FollowerEffect>,
}

impl Fetcher {
    /// Follows nothing yet.
    #[must_use]
    pub fn new(config: FetcherConfig) -> Self {
        Self {
            config,
            followers: BTreeMap::new(),
            session: ClientSession::new(),
            throttled: BTreeSet::new(),
            over_quota: false,
            delays: BTreeSet::new(),
            request_out: false,
            connect_not_before_ms: 0,
            failures: 0,
            effects: Vec::new(),
            scratch: Vec::new(),
        }
    }

    /// Follows `partition` from this leader. If it does so already in the same epoch, nothing changes.
    pub fn follow(&mut self, partition: TopicIdPartition, follow: Follow) {
        let known = self.followers.get(&partition);
        if known.is_some_and(|known| known.leader_epoch() >= follow.leader_epoch && !known.is_stopped()) {
            return;
        }
        self.unfollow(&partition);
        let follower = Follower::new(follow);
        if follower.is_flushing() {
            self.effects.push((partition, FollowerEffect::Flush));
        }
        self.followers.insert(partition, follower);
        self.update(partition);
    }

    /// Does not follow `partition` any more; answers for it that are under way are ignored.
    pub fn unfollow(&mut self, partition: &TopicIdPartition) -> Option<Follower> {
        self.session.remove(partition);
        let follower = self.followers.remove(partition)?;
        if let Some(until) = follower.delayed_until() {
            self.delays.remove(&(until, *partition));
        }
        Some(follower)
    }

    /// The next request, if one may be sent now. Its outcome goes to [`handle_response`](Self::handle_response) or
    /// [`handle_failure`](Self::handle_failure).
    pub fn request(&mut self, now_ms: u64) -> Option<SessionRequest<TopicIdPartition>> {
        self.end_delays(now_ms);
        if self.request_out || now_ms < self.connect_not_before_ms || self.session.is_empty() {
            return None;
        }
        let request = self.session.request();
        for (partition, question) in &request.partitions {
            if let Some(follower) = self.followers.get_mut(partition) {
                follower.set_asked(*question);
            }
        }
        self.request_out = true;
        Some(request)
    }

    /// When [`request`](Self::request) is worth a call if nothing else happens; `None` for never.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<u64> {
        if self.request_out {
            return None;
        }
        let delayed = self.delays.first().map(|&(until, _)| until);
        let ready = (!self.session.is_empty()).then_some(0);
        delayed.into_iter().chain(ready).min().map(|at| at.max(self.connect_not_before_ms))
    }

    /// When the next partition that waits after an error may be asked for again: a request that lets the leader wait
    /// for longer would hold it up.
    #[must_use]
    pub fn next_delay(&self) -> Option<u64> {
        self.delays.first().map(|&(until, _)| until)
    }

    /// The response's top-level error and session id came. True: pass each of its partitions to
    /// [`handle_partition`](Self::handle_partition).
    pub fn handle_response(&mut self, now_ms: u64, error: ErrorCode, session_id: i32) -> bool {
        self.request_out = false;
        if self.session.handle_response(error, session_id).is_ok() {
            self.failures = 0;
            return true;
        }
        let about_session = matches!(
            error,
            ErrorCode::None
                | ErrorCode::FetchSessionIdNotFound
                | ErrorCode::InvalidFetchSessionEpoch
                | ErrorCode::FetchSessionTopicIdError
        );
        if !about_session {
            self.back_off(now_ms);
        }
        false
    }

    /// No response: the connection failed or the time is over.
    pub fn handle_failure(&mut self, now_ms: u64) {
        self.request_out = false;
        self.session.handle_error();
        self.back_off(now_ms);
    }

    fn back_off(&mut self, now_ms: u64) {
        self.connect_not_before_ms = now_ms + backoff_ms(self.config, self.failures);
        self.failures = self.failures.saturating_add(1);
    }

    /// One partition of the response.
    pub fn handle_partition(&mut self, now_ms: u64, partition: &TopicIdPartition, fetched: &Fetched) {
        let config = self.config;
        self.with(partition, |follower, effects| {
            follower.handle_fetched(now_ms, fetched, |failures| backoff_ms(config, failures), effects);
        });
    }

    /// The records that came with `fetched` were appended (the log's new end and the epoch of its last record), or
    /// not.
    pub fn handle_appended(
        &mut self,
        now_ms: u64,
        partition: &TopicIdPartition,
        fetched: &Fetched,
        outcome: Result<(Offset, LeaderEpoch), AppendFailure>,
    ) {
        let config = self.config;
        self.with(partition, |follower, effects| match outcome {
            Ok((log_end_offset, latest_epoch)) => {
                follower.handle_appended(log_end_offset, latest_epoch, effects);
                follower.advance(fetched.high_watermark, fetched.log_start_offset, effects);
            }
            Err(AppendFailure::Invalid) => follower.delay(now_ms, |failures| backoff_ms(config, failures)),
            Err(AppendFailure::Storage) => follower.stop(),
        });
    }

    /// The log was truncated or started anew, as asked.
    pub fn handle_log_reset(&mut self, partition: &TopicIdPartition, log: FollowerLog) {
        self.with(partition, |follower, effects| follower.handle_log_reset(log, effects));
    }

    /// The log failed.
    pub fn handle_log_failure(&mut self, partition: &TopicIdPartition) {
        self.with(partition, |follower, _| follower.stop());
    }

    /// There was no room to change the log as asked, which is as it was: later again.
    pub fn handle_log_full(&mut self, now_ms: u64, partition: &TopicIdPartition) {
        let config = self.config;
        self.with(partition, |follower, _| follower.delay(now_ms, |failures| backoff_ms(config, failures)));
    }

    /// Everything below `flushed_offset` is on disk.
    pub fn handle_flushed(&mut self, partition: &TopicIdPartition, flushed_offset: Offset) {
        self.with(partition, |follower, _| follower.handle_flushed(flushed_offset));
    }

    /// The leader's offsets, or why there are none.
    pub fn handle_leader_offsets(
        &mut self,
        now_ms: u64,
        partition: &TopicIdPartition,
        offsets: Result<LeaderOffsets, ErrorCode>,
    ) {
        let config = self.config;
        self.with(partition, |follower, effects| match offsets {
            Ok(offsets) => follower.handle_leader_offsets(offsets, effects),
            Err(ErrorCode::FencedLeaderEpoch) => follower.stop(),
            Err(_) => follower.handle_no_offsets(now_ms, |failures| backoff_ms(config, failures)),
        });
    }

    /// Whether a partition is under `follower.replication.throttled.replicas`.
    pub fn set_throttled(&mut self, partition: TopicIdPartition, is_throttled: bool) {
        let changed = match is_throttled {
            true => self.throttled.insert(partition),
            false => self.throttled.remove(&partition),
        };
        if changed {
            self.update(partition);
        }
    }

    /// Whether it is.
    #[must_use]
    pub fn is_throttled(&self, partition: &TopicIdPartition) -> bool {
        self.throttled.contains(partition)
    }

    /// Whether more than `follower.replication.throttled.rate` came lately. While it is so, throttled partitions
    /// that are behind are not asked for.
    pub fn set_over_quota(&mut self, over_quota: bool) {
        if self.over_quota != over_quota {
            self.over_quota = over_quota;
            let throttled: Vec<_> = self.throttled.iter().copied().collect();
            for partition in throttled {
                self.update(partition);
            }
        }
    }

    fn end_delays(&mut self, now_ms: u64) {
        while let Some(&(until, partition)) = self.delays.first() {
            if until > now_ms {
                return;
            }
            self.delays.remove(&(until, partition));
            if let Some(follower) = self.followers.get_mut(&partition)
                && follower.tick(now_ms)
            {
                self.update(partition);
            }
        }
    }

    fn with(
        &mut self,
        partition: &TopicIdPartition,
        event: impl FnOnce(&mut Follower, &mut Vec<FollowerEffect>),
    ) {
        let Some(follower) = self.followers.get_mut(partition) else { return };
        let before = follower.delayed_until();
        event(follower, &mut self.scratch);
        let after = follower.delayed_until();
        if before != after {
            if let Some(until) = before {
                self.delays.remove(&(until, *partition));
            }
            if let Some(until) = after {
                self.delays.insert((until, *partition));
            }
        }
        self.effects.extend(self.scratch.drain(..).map(|effect| (*partition, effect)));
        self.update(*partition);
    }

    /// Brings the session in line with what the follower may ask.
    fn update(&mut self, partition: TopicIdPartition) {
        let Some(follower) = self.followers.get(&partition) else { return };
        let behind = follower.lag() != Some(0);
        let held_back = self.over_quota && behind && self.throttled.contains(&partition);
        match follower.question(self.config.partition_max_bytes) {
            Some(question) if !held_back => self.session.set(partition, question),
            _ => self.session.remove(&partition),
        }
    }

    /// Takes what is to be done, in order.
    pub fn drain_effects(&mut self) -> std::vec::Drain<'_, (TopicIdPartition, FollowerEffect)> {
        self.effects.drain(..)
    }

    /// The state of one partition.
    #[must_use]
    pub fn follower(&self, partition: &TopicIdPartition) -> Option<&Follower> {
        self.followers.get(partition)
    }

    /// All partitions followed from this leader.
    pub fn followers(&self) -> impl Iterator<Item = (&TopicIdPartition, &Follower)> {
        self.followers.iter()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.followers.len()
    }

    /// True if nothing is followed: the fetcher may end.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.followers.is_empty()
    }
}

fn backoff_ms(config: FetcherConfig, failures: u32) -> u64 {
    (FIRST_BACKOFF_MS << failures.min(16)).min(config.backoff_ms)
}
