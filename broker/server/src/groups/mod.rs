//! Consumer groups on this broker: one shard for each partition of `__consumer_offsets` that it leads.
//!
//! What a group decides is decided in [`ottla_core::group`]; here its records are appended, its replies wait for the
//! high watermark, and its clock ticks. A shard comes and goes with the leadership of its partition.

mod batch;
pub mod lag;
mod load;
mod observe;
mod settings;
mod shard;

pub use observe::show;
pub use shard::{Begun, Shard};

use crate::broker::Broker;
use crate::replicas::Role;
use arc_swap::ArcSwap;
use observe::LastView;
use ottla_core::controller::{CreateTopic, Reply, Request};
use ottla_core::group::{Counters, GroupSettings, partition_for};
use ottla_core::metadata::Image;
use ottla_types::{BrokerId, ErrorCode, LeaderEpoch, TopicId};
use parking_lot::{Mutex, RwLock};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// The topic that keeps groups and offsets.
pub const OFFSETS_TOPIC: &str = "__consumer_offsets";
/// The longest sleep between two looks at the shards' clocks.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// All shards on this broker.
#[derive(Debug)]
pub struct Groups {
    settings: ArcSwap<GroupSettings>,
    /// `group.coordinator.rebalance.protocols` names KIP-848's; the classic one is always served.
    serves_consumer: bool,
    shards: RwLock<BTreeMap<i32, Arc<Shard>>>,
    /// A shard's next time-out may have moved.
    clock_moved: Arc<Notify>,
    /// For metrics: what happened in shards that are gone.
    retired: Mutex<Counters>,
    last_view: LastView,
}

impl Groups {
    /// None yet.
    pub fn new(config: &crate::config::BrokerConfig) -> Self {
        let settings = ArcSwap::from_pointee(settings::of(config, &Image::default()));
        let (shards, clock_moved) = (RwLock::default(), Arc::new(Notify::new()));
        let serves_consumer =
            config.settings.list("group.coordinator.rebalance.protocols").contains(&"consumer");
        let (retired, last_view) = (Mutex::default(), LastView::default());
        Self { settings, serves_consumer, shards, clock_moved, retired, last_view }
    }

    /// The shard of a group that speaks KIP-848's protocol.
    ///
    /// # Errors
    /// `UnsupportedVersion` if that is not served; and as [`Self::shard_of`].
    pub fn consumer_shard_of(&self, image: &Image, group_id: &str) -> Result<Arc<Shard>, ErrorCode> {
        if self.serves_consumer { self.shard_of(image, group_id) } else { Err(ErrorCode::UnsupportedVersion) }
    }

    /// The shard of a group, if it is here.
    ///
    /// # Errors
    /// `CoordinatorNotAvailable` while there is no `__consumer_offsets`, `NotCoordinator` if another broker has it.
    pub fn shard_of(&self, image: &Image, group_id: &str) -> Result<Arc<Shard>, ErrorCode> {
        let index = partition_of(image, group_id).ok_or(ErrorCode::CoordinatorNotAvailable)?;
        self.shards.read().get(&index).cloned().ok_or(ErrorCode::NotCoordinator)
    }

    /// All shards here.
    pub fn shards(&self) -> Vec<Arc<Shard>> {
        self.shards.read().values().cloned().collect()
    }
}

/// The partition that keeps a group; `None` while the topic does not exist.
pub fn partition_of(image: &Image, group_id: &str) -> Option<i32> {
    let topic = image.topic_by_name(OFFSETS_TOPIC)?;
    let partitions = i32::try_from(topic.partitions.len()).ok().filter(|count| *count > 0)?;
    Some(partition_for(group_id, partitions))
}

/// The broker that coordinates a group; creates `__consumer_offsets` if it is not there.
///
/// # Errors
/// `CoordinatorNotAvailable` while nobody leads the partition.
pub async fn coordinator_of(broker: &Broker, group_id: &str) -> Result<BrokerId, ErrorCode> {
    let mut image = broker.metadata.image();
    if image.topic_id(OFFSETS_TOPIC).is_none() {
        create_topic(broker, &image).await?;
        image = broker.metadata.image();
    }
    let index = partition_of(&image, group_id).ok_or(ErrorCode::CoordinatorNotAvailable)?;
    let topic = image.topic_by_name(OFFSETS_TOPIC).ok_or(ErrorCode::CoordinatorNotAvailable)?;
    let leader = topic.partition(index).map_or(BrokerId::NONE, |partition| partition.leader);
    if leader.is_none() { Err(ErrorCode::CoordinatorNotAvailable) } else { Ok(leader) }
}

