//! Replicas: what the metadata makes of them, and what their leaders decide.

use super::process::REPLICA_TICK_US;
use super::{Context, Process, Replica, Role, Timer, TopicSettings};
use crate::message::Answer;
use crate::observation::Observation;
use ottla_core::controller::{self, AlteredPartitions, Reply};
use ottla_core::metadata::{Image, ImageDelta, PartitionImage};
use ottla_core::planted::{self, Bug};
use ottla_core::replication::{
    Altered, BrokerStatus, Config, Effect, Follow, FollowerLog, Leader, LogPosition, PartitionChange,
    PartitionState,
};
use ottla_storage::{Log, OpenError, Recovery};
use ottla_types::{BrokerId, ErrorCode, LeaderEpoch, Offset, TopicIdPartition, TopicPartition};
use std::path::PathBuf;
use std::sync::Arc;

/// `replica.lag.time.max.ms` here.
const LAG_MS: u64 = 3_000;

/// Where the logs are.
pub const DATA_DIR: &str = "/data";

fn brokers_of(image: &Image) -> impl Fn(BrokerId) -> Option<BrokerStatus> + use<> {
    let image = image.clone();
    move |broker| {
        image.broker(broker).map(|broker| BrokerStatus {
            epoch: broker.epoch,
            fenced: broker.fenced,
            shutting_down: broker.in_controlled_shutdown,
        })
    }
}

fn state_of(partition: &PartitionImage) -> PartitionState {
    PartitionState {
        leader: partition.leader,
        leader_epoch: partition.leader_epoch,
        partition_epoch: partition.partition_epoch,
        replicas: partition.replicas.clone(),
        adding_replicas: partition.adding.clone(),
        removing_replicas: partition.removing.clone(),
        isr: partition.isr.clone(),
    }
}

fn config_of(settings: &TopicSettings) -> Config {
    Config {
        min_insync_replicas: settings.min_insync_replicas,
        replica_lag_time_max_ms: LAG_MS,
        count_flushed_only: settings.flush,
    }
}

/// A follower's view of `log`.
pub(super) fn follower_log(log: &Log) -> FollowerLog {
    FollowerLog {
        log_start_offset: log.log_start_offset(),
        log_end_offset: log.log_end_offset(),
        flushed_offset: log.flushed_offset(),
        latest_epoch: log.latest_epoch().unwrap_or(LeaderEpoch::NONE),
    }
}

impl Process {
    /// Acts on the metadata from when it holds this broker's registration on. What was recovered from disk may be
    /// old: by it the broker could lead what others lead by now.
    fn go_online(&mut self, cx: &mut Context<'_>) {
        let known = self.image.broker(self.id).map(|broker| broker.epoch);
        let is_new = !self.epoch.is_none() && known == Some(self.epoch);
        if self.online || !(is_new || planted::is(Bug::ActOnOldMetadata)) {
            return;
        }
        self.online = true;
        let delta = ImageDelta::everything(&self.image);
        self.apply_delta(cx, &delta);
    }

    /// What was applied is new to the replicas.
    pub(super) fn metadata_applied(&mut self, cx: &mut Context<'_>, delta: &ImageDelta) {
        if self.online {
            if !delta.is_empty() {
                self.apply_delta(cx, delta);
            }
        } else {
            self.go_online(cx);
        }
    }

    /// The metadata changed.
    fn apply_delta(&mut self, cx: &mut Context<'_>, delta: &ImageDelta) {
        for &id in &delta.partitions {
            self.apply_partition(cx, id);
        }
        for topic in delta.topics_deleted.keys() {
            let gone: Vec<_> = self.replicas.keys().filter(|id| id.topic_id == *topic).copied().collect();
            for id in gone {
                self.drop_replica(cx, id);
            }
        }
        if !delta.brokers.is_empty() {
            self.apply_brokers(cx);
        }
        self.send_proposals(cx);
    }

