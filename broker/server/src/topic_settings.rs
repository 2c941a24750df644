//! A topic's settings as the hot path wants them: read once from the metadata, replaced whole when they change.

use crate::config::BrokerConfig;
use crate::replicas::quota::Throttled;
use ottla_core::metadata::Image;
use ottla_core::replication;
use ottla_records::validate::{ProduceRules, TargetCompression};
use ottla_records::{Compression, TimestampType};
use ottla_storage::LogConfig;
use ottla_types::{BrokerId, TimestampMs, limits};
use std::sync::Arc;

/// A topic's settings, resolved.
#[derive(Debug, Clone)]
pub struct TopicSettings {
    /// For its logs.
    pub log: Arc<LogConfig>,
    /// For its leaders.
    pub replication: replication::Config,
    /// Replicas that send to throttled followers, and replicas that are throttled themselves.
    pub throttled: (Throttled, Throttled),
    /// For its producers; `now` is filled in for each request.
    rules: ProduceRules,
}

impl TopicSettings {
    /// The settings of `topic` as they stand.
    pub fn resolve(image: &Image, topic: &str, broker: BrokerId, config: &BrokerConfig) -> Self {
        let get =
            |key: &str| image.topic_value(topic, key, broker, &config.static_settings).unwrap_or_default();
        let number = |key: &str| get(key).parse::<i64>().unwrap_or_default();
        let positive = |key: &str| u64::try_from(number(key)).unwrap_or(u64::MAX);
        let policies = get("cleanup.policy");
        let has_policy = |wanted: &str| policies.split(',').any(|policy| policy.trim() == wanted);
        let log_append_time = get("message.timestamp.type") == "LogAppendTime";
        let timestamp_type =
            if log_append_time { TimestampType::LogAppendTime } else { TimestampType::CreateTime };
        let flush_messages = positive("flush.messages");
        let log = LogConfig {
            segment_bytes: positive("segment.bytes"),
            segment_ms: number("segment.ms"),
            segment_jitter_ms: number("segment.jitter.ms"),
            segment_index_bytes: u32::try_from(number("segment.index.bytes")).unwrap_or(u32::MAX),
            index_interval_bytes: u32::try_from(number("index.interval.bytes")).unwrap_or(u32::MAX),
            retention_ms: number("retention.ms"),
            retention_bytes: number("retention.bytes"),
            delete: has_policy("delete"),
            compact: has_policy("compact"),
            delete_retention_ms: number("delete.retention.ms"),
            min_compaction_lag_ms: number("min.compaction.lag.ms"),
            max_compaction_lag_ms: number("max.compaction.lag.ms"),
            min_cleanable_ratio: get("min.cleanable.dirty.ratio").parse().unwrap_or(0.5),
            file_delete_delay_ms: number("file.delete.delay.ms"),
            flush_messages,
            flush_ms: positive("flush.ms"),
            timestamp_type,
            producer_expiration_ms: config.settings.number("producer.id.expiration.ms"),
        };
        let rules = ProduceRules {
            max_message_bytes: usize::try_from(number("max.message.bytes")).unwrap_or(0),
            timestamp_type,
            before_max_ms: number("message.timestamp.before.max.ms"),
            after_max_ms: number("message.timestamp.after.max.ms"),
            compression: target_compression(&get("compression.type"), number),
            compacted: log.compact,
            max_decompressed_bytes: limits::DECOMPRESSED_BATCH_BYTES,
            now: 0,
        };
        let replication = replication::Config {
            min_insync_replicas: usize::try_from(number("min.insync.replicas")).unwrap_or(1),
            replica_lag_time_max_ms: config.settings.count("replica.lag.time.max.ms"),
            count_flushed_only: flush_messages == 1,
        };
        let throttled = |key: &str| Throttled::parse(&get(key));
        let throttled = (
            throttled("leader.replication.throttled.replicas"),
            throttled("follower.replication.throttled.replicas"),
        );
        Self { log: Arc::new(log), replication, throttled, rules }
    }

    /// What a produced batch must be like at `now`.
    pub fn produce_rules(&self, now: TimestampMs) -> ProduceRules {
        ProduceRules { now, ..self.rules }
    }
}

fn target_compression(name: &str, level: impl Fn(&str) -> i64) -> TargetCompression {
    let leveled = |codec: Compression, key: &str| TargetCompression::Codec {
        codec,
        level: i32::try_from(level(key)).ok().filter(|level| *level != -1),
    };
    match name {
        "uncompressed" => TargetCompression::Codec { codec: Compression::None, level: None },
        "gzip" => leveled(Compression::Gzip, "compression.gzip.level"),
        "snappy" => TargetCompression::Codec { codec: Compression::Snappy, level: None },
        "lz4" => leveled(Compression::Lz4, "compression.lz4.level"),
        "zstd" => leveled(Compression::Zstd, "compression.zstd.level"),
        _ => TargetCompression::Producer,
    }
}
