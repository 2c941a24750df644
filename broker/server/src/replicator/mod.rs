//! Following: this broker's replicas copy from their leaders, over one stream of fetches for each leader broker.
//!
//! What to ask next is decided by [`ottla_core::replication::Fetcher`]; a [`stream::Stream`] carries it out. Lock
//! order: a replica, then a fetcher; no fetcher is locked while a replica's lock is taken.

mod exchange;
pub mod stream;

use crate::clock::Clock;
use crate::cluster::Cluster;
use crate::config::BrokerConfig;
use crate::replicas::Replicas;
use ottla_core::replication::{FetcherConfig, Follow};
use ottla_types::{BrokerId, TopicIdPartition};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use stream::Stream;

/// What every stream needs.
#[derive(Debug)]
pub struct Surroundings {
    /// This broker.
    pub me: BrokerId,
    /// Its clocks.
    pub clock: Clock,
    /// Its replicas.
    pub replicas: Arc<Replicas>,
    /// Its registration, and where the others are.
    pub cluster: Arc<Cluster>,
    /// `replica.fetch.wait.max.ms`.
    pub wait_max_ms: i32,
    /// `replica.fetch.min.bytes`.
    pub min_bytes: i32,
    /// `replica.fetch.response.max.bytes`.
    pub response_max_bytes: i32,
    /// `replica.socket.timeout.ms`.
    pub socket_timeout: Duration,
}

/// All that is followed from here.
#[derive(Debug)]
pub struct Replicator {
    surroundings: Arc<Surroundings>,
    config: FetcherConfig,
    streams: Mutex<Streams>,
    runtime: tokio::runtime::Handle,
}

#[derive(Debug, Default)]
struct Streams {
    by_leader: BTreeMap<BrokerId, Arc<Stream>>,
    leader_of: BTreeMap<TopicIdPartition, BrokerId>,
    /// Under `follower.replication.throttled.replicas`.
    throttled: BTreeSet<TopicIdPartition>,
}

impl Replicator {
    /// Follows nothing yet. Must be called on a tokio runtime.
    pub fn new(
        config: &BrokerConfig,
        clock: Clock,
        replicas: Arc<Replicas>,
        cluster: Arc<Cluster>,
    ) -> Arc<Self> {
        let int = |key: &str| i32::try_from(config.settings.number(key)).unwrap_or(i32::MAX);
        let surroundings = Surroundings {
            me: config.node_id,
            clock,
            replicas,
            cluster,
            wait_max_ms: int("replica.fetch.wait.max.ms"),
            min_bytes: int("replica.fetch.min.bytes"),
            response_max_bytes: int("replica.fetch.response.max.bytes"),
            socket_timeout: Duration::from_millis(config.settings.count("replica.socket.timeout.ms").max(1)),
        };
        let fetcher = FetcherConfig {
            partition_max_bytes: int("replica.fetch.max.bytes"),
            backoff_ms: config.settings.count("replica.fetch.backoff.ms"),
        };
        Arc::new(Self {
            surroundings: Arc::new(surroundings),
            config: fetcher,
            streams: Mutex::default(),
            runtime: tokio::runtime::Handle::current(),
        })
    }

    /// Follows `partition` from `leader`, and from nobody else.
    pub fn follow(&self, leader: BrokerId, partition: TopicIdPartition, follow: Follow) {
        let mut streams = self.streams.lock();
        let before = streams.leader_of.insert(partition, leader);
        if let Some(before) = before.filter(|before| *before != leader)
            && let Some(stream) = streams.by_leader.get(&before)
        {
            stream.unfollow(&partition);
        }
        let start = || Stream::start(leader, self.config, self.surroundings.clone(), &self.runtime);
        let stream = streams.by_leader.entry(leader).or_insert_with(start).clone();
        let is_throttled = streams.throttled.contains(&partition);
        drop(streams);
        stream.throttle(partition, is_throttled);
        stream.follow(partition, follow);
    }

    /// Whether a partition is throttled from now on.
    pub fn throttle(&self, partition: TopicIdPartition, is_throttled: bool) {
        let mut streams = self.streams.lock();
        let changed = match is_throttled {
            true => streams.throttled.insert(partition),
            false => streams.throttled.remove(&partition),
        };
        if changed
            && let Some(leader) = streams.leader_of.get(&partition)
            && let Some(stream) = streams.by_leader.get(leader)
        {
            stream.throttle(partition, is_throttled);
        }
    }

    /// Follows `partition` no longer.
    pub fn unfollow(&self, partition: &TopicIdPartition) {
        let mut streams = self.streams.lock();
        streams.throttled.remove(partition);
        if let Some(leader) = streams.leader_of.remove(partition)
            && let Some(stream) = streams.by_leader.get(&leader)
        {
            stream.unfollow(partition);
        }
    }

    /// Ends all streams.
    pub fn stop(&self) {
        for stream in self.streams.lock().by_leader.values() {
            stream.stop();
        }
    }
}