    fn apply_brokers(&mut self, cx: &mut Context<'_>) {
        let brokers = brokers_of(&self.image);
        let leaders: Vec<_> = self.replicas.keys().copied().collect();
        for id in leaders {
            if let Some(Replica { role: Role::Leader(leader), .. }) = self.replicas.get_mut(&id) {
                leader.handle_brokers_change(cx.now_ms, &brokers);
                self.run_leader_effects(cx, id);
            }
        }
    }

    fn apply_partition(&mut self, cx: &mut Context<'_>, id: TopicIdPartition) {
        let Some(partition) = self.image.partition(id).cloned() else { return self.drop_replica(cx, id) };
        cx.observe(Observation::Partition {
            partition: id,
            partition_epoch: partition.partition_epoch.0,
            leader_epoch: partition.leader_epoch,
            leader: partition.leader,
            replicas: partition.replicas.clone(),
            isr: partition.isr.clone(),
        });
        if !partition.replicas.contains(&self.id) {
            return self.drop_replica(cx, id);
        }
        if !self.replicas.contains_key(&id) && !self.open_replica(cx, id) {
            return;
        }
        let state = state_of(&partition);
        let brokers = brokers_of(&self.image);
        let Some(replica) = self.replicas.get_mut(&id) else { return };
        if let Role::Leader(leader) = &mut replica.role {
            let before = leader.leader_epoch();
            let change = leader.handle_partition_change(cx.now_ms, &state, &brokers);
            match change {
                PartitionChange::NotLeader => {
                    let epoch = leader.leader_epoch();
                    let high_watermark = leader.high_watermark();
                    replica.role = Role::Follower { leader: BrokerId::NONE, epoch, high_watermark };
                    self.fail_waiting(cx, id, ErrorCode::NotLeaderOrFollower);
                    self.close_groups(cx, id);
                }
                PartitionChange::Stale | PartitionChange::Applied => {
                    if leader.leader_epoch() > before {
                        self.epoch_begins(cx, id);
                    }
                    return self.run_leader_effects(cx, id);
                }
            }
        }
        if state.leader == self.id {
            self.lead(cx, id, &state);
        } else {
            self.follow(cx, id, state.leader, state.leader_epoch);
        }
    }

    fn open_replica(&mut self, cx: &mut Context<'_>, id: TopicIdPartition) -> bool {
        let Some(topic) = self.image.topic(id.topic_id).map(|topic| Arc::clone(&topic.name)) else {
            return false;
        };
        let settings = TopicSettings::of(&self.image, &topic);
        let partition = TopicPartition::new(&*topic, id.partition);
        let dir = PathBuf::from(DATA_DIR).join(partition.to_string());
        let disk = self.durable.data_disk();
        let recovery = Recovery { trust_written: self.durable.page_cache_survived, ..Recovery::default() };
        if !disk.exists(&dir)
            && disk.create_dir(&dir).and_then(|()| disk.sync_dir(DATA_DIR.as_ref())).is_err()
        {
            cx.disk_failed(id);
            return false;
        }
        match Log::open_beside(&self.log_dir, partition, Arc::clone(&settings.log), recovery, cx.wall_ms()) {
            Ok((log, report)) => {
                let numbers = [i64::from(id.partition), log.log_end_offset(), report.truncated_bytes as i64];
                cx.trace("p{}: opened, ends at {}, {} bytes cut off", &numbers);
                let role = Role::Follower {
                    leader: BrokerId::NONE,
                    epoch: LeaderEpoch::NONE,
                    high_watermark: log.log_start_offset(),
                };
                let replica = Replica {
                    topic,
                    settings,
                    log,
                    role,
                    waiting: Vec::new(),
                    syncing: None,
                    wants_sync: false,
                };
                self.replicas.insert(id, replica);
                true
            }
            Err(OpenError::Disk(error)) if error.is_full() => {
                cx.disk_failed(id);
                false
            }
            Err(_) if self.durable.disk.fails() => {
                cx.disk_failed(id);
                false
            }
            Err(error) => {
                self.broken(cx, &format!("the log of {id:?} does not open: {error}"));
                false
            }
        }
    }

