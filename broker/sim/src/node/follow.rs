//! Following: one fetch at a time from each leader broker.

use super::replicas::follower_log;
use super::{Context, Process, Purpose, Replica, Role};
use crate::message::{Answer, FetchedPartition, Request};
use ottla_core::fetch_session::{PartitionKey, TopicRef};
use ottla_core::replication::{
    AppendFailure, EpochEnd, Fetched, Fetcher, FetcherConfig, FollowerEffect, truncation_offset,
};
use ottla_storage::AppendError;
use ottla_types::{BrokerId, ErrorCode, LeaderEpoch, TopicIdPartition};

/// Records that came, for the partition whose turn it is.
pub(super) type Came<'a> = (&'a Fetched, &'a FetchedPartition);

/// A fetcher.
#[derive(Debug)]
pub struct FetcherRun {
    pub fetcher: Fetcher,
}

impl Process {
    pub(super) fn fetcher(&mut self, leader: BrokerId) -> &mut FetcherRun {
        self.fetchers.entry(leader).or_insert_with(|| FetcherRun {
            fetcher: Fetcher::new(FetcherConfig { partition_max_bytes: 64 << 10, backoff_ms: 500 }),
        })
    }

    pub(super) fn unfollow(&mut self, id: TopicIdPartition) {
        for run in self.fetchers.values_mut() {
            run.fetcher.unfollow(&id);
        }
    }

    /// Sends the next fetch, if there is one.
    pub(super) fn fetch_more(&mut self, cx: &mut Context<'_>, leader: BrokerId) {
        if self.epoch.is_none() {
            return;
        }
        let epoch = self.epoch;
        let Some(run) = self.fetchers.get_mut(&leader) else { return };
        let Some(request) = run.fetcher.request(cx.now_ms) else { return };
        let key = |id: &TopicIdPartition| PartitionKey::by_id(id.topic_id, id.partition);
        let request = Request::Fetch {
            header: request.header,
            partitions: request.partitions.iter().map(|(id, want)| (key(id), *want)).collect(),
            forgotten: request.forgotten.iter().map(key).collect(),
            follower: Some((self.id, epoch)),
            max_wait_us: 300_000,
        };
        self.ask(cx, leader, request, Purpose::Fetch(leader));
    }

    pub(super) fn handle_fetched(&mut self, cx: &mut Context<'_>, leader: BrokerId, answer: Option<Answer>) {
        let Some(run) = self.fetchers.get_mut(&leader) else { return };
        match answer {
            Some(Answer::Fetched { error, session, partitions }) => {
                if run.fetcher.handle_response(cx.now_ms, error, session) {
                    for (key, partition) in partitions {
                        self.handle_fetched_partition(cx, leader, &key, &partition);
                    }
                }
            }
            _ => run.fetcher.handle_failure(cx.now_ms),
        }
        self.fetch_more(cx, leader);
    }

    fn handle_fetched_partition(
        &mut self,
        cx: &mut Context<'_>,
        leader: BrokerId,
        key: &PartitionKey,
        came: &FetchedPartition,
    ) {
        let TopicRef::Id(topic_id) = key.topic else { return };
        let id = TopicIdPartition { topic_id, partition: key.partition };
        let fetched = Fetched {
            error: came.error,
            high_watermark: came.high_watermark,
            log_start_offset: came.log_start_offset,
            diverging: came.diverging,
            records_bytes: came.records.len(),
        };
        if let Some(run) = self.fetchers.get_mut(&leader) {
            run.fetcher.handle_partition(cx.now_ms, &id, &fetched);
        }
        self.run_fetcher_effects(cx, leader, Some((&fetched, came)));
    }

    /// Carries out what followers of `leader` decided.
    pub(super) fn run_fetcher_effects(
        &mut self,
        cx: &mut Context<'_>,
        leader: BrokerId,
        came: Option<Came<'_>>,
    ) {
        loop {
            let Some(run) = self.fetchers.get_mut(&leader) else { return };
            let effects: Vec<_> = run.fetcher.drain_effects().collect();
            if effects.is_empty() {
                return;
            }
            for (id, effect) in effects {
                self.run_follower_effect(cx, leader, id, (effect, came));
            }
        }
    }

