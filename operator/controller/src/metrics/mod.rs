//! Metrics of the operator, among them what nobody else tells: why a roll waits, what is left of a drain, how long a
//! spec takes to become true, and when records were last at risk.

mod process;

use crate::context::LookError;
use ottla_operator_core::plan::Wait;
use process::Process;
use prometheus::{
    Encoder, GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};
use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

/// Metrics of the operator.
pub struct Metrics {
    registry: Registry,
    /// Seconds of a look, by kind.
    pub reconcile_seconds: HistogramVec,
    /// Looks that failed, by kind and reason.
    pub reconcile_errors: IntCounterVec,
    /// 1 while this operator works.
    pub leader: IntGauge,
    /// Clusters by state.
    pub clusters: IntGaugeVec,
    /// Topics by state.
    pub topics: IntGaugeVec,
    /// From a change of a spec to its being true, by kind.
    pub spec_to_applied: HistogramVec,
    /// Restarts by the operator.
    pub restarts: IntCounterVec,
    roll_waiting: IntGaugeVec,
    roll_remaining: IntGaugeVec,
    drain_partitions: IntGaugeVec,
    drain_bytes: IntGaugeVec,
    since_unsafe: GaugeVec,
    process: Process,
    ready: Mutex<Counts>,
}

/// Which clusters are ready, and how many topics of each.
#[derive(Default)]
struct Counts {
    ready: HashSet<String>,
    not_ready: HashSet<String>,
    topics: std::collections::HashMap<String, (i64, i64)>,
}

const OF_CLUSTER: [&str; 2] = ["namespace", "cluster"];

