//! The broker's part of the metadata quorum, from its log on disk to two running threads.

use super::StartError;
use crate::clock::Clock;
use crate::cluster::discover::Beginning;
use crate::config::BrokerConfig;
use crate::founding;
use crate::lifecycle::Identity;
use crate::metadata::node::{self, Node, NodeError};
use crate::metadata::publisher::{self, Publication, Publisher};
use crate::metadata::{Controller, Metadata};
use crate::metrics::Metrics;
use crate::peers::Peers;
use crate::replicas::apply::ReplicaApplier;
use crate::replicas::{Outbox, Replicas};
use crate::replicator::Replicator;
use crate::rules;
use bytes::Bytes;
use ottla_core::metadata::{Image, ImageDelta, NodeId};
use ottla_core::quorum::{Config as QuorumConfig, Quorum, SNAPSHOT_AFTER_BYTES};
use ottla_storage::{LogDirs, MetadataLog};
use ottla_types::BrokerId;
use ottla_types::DirectoryId;
use std::sync::{Arc, mpsc};
use tokio::sync::watch;

/// The handle to it, and what it runs on.
pub(super) struct MetadataParts {
    pub(super) metadata: Arc<Metadata>,
    pub(super) identity: Identity,
    pub(super) threads: Vec<std::thread::JoinHandle<()>>,
    pub(super) failed: tokio::sync::oneshot::Receiver<NodeError>,
}

/// What the metadata node is made with.
pub(super) struct ForMetadata<'a> {
    pub(super) config: &'a Arc<BrokerConfig>,
    pub(super) clock: Clock,
    pub(super) dirs: &'a Arc<LogDirs>,
    pub(super) replicas: &'a Arc<Replicas>,
    pub(super) metrics: &'a Arc<Metrics>,
    pub(super) outbox: &'a Outbox,
    pub(super) replicator: &'a Arc<Replicator>,
    /// None for a broker that is configured to be alone.
    pub(super) peers: Option<Arc<Peers>>,
}

/// Starts them.
pub(super) async fn start(
    parts: &ForMetadata<'_>,
    beginning: &Beginning,
) -> Result<MetadataParts, StartError> {
    let ForMetadata { config, dirs, replicas, metrics, outbox, replicator, .. } = *parts;
    let (clock, peers) = (parts.clock, &parts.peers);
    let (log_dir, trust_written) =
        dirs.metadata_dir().ok_or(StartError::Node("no data directory".to_owned()))?;
    let directory = dirs.directory_ids().first().copied().unwrap_or(DirectoryId::ZERO);
    let me = NodeId::new(config.node_id, directory);
    let (mut log, found) = MetadataLog::open(log_dir, trust_written, clock.wall_ms())?;
    let founds = matches!(beginning, Beginning::Alone | Beginning::Founds(_));
    let recovered = founding::recovered(found, me, dirs.cluster_id(), &mut log, (founds, clock))?;
    let image = match recovered.image().map_err(|error| StartError::Snapshot(error.to_string()))? {
        None => Image::default(),
        Some((index, members, data)) => {
            let mut image =
                Image::from_snapshot(data).map_err(|error| StartError::Snapshot(error.to_string()))?;
            image.set_membership(members);
            image.set_offset(index);
            image
        }
    };
    load_replicas(config, clock, dirs, &image);
    let quorum_config = quorum_config(config, me);
    let tick_ms = quorum_config.tick_ms;
    let quorum = Quorum::start(quorum_config, recovered)?;
    let (leader, watch_leader) = watch::channel(Controller::default());
    let (events, event_receiver) = mpsc::channel();
    let metadata = Metadata::new(config.node_id, watch_leader, events, peers.clone());
    let (mut publisher, publications) = Publisher::new();
    if image.offset() > 0 {
        // What the snapshot holds does not come again.
        let delta = ImageDelta::everything(&image);
        publisher.publish(Publication { image: image.clone(), delta, replies: Vec::new() });
    }
    let identity = Identity::new(dirs, directory, config);
    let applier = ReplicaApplier::new(
        (config.clone(), identity.incarnation_id()),
        clock,
        dirs.clone(),
        replicas.clone(),
        metrics.clone(),
        (outbox.clone(), replicator.clone()),
    );
    let mut transport = PeerTransport { peers: peers.clone() };
    node::Transport::learn(&mut transport, &image);
    let node = Node {
        quorum,
        log,
        image,
        rules: rules::of(config),
        clock,
        transport: Box::new(transport),
        publisher,
        leader,
        tick_ms,
    };
    let (report, failed) = tokio::sync::oneshot::channel();
    let run_node = move || {
        if let Err(error) = node::run(node, &event_receiver) {
            tracing::error!(%error, "the metadata node cannot go on");
            let _ = report.send(error);
        }
    };
    let published = metadata.clone();
    let run_publisher = move || publisher::run(&publications, &published, applier);
    let threads = vec![
        std::thread::Builder::new().name("ottla-metadata".to_owned()).spawn(run_node)?,
        std::thread::Builder::new().name("ottla-publisher".to_owned()).spawn(run_publisher)?,
    ];
    Ok(MetadataParts { metadata, identity, threads, failed })
}

/// What the settings say of the metadata quorum. Snapshots: never more than is worth holding in memory. Times: Kafka's
/// defaults are not ours, so they count where they are set.
fn quorum_config(config: &BrokerConfig, me: NodeId) -> QuorumConfig {
    let wanted = config.settings.count("metadata.log.max.record.bytes.between.snapshots");
    let set = |key| config.settings.explicit_value(key).map(|_| config.settings.count(key));
    QuorumConfig {
        snapshot_after_bytes: usize::try_from(wanted).unwrap_or(usize::MAX).min(SNAPSHOT_AFTER_BYTES),
        ..QuorumConfig::new(me, rand::random()).with_times(
            set("controller.quorum.fetch.timeout.ms"),
            set("controller.quorum.election.timeout.ms"),
        )
    }
}

/// Messages of the quorum over the connections to the peers, if there are any.
struct PeerTransport {
    peers: Option<Arc<Peers>>,
}

impl node::Transport for PeerTransport {
    fn send(&mut self, to: NodeId, message: Bytes) {
        if let Some(peers) = &self.peers {
            peers.send_quorum(to, &message);
        }
    }

    fn approach(&mut self, voter: BrokerId) {
        if let Some(peers) = &self.peers {
            peers.approach(voter);
        }
    }

    fn learn(&mut self, image: &Image) {
        if let Some(peers) = &self.peers {
            peers.learn(image);
        }
    }

    fn is_down(&self, peer: BrokerId) -> bool {
        self.peers.as_ref().is_some_and(|peers| peers.is_down(peer))
    }
}

fn load_replicas(config: &BrokerConfig, clock: Clock, dirs: &LogDirs, image: &Image) {
    use crate::topic_settings::TopicSettings;
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get) * 2;
    let settings_of = |partition: &ottla_types::TopicPartition, _: Option<ottla_types::TopicId>| {
        TopicSettings::resolve(image, &partition.topic, config.node_id, config).log
    };
    let report = dirs.load(threads, clock.wall_ms(), &settings_of);
    if report.logs + report.failed.len() > 0 {
        tracing::info!(
            logs = report.logs,
            failed = report.failed.len(),
            verified_bytes = report.verified_bytes,
            walked_bytes = report.walked_bytes,
            truncated_bytes = report.truncated_bytes,
            ms = clock.now_ms(),
            "logs loaded"
        );
    }
}
