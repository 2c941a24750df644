//! From a configuration to a broker that serves, and back.
//!
//! The order matters: the data directories are locked before anything is written, addresses are bound before the
//! slow part so that a busy port is told at once, replicas are loaded before the metadata that gives them roles, and
//! sockets accept only when this broker is registered.

mod metadata;

use crate::broker::Broker;
use crate::cleaner::Cleaner;
use crate::clock::Clock;
use crate::cluster::Cluster;
use crate::cluster::discover::{self, Beginning, DiscoverError};
use crate::cluster::gate::Gate;
use crate::cluster::targets::Targets;
use crate::config::BrokerConfig;
use crate::groups::Groups;
use crate::http::{HttpServer, HttpState};
use crate::lifecycle;
use crate::logging::{self, Banner, Levels, LoggingError};
use crate::metadata::Metadata;
use crate::metadata::node::NodeError;
use crate::metrics::{Metrics, MetricsOptions};
use crate::net::{BindError, BoundListener, Server};
use crate::peers::wire::Hello;
use crate::peers::{Peers, greet};
use crate::replicas::Replicas;
use crate::replicator::Replicator;
use crate::{background, groups, health, process_memory, rack};
use ottla_core::fetch_session::{self, Cache};
use ottla_storage::{DirsError, DirsOptions, FsDisk, LogDirs};
use ottla_types::BrokerId;
use std::sync::Arc;
use std::time::Duration;

/// Fetch sessions of all clients together, in partitions.
const SESSION_PARTITIONS: usize = 1_000_000;
/// A session unused for so long may be given up for any other.
const SESSION_EVICTION_MS: u64 = 120_000;

/// How long a greeting waits for its answer, and the next round of greetings for its turn.
const LOOK_AROUND: Duration = Duration::from_millis(200);