impl Metrics {
    /// All at zero.
    ///
    /// # Errors
    /// If a name is used twice.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let looks = vec![0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
        let changes = vec![0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 3600.0];
        let histogram = |name: &str, help: &str, buckets: Vec<f64>| {
            HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets), &["kind"])
        };
        let gauge = |name: &str, help: &str, labels: &[&str]| IntGaugeVec::new(Opts::new(name, help), labels);
        let metrics = Self {
            reconcile_seconds: histogram(
                "ottla_operator_reconcile_seconds",
                "Time of one look at a resource, from reading to status.",
                looks,
            )?,
            reconcile_errors: IntCounterVec::new(
                Opts::new("ottla_operator_reconcile_errors_total", "Looks that failed."),
                &["kind", "reason"],
            )?,
            leader: IntGauge::new("ottla_operator_leader", "1 while this replica of the operator works.")?,
            clusters: gauge("ottla_operator_clusters", "Clusters.", &["state"])?,
            topics: gauge("ottla_operator_topics", "Topics.", &["state"])?,
            spec_to_applied: histogram(
                "ottla_operator_spec_to_applied_seconds",
                "Time from a change of a spec to its being true.",
                changes,
            )?,
            restarts: IntCounterVec::new(
                Opts::new("ottla_operator_restarts_total", "Brokers restarted by the operator."),
                &OF_CLUSTER,
            )?,
            roll_waiting: gauge(
                "ottla_operator_roll_waiting",
                "1 while restarts wait, and why.",
                &["namespace", "cluster", "reason"],
            )?,
            roll_remaining: gauge(
                "ottla_operator_roll_remaining_brokers",
                "Brokers that are still to restart.",
                &OF_CLUSTER,
            )?,
            drain_partitions: gauge(
                "ottla_operator_drain_remaining_partitions",
                "Partitions left on brokers that leave.",
                &OF_CLUSTER,
            )?,
            drain_bytes: gauge(
                "ottla_operator_drain_remaining_bytes",
                "Bytes left on brokers that leave.",
                &OF_CLUSTER,
            )?,
            since_unsafe: GaugeVec::new(
                Opts::new(
                    "ottla_operator_seconds_since_isr_unsafe",
                    "Time since a partition was last below min.insync.replicas; since the operator began if never.",
                ),
                &OF_CLUSTER,
            )?,
            process: Process::new(&registry)?,
            ready: Mutex::default(),
            registry,
        };
        metrics.register()?;
        Ok(metrics)
    }

    fn register(&self) -> Result<(), prometheus::Error> {
        let registry = &self.registry;
        for histogram in [&self.reconcile_seconds, &self.spec_to_applied] {
            registry.register(Box::new(histogram.clone()))?;
        }
        for counter in [&self.reconcile_errors, &self.restarts] {
            registry.register(Box::new(counter.clone()))?;
        }
        for gauge in [
            &self.clusters,
            &self.topics,
            &self.roll_waiting,
            &self.roll_remaining,
            &self.drain_partitions,
            &self.drain_bytes,
        ] {
            registry.register(Box::new(gauge.clone()))?;
        }
        registry.register(Box::new(self.leader.clone()))?;
        registry.register(Box::new(self.since_unsafe.clone()))?;
        for state in ["ready", "not_ready"] {
            self.clusters.with_label_values(&[state]).set(0);
            self.topics.with_label_values(&[state]).set(0);
        }
        // A first error is an increase, too.
        for reason in LookError::REASONS {
            for kind in ["Cluster", "Topic"] {
                self.reconcile_errors.with_label_values(&[kind, reason]).inc_by(0);
            }
        }
        Ok(())
    }

    /// How a roll is: brokers left, and what it waits for.
    pub fn roll(&self, cluster: (&str, &str), remaining: i32, wait: Option<Wait>) {
        let (namespace, name) = cluster;
        self.roll_remaining.with_label_values(&[namespace, name]).set(remaining.into());
        self.restarts.with_label_values(&[namespace, name]).inc_by(0);
        for reason in Wait::ALL {
            let labels = [namespace, name, reason.word()];
            if wait == Some(reason) {
                self.roll_waiting.with_label_values(&labels).set(1);
            } else {
                let _ = self.roll_waiting.remove_label_values(&labels);
            }
        }
    }

    /// What is left on brokers that leave.
    pub fn drain(&self, cluster: (&str, &str), partitions: i32, bytes: i64) {
        self.drain_partitions.with_label_values(&[cluster.0, cluster.1]).set(partitions.into());
        self.drain_bytes.with_label_values(&[cluster.0, cluster.1]).set(bytes);
    }

    /// Time since records were at risk.
    pub fn since_unsafe(&self, cluster: (&str, &str), seconds: f64) {
        self.since_unsafe.with_label_values(&[cluster.0, cluster.1]).set(seconds);
    }

    /// Whether a cluster is ready.
    pub fn cluster_ready(&self, key: &str, is_ready: bool) {
        let mut counts = self.counts();
        counts.ready.remove(key);
        counts.not_ready.remove(key);
        if is_ready { &mut counts.ready } else { &mut counts.not_ready }.insert(key.to_owned());
        self.show(&counts);
    }

    /// How many topics of a cluster are ready, and how many not.
    pub fn topics_ready(&self, key: &str, ready: usize, not_ready: usize) {
        let mut counts = self.counts();
        let number = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        counts.topics.insert(key.to_owned(), (number(ready), number(not_ready)));
        self.show(&counts);
    }

    fn counts(&self) -> std::sync::MutexGuard<'_, Counts> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn show(&self, counts: &Counts) {
        let number = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        self.clusters.with_label_values(&["ready"]).set(number(counts.ready.len()));
        self.clusters.with_label_values(&["not_ready"]).set(number(counts.not_ready.len()));
        self.topics.with_label_values(&["ready"]).set(counts.topics.values().map(|both| both.0).sum());
        self.topics.with_label_values(&["not_ready"]).set(counts.topics.values().map(|both| both.1).sum());
    }

    /// A cluster is gone.
    pub fn forget(&self, key: &str) {
        let mut counts = self.counts();
        counts.ready.remove(key);
        counts.not_ready.remove(key);
        counts.topics.remove(key);
        self.show(&counts);
        let Some((namespace, name)) = key.split_once('/') else { return };
        self.roll((namespace, name), 0, None);
        let labels = [namespace, name];
        let _ = self.since_unsafe.remove_label_values(&labels);
        let _ = self.restarts.remove_label_values(&labels);
        for gauge in [&self.roll_remaining, &self.drain_partitions, &self.drain_bytes] {
            let _ = gauge.remove_label_values(&labels);
        }
    }

    /// All of them, in Prometheus' text format.
    #[must_use]
    pub fn text(&self) -> String {
        self.process.look();
        let mut text = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&self.registry.gather(), &mut text) {
            tracing::error!(%error, "metrics cannot be written");
        }
        String::from_utf8(text).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_reason_that_counts_is_shown() {
        let metrics = Metrics::new().unwrap();
        metrics.roll(("a", "b"), 2, Some(Wait::Quorum));
        metrics.roll(("a", "b"), 2, Some(Wait::BrokerNotBack));
        let text = metrics.text();
        assert!(
            text.contains(
                r#"ottla_operator_roll_waiting{cluster="b",namespace="a",reason="BrokerNotBack"} 1"#
            )
        );
        assert!(!text.contains("Quorum"));
        metrics.forget("a/b");
        assert!(!metrics.text().contains(r#"cluster="b""#));
    }

    #[test]
    fn clusters_are_counted_by_state() {
        let metrics = Metrics::new().unwrap();
        metrics.cluster_ready("a/b", false);
        metrics.cluster_ready("a/b", true);
        metrics.cluster_ready("a/c", true);
        metrics.topics_ready("a/b", 3, 1);
        let text = metrics.text();
        assert!(text.contains(r#"ottla_operator_clusters{state="ready"} 2"#));
        assert!(text.contains(r#"ottla_operator_clusters{state="not_ready"} 0"#));
        assert!(text.contains(r#"ottla_operator_topics{state="not_ready"} 1"#));
    }
}