async fn create_topic(broker: &Broker, image: &Image) -> Result<(), ErrorCode> {
    let settings = &broker.config.settings;
    let wanted = i16::try_from(settings.number("offsets.topic.replication.factor")).unwrap_or(1);
    let brokers = image.brokers().values().filter(|broker| !broker.fenced).count();
    // A cluster with fewer brokers than the default wants must still have groups; what is set is meant.
    let is_set = settings.explicit_value("offsets.topic.replication.factor").is_some();
    let expected = i16::try_from(brokers).unwrap_or(i16::MAX).max(1);
    let topic = CreateTopic {
        partitions: i32::try_from(settings.number("offsets.topic.num.partitions")).unwrap_or(50),
        replication_factor: if is_set { wanted } else { wanted.min(expected) },
        configs: vec![
            ("cleanup.policy".to_owned(), Some("compact".to_owned())),
            ("compression.type".to_owned(), Some("producer".to_owned())),
            ("segment.bytes".to_owned(), Some(settings.text("offsets.topic.segment.bytes").to_owned())),
        ],
        ..CreateTopic::with_defaults(OFFSETS_TOPIC)
    };
    match broker.metadata.submit(Request::CreateTopics { topics: vec![topic], validate_only: false }).await {
        Ok(Reply::CreateTopics(results)) => match results.into_iter().next() {
            Some((_, Err(error))) if error.code != ErrorCode::TopicAlreadyExists => {
                tracing::warn!(%error, "{OFFSETS_TOPIC} cannot be created");
                Err(ErrorCode::CoordinatorNotAvailable)
            }
            _ => Ok(()),
        },
        Ok(_) | Err(_) => Err(ErrorCode::CoordinatorNotAvailable),
    }
}

/// Follows the metadata for as long as the broker runs: makes the shards this broker leads, drops the others.
pub async fn follow(broker: Arc<Broker>) {
    let mut published = broker.metadata.watch_published();
    let mut seen = Arc::new(Image::default());
    loop {
        let image = broker.metadata.image();
        if !image.has_configs_of(&seen) {
            apply_settings(&broker, &image);
        }
        forget_topics(&broker, &seen, &image);
        seen.clone_from(&image);
        let led = led_here(&broker, &image);
        drop_unled(&broker, &led);
        for (index, epoch) in led {
            open_shard(&broker, index, epoch);
        }
        if published.changed().await.is_err() {
            return;
        }
    }
}

fn apply_settings(broker: &Broker, image: &Image) {
    let settings = Arc::new(settings::of(&broker.config, image));
    // Whoever makes a shard after this takes the new ones.
    broker.groups.settings.store(settings.clone());
    for shard in broker.groups.shards() {
        shard.set_settings(settings.clone());
    }
}

/// Deleted topics take what was committed for them along.
fn forget_topics(broker: &Arc<Broker>, old: &Image, new: &Image) {
    let gone = new.topics_gone_since(old);
    if gone.is_empty() {
        return;
    }
    let gone: BTreeMap<&str, TopicId> = gone.iter().map(|topic| (&*topic.name, topic.id)).collect();
    for shard in broker.groups.shards() {
        shard.topics_deleted(broker, &gone);
    }
}

fn led_here(broker: &Broker, image: &Image) -> BTreeMap<i32, LeaderEpoch> {
    let Some(topic) = image.topic_by_name(OFFSETS_TOPIC) else { return BTreeMap::new() };
    let led = topic.partitions.iter().enumerate().filter(|(_, partition)| partition.leader == broker.id());
    led.map(|(index, partition)| (i32::try_from(index).unwrap_or(i32::MAX), partition.leader_epoch)).collect()
}

fn drop_unled(broker: &Arc<Broker>, led: &BTreeMap<i32, LeaderEpoch>) {
    let gone: Vec<Arc<Shard>> = {
        let mut shards = broker.groups.shards.write();
        let is_gone = |index: &i32, shard: &Arc<Shard>| led.get(index) != Some(&shard.leader_epoch());
        let gone =
            shards.iter().filter(|(index, shard)| is_gone(index, shard)).map(|(_, s)| s.clone()).collect();
        shards.retain(|index, shard| !is_gone(index, shard));
        gone
    };
    for shard in gone {
        if let Ok(stats) = shard.look(ottla_core::group::Shard::stats) {
            broker.groups.retired.lock().add(&stats.counters);
        }
        shard.unload(broker);
    }
}

fn open_shard(broker: &Arc<Broker>, index: i32, epoch: LeaderEpoch) {
    if broker.groups.shards.read().contains_key(&index) {
        return;
    }
    let Some(replica) = broker.replicas.topic(OFFSETS_TOPIC).and_then(|topic| topic.partition(index)) else {
        return;
    };
    if !matches!(&replica.lock().role, Role::Leader(_)) {
        return;
    }
    let groups = &broker.groups;
    let shard = Arc::new(Shard::new(replica, epoch, groups.settings.load_full(), groups.clock_moved.clone()));
    groups.shards.write().insert(index, shard.clone());
    let broker = broker.clone();
    tokio::task::spawn_blocking(move || load::load(&broker, &shard));
}

/// Lets shards do what is due by time, for as long as the broker runs.
pub async fn tick(broker: Arc<Broker>) {
    loop {
        let moved = broker.groups.clock_moved.clone();
        let moved = moved.notified();
        let now = broker.clock.now_ms();
        let mut next = now + u64::try_from(LONGEST_SLEEP.as_millis()).unwrap_or(u64::MAX);
        for shard in broker.groups.shards() {
            if let Some(at) = shard.pass_time(&broker) {
                next = next.min(at);
            }
        }
        let sleep = Duration::from_millis(next.saturating_sub(broker.clock.now_ms()));
        let _ = tokio::time::timeout(sleep, moved).await;
    }
}
