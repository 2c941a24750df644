//! One stream of fetches from one leader broker.

use super::{Surroundings, exchange};
use crate::replicas::{Now, Partition, Role};
use bytes::Bytes;
use kafka_protocol::messages::FetchResponse;
use kafka_protocol::messages::fetch_response;
use ottla_client::Connection;
use ottla_core::fetch_session::SessionRequest;
use ottla_core::replication::{
    AppendFailure, EpochEnd, Fetched, Fetcher, FetcherConfig, Follow, FollowerEffect, FollowerLog,
    truncation_offset,
};
use ottla_protocol::fetch_response::Replicated;
use ottla_storage::{AppendError, Log};
use ottla_types::{BrokerId, ErrorCode, LeaderEpoch, Offset, TopicId, TopicIdPartition};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Notify;

/// Before the broker is registered nobody lets it fetch.
const UNREGISTERED_PAUSE: Duration = Duration::from_millis(10);

/// A rate may be raised at any time.
const LONGEST_HOLD: Duration = Duration::from_millis(500);

/// One stream of fetches from one leader broker.
#[derive(Debug)]
pub struct Stream {
    leader: BrokerId,
    fetcher: Mutex<Fetcher>,
    /// Something may be done now.
    wake: Notify,
    /// A fetch waits at the leader.
    waits: AtomicBool,
    stopped: AtomicBool,
    around: Arc<Surroundings>,
}

/// Records of one partition that came, and what came with them.
struct Came {
    id: TopicIdPartition,
    fetched: Fetched,
    records: Bytes,
    replicated: Option<Replicated>,
}

impl Stream {
    /// A stream that follows nothing yet.
    pub fn start(
        leader: BrokerId,
        config: FetcherConfig,
        around: Arc<Surroundings>,
        runtime: &tokio::runtime::Handle,
    ) -> Arc<Self> {
        let stream = Arc::new(Self {
            leader,
            fetcher: Mutex::new(Fetcher::new(config)),
            wake: Notify::new(),
            waits: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
            around,
        });
        runtime.spawn(stream.clone().run());
        stream
    }

    /// Follows a partition.
    pub fn follow(&self, partition: TopicIdPartition, follow: Follow) {
        self.fetcher.lock().follow(partition, follow);
        self.wake.notify_one();
        if self.waits.load(Ordering::Acquire) {
            // The fetch that waits at the leader does not name this partition.
            self.around.cluster.peers.nudge(self.leader);
        }
    }

    /// Whether it is throttled from now on.
    pub fn throttle(&self, partition: TopicIdPartition, is_throttled: bool) {
        self.fetcher.lock().set_throttled(partition, is_throttled);
        self.wake.notify_one();
    }

    /// Follows it no longer.
    pub fn unfollow(&self, partition: &TopicIdPartition) {
        self.fetcher.lock().unfollow(partition);
    }

