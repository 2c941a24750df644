//! Makes the replicas what the metadata says: creates, deletes, promotes, demotes, and hands out settings.
//!
//! Runs on the publisher's thread and touches only what changed. A replica whose log cannot be made or opened stays
//! registered without a log and answers with `KAFKA_STORAGE_ERROR`: it never comes back empty in silence.

mod open;

use super::partition::{Partition, Role, State, lock_log};
use super::quota::UNLIMITED;
use super::{Outbox, Replicas, Topic};
use crate::clock::Clock;
use crate::config::BrokerConfig;
use crate::metadata::publisher::Apply;
use crate::metrics::Metrics;
use crate::replicator::Replicator;
use crate::replicator::stream::follower_log;
use crate::topic_settings::TopicSettings;
use ottla_core::metadata::{ConfigResourceKind, Image, ImageDelta, PartitionImage, TopicImage};
use ottla_core::replication::{BrokerStatus, Follow, Leader, LogPosition, PartitionChange, PartitionState};
use ottla_protocol::fetch_response::Replicated;
use ottla_storage::LogDirs;
use ottla_types::{BrokerEpoch, BrokerId, ErrorCode, Offset, TopicIdPartition, TopicPartition, Uuid};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Does it.
#[derive(Debug)]
pub struct ReplicaApplier {
    me: BrokerId,
    /// This run of the broker.
    incarnation_id: Uuid,
    config: Arc<BrokerConfig>,
    clock: Clock,
    dirs: Arc<LogDirs>,
    replicas: Arc<Replicas>,
    metrics: Arc<Metrics>,
    outbox: Outbox,
    replicator: Arc<Replicator>,
    /// As saved before the last stop; a replica takes its own once.
    high_watermarks: BTreeMap<TopicPartition, Offset>,
}

impl ReplicaApplier {
    /// An applier for the logs in `dirs`.
    pub fn new(
        (config, incarnation_id): (Arc<BrokerConfig>, Uuid),
        clock: Clock,
        dirs: Arc<LogDirs>,
        replicas: Arc<Replicas>,
        metrics: Arc<Metrics>,
        (outbox, replicator): (Outbox, Arc<Replicator>),
    ) -> Self {
        let high_watermarks = dirs.high_watermarks();
        let me = config.node_id;
        let applier = Self {
            me,
            incarnation_id,
            config,
            clock,
            dirs,
            replicas,
            metrics,
            outbox,
            replicator,
            high_watermarks,
        };
        // What the broker's file says, until the metadata say otherwise.
        applier.apply_rates(&Image::default());
        applier
    }
}

impl Apply for ReplicaApplier {
    fn apply(&mut self, image: &Image, delta: &ImageDelta) {
        for topic in delta.topics_deleted.values() {
            self.delete_topic(topic);
        }
        for &id in &delta.partitions {
            if let Some(topic) = image.topic(id.topic_id)
                && let Some(partition) = topic.partition(id.partition)
            {
                self.apply_partition(image, topic, id, partition);
            }
        }
        if !delta.configs.is_empty() {
            self.apply_configs(image, delta);
        }
        if !delta.brokers.is_empty() {
            self.apply_brokers(image);
            self.retry_without_log(image);
        }
    }
}

impl ReplicaApplier {
    fn delete_topic(&self, topic: &TopicImage) {
        for index in 0..topic.partitions.len() {
            let partition = i32::try_from(index).unwrap_or(i32::MAX);
            self.remove(TopicIdPartition { topic_id: topic.id, partition });
        }
        self.metrics.remove_topic(&topic.name);
    }

