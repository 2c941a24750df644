//! Settings of a topic, and the broker settings behind them.

use super::{InvalidSetting, Setting, topic_rows};

/// A broker setting that a topic's setting falls back to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Synonym {
    /// The broker's key.
    pub key: &'static str,
    /// What its value is multiplied with: log.retention.hours is retention.ms times 3,600,000.
    pub factor: i64,
}

/// All of them, by key.
pub fn all() -> impl Iterator<Item = &'static Setting> {
    topic_rows::ROWS.iter()
}

/// The setting of that key.
#[must_use]
pub fn lookup(key: &str) -> Option<&'static Setting> {
    let found = topic_rows::ROWS.binary_search_by(|row| row.key.cmp(key)).ok()?;
    topic_rows::ROWS.get(found)
}

/// Checks a value.
///
/// # Errors
/// If the key is unknown, or the value is not of its type or out of bounds.
pub fn validate(key: &str, value: &str) -> Result<(), InvalidSetting> {
    lookup(key).ok_or_else(|| InvalidSetting::UnknownKey { key: key.to_owned() })?.validate(value)
}

const fn same(key: &'static str) -> Synonym {
    Synonym { key, factor: 1 }
}

const HOURS: i64 = 3_600_000;

const SYNONYMS: &[(&str, &[Synonym])] = &[
    ("cleanup.policy", &[same("log.cleanup.policy")]),
    ("compression.gzip.level", &[same("compression.gzip.level")]),
    ("compression.lz4.level", &[same("compression.lz4.level")]),
    ("compression.type", &[same("compression.type")]),
    ("compression.zstd.level", &[same("compression.zstd.level")]),
    ("delete.retention.ms", &[same("log.cleaner.delete.retention.ms")]),
    ("file.delete.delay.ms", &[same("log.segment.delete.delay.ms")]),
    ("flush.messages", &[same("log.flush.interval.messages")]),
    ("flush.ms", &[same("log.flush.interval.ms"), same("log.flush.scheduler.interval.ms")]),
    ("index.interval.bytes", &[same("log.index.interval.bytes")]),
    ("local.retention.bytes", &[same("log.local.retention.bytes")]),
    ("local.retention.ms", &[same("log.local.retention.ms")]),
    ("max.compaction.lag.ms", &[same("log.cleaner.max.compaction.lag.ms")]),
    ("max.message.bytes", &[same("message.max.bytes")]),
    ("message.timestamp.after.max.ms", &[same("log.message.timestamp.after.max.ms")]),
    ("message.timestamp.before.max.ms", &[same("log.message.timestamp.before.max.ms")]),
    ("message.timestamp.type", &[same("log.message.timestamp.type")]),
    ("min.cleanable.dirty.ratio", &[same("log.cleaner.min.cleanable.ratio")]),
    ("min.compaction.lag.ms", &[same("log.cleaner.min.compaction.lag.ms")]),
    ("min.insync.replicas", &[same("min.insync.replicas")]),
    ("preallocate", &[same("log.preallocate")]),
    ("retention.bytes", &[same("log.retention.bytes")]),
    (
        "retention.ms",
        &[
            same("log.retention.ms"),
            Synonym { key: "log.retention.minutes", factor: 60_000 },
            Synonym { key: "log.retention.hours", factor: HOURS },
        ],
    ),
    ("segment.bytes", &[same("log.segment.bytes")]),
    ("segment.index.bytes", &[same("log.index.size.max.bytes")]),
    (
        "segment.jitter.ms",
        &[same("log.roll.jitter.ms"), Synonym { key: "log.roll.jitter.hours", factor: HOURS }],
    ),
    ("segment.ms", &[same("log.roll.ms"), Synonym { key: "log.roll.hours", factor: HOURS }]),
    ("unclean.leader.election.enable", &[same("unclean.leader.election.enable")]),
];

/// The broker settings that stand in for a topic's, first one first; the first that is set counts
/// (`org.apache.kafka.server.config.ServerTopicConfigSynonyms`). Empty for settings that only topics have.
#[must_use]
pub fn synonyms(key: &str) -> &'static [Synonym] {
    SYNONYMS.iter().find(|(topic, _)| *topic == key).map_or(&[], |(_, brokers)| brokers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::broker;

    #[test]
    fn every_synonym_is_a_broker_setting_with_the_same_default() {
        for setting in all() {
            for synonym in synonyms(setting.key) {
                let broker = broker::lookup(synonym.key).unwrap();
                if let (Some(theirs), Some(ours)) = (broker.default, setting.default)
                    && synonym.factor == 1
                {
                    assert_eq!(theirs, ours, "{}", setting.key);
                }
            }
        }
        let hours: i64 = broker::lookup("log.retention.hours").unwrap().default.unwrap().parse().unwrap();
        assert_eq!(lookup("retention.ms").unwrap().default, Some((hours * HOURS).to_string().as_str()));
    }
}