/// Why a broker does not start. One line for the user.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The log cannot be set up.
    #[error(transparent)]
    Logging(#[from] LoggingError),
    /// The data directories cannot be used.
    #[error(transparent)]
    Dirs(#[from] DirsError),
    /// It comes to no cluster.
    #[error(transparent)]
    Discover(#[from] DiscoverError),
    /// An address cannot be listened on.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The metadata log cannot be used.
    #[error("metadata log: {0}")]
    MetadataLog(#[from] ottla_storage::MetadataLogError),
    /// What the metadata log holds cannot be used.
    #[error("metadata log: {0}")]
    Quorum(#[from] ottla_core::quorum::StartError),
    /// A snapshot of the metadata cannot be read.
    #[error("metadata snapshot: {0}")]
    Snapshot(String),
    /// The system refused a thread or a socket.
    #[error("cannot start: {0}")]
    System(#[from] std::io::Error),
    /// The metadata node stopped.
    #[error("the metadata node stopped: {0}")]
    Node(String),
}

/// A running broker.
pub struct Running {
    broker: Arc<Broker>,
    dirs: Arc<LogDirs>,
    replicator: Arc<Replicator>,
    server: Server,
    _http: Option<HttpServer>,
    tasks: background::Tasks,
    threads: Vec<std::thread::JoinHandle<()>>,
    /// Fires if the metadata node cannot go on.
    pub failed: tokio::sync::oneshot::Receiver<NodeError>,
}

/// Runs a broker until it is told to stop. Blocks.
///
/// # Errors
/// If it does not start, or cannot go on.
pub fn run(config: BrokerConfig) -> Result<(), StartError> {
    process_memory::keep_little();
    let levels = logging::init(config.log_format, &config.log_level)?;
    if let Err(error) = crate::net::raise_descriptor_limit() {
        tracing::warn!(%error, "the limit of open files could not be raised");
    }
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    if let Some(threads) = config.worker_threads {
        runtime.worker_threads(threads);
    }
    let runtime = runtime.enable_all().thread_name("ottla-worker").build()?;
    runtime.block_on(async {
        let mut running = start(config, levels).await?;
        let stopped = tokio::select! {
            () = lifecycle::stop_signal() => Ok(()),
            error = &mut running.failed => Err(StartError::Node(error.map_or_else(|_| "gone".to_owned(), |e| e.to_string()))),
        };
        if stopped.is_ok() {
            lifecycle::leave(running.broker(), lifecycle::stop_signal()).await;
        }
        running.stop().await;
        stopped
    })
}

/// Starts a broker on the current runtime; it serves when this returns.
///
/// # Errors
/// [`StartError`].
pub async fn start(config: BrokerConfig, levels: Levels) -> Result<Running, StartError> {
    for ignored in config.settings.without_effect() {
        let note = if ignored.planned { "has no effect yet" } else { "has no effect" };
        tracing::warn!("{} is set ({}) and {note}", ignored.key, ignored.origin);
    }
    let config = rack::find(config).await;
    let clock = Clock::start();
    let listeners = bind_all(&config)?;
    let http =
        config.http.as_ref().map(|at| BoundListener::bind("HTTP", &at.host, at.port, 128)).transpose()?;
    let config = Arc::new(config.with_bound_ports(&listeners));
    let metrics = Arc::new(Metrics::new(MetricsOptions {
        topics_max: config.metrics_topics_max,
        partitions: config.partition_metrics,
    }));
    let (peers, broken) = Peers::new(config.node_id, &config.inter_broker_listener);
    let cluster = Arc::new(Cluster::new(config.node_id, &config.inter_broker_listener, peers.clone()));
    let gate = Gate::new(cluster.clone());
    let server = Server::start(config.net.clone(), listeners, gate.clone(), metrics.clone())?;
    server.report_to(&metrics);
    let state = HttpState { metrics: metrics.clone(), health: gate.clone(), levels: levels.clone() };
    let http = http.map(|http| HttpServer::start(http, state)).transpose()?;
    let targets = Targets::of(&config);
    let beginning = discover::begin(&config, &targets, &peers, &cluster.standing).await?;
    let dirs = Arc::new(open_dirs(&config, &beginning)?);
    rack::remember(&config);
    peers.belong_to(dirs.cluster_id());
    let replicas = Arc::new(Replicas::default());
    let (outbox, inbox) = background::channels();
    let replicator = Replicator::new(&config, clock, replicas.clone(), cluster.clone());
    let parts = metadata::ForMetadata {
        config: &config,
        clock,
        dirs: &dirs,
        replicas: &replicas,
        metrics: &metrics,
        outbox: &outbox,
        replicator: &replicator,
        peers: (!targets.is_empty()).then(|| peers.clone()),
    };
    let node = metadata::start(&parts, &beginning).await?;
    cluster.attach(node.metadata.clone());
    cluster.standing.settle();
    tokio::spawn(report_broken(broken, cluster.clone(), node.metadata.clone()));
    tokio::spawn(look_around(config.node_id, targets, cluster.clone(), node.metadata.clone()));
    let limits = fetch_session::Limits {
        slots: config.settings.count("max.incremental.fetch.session.cache.slots") as usize,
        partitions: SESSION_PARTITIONS,
        eviction_ms: SESSION_EVICTION_MS,
    };
    let broker = Arc::new(Broker {
        config: config.clone(),
        clock,
        metadata: node.metadata.clone(),
        cluster,
        replicas,
        dirs: dirs.clone(),
        metrics: metrics.clone(),
        levels: levels.clone(),
        fetch_sessions: parking_lot::Mutex::new(Cache::new(limits, rand::random())),
        cleaner: Cleaner::new(),
        groups: Groups::new(&config),
        producer_ids: Default::default(),
    });
    metrics.set_partition_source(broker.clone());
    let scraped = broker.clone();
    metrics.set_cluster_source(move || health::cluster_sample(&scraped));
    groups::show(&broker);
    let cleaner = broker.cleaner.clone();
    metrics.add_source(move |out| cleaner.write_metrics(out));
    let tasks = background::start(&broker, inbox);
    lifecycle::register(&broker, node.identity).await;
    gate.open(broker.clone());
    crate::replicas::move_dirs::resume(&broker);
    let banner = Banner {
        config: &config,
        cluster_id: dirs.cluster_id(),
        http: http.as_ref().map(HttpServer::address),
    };
    // A closed stdout is no reason to stop.
    let _ = std::io::Write::write_all(
        &mut std::io::stdout(),
        format!("{}\n", logging::banner(&banner)).as_bytes(),
    );
    process_memory::give_code_back();
    let (threads, failed) = (node.threads, node.failed);
    Ok(Running { broker, dirs, replicator, server, _http: http, tasks, threads, failed })
}

fn bind_all(config: &BrokerConfig) -> Result<Vec<BoundListener>, BindError> {
    let bind =
        |at: &crate::config::Endpoint| BoundListener::bind(&at.name, &at.host, at.port, config.net.backlog);
    config.listeners.iter().map(bind).collect()
}

/// Brokers whose connections broke may be dead.
async fn report_broken(
    mut broken: tokio::sync::mpsc::UnboundedReceiver<BrokerId>,
    cluster: Arc<Cluster>,
    metadata: Arc<Metadata>,
) {
    while let Some(peer) = broken.recv().await {
        tracing::info!(%peer, "the connection to a broker broke");
        cluster.suspect(peer);
        metadata.peer_lost(peer);
    }
}

/// While nobody is known to lead, the configured addresses are asked who is there: after a restart of all brokers
/// none may be where it was.
async fn look_around(me: BrokerId, targets: Targets, cluster: Arc<Cluster>, metadata: Arc<Metadata>) {
    if targets.is_empty() {
        return;
    }
    loop {
        if metadata.controller().node.is_none() {
            let cluster_id = cluster.peers.cluster_id().map(str::to_owned);
            let hello =
                Hello { from: me, cluster_id: cluster_id.clone(), candidate: None, wants_grant: false };
            for (address, answer) in greet::all(&targets.addresses().await, &hello, LOOK_AROUND).await {
                if answer.cluster_id == cluster_id {
                    discover::meet(&cluster.peers, me, &address, &answer);
                }
            }
        }
        tokio::time::sleep(LOOK_AROUND).await;
    }
}

fn open_dirs(config: &BrokerConfig, beginning: &Beginning) -> Result<LogDirs, DirsError> {
    let cluster_id = match beginning {
        Beginning::Alone => config.cluster_id.clone(),
        Beginning::Member(id) | Beginning::Joins(id) | Beginning::Founds(id) => Some(id.clone()),
    };
    let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let options = DirsOptions {
        dirs: config.log_dirs.clone(),
        node_id: config.node_id,
        cluster_id,
        boot_id: boot_id.trim().to_owned(),
    };
    LogDirs::open(Arc::new(FsDisk), &options)
}

impl Running {
    /// The broker's parts.
    pub fn broker(&self) -> &Arc<Broker> {
        &self.broker
    }

    /// Stops: no new requests, answers for those in flight, logs closed.
    pub async fn stop(self) {
        let Self { broker, dirs, replicator, server, tasks, threads, .. } = self;
        tracing::info!("stopping");
        for replica in broker.replicas.partitions() {
            replica.lock().fail_waiters(replica.id, ottla_types::ErrorCode::NotLeaderOrFollower);
        }
        server.shutdown(broker.config.shutdown_timeout.min(Duration::from_millis(500))).await;
        replicator.stop();
        broker.cleaner.stop();
        tasks.stop().await;
        broker.metadata.stop();
        let _ = tokio::task::spawn_blocking(move || {
            background::save_high_watermarks(&broker);
            for thread in threads {
                let _ = thread.join();
            }
            dirs.shutdown(4);
        })
        .await;
        tracing::info!("stopped");
    }
}