    fn remove(&self, id: TopicIdPartition) {
        self.replicator.unfollow(&id);
        let Some(replica) = self.replicas.remove(id) else { return };
        {
            let mut state = replica.lock();
            state.role = Role::Follower {
                leader: BrokerId::NONE,
                leader_epoch: state.leader_epoch(),
                high_watermark: state.high_watermark(),
            };
            state.log = Err("the replica was removed".to_owned());
            state.fail_waiters(id, ErrorCode::UnknownTopicOrPartition);
        }
        let name = TopicPartition::new(&*replica.topic, id.partition);
        let deleted = self.dirs.delete(&name, self.clock.wall_ms());
        let given_up = deleted.and_then(|was_here| match was_here {
            true => Ok(()),
            false => self.dirs.give_up(&name, id.topic_id),
        });
        match given_up {
            Ok(()) => tracing::debug!(%name, "replica removed"),
            Err(error) => tracing::error!(%error, %name, "a replica's files could not be removed"),
        }
    }

    fn apply_partition(
        &mut self,
        image: &Image,
        topic: &TopicImage,
        id: TopicIdPartition,
        partition: &PartitionImage,
    ) {
        if !partition.replicas.contains(&self.me) {
            self.remove(id);
            return;
        }
        let hosted = self.host_topic(image, topic);
        let replica = match hosted.partition(id.partition) {
            Some(replica) => {
                self.try_again(image, &hosted, &replica, partition);
                replica
            }
            None => {
                let replica = self.make_replica(image, &hosted, id, partition);
                self.replicas.add(&hosted, replica.clone());
                replica
            }
        };
        self.assume_role(image, &hosted, &replica, partition);
    }

    fn host_topic(&self, image: &Image, topic: &TopicImage) -> Arc<Topic> {
        if let Some(hosted) = self.replicas.topic_by_id(topic.id) {
            return hosted;
        }
        let settings = TopicSettings::resolve(image, &topic.name, self.me, &self.config);
        let metrics = self.metrics.topic(&topic.name);
        self.replicas.add_topic(Topic::new(topic.id, topic.name.clone(), Arc::new(settings), metrics))
    }

    fn assume_role(
        &mut self,
        image: &Image,
        topic: &Topic,
        replica: &Arc<Partition>,
        partition: &PartitionImage,
    ) {
        let state = partition_state(partition);
        let now_ms = self.clock.now_ms();
        let mut guard = replica.lock();
        if let Role::Leader(leader) = &mut guard.role {
            match leader.handle_partition_change(now_ms, &state, &brokers(image)) {
                PartitionChange::Stale => return,
                PartitionChange::Applied => {
                    begin_epoch(&guard, &state, replica);
                    return replica.run_effects(&mut guard);
                }
                PartitionChange::NotLeader => {}
            }
        }
        if state.leader == self.me && guard.log.is_ok() {
            self.replicator.unfollow(&replica.id);
            self.lead(image, topic, replica, &mut guard, &state);
        } else {
            self.follow(topic, replica, &mut guard, &state);
        }
    }

    fn follow(
        &mut self,
        topic: &Topic,
        replica: &Arc<Partition>,
        state: &mut State,
        partition: &PartitionState,
    ) {
        let high_watermark = self.known_high_watermark(replica, state);
        let (leader, leader_epoch) = (partition.leader, partition.leader_epoch);
        state.role = Role::Follower { leader, leader_epoch, high_watermark };
        state.replicated = Replicated { partition_epoch: partition.partition_epoch.0, offset: 0 };
        state.fail_waiters(replica.id, ErrorCode::NotLeaderOrFollower);
        let log = match state.log() {
            Ok(log) if !leader.is_none() && leader != self.me => follower_log(&log),
            _ => return self.replicator.unfollow(&replica.id),
        };
        let settings = topic.settings.load();
        let flush_first = settings.replication.count_flushed_only;
        let follow = Follow { leader_epoch, log, high_watermark, flush_first };
        self.replicator.throttle(replica.id, settings.throttled.1.contains(replica.id.partition, self.me));
        self.replicator.follow(leader, replica.id, follow);
    }

