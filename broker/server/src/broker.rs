//! The broker: everything that a request handler may need, in one place.

use crate::cleaner::Cleaner;
use crate::clock::Clock;
use crate::cluster::Cluster;
use crate::config::BrokerConfig;
use crate::groups::Groups;
use crate::logging::Levels;
use crate::metadata::Metadata;
use crate::metrics::Metrics;
use crate::producer_ids::ProducerIds;
use crate::replicas::Replicas;
use ottla_core::fetch_session;
use ottla_core::metadata::Image;
use ottla_storage::LogDirs;
use ottla_types::BrokerId;
use parking_lot::Mutex;
use std::sync::Arc;

/// The parts of a running broker.
#[derive(Debug)]
pub struct Broker {
    /// Its settings as it started with them.
    pub config: Arc<BrokerConfig>,
    /// Its clocks.
    pub clock: Clock,
    /// The cluster's metadata and the way to the controller.
    pub metadata: Arc<Metadata>,
    /// Its place among the other brokers.
    pub cluster: Arc<Cluster>,
    /// The replicas here.
    pub replicas: Arc<Replicas>,
    /// The data directories.
    pub dirs: Arc<LogDirs>,
    /// Everything that is counted.
    pub metrics: Arc<Metrics>,
    /// How much is logged.
    pub levels: Levels,
    /// Incremental fetch sessions.
    pub fetch_sessions: Mutex<fetch_session::Cache>,
    /// Compacts logs.
    pub cleaner: Arc<Cleaner>,
    /// Consumer groups.
    pub groups: Groups,
    /// Ids for idempotent producers.
    pub producer_ids: ProducerIds,
}

impl Broker {
    /// This broker's id.
    pub fn id(&self) -> BrokerId {
        self.config.node_id
    }

    /// Whether this process is registered and may lead, by this metadata. After a quick restart the metadata that the
    /// broker has from before still say it of the process that was there then.
    pub fn is_active_in(&self, image: &Image) -> bool {
        let epoch = self.cluster.epoch();
        image.broker(self.id()).is_some_and(|registered| registered.is_active() && registered.epoch == epoch)
    }
}
