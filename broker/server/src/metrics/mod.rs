//! Counters, gauges and histograms, and their exposition for Prometheus.
//!
//! The hot path adds to plain relaxed atomics behind handles that were looked up once (one for each API,
//! one for each topic); nothing is formatted, locked or sorted before somebody scrapes. What can be read
//! off the broker's state (log sizes, offsets, replicas) is read at the scrape, by callbacks.
//!
//! Bounds: APIs and error codes are Kafka's tables; topics beyond
//! [`MetricsOptions::topics_max`] count under the one name [`OTHER_TOPICS`]; series of partitions can be
//! switched off. `docs/metrics.md` lists all names and Kafka's names for them.

mod cluster;
mod connections;
mod exposition;
mod histogram;
mod partitions;
mod process;
mod requests;
mod topics;

#[cfg(test)]
mod tests;

pub use cluster::{ClusterSample, ControllerSample, DirSample};
pub use exposition::Exposition;
pub use histogram::DurationHistogram;
pub use partitions::{LeaderSample, PartitionSample, PartitionSource};
pub use topics::{OTHER_TOPICS, TopicMetrics};

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use ottla_types::ErrorCode;
use parking_lot::Mutex;
use prometheus::{Registry, TextEncoder};

use crate::net::{BoxFuture, CloseReason, Observer, RequestDone};
use connections::ConnectionMetrics;
use process::ProcessMetrics;
use requests::RequestMetrics;
use topics::TopicsMetrics;

/// The content type of [`Metrics::render`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// How much is exposed.
#[derive(Debug, Clone, Copy)]
pub struct MetricsOptions {
    /// Topics with series of their own.
    pub topics_max: usize,
    /// Whether partitions have series.
    pub partitions: bool,
}

impl Default for MetricsOptions {
    fn default() -> Self {
        Self { topics_max: 1000, partitions: true }
    }
}

type Source = Box<dyn Fn(&mut Exposition) + Send + Sync>;
type Preparation = Arc<dyn Fn() -> BoxFuture<()> + Send + Sync>;

/// All metrics of this process.
pub struct Metrics {
    options: MetricsOptions,
    registry: Registry,
    requests: RequestMetrics,
    topics: TopicsMetrics,
    connections: ConnectionMetrics,
    process: ProcessMetrics,
    partitions: ArcSwapOption<Arc<dyn PartitionSource>>,
    sources: Mutex<Vec<Source>>,
    preparation: ArcSwapOption<Preparation>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Metrics {
    /// Empty metrics.
    pub fn new(options: MetricsOptions) -> Self {
        Self {
            options,
            registry: Registry::new(),
            requests: RequestMetrics::default(),
            topics: TopicsMetrics::new(options.topics_max),
            connections: ConnectionMetrics::default(),
            process: ProcessMetrics::new(),
            partitions: ArcSwapOption::empty(),
            sources: Mutex::default(),
            preparation: ArcSwapOption::empty(),
        }
    }

    /// For metrics that their owners keep themselves.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The counters of a topic; to be kept by whoever serves the topic, not looked up for each request.
    pub fn topic(&self, name: &str) -> Arc<TopicMetrics> {
        self.topics.topic(name)
    }

    /// Ends the series of a deleted topic.
    pub fn remove_topic(&self, name: &str) {
        self.topics.remove(name);
    }

    /// Counts an error code in a response.
    pub fn error(&self, api_key: i16, code: ErrorCode) {
        self.requests.error(api_key, code);
    }

    /// Where partitions are read at each scrape.
    pub fn set_partition_source(&self, source: Arc<dyn PartitionSource>) {
        self.partitions.store(Some(Arc::new(source)));
    }

    /// Adds something that writes its own families at each scrape. Must not block.
    pub fn add_source(&self, source: impl Fn(&mut Exposition) + Send + Sync + 'static) {
        self.sources.lock().push(Box::new(source));
    }

    /// Where the cluster and the disks are read at each scrape. Must not block for long.
    pub fn set_cluster_source(&self, read: impl Fn() -> ClusterSample + Send + Sync + 'static) {
        self.add_source(move |out| cluster::write(&read(), out));
    }

    /// Adds a gauge that is read at each scrape.
    pub fn add_gauge(
        &self,
        name: &'static str,
        help: &'static str,
        read: impl Fn() -> f64 + Send + Sync + 'static,
    ) {
        self.add_source(move |out| {
            out.family(name, "gauge", help);
            out.sample(name, &[], read());
        });
    }

    /// What is waited for before each scrape, so that sources have something to show.
    pub fn set_preparation(&self, prepare: impl Fn() -> BoxFuture<()> + Send + Sync + 'static) {
        self.preparation.store(Some(Arc::new(Arc::new(prepare))));
    }

    /// Prepares, then renders.
    pub async fn scrape(&self) -> String {
        if let Some(prepare) = self.preparation.load_full() {
            prepare().await;
        }
        self.render()
    }

    /// Everything, in Prometheus's text format.
    pub fn render(&self) -> String {
        let mut out = Exposition::default();
        build_info(&mut out);
        self.process.write(&mut out);
        self.connections.write(&mut out);
        self.requests.write(&mut out);
        self.topics.write(&mut out);
        if let Some(source) = &*self.partitions.load() {
            partitions::write(&***source, self.options.partitions, &mut out);
        }
        for source in &*self.sources.lock() {
            source(&mut out);
        }
        let mut text = out.into_text();
        if let Err(error) = TextEncoder::new().encode_utf8(&self.registry.gather(), &mut text) {
            tracing::error!("some metrics could not be written: {error}");
        }
        text
    }
}

impl Observer for Metrics {
    fn connection_opened(&self, listener: &str) {
        self.connections.opened(listener);
    }

    fn connection_closed(&self, listener: &str, reason: CloseReason) {
        self.connections.closed(listener, reason);
    }

    fn request_done(&self, done: &RequestDone) {
        self.requests.done(done);
    }
}

fn build_info(out: &mut Exposition) {
    const NAME: &str = "ottla_build_info";
    out.family(NAME, "gauge", "Always 1; the labels tell what runs.");
    let commit = option_env!("OTTLA_COMMIT").unwrap_or("unknown");
    out.sample(NAME, &[("version", env!("CARGO_PKG_VERSION")), ("commit", commit)], 1);
}
