//! What every look shares.

use crate::brokers::Connect;
use crate::events::Events;
use crate::fault::Writes;
use crate::lease::Standing;
use crate::metrics::Metrics;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What every look shares.
pub struct Context {
    /// Kubernetes.
    pub client: kube::Client,
    /// The brokers of clusters.
    pub connect: Arc<dyn Connect>,
    /// Counts writes.
    pub writes: Writes,
    /// Whether this operator is the one that works.
    pub standing: Arc<Standing>,
    /// Metrics.
    pub metrics: Metrics,
    /// Events.
    pub events: Events,
    /// Image of clusters that name none.
    pub default_image: String,
    /// Nodes may be read.
    pub read_nodes: bool,
    /// A quiet resource is looked at again after this time.
    pub resync: Duration,
    /// What saves work, by cluster; losing it costs work only.
    pub memory: Mutex<HashMap<String, Memory>>,
}

/// What saves work.
#[derive(Debug, Default, Clone)]
pub struct Memory {
    /// Hash of the objects that were applied last, and when.
    pub applied: Option<(String, Instant)>,
    /// The generation of the spec that is not true yet, and since when.
    pub changing: Option<(i64, Instant)>,
    /// When a partition was last below `min.insync.replicas`.
    pub unsafe_at: Option<Instant>,
    /// When the settings of all topics were last looked at.
    pub all_configs: Option<Instant>,
    /// What was last told in an Event about waiting.
    pub told: Option<String>,
    /// Topics whose spec is not true yet, and since when, by uid.
    pub topics: HashMap<String, (i64, Instant)>,
}

impl Context {
    /// Looks at or changes what is remembered of a cluster.
    pub fn remember<T>(&self, key: &str, action: impl FnOnce(&mut Memory) -> T) -> T {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        action(memory.entry(key.to_owned()).or_default())
    }

    /// The cluster is gone.
    pub fn forget(&self, key: &str) {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
        self.connect.forget(key);
        self.connect.forget(&format!("{key}/topics"));
        self.connect.forget(&format!("{key}/gone"));
        self.metrics.forget(key);
    }

    /// Carries out a write, if this operator is still the one that works.
    ///
    /// # Errors
    /// If it is not, or the write fails.
    pub async fn write<T, E: Into<LookError>>(
        &self,
        what: &str,
        write: impl Future<Output = Result<T, E>>,
    ) -> Result<T, LookError> {
        self.standing.check()?;
        self.writes.count(what, write).await.map_err(Into::into)
    }
}

/// Why a look ended early.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    /// Kubernetes.
    #[error("{}", short(.0))]
    Kube(#[from] kube::Error),
    /// Brokers.
    #[error("{0}")]
    Brokers(String),
    /// Another operator works now.
    #[error("this operator does not hold the Lease any more")]
    NotLeading,
}

impl From<String> for LookError {
    fn from(error: String) -> Self {
        Self::Brokers(error)
    }
}

impl LookError {
    /// All words for metrics.
    pub(crate) const REASONS: [&'static str; 5] =
        ["conflict", "forbidden", "kubernetes", "brokers", "not_leading"];

    /// A word for metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Kube(kube::Error::Api(status)) if status.code == 409 => "conflict",
            Self::Kube(kube::Error::Api(status)) if status.code == 403 => "forbidden",
            Self::Kube(_) => "kubernetes",
            Self::Brokers(_) => "brokers",
            Self::NotLeading => "not_leading",
        }
    }

    /// True if the object is not there (any more).
    #[must_use]
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Kube(kube::Error::Api(status)) if status.code == 404)
    }

    /// True if somebody else changed the object meanwhile; the next look sees it.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        self.reason() == "conflict"
    }
}

/// What came of a write to an object; none if it is gone, and with it the reason to write.
pub(crate) fn if_there<T>(written: Result<T, LookError>) -> Result<Option<T>, LookError> {
    match written {
        Ok(written) => Ok(Some(written)),
        Err(error) if error.is_missing() => Ok(None),
        Err(error) => Err(error),
    }
}

fn short(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => format!("Kubernetes: {}", status.message),
        other => format!("Kubernetes: {other}"),
    }
}

/// A cluster's name among all.
#[must_use]
pub fn key(namespace: &str, name: &str) -> String {
    format!("{namespace}/{name}")
}
