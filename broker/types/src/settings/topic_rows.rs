//! Settings of a topic.

use super::Importance::Medium;
use super::UpdateMode::ClusterWide;
use super::row::{ANY, at_least, between, row};
use super::{Kind, Setting, Valid};

pub(super) const ROWS: &[Setting] = &[
    row("cleanup.policy", Kind::List, "delete", Valid::OneOf(&["compact", "delete"]), Medium, ClusterWide)
        .applied("What happens to old records: deleted, compacted, or both."),
    row("compression.gzip.level", Kind::Int, "-1", Valid::GzipLevel, Medium, ClusterWide)
        .applied("Level where compression.type is gzip; -1 is the codec's own default."),
    row("compression.lz4.level", Kind::Int, "9", between(1, 17), Medium, ClusterWide)
        .applied("Level where compression.type is lz4."),
    row(
        "compression.type",
        Kind::String,
        "producer",
        Valid::OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]),
        Medium,
        ClusterWide,
    )
    .applied("How batches are stored: as the producer sent them, or compressed again with this codec."),
    row("compression.zstd.level", Kind::Int, "3", between(-131072, 22), Medium, ClusterWide)
        .applied("Level where compression.type is zstd."),
    row("delete.retention.ms", Kind::Long, "86400000", at_least(0), Medium, ClusterWide)
        .applied("How long tombstones stay after compaction could remove them."),
    row("file.delete.delay.ms", Kind::Long, "60000", at_least(0), Medium, ClusterWide)
        .applied("Time between the renaming of a file and its deletion."),
    row("flush.messages", Kind::Long, "9223372036854775807", at_least(1), Medium, ClusterWide).applied(
        "Records after which the log is written through to disk; 1 acknowledges only what is on disk.",
    ),
    row("flush.ms", Kind::Long, "9223372036854775807", at_least(0), Medium, ClusterWide)
        .applied("Time after which the log is written through to disk."),
    row(
        "follower.replication.throttled.replicas",
        Kind::List,
        "",
        Valid::ThrottledReplicas,
        Medium,
        ClusterWide,
    )
    .applied("Replicas whose fetching is throttled, as partition:broker, or * for all."),
    row("index.interval.bytes", Kind::Int, "4096", at_least(0), Medium, ClusterWide)
        .applied("Bytes of log between two entries of its index."),
    row(
        "leader.replication.throttled.replicas",
        Kind::List,
        "",
        Valid::ThrottledReplicas,
        Medium,
        ClusterWide,
    )
    .applied("Replicas whose sending to followers is throttled, as partition:broker, or * for all."),
    row("local.retention.bytes", Kind::Long, "-2", at_least(-2), Medium, ClusterWide)
        .ignored("Tiered storage; Ottla keeps all data on its own disks."),
    row("local.retention.ms", Kind::Long, "-2", at_least(-2), Medium, ClusterWide)
        .ignored("Tiered storage; Ottla keeps all data on its own disks."),
    row("max.compaction.lag.ms", Kind::Long, "9223372036854775807", at_least(1), Medium, ClusterWide)
        .applied("Longest time a record may stay uncompacted."),
    row("max.message.bytes", Kind::Int, "1048588", at_least(0), Medium, ClusterWide)
        .applied("Most bytes of a record batch."),
    row("message.timestamp.after.max.ms", Kind::Long, "3600000", at_least(0), Medium, ClusterWide)
        .applied("How far a record's timestamp may lie in the future."),
    row(
        "message.timestamp.before.max.ms",
        Kind::Long,
        "9223372036854775807",
        at_least(0),
        Medium,
        ClusterWide,
    )
    .applied("How far a record's timestamp may lie in the past."),
    row(
        "message.timestamp.type",
        Kind::String,
        "CreateTime",
        Valid::OneOf(&["CreateTime", "LogAppendTime"]),
        Medium,
        ClusterWide,
    )
    .applied("Whether records carry the producer's time or the broker's."),
    row("min.cleanable.dirty.ratio", Kind::Double, "0.5", Valid::Fraction, Medium, ClusterWide)
        .applied("Share of the log that must be uncleaned before it is compacted."),
    row("min.compaction.lag.ms", Kind::Long, "0", at_least(0), Medium, ClusterWide)
        .applied("Shortest time a record stays as it is."),
    row("min.insync.replicas", Kind::Int, "1", at_least(1), Medium, ClusterWide)
        .applied("In-sync replicas that acks=all needs."),
    row("preallocate", Kind::Boolean, "false", ANY, Medium, ClusterWide)
        .later("Whether segment files are given their full size when they are made."),
    row("remote.log.copy.disable", Kind::Boolean, "false", ANY, Medium, ClusterWide)
        .ignored("Tiered storage; Ottla keeps all data on its own disks."),
    row("remote.log.delete.on.disable", Kind::Boolean, "false", ANY, Medium, ClusterWide)
        .ignored("Tiered storage; Ottla keeps all data on its own disks."),
    row("remote.storage.enable", Kind::Boolean, "false", ANY, Medium, ClusterWide)
        .ignored("Tiered storage; Ottla keeps all data on its own disks."),
    row("retention.bytes", Kind::Long, "-1", ANY, Medium, ClusterWide)
        .applied("Bytes a partition may keep; -1 for no limit."),
    row("retention.ms", Kind::Long, "604800000", at_least(-1), Medium, ClusterWide)
        .applied("Milliseconds a segment is kept; -1 for ever."),
    row("segment.bytes", Kind::Int, "1073741824", at_least(1048576), Medium, ClusterWide)
        .applied("Most bytes of a segment file."),
    row("segment.index.bytes", Kind::Int, "10485760", at_least(4), Medium, ClusterWide)
        .applied("Most bytes of an index file."),
    row("segment.jitter.ms", Kind::Long, "0", at_least(0), Medium, ClusterWide)
        .applied("Milliseconds of random shortening of segment.ms."),
    row("segment.ms", Kind::Long, "604800000", at_least(1), Medium, ClusterWide)
        .applied("Milliseconds after which a new segment is begun."),
    row("unclean.leader.election.enable", Kind::Boolean, "false", ANY, Medium, ClusterWide)
        .applied("Whether a replica out of sync may lead, at the price of lost records."),
];
