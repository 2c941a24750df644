//! Traffic by topic.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use parking_lot::Mutex;

use super::exposition::Exposition;

/// Stands for all topics beyond the bound. No topic can have this name.
pub const OTHER_TOPICS: &str = "(other)";

/// The counters of one topic on this broker.
#[derive(Debug, Default)]
pub struct TopicMetrics {
    /// Records appended for producers.
    pub messages_in: AtomicU64,
    /// Bytes of record batches appended for producers.
    pub bytes_in: AtomicU64,
    /// Bytes of record batches sent to consumers.
    pub bytes_out: AtomicU64,
    /// Bytes of record batches refused.
    pub bytes_rejected: AtomicU64,
    /// Bytes of record batches copied from leaders.
    pub replication_bytes_in: AtomicU64,
    /// Bytes of record batches sent to followers.
    pub replication_bytes_out: AtomicU64,
    /// Produce requests that named the topic, once for each partition.
    pub produce_requests: AtomicU64,
    /// Fetch requests that named the topic, once for each partition.
    pub fetch_requests: AtomicU64,
    /// Those of `produce_requests` that failed.
    pub failed_produce_requests: AtomicU64,
    /// Those of `fetch_requests` that failed.
    pub failed_fetch_requests: AtomicU64,
    /// Produce requests whose batches were compressed anew.
    pub produce_conversions: AtomicU64,
    /// Batches refused for their checksum, format, sequence or a missing key.
    pub invalid_batches: AtomicU64,
}

type Row = (&'static str, &'static str, fn(&TopicMetrics) -> &AtomicU64);

const ROWS: [Row; 12] = [
    ("ottla_topic_messages_in_total", "Records appended for producers.", |topic| &topic.messages_in),
    ("ottla_topic_bytes_in_total", "Bytes appended for producers.", |topic| &topic.bytes_in),
    ("ottla_topic_bytes_out_total", "Bytes sent to consumers.", |topic| &topic.bytes_out),
    ("ottla_topic_bytes_rejected_total", "Bytes refused.", |topic| &topic.bytes_rejected),
    ("ottla_topic_replication_bytes_in_total", "Bytes copied from leaders.", |topic| {
        &topic.replication_bytes_in
    }),
    ("ottla_topic_replication_bytes_out_total", "Bytes sent to followers.", |topic| {
        &topic.replication_bytes_out
    }),
    ("ottla_topic_produce_requests_total", "Produce requests, by partition.", |topic| {
        &topic.produce_requests
    }),
    ("ottla_topic_fetch_requests_total", "Fetch requests, by partition.", |topic| &topic.fetch_requests),
    ("ottla_topic_failed_produce_requests_total", "Failed produce requests, by partition.", |topic| {
        &topic.failed_produce_requests
    }),
    ("ottla_topic_failed_fetch_requests_total", "Failed fetch requests, by partition.", |topic| {
        &topic.failed_fetch_requests
    }),
    ("ottla_topic_produce_conversions_total", "Produce requests compressed anew.", |topic| {
        &topic.produce_conversions
    }),
    ("ottla_topic_invalid_batches_total", "Batches refused as malformed.", |topic| &topic.invalid_batches),
];

/// The counters of all topics.
#[derive(Debug)]
pub(super) struct TopicsMetrics {
    max: usize,
    topics: Mutex<BTreeMap<String, Arc<TopicMetrics>>>,
    other: Arc<TopicMetrics>,
}

impl TopicsMetrics {
    pub(super) fn new(max: usize) -> Self {
        Self { max, topics: Mutex::default(), other: Arc::default() }
    }

    pub(super) fn topic(&self, name: &str) -> Arc<TopicMetrics> {
        let mut topics = self.topics.lock();
        if let Some(topic) = topics.get(name) {
            return Arc::clone(topic);
        }
        if topics.len() >= self.max {
            return Arc::clone(&self.other);
        }
        Arc::clone(topics.entry(name.to_owned()).or_default())
    }

    pub(super) fn remove(&self, name: &str) {
        self.topics.lock().remove(name);
    }

    pub(super) fn write(&self, out: &mut Exposition) {
        let topics: Vec<_> =
            self.topics.lock().iter().map(|(name, topic)| (name.clone(), Arc::clone(topic))).collect();
        for (name, help, counter) in ROWS {
            out.family(name, "counter", help);
            for (topic, metrics) in &topics {
                out.sample(name, &[("topic", topic)], counter(metrics).load(Relaxed));
            }
            let other = counter(&self.other).load(Relaxed);
            if other > 0 {
                out.sample(name, &[("topic", OTHER_TOPICS)], other);
            }
        }
    }
}