    fn drop_replica(&mut self, cx: &mut Context<'_>, id: TopicIdPartition) {
        self.fail_waiting(cx, id, ErrorCode::NotLeaderOrFollower);
        self.close_groups(cx, id);
        self.unfollow(id);
        if let Some(replica) = self.replicas.remove(&id) {
            let dir = replica.log.dir().to_owned();
            drop(replica);
            cx.trace("p{}: dropped", &[i64::from(id.partition)]);
            let _ = self.durable.data_disk().remove_dir_all(&dir);
        }
    }

    fn lead(&mut self, cx: &mut Context<'_>, id: TopicIdPartition, state: &PartitionState) {
        self.unfollow(id);
        let brokers = brokers_of(&self.image);
        let Some(replica) = self.replicas.get_mut(&id) else { return };
        let high_watermark = replica.high_watermark();
        let log = LogPosition {
            log_start_offset: replica.log.log_start_offset(),
            log_end_offset: replica.log.log_end_offset(),
            flushed_offset: replica.log.flushed_offset(),
            high_watermark,
        };
        let config = config_of(&replica.settings);
        let leader = Leader::new(cx.now_ms, (self.id, self.epoch), config, state, log, &brokers);
        replica.role = Role::Leader(Box::new(leader));
        if replica.settings.flush {
            replica.wants_sync = true;
        }
        self.epoch_begins(cx, id);
        self.run_leader_effects(cx, id);
        self.begin_sync(cx, id);
    }

    fn epoch_begins(&mut self, cx: &mut Context<'_>, id: TopicIdPartition) {
        let Some(replica) = self.replicas.get_mut(&id) else { return };
        let Role::Leader(leader) = &replica.role else { return };
        let epoch = leader.leader_epoch();
        if replica.log.begin_epoch(epoch).is_err() {
            cx.disk_failed(id);
        }
        let numbers =
            [i64::from(id.partition), i64::from(epoch.0), leader.log_end_offset(), leader.high_watermark()];
        cx.trace("p{}: leads in epoch {} from {}, high watermark {}", &numbers);
        let log_end_offset = leader.log_end_offset();
        cx.observe(Observation::Leads { partition: id, broker: self.id, epoch, log_end_offset });
        self.open_groups(cx, id, epoch);
    }

    fn follow(&mut self, cx: &mut Context<'_>, id: TopicIdPartition, to: BrokerId, to_epoch: LeaderEpoch) {
        let Some(replica) = self.replicas.get_mut(&id) else { return };
        let Role::Follower { leader, epoch, high_watermark } = &mut replica.role else { return };
        if *leader == to && *epoch == to_epoch {
            return;
        }
        (*leader, *epoch) = (to, to_epoch);
        let follow = Follow {
            leader_epoch: to_epoch,
            log: follower_log(&replica.log),
            high_watermark: *high_watermark,
            flush_first: replica.settings.flush,
        };
        cx.trace(
            "p{}: follows {} in epoch {} from {}",
            &[i64::from(id.partition), i64::from(to.0), i64::from(to_epoch.0), follow.log.log_end_offset],
        );
        self.unfollow(id);
        if !to.is_none() {
            self.fetcher(to).fetcher.follow(id, follow);
            self.run_fetcher_effects(cx, to, None);
            self.fetch_more(cx, to);
        }
    }

    /// Carries out what a leader decided.
    pub(super) fn run_leader_effects(&mut self, cx: &mut Context<'_>, id: TopicIdPartition) {
        let Some(replica) = self.replicas.get_mut(&id) else { return };
        let Role::Leader(leader) = &mut replica.role else { return };
        let mut committed: Option<Offset> = None;
        for effect in leader.drain_effects() {
            match effect {
                Effect::HighWatermarkAdvanced(offset) => committed = Some(offset),
                Effect::LowWatermarkAdvanced(_) | Effect::TooFewInSync => {}
                Effect::AlterPartition(request) => {
                    cx.trace(
                        "p{}: proposes an ISR of {} at partition epoch {}",
                        &[
                            i64::from(id.partition),
                            request.new_isr.len() as i64,
                            i64::from(request.partition_epoch.0),
                        ],
                    );
                    self.proposals.insert(id, request);
                }
            }
        }
        if let Some(to) = committed {
            self.note_committed(cx, id, to);
            self.answer_produced(cx, id);
            self.answer_groups(cx, id);
        }
        self.send_proposals(cx);
    }