    fn lead(
        &mut self,
        image: &Image,
        topic: &Topic,
        replica: &Arc<Partition>,
        state: &mut State,
        partition: &PartitionState,
    ) {
        begin_epoch(state, partition, replica);
        let high_watermark = self.known_high_watermark(replica, state);
        let Ok(log) = lock_log(&state.log) else { return };
        let position = LogPosition {
            log_start_offset: log.log_start_offset(),
            log_end_offset: log.log_end_offset(),
            flushed_offset: log.flushed_offset(),
            high_watermark,
        };
        drop(log);
        let epoch = image.broker(self.me).map_or(BrokerEpoch::NONE, |broker| broker.epoch);
        let config = topic.settings.load().replication;
        let now_ms = self.clock.now_ms();
        let leader = Leader::new(now_ms, (self.me, epoch), config, partition, position, &brokers(image));
        state.role = Role::Leader(Box::new(leader));
        replica.run_effects(state);
        state.data.wake_all();
    }

    fn known_high_watermark(&mut self, replica: &Partition, state: &State) -> Offset {
        let name = TopicPartition::new(&*replica.topic, replica.id.partition);
        match self.high_watermarks.remove(&name) {
            Some(saved) => saved.max(state.high_watermark()),
            None => state.high_watermark(),
        }
    }

    fn apply_configs(&self, image: &Image, delta: &ImageDelta) {
        self.apply_rates(image);
        let mut topics: BTreeSet<&str> = BTreeSet::new();
        let mut all = false;
        for resource in &delta.configs {
            match resource.kind {
                ConfigResourceKind::Topic => _ = topics.insert(&resource.name),
                ConfigResourceKind::Broker => all = true,
                ConfigResourceKind::ClientMetrics | ConfigResourceKind::Group => {}
            }
        }
        for topic in self.replicas.topics() {
            if all || topics.contains(&*topic.name) {
                self.apply_settings(image, &topic);
            }
        }
    }

    fn apply_rates(&self, image: &Image) {
        let rate = |key| {
            let value = image.broker_value(key, self.me, &self.config.static_settings);
            value.and_then(|value| value.trim().parse().ok()).unwrap_or(UNLIMITED)
        };
        let (now_ms, quotas) = (self.clock.now_ms(), &self.replicas.quotas);
        quotas.leader.set(now_ms, rate("leader.replication.throttled.rate"));
        quotas.follower.set(now_ms, rate("follower.replication.throttled.rate"));
        quotas.between_dirs.set(now_ms, rate("replica.alter.log.dirs.io.max.bytes.per.second"));
    }

    fn apply_settings(&self, image: &Image, topic: &Topic) {
        let settings = Arc::new(TopicSettings::resolve(image, &topic.name, self.me, &self.config));
        topic.settings.store(settings.clone());
        let now_ms = self.clock.now_ms();
        for replica in topic.partitions() {
            let mut state = replica.lock();
            if let Ok(mut log) = state.log() {
                log.set_config(settings.log.clone());
            }
            if let Role::Leader(leader) = &mut state.role {
                leader.handle_config_change(now_ms, settings.replication);
            }
            replica.run_effects(&mut state);
            drop(state);
            self.replicator
                .throttle(replica.id, settings.throttled.1.contains(replica.id.partition, self.me));
        }
    }

    fn apply_brokers(&self, image: &Image) {
        let now_ms = self.clock.now_ms();
        let brokers = brokers(image);
        for replica in self.replicas.partitions() {
            let mut state = replica.lock();
            if let Role::Leader(leader) = &mut state.role {
                leader.handle_brokers_change(now_ms, &brokers);
                replica.run_effects(&mut state);
            }
        }
    }
}

fn begin_epoch(state: &State, partition: &PartitionState, replica: &Partition) {
    if let Ok(mut log) = state.log()
        && let Err(error) = log.begin_epoch(partition.leader_epoch)
    {
        // The epoch is written with the first append at the latest.
        tracing::warn!(%error, %replica, "a new leader epoch could not be noted");
    }
}

/// A partition's registration as replication sees it.
pub fn partition_state(partition: &PartitionImage) -> PartitionState {
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

fn brokers(image: &Image) -> impl Fn(BrokerId) -> Option<BrokerStatus> {
    move |id| {
        let broker = image.broker(id)?;
        Some(BrokerStatus {
            epoch: broker.epoch,
            fenced: broker.fenced,
            shutting_down: broker.in_controlled_shutdown,
        })
    }
}
