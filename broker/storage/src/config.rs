//! The settings of one log, already resolved. Keys and meanings are Kafka's topic settings.

use ottla_records::TimestampType;

/// The settings of one log. Shared by all logs of a topic; replaced whole by [`crate::Log::set_config`].
#[derive(Debug, Clone, PartialEq)]
pub struct LogConfig {
    /// `segment.bytes`: roll before a segment grows past this.
    pub segment_bytes: u64,
    /// `segment.ms`: roll when the active segment spans this much time.
    pub segment_ms: i64,
    /// `segment.jitter.ms`: at most so much is taken off `segment_ms`, different for each segment.
    pub segment_jitter_ms: i64,
    /// `segment.index.bytes`: roll when an index reaches this.
    pub segment_index_bytes: u32,
    /// `index.interval.bytes`: one index entry for about so many bytes of batches.
    pub index_interval_bytes: u32,
    /// `retention.ms`; -1 keeps for ever.
    pub retention_ms: i64,
    /// `retention.bytes`; -1 keeps all.
    pub retention_bytes: i64,
    /// `cleanup.policy` has `delete`.
    pub delete: bool,
    /// `cleanup.policy` has `compact`.
    pub compact: bool,
    /// `delete.retention.ms`: tombstones stay so long after they were first cleaned.
    pub delete_retention_ms: i64,
    /// `min.compaction.lag.ms`: a record stays as it is for so long.
    pub min_compaction_lag_ms: i64,
    /// `max.compaction.lag.ms`: a record does not stay as it is for longer; also bounds `segment_ms`.
    pub max_compaction_lag_ms: i64,
    /// `min.cleanable.dirty.ratio`: the share of the log that must be dirty.
    pub min_cleanable_ratio: f64,
    /// `file.delete.delay.ms`.
    pub file_delete_delay_ms: i64,
    /// `flush.messages`: sync when so many records wait.
    pub flush_messages: u64,
    /// `flush.ms`: sync when the oldest unsynced record waits so long.
    pub flush_ms: u64,
    /// `message.timestamp.type`.
    pub timestamp_type: TimestampType,
    /// `producer.id.expiration.ms` (a broker setting).
    pub producer_expiration_ms: i64,
}

impl LogConfig {
    /// The time an active segment may span: a record that must be compacted in time must leave it in time.
    #[must_use]
    pub fn roll_ms(&self) -> i64 {
        match self.max_compaction_lag_ms {
            lag if self.compact && lag > 0 => self.segment_ms.min(lag),
            _ => self.segment_ms,
        }
    }
}

impl Default for LogConfig {
    /// Kafka's defaults.
    fn default() -> Self {
        Self {
            segment_bytes: 1 << 30,
            segment_ms: 7 * 24 * 3_600 * 1_000,
            segment_jitter_ms: 0,
            segment_index_bytes: 10 << 20,
            index_interval_bytes: 4_096,
            retention_ms: 7 * 24 * 3_600 * 1_000,
            retention_bytes: -1,
            delete: true,
            compact: false,
            delete_retention_ms: 24 * 3_600 * 1_000,
            min_compaction_lag_ms: 0,
            max_compaction_lag_ms: i64::MAX,
            min_cleanable_ratio: 0.5,
            file_delete_delay_ms: 60_000,
            flush_messages: u64::MAX,
            flush_ms: u64::MAX,
            timestamp_type: TimestampType::CreateTime,
            producer_expiration_ms: 24 * 3_600 * 1_000,
        }
    }
}
