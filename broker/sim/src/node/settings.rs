//! The topic settings that matter here.

use ottla_core::metadata::{ConfigResource, Image};
use ottla_storage::LogConfig;
use std::sync::Arc;

/// A topic's settings.
#[derive(Debug, Clone, PartialEq)]
pub struct TopicSettings {
    /// `min.insync.replicas`.
    pub min_insync_replicas: usize,
    /// `flush.messages` is 1.
    pub flush: bool,
    /// The log's part.
    pub log: Arc<LogConfig>,
}

impl TopicSettings {
    /// What `image` says about `topic`.
    #[must_use]
    pub fn of(image: &Image, topic: &str) -> Self {
        let resource = ConfigResource::topic(topic);
        let own = image.config(&resource);
        let value = |key: &str| own.and_then(|own| own.get(key)).and_then(|value| value.parse::<u64>().ok());
        let flush = value("flush.messages") == Some(1);
        let log = LogConfig {
            segment_bytes: value("segment.bytes").unwrap_or(16 << 10),
            index_interval_bytes: 256,
            flush_messages: if flush { 1 } else { u64::MAX },
            ..LogConfig::default()
        };
        let min = value("min.insync.replicas").unwrap_or(1);
        Self { min_insync_replicas: usize::try_from(min).unwrap_or(1), flush, log: Arc::new(log) }
    }
}