    fn run_follower_effect(
        &mut self,
        cx: &mut Context<'_>,
        leader: BrokerId,
        id: TopicIdPartition,
        (effect, came): (FollowerEffect, Option<Came<'_>>),
    ) {
        match effect {
            FollowerEffect::Append => {
                if let Some(came) = came {
                    self.append_fetched(cx, leader, id, came);
                }
            }
            FollowerEffect::Truncate { leader_end } => {
                let Some(replica) = self.replicas.get(&id) else { return };
                let local = replica.log.end_offset_for_epoch(leader_end.epoch);
                let (epoch, end_offset) = local.unwrap_or((LeaderEpoch::NONE, -1));
                let local = EpochEnd { epoch, end_offset };
                let to = truncation_offset(leader_end, local, replica.log.log_end_offset());
                self.truncate(cx, leader, id, to, false);
            }
            FollowerEffect::TruncateTo(offset) => self.truncate(cx, leader, id, offset, false),
            FollowerEffect::StartAt(offset) => self.truncate(cx, leader, id, offset, true),
            FollowerEffect::AskOffsets => {
                let Some(run) = self.fetchers.get(&leader) else { return };
                let Some(leader_epoch) = run.fetcher.follower(&id).map(|known| known.leader_epoch()) else {
                    return;
                };
                let request = Request::LeaderOffsets { partition: id, leader_epoch };
                self.ask(cx, leader, request, Purpose::LeaderOffsets(leader, id));
            }
            FollowerEffect::Flush => {
                if let Some(replica) = self.replicas.get_mut(&id) {
                    replica.wants_sync = true;
                }
                self.begin_sync(cx, id);
            }
            FollowerEffect::HighWatermarkAdvanced(offset) => {
                if let Some(Replica { role: Role::Follower { high_watermark, .. }, .. }) =
                    self.replicas.get_mut(&id)
                {
                    *high_watermark = offset;
                }
            }
            FollowerEffect::LogStartAdvanced(offset) => {
                if let Some(replica) = self.replicas.get_mut(&id) {
                    let _ = replica.log.delete_records_before(offset);
                }
            }
        }
    }

    fn append_fetched(
        &mut self,
        cx: &mut Context<'_>,
        leader: BrokerId,
        id: TopicIdPartition,
        came: Came<'_>,
    ) {
        let (fetched, partition) = came;
        let Some(replica) = self.replicas.get_mut(&id) else { return };
        let outcome = match replica.log.append_as_follower(partition.records.clone(), cx.wall_ms()) {
            Ok(_) => {
                cx.trace("p{}: copied, ends at {}", &[i64::from(id.partition), replica.log.log_end_offset()]);
                Ok((replica.log.log_end_offset(), replica.log.latest_epoch().unwrap_or(LeaderEpoch::NONE)))
            }
            Err(AppendError::Disk(_) | AppendError::Offline { .. }) => Err(AppendFailure::Storage),
            Err(_) => Err(AppendFailure::Invalid),
        };
        match outcome {
            Err(AppendFailure::Storage) => cx.disk_failed(id),
            Err(AppendFailure::Invalid) => {
                cx.trace("p{}: what was fetched could not be appended", &[i64::from(id.partition)]);
            }
            Ok(_) => {}
        }
        if let Some(run) = self.fetchers.get_mut(&leader) {
            run.fetcher.handle_appended(cx.now_ms, &id, fetched, outcome);
        }
    }

    fn truncate(
        &mut self,
        cx: &mut Context<'_>,
        leader: BrokerId,
        id: TopicIdPartition,
        to: i64,
        fully: bool,
    ) {
        let Some(replica) = self.replicas.get_mut(&id) else { return };
        let now = cx.wall_ms();
        cx.trace(
            "p{}: truncates from {} to {}",
            &[i64::from(id.partition), replica.log.log_end_offset(), to],
        );
        let done = if fully {
            replica.log.truncate_fully_and_start_at(to, now)
        } else {
            replica.log.truncate_to(to, now)
        };
        let log = follower_log(&replica.log);
        if let Role::Follower { high_watermark, .. } = &mut replica.role {
            *high_watermark = (*high_watermark).clamp(log.log_start_offset, log.log_end_offset);
        }
        let Some(run) = self.fetchers.get_mut(&leader) else { return };
        match done {
            Ok(()) => run.fetcher.handle_log_reset(&id, log),
            Err(error) if error.is_full() => run.fetcher.handle_log_full(cx.now_ms, &id),
            Err(_) => {
                run.fetcher.handle_log_failure(&id);
                cx.disk_failed(id);
            }
        }
    }

    pub(super) fn handle_offsets_answer(
        &mut self,
        cx: &mut Context<'_>,
        leader: BrokerId,
        id: TopicIdPartition,
        answer: Option<Answer>,
    ) {
        let offsets = match answer {
            Some(Answer::LeaderOffsets(offsets)) => Ok(offsets),
            Some(Answer::Failed(code)) => Err(code),
            _ => Err(ErrorCode::NetworkException),
        };
        if let Some(run) = self.fetchers.get_mut(&leader) {
            run.fetcher.handle_leader_offsets(cx.now_ms, &id, offsets);
        }
        self.run_fetcher_effects(cx, leader, None);
        self.fetch_more(cx, leader);
    }
}