    /// Ends it.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        self.wake.notify_one();
    }

    fn now(&self) -> Now {
        Now { ms: self.around.clock.now_ms(), wall_ms: self.around.clock.wall_ms() }
    }

    async fn run(self: Arc<Self>) {
        let mut connection = None;
        while !self.stopped.load(Ordering::Acquire) {
            if self.around.cluster.epoch().is_none() {
                tokio::time::sleep(UNREGISTERED_PAUSE).await;
                continue;
            }
            self.run_effects(&mut connection, None).await;
            let held_back = self.around.replicas.quotas.follower.wait(self.around.clock.now_ms());
            let (request, next) = {
                let mut fetcher = self.fetcher.lock();
                fetcher.set_over_quota(held_back.is_some());
                let request = fetcher.request(self.around.clock.now_ms());
                self.waits.store(request.is_some(), Ordering::Release);
                (request, fetcher.poll_timeout())
            };
            match request {
                Some(request) => self.exchange(&mut connection, &request).await,
                None => self.rest(next, held_back).await,
            }
        }
    }

    async fn rest(&self, until_ms: Option<u64>, held_back: Option<Duration>) {
        let pause = until_ms.map(|at| Duration::from_millis(at.saturating_sub(self.around.clock.now_ms())));
        match pause.into_iter().chain(held_back.map(|wait| wait.min(LONGEST_HOLD))).min() {
            None => self.wake.notified().await,
            Some(pause) => {
                let _ = tokio::time::timeout(pause, self.wake.notified()).await;
            }
        }
    }

    async fn exchange(
        &self,
        connection: &mut Option<Connection>,
        request: &SessionRequest<TopicIdPartition>,
    ) {
        let answer = self.ask(connection, request).await;
        self.waits.store(false, Ordering::Release);
        let now_ms = self.around.clock.now_ms();
        let answer = match answer {
            Ok(answer) => answer,
            Err(reason) => {
                tracing::debug!(leader = %self.leader, reason, "a fetch failed");
                *connection = None;
                return self.fetcher.lock().handle_failure(now_ms);
            }
        };
        let error = ErrorCode::from_code(answer.error_code);
        if !self.fetcher.lock().handle_response(now_ms, error, answer.session_id) {
            return;
        }
        for came in parts(answer) {
            self.fetcher.lock().handle_partition(self.around.clock.now_ms(), &came.id, &came.fetched);
            self.note_replicated(&came);
            self.run_effects(connection, Some(&came)).await;
        }
    }

    async fn ask(
        &self,
        connection: &mut Option<Connection>,
        request: &SessionRequest<TopicIdPartition>,
    ) -> Result<FetchResponse, String> {
        let open = match connection.take().filter(|open| !open.is_closed()) {
            Some(open) => open,
            None => exchange::connect(&self.around, self.leader).await?,
        };
        let answer = exchange::fetch(&self.around, &open, request, self.wait_ms()).await;
        let answer = answer.map_err(|error| {
            self.around.cluster.suspect(self.leader);
            error.to_string()
        })?;
        *connection = Some(open);
        Ok(answer)
    }

    /// How long the leader may wait for records: not beyond the time when there is something else to ask it.
    fn wait_ms(&self) -> i32 {
        let most = self.around.wait_max_ms;
        let Some(at) = self.fetcher.lock().next_delay() else { return most };
        let left = at.saturating_sub(self.around.clock.now_ms());
        i32::try_from(left).unwrap_or(i32::MAX).min(most)
    }

    /// Carries out what the followers decided; `came` is what an append means.
    async fn run_effects(&self, connection: &mut Option<Connection>, came: Option<&Came>) {
        loop {
            let effects: Vec<_> = self.fetcher.lock().drain_effects().collect();
            if effects.is_empty() {
                return;
            }
            for (id, effect) in effects {
                let Some(replica) = self.around.replicas.get(id) else {
                    self.fetcher.lock().unfollow(&id);
                    continue;
                };
                match effect {
                    FollowerEffect::Append => {
                        if let Some(came) = came {
                            self.append(&replica, came);
                        }
                    }
                    FollowerEffect::Truncate { leader_end } => self.truncate_to_shared(&replica, leader_end),
                    FollowerEffect::TruncateTo(offset) => self.truncate(&replica, offset, false),
                    FollowerEffect::StartAt(offset) => self.truncate(&replica, offset, true),
                    FollowerEffect::AskOffsets => self.ask_offsets(connection, &replica).await,
                    FollowerEffect::Flush => self.flush(&replica).await,
                    FollowerEffect::HighWatermarkAdvanced(offset) => self.advance(&replica, offset),
                    FollowerEffect::LogStartAdvanced(offset) => self.advance_start(&replica, offset),
                }
            }
        }
    }

    /// Does something to the log of a replica that still follows this leader in the fetcher's epoch.
    fn with_log<T>(&self, replica: &Partition, action: impl FnOnce(&mut Log, &mut Offset) -> T) -> Option<T> {
        let epoch = self.fetcher.lock().follower(&replica.id)?.leader_epoch();
        let mut guard = replica.lock();
        let state = &mut *guard;
        let Role::Follower { leader, leader_epoch, high_watermark } = &mut state.role else { return None };
        if *leader != self.leader || *leader_epoch != epoch {
            return None;
        }
        let mut log = crate::replicas::lock_log(&state.log).ok()?;
        Some(action(&mut log, high_watermark))
    }

    fn note_replicated(&self, came: &Came) {
        let (Some(replicated), Some(replica)) = (came.replicated, self.around.replicas.get(came.id)) else {
            return;
        };
        let mut state = replica.lock();
        if matches!(state.role, Role::Follower { leader, .. } if leader == self.leader) {
            state.handle_replicated(replicated);
        }
    }

    fn append(&self, replica: &Partition, came: &Came) {
        let wall_ms = self.now().wall_ms;
        let appended = self.with_log(replica, |log, _| {
            let before = log.log_end_offset();
            let appended = log.append_as_follower(came.records.clone(), wall_ms);
            let ends = (log.log_end_offset(), log.latest_epoch().unwrap_or(LeaderEpoch::NONE));
            // Of batches for several segments the first may be there: the rest is fetched, and judged, again.
            if ends.0 > before { Ok(ends) } else { appended.map(|_| ends) }
        });
        if self.fetcher.lock().is_throttled(&replica.id) {
            let quota = &self.around.replicas.quotas.follower;
            quota.record(self.around.clock.now_ms(), came.records.len() as u64);
        }
        let outcome = match appended {
            Some(Ok(ends)) => Ok(ends),
            Some(Err(error)) => {
                // That a disk is full is said once, where it is found.
                if !matches!(error, AppendError::DiskFull { .. }) {
                    tracing::warn!(%replica, %error, "what was fetched could not be appended");
                }
                Err(match error {
                    AppendError::Disk(_) | AppendError::Offline { .. } => AppendFailure::Storage,
                    _ => AppendFailure::Invalid,
                })
            }
            None => Err(AppendFailure::Storage),
        };
        self.fetcher.lock().handle_appended(self.now().ms, &replica.id, &came.fetched, outcome);
    }

    fn truncate_to_shared(&self, replica: &Partition, leader_end: EpochEnd) {
        let to = self.with_log(replica, |log, _| {
            let local = log.end_offset_for_epoch(leader_end.epoch);
            let (epoch, end_offset) = local.unwrap_or((LeaderEpoch::NONE, -1));
            truncation_offset(leader_end, EpochEnd { epoch, end_offset }, log.log_end_offset())
        });
        match to {
            Some(to) => self.truncate(replica, to, false),
            None => self.fetcher.lock().handle_log_failure(&replica.id),
        }
    }

    fn truncate(&self, replica: &Partition, to: Offset, fully: bool) {
        let wall_ms = self.now().wall_ms;
        let reset = self.with_log(replica, |log, high_watermark| {
            tracing::info!(%replica, from = log.log_end_offset(), to, fully, "truncating");
            let done = if fully {
                log.truncate_fully_and_start_at(to, wall_ms)
            } else {
                log.truncate_to(to, wall_ms)
            };
            let ends = follower_log(log);
            *high_watermark = (*high_watermark).clamp(ends.log_start_offset, ends.log_end_offset);
            done.map(|()| ends)
        });
        match reset {
            Some(Ok(ends)) => self.fetcher.lock().handle_log_reset(&replica.id, ends),
            Some(Err(error)) if error.is_full() => {
                self.fetcher.lock().handle_log_full(self.now().ms, &replica.id);
            }
            Some(Err(error)) => {
                tracing::error!(%replica, %error, "a log could not be truncated");
                self.fetcher.lock().handle_log_failure(&replica.id);
            }
            None => self.fetcher.lock().handle_log_failure(&replica.id),
        }
    }

    async fn ask_offsets(&self, connection: &mut Option<Connection>, replica: &Partition) {
        let epoch = self.fetcher.lock().follower(&replica.id).map(|follower| follower.leader_epoch());
        let Some(epoch) = epoch else { return };
        let offsets = match connection {
            Some(open) => {
                let which = (&*replica.topic, replica.id.partition, epoch);
                exchange::leader_offsets(&self.around, open, which).await
            }
            None => Err(ErrorCode::NetworkException),
        };
        self.fetcher.lock().handle_leader_offsets(self.now().ms, &replica.id, offsets);
    }

    async fn flush(&self, replica: &Arc<Partition>) {
        let (syncing, now) = (replica.clone(), self.now());
        let synced = tokio::task::spawn_blocking(move || {
            syncing.flush(now);
            let flushed = syncing.lock().log().map(|log| log.flushed_offset());
            flushed.ok()
        });
        match synced.await.ok().flatten() {
            Some(flushed) => self.fetcher.lock().handle_flushed(&replica.id, flushed),
            None => self.fetcher.lock().handle_log_failure(&replica.id),
        }
    }

    fn advance(&self, replica: &Partition, offset: Offset) {
        let _ = self.with_log(replica, |_, high_watermark| *high_watermark = offset);
        replica.lock().data.wake_all();
    }

    fn advance_start(&self, replica: &Partition, offset: Offset) {
        if let Some(Err(error)) = self.with_log(replica, |log, _| log.delete_records_before(offset)) {
            tracing::warn!(%replica, %error, "records could not be deleted");
        }
    }
}

