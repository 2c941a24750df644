//! Kafka's names of files and directories (`LogFileUtils`, `UnifiedLog`).

use ottla_types::{Offset, TopicPartition};

/// Record batches.
pub const LOG: &str = ".log";
/// Offset to position.
pub const INDEX: &str = ".index";
/// Timestamp to offset.
pub const TIME_INDEX: &str = ".timeindex";
/// Aborted transactions.
pub const TXN_INDEX: &str = ".txnindex";
/// Producer state.
pub const SNAPSHOT: &str = ".snapshot";
/// Waits for its asynchronous removal.
pub const DELETED: &str = ".deleted";
/// Half-written output of the log cleaner.
pub const CLEANED: &str = ".cleaned";
/// Complete output of the log cleaner, about to take its place.
pub const SWAP: &str = ".swap";
/// Suffix of a partition's directory that waits for its asynchronous removal.
pub const DELETE_DIR: &str = "-delete";
/// Suffix of a partition's directory that is being filled from another data directory.
pub const FUTURE_DIR: &str = "-future";
/// Suffix of a partition's directory that does not belong here.
pub const STRAY_DIR: &str = "-stray";
/// Leader epochs and where they start.
pub const LEADER_EPOCH_CHECKPOINT: &str = "leader-epoch-checkpoint";
/// The topic's id.
pub const PARTITION_METADATA: &str = "partition.metadata";
/// Up to where each log is known to be on disk.
pub const RECOVERY_POINT_CHECKPOINT: &str = "recovery-point-offset-checkpoint";
/// Each log's start.
pub const LOG_START_CHECKPOINT: &str = "log-start-offset-checkpoint";
/// Up to where each log was compacted.
pub const CLEANER_CHECKPOINT: &str = "cleaner-offset-checkpoint";
/// Each partition's high watermark.
pub const HIGH_WATERMARK_CHECKPOINT: &str = "replication-offset-checkpoint";
/// Identity of a data directory.
pub const META_PROPERTIES: &str = "meta.properties";
/// Held while a broker uses a data directory.
pub const LOCK: &str = ".lock";
/// Written by a clean shutdown, removed at start.
pub const CLEAN_SHUTDOWN: &str = ".kafka_cleanshutdown";
/// The boot of the machine in which the directory was last used.
pub const BOOT_ID: &str = ".ottla_boot";
/// Bytes given back when the volume is full.
pub const RESERVE: &str = ".ottla_reserve";
/// The replicas that were ever made in the directories of this broker.
pub const MADE: &str = ".ottla_replicas";
/// The metadata log's directory.
pub const METADATA_DIR: &str = "__cluster_metadata-0";

/// `<20 digits><suffix>`.
#[must_use]
pub fn segment_file(base_offset: Offset, suffix: &str) -> String {
    format!("{base_offset:020}{suffix}")
}

/// The offset in a segment file's name, if it ends in `suffix` and has nothing else.
#[must_use]
pub fn segment_offset(name: &str, suffix: &str) -> Option<Offset> {
    let digits = name.strip_suffix(suffix)?;
    if digits.len() != 20 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}

/// `topic-0` read back.
#[must_use]
pub fn parse_partition_dir(name: &str) -> Option<TopicPartition> {
    let (topic, partition) = name.rsplit_once('-')?;
    if topic.is_empty() || partition.is_empty() || !partition.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(TopicPartition::new(topic, partition.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segments_name_holds_its_offset_in_twenty_digits() {
        assert_eq!(segment_file(42, LOG), "00000000000000000042.log");
        assert_eq!(segment_offset("00000000000000000042.log", LOG), Some(42));
        assert_eq!(segment_offset("00000000000000000042.log.deleted", LOG), None);
        assert_eq!(segment_offset("42.log", LOG), None);
    }

    #[test]
    fn a_topic_with_dashes_keeps_them() {
        assert_eq!(parse_partition_dir("a-b-12"), Some(TopicPartition::new("a-b", 12)));
        assert_eq!(parse_partition_dir("a-b"), None);
        assert_eq!(parse_partition_dir("a-1.x-delete"), None);
    }
}