    /// Tells the checkers what this leader calls committed, with the records.
    fn note_committed(&mut self, cx: &mut Context<'_>, id: TopicIdPartition, to: Offset) {
        let from = self.reported.get(&id).copied().unwrap_or(0).min(to);
        let Some(replica) = self.replicas.get_mut(&id) else { return };
        let Role::Leader(leader) = &replica.role else { return };
        let epoch = leader.leader_epoch();
        let mut records = Vec::new();
        let mut next = from.max(replica.log.log_start_offset());
        while next < to {
            let Ok(slice) = replica.log.read(next, 1 << 20, true, to) else { break };
            if slice.is_empty() {
                break;
            }
            next = slice.next_offset;
            records.extend(slice.read().unwrap_or_default());
        }
        self.reported.insert(id, to);
        cx.observe(Observation::Committed {
            partition: id,
            broker: self.id,
            epoch,
            from,
            to,
            records: records.into(),
        });
    }

    /// The controller answered our leaders' proposals, or did not.
    pub(super) fn handle_altered(
        &mut self,
        cx: &mut Context<'_>,
        asked: &[(TopicIdPartition, u64)],
        answer: Option<Answer>,
    ) {
        self.proposals_out = false;
        let (results, otherwise) = match answer {
            Some(Answer::Control(reply)) => match *reply {
                Reply::AlterPartition(Ok(results)) => (by_partition(results), ErrorCode::UnknownServerError),
                Reply::AlterPartition(Err(error)) => (Vec::new(), error.code),
                _ => (Vec::new(), ErrorCode::UnknownServerError),
            },
            Some(Answer::Failed(code)) => (Vec::new(), code),
            _ => (Vec::new(), ErrorCode::NetworkException),
        };
        for &(id, proposal) in asked {
            let result = results.iter().find(|(partition, _)| *partition == id);
            let result = result.map_or(Err(otherwise), |(_, result)| result.clone());
            if let Some(Replica { role: Role::Leader(leader), .. }) = self.replicas.get_mut(&id) {
                leader.handle_alter_partition_answer(cx.now_ms, proposal, result);
                self.run_leader_effects(cx, id);
            }
        }
        self.send_proposals(cx);
    }

    pub(super) fn replica_tick(&mut self, cx: &mut Context<'_>) {
        let ids: Vec<_> = self.replicas.keys().copied().collect();
        for id in ids {
            if let Some(Replica { role: Role::Leader(leader), .. }) = self.replicas.get_mut(&id)
                && leader.poll_timeout().is_some_and(|at| cx.now_ms >= at)
            {
                leader.tick(cx.now_ms);
                self.run_leader_effects(cx, id);
            }
            self.begin_sync(cx, id);
        }
        let leaders: Vec<_> = self.fetchers.keys().copied().collect();
        for leader in leaders {
            self.fetch_more(cx, leader);
        }
        self.send_proposals(cx);
        self.tick_groups(cx);
        cx.after(REPLICA_TICK_US, Timer::ReplicaTick);
    }
}

fn by_partition(results: AlteredPartitions) -> Vec<(TopicIdPartition, Result<Altered, ErrorCode>)> {
    let altered = |state: controller::PartitionState| Altered {
        leader_epoch: state.leader_epoch,
        partition_epoch: state.partition_epoch,
        isr: state.isr,
    };
    let of_topic = |(topic_id, partition), result: Result<_, ErrorCode>| {
        (TopicIdPartition { topic_id, partition }, result.map(altered))
    };
    let each = results.into_iter().flat_map(|(topic_id, results)| {
        results.into_iter().map(move |(partition, result)| ((topic_id, partition), result))
    });
    each.map(|(at, result)| of_topic(at, result)).collect()
}