/// A log's ends as a follower needs them.
pub fn follower_log(log: &Log) -> FollowerLog {
    FollowerLog {
        log_start_offset: log.log_start_offset(),
        log_end_offset: log.log_end_offset(),
        flushed_offset: log.flushed_offset(),
        latest_epoch: log.latest_epoch().unwrap_or(LeaderEpoch::NONE),
    }
}

fn parts(answer: FetchResponse) -> impl Iterator<Item = Came> {
    answer.responses.into_iter().flat_map(|topic| {
        let topic_id = TopicId(topic.topic_id);
        topic.partitions.into_iter().map(move |data| part(topic_id, data))
    })
}

fn part(topic_id: TopicId, data: fetch_response::PartitionData) -> Came {
    let diverges = data.diverging_epoch.epoch >= 0;
    let diverging = diverges.then_some(EpochEnd {
        epoch: LeaderEpoch(data.diverging_epoch.epoch),
        end_offset: data.diverging_epoch.end_offset,
    });
    let records = data.records.unwrap_or_default();
    let fetched = Fetched {
        error: ErrorCode::from_code(data.error_code),
        high_watermark: data.high_watermark,
        log_start_offset: data.log_start_offset,
        diverging,
        records_bytes: records.len(),
    };
    let replicated =
        data.unknown_tagged_fields.get(&Replicated::TAG).and_then(|field| Replicated::decode(field));
    Came { id: TopicIdPartition { topic_id, partition: data.partition_index }, fetched, records, replicated }
}
