//! The log: segments, retention, flushing, compaction and the timestamps of records.

use super::Importance::{High, Low, Medium};
use super::UpdateMode::{ClusterWide, PerBroker, ReadOnly};
use super::row::{ANY, NONE, at_least, between, row};
use super::{Kind, Setting, Valid};

pub(super) const ROWS: &[Setting] = &[
    row("compression.gzip.level", Kind::Int, "-1", Valid::GzipLevel, Medium, ClusterWide)
        .applied("Level used where the broker compresses with gzip; -1 is the codec's own default."),
    row("compression.lz4.level", Kind::Int, "9", between(1, 17), Medium, ClusterWide)
        .applied("Level used where the broker compresses with lz4."),
    row(
        "compression.type",
        Kind::String,
        "producer",
        Valid::OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]),
        High,
        ClusterWide,
    )
    .applied("How batches are stored: as the producer sent them, or compressed again with this codec."),
    row("compression.zstd.level", Kind::Int, "3", between(-131072, 22), Medium, ClusterWide)
        .applied("Level used where the broker compresses with zstd."),
    row("cordoned.log.dirs", Kind::List, "", ANY, Medium, PerBroker)
        .later("Directories that get no new replicas."),
    row("default.replication.factor", Kind::Int, "1", ANY, Medium, ReadOnly)
        .applied("Replicas of a topic for which none are given."),
    row("delete.records.purgatory.purge.interval.requests", Kind::Int, "1", ANY, Medium, ReadOnly)
        .ignored("How often Kafka's list of waiting DeleteRecords requests is cleaned; Ottla's needs none."),
    row("delete.topic.enable", Kind::Boolean, "true", ANY, High, ReadOnly)
        .applied("Whether topics may be deleted."),
    row("follower.fetch.last.tiered.offset.enable", Kind::Boolean, "false", ANY, Medium, ClusterWide)
        .ignored("Tiered storage; Ottla keeps all data on its own disks."),
    row("log.cleaner.backoff.ms", Kind::Long, "15000", at_least(0), Medium, ClusterWide)
        .applied("Time the cleaner sleeps when there is nothing to clean."),
    row("log.cleaner.dedupe.buffer.size", Kind::Long, "134217728", ANY, Medium, ClusterWide)
        .applied("Memory of all cleaners together for the keys they have seen."),
    row("log.cleaner.delete.retention.ms", Kind::Long, "86400000", at_least(0), Medium, ClusterWide)
        .applied("How long tombstones of compacted topics stay."),
    row("log.cleaner.enable", Kind::Boolean, "true", ANY, Medium, ReadOnly)
        .applied("Whether compacted topics are cleaned."),
    row("log.cleaner.io.buffer.load.factor", Kind::Double, "0.9", ANY, Medium, ClusterWide)
        .applied("How full the memory for keys may get."),
    row("log.cleaner.io.buffer.size", Kind::Int, "524288", at_least(0), Medium, ClusterWide)
        .applied("Memory of the cleaners for reading and writing."),
    row(
        "log.cleaner.io.max.bytes.per.second",
        Kind::Double,
        "1.7976931348623157E308",
        ANY,
        Medium,
        ClusterWide,
    )
    .applied("Most bytes that cleaning reads and writes in a second."),
    row(
        "log.cleaner.max.compaction.lag.ms",
        Kind::Long,
        "9223372036854775807",
        at_least(1),
        Medium,
        ClusterWide,
    )
    .applied("Longest time a record of a compacted topic may stay uncleaned."),
    row("log.cleaner.min.cleanable.ratio", Kind::Double, "0.5", Valid::Fraction, Medium, ClusterWide)
        .applied("Share of a log that must be uncleaned before it is cleaned."),
    row("log.cleaner.min.compaction.lag.ms", Kind::Long, "0", at_least(0), Medium, ClusterWide)
        .applied("Shortest time a record of a compacted topic stays as it is."),
    row("log.cleaner.threads", Kind::Int, "1", at_least(0), Medium, ClusterWide)
        .applied("Threads that clean."),
    row(
        "log.cleanup.policy",
        Kind::List,
        "delete",
        Valid::OneOf(&["compact", "delete"]),
        Medium,
        ClusterWide,
    )
    .applied("What happens to old records: deleted, compacted, or both."),
    row("log.dir", Kind::List, "/tmp/kafka-logs", ANY, High, ReadOnly)
        .applied("Data directories if log.dirs is not set."),
    row("log.dir.failure.timeout.ms", Kind::Long, "30000", at_least(1), Low, ReadOnly)
        .later("Time a broker tries to report a failed directory before it stops."),
    row("log.dirs", Kind::List, NONE, ANY, High, ReadOnly).applied("Data directories, separated by commas."),
    row("log.flush.interval.messages", Kind::Long, "9223372036854775807", at_least(1), High, ClusterWide)
        .applied(
            "Records after which a log is written through to disk; 1 acknowledges only what is on disk.",
        ),
    row("log.flush.interval.ms", Kind::Long, NONE, ANY, High, ClusterWide)
        .applied("Time after which a log is written through to disk."),
    row("log.flush.offset.checkpoint.interval.ms", Kind::Int, "60000", at_least(0), High, ReadOnly)
        .applied("How often recovery points are saved."),
    row("log.flush.scheduler.interval.ms", Kind::Long, "9223372036854775807", ANY, High, ReadOnly)
        .applied("How often logs are looked at for flushing; used where log.flush.interval.ms is not set."),
    row("log.flush.start.offset.checkpoint.interval.ms", Kind::Int, "60000", at_least(0), High, ReadOnly)
        .later("How often log start offsets are saved."),
    row("log.index.interval.bytes", Kind::Int, "4096", at_least(0), Medium, ClusterWide)
        .applied("Bytes of log between two entries of its index."),
    row("log.index.size.max.bytes", Kind::Int, "10485760", at_least(4), Medium, ClusterWide)
        .applied("Most bytes of an index file."),
    row("log.local.retention.bytes", Kind::Long, "-2", at_least(-2), Medium, ClusterWide)
        .ignored("Tiered storage; Ottla keeps all data on its own disks."),
    row("log.local.retention.ms", Kind::Long, "-2", at_least(-2), Medium, ClusterWide)
        .ignored("Tiered storage; Ottla keeps all data on its own disks."),
    row("log.message.timestamp.after.max.ms", Kind::Long, "3600000", at_least(0), Medium, ClusterWide)
        .applied("How far a record's timestamp may lie in the future."),
    row(
        "log.message.timestamp.before.max.ms",
        Kind::Long,
        "9223372036854775807",
        at_least(0),
        Medium,
        ClusterWide,
    )
    .applied("How far a record's timestamp may lie in the past."),
    row(
        "log.message.timestamp.type",
        Kind::String,
        "CreateTime",
        Valid::OneOf(&["CreateTime", "LogAppendTime"]),
        Medium,
        ClusterWide,
    )
    .applied("Whether records carry the producer's time or the broker's."),
    row("log.preallocate", Kind::Boolean, "false", ANY, Medium, ClusterWide)
        .later("Whether segment files are given their full size when they are made."),
    row("log.retention.bytes", Kind::Long, "-1", ANY, High, ClusterWide)
        .applied("Bytes a partition may keep; -1 for no limit."),
    row("log.retention.check.interval.ms", Kind::Long, "300000", at_least(1), Medium, ReadOnly)
        .applied("How often logs are looked at for old segments."),
    row("log.retention.hours", Kind::Int, "168", ANY, High, ReadOnly)
        .applied("Hours a segment is kept; log.retention.ms and log.retention.minutes go before it."),
    row("log.retention.minutes", Kind::Int, NONE, ANY, High, ReadOnly)
        .applied("Minutes a segment is kept; log.retention.ms goes before it."),
    row("log.retention.ms", Kind::Long, NONE, ANY, High, ClusterWide)
        .applied("Milliseconds a segment is kept; -1 for ever."),
    row("log.roll.hours", Kind::Int, "168", at_least(1), High, ReadOnly)
        .applied("Hours after which a new segment is begun; log.roll.ms goes before it."),
    row("log.roll.jitter.hours", Kind::Int, "0", at_least(0), High, ReadOnly)
        .applied("Hours of random shortening of log.roll.hours."),
    row("log.roll.jitter.ms", Kind::Long, NONE, ANY, High, ClusterWide)
        .applied("Milliseconds of random shortening of log.roll.ms."),
    row("log.roll.ms", Kind::Long, NONE, ANY, High, ClusterWide)
        .applied("Milliseconds after which a new segment is begun."),
    row("log.segment.bytes", Kind::Int, "1073741824", at_least(1048576), High, ClusterWide)
        .applied("Most bytes of a segment file."),
    row("log.segment.delete.delay.ms", Kind::Long, "60000", at_least(0), High, ClusterWide)
        .applied("Time between the renaming of a file and its deletion."),
    row("message.max.bytes", Kind::Int, "1048588", at_least(0), High, ClusterWide)
        .applied("Most bytes of a record batch."),
    row("metadata.log.dir", Kind::String, NONE, ANY, High, ReadOnly)
        .later("Directory of the metadata log; the first data directory if not set."),
    row(
        "metadata.log.max.record.bytes.between.snapshots",
        Kind::Long,
        "20971520",
        at_least(1),
        High,
        ReadOnly,
    )
    .applied("Bytes of metadata records after which a snapshot is taken, 4 MiB at the most."),
    row("metadata.log.max.snapshot.interval.ms", Kind::Long, "3600000", at_least(0), High, ReadOnly)
        .later("Time after which a snapshot of the metadata is taken."),
    row("metadata.log.segment.bytes", Kind::Int, "1073741824", at_least(8388608), High, ReadOnly)
        .ignored("Most bytes of a segment of the metadata log."),
    row("metadata.log.segment.ms", Kind::Long, "604800000", ANY, High, ReadOnly)
        .ignored("Time after which the metadata log begins a new segment."),
    row("metadata.max.idle.interval.ms", Kind::Int, "500", at_least(0), Low, ReadOnly)
        .ignored("How often Kafka's controller writes when it has nothing to write."),
    row("metadata.max.retention.bytes", Kind::Long, "104857600", ANY, High, ReadOnly)
        .ignored("Bytes of old metadata that are kept."),
    row("metadata.max.retention.ms", Kind::Long, "604800000", ANY, High, ReadOnly)
        .ignored("Time that old metadata is kept."),
    row("min.insync.replicas", Kind::Int, "1", at_least(1), High, ClusterWide)
        .applied("In-sync replicas that acks=all needs."),
    row("num.partitions", Kind::Int, "1", at_least(1), Medium, ReadOnly)
        .applied("Partitions of a topic for which none are given."),
    row("num.recovery.threads.per.data.dir", Kind::Int, "2", at_least(1), High, ClusterWide)
        .later("Threads that load the logs of one directory at start."),
    row("offset.metadata.max.bytes", Kind::Int, "4096", ANY, High, ReadOnly)
        .applied("Most bytes of the text that goes with a committed offset."),
    row("offsets.commit.timeout.ms", Kind::Int, "5000", at_least(1), High, ReadOnly)
        .applied("Time a commit may wait for its replicas."),
    row("offsets.load.buffer.size", Kind::Int, "5242880", at_least(1), High, ReadOnly)
        .ignored("Bytes read at a time when committed offsets are loaded."),
    row("offsets.retention.check.interval.ms", Kind::Long, "600000", at_least(1), High, ReadOnly)
        .applied("How often committed offsets are looked at for expiry."),
    row("offsets.retention.minutes", Kind::Int, "10080", at_least(1), High, ReadOnly)
        .applied("How long offsets of a group without members are kept."),
    row("offsets.topic.compression.codec", Kind::Int, "0", ANY, High, ReadOnly)
        .ignored("Codec of the topic of committed offsets."),
    row("offsets.topic.num.partitions", Kind::Int, "50", at_least(1), High, ReadOnly)
        .applied("Partitions of the topic of committed offsets."),
    row("offsets.topic.replication.factor", Kind::Short, "3", at_least(1), High, ReadOnly)
        .applied("Replicas of the topic of committed offsets; fewer while there are fewer brokers."),
    row("offsets.topic.segment.bytes", Kind::Int, "104857600", at_least(1), High, ReadOnly)
        .applied("Most bytes of a segment of the topic of committed offsets."),
    row("producer.id.expiration.ms", Kind::Int, "86400000", at_least(1), Low, ClusterWide)
        .applied("How long an idle producer's sequence numbers are remembered."),
    row("remote.fetch.max.wait.ms", Kind::Int, "500", at_least(1), Medium, ClusterWide)
        .ignored("Tiered storage; Ottla keeps all data on its own disks."),
    row("remote.list.offsets.request.timeout.ms", Kind::Long, "30000", at_least(1), Medium, ClusterWide)
        .ignored("Tiered storage; Ottla keeps all data on its own disks."),
    row(
        "remote.log.index.file.cache.total.size.bytes",
        Kind::Long,
        "1073741824",
        at_least(1),
        Low,
        ClusterWide,
    )
    .ignored("Tiered storage; Ottla keeps all data on its own disks."),
    row("remote.log.manager.copier.thread.pool.size", Kind::Int, "10", at_least(1), Medium, ClusterWide)
        .ignored("Tiered storage; Ottla keeps all data on its own disks."),
    row(
        "remote.log.manager.copy.max.bytes.per.second",
        Kind::Long,
        "9223372036854775807",
        at_least(1),
        Medium,
        ClusterWide,
    )
    .ignored("Tiered storage; Ottla keeps all data on its own disks."),
    row("remote.log.manager.copy.quota.window.num", Kind::Int, "11", at_least(1), Medium, ReadOnly)
        .ignored("Tiered storage; Ottla keeps all data on its own disks."),
    row("remote.log.manager.copy.quota.window.size.seconds", Kind::Int, "1", at_least(1), Medium, ReadOnly)
        .ignored("Tiered storage; Ottla keeps all data on its own disks."),
    row("remote.log.manager.expiration.thread.pool.size", Kind::Int, "10", at_least(1), Medium, ClusterWide)
        .ignored("Tiered storage; Ottla keeps all data on its own disks."),
    row(
        "remote.log.manager.fetch.max.bytes.per.second",
        Kind::Long,
        "9223372036854775807",
        at_least(1),
        Medium,
        ClusterWide,
    )
    .ignored("Tiered storage; Ottla keeps all data on its own disks."),
    row("remote.log.manager.fetch.quota.window.num", Kind::Int, "11", at_least(1), Medium, ReadOnly)
        .ignored("Tiered storage; Ottla keeps all data on its own disks."),
    row("remote.log.manager.fetch.quota.window.size.seconds", Kind::Int, "1", at_least(1), Medium, ReadOnly)
        .ignored("Tiered storage; Ottla keeps all data on its own disks."),
    row("remote.log.manager.follower.thread.pool.size", Kind::Int, "2", at_least(1), Medium, ClusterWide)
        .ignored("Tiered storage; Ottla keeps all data on its own disks."),
    row("remote.log.manager.task.interval.ms", Kind::Long, "30000", at_least(1), Low, ReadOnly)
        .ignored("Tiered storage; Ottla keeps all data on its own disks."),
    row("remote.log.manager.thread.pool.size", Kind::Int, "2", at_least(1), Medium, ReadOnly)
        .ignored("Tiered storage; Ottla keeps all data on its own disks."),
    row("remote.log.metadata.custom.metadata.max.bytes", Kind::Int, "128", at_least(0), Low, ReadOnly)
        .ignored("Tiered storage; Ottla keeps all data on its own disks."),
    row(
        "remote.log.metadata.manager.class.name",
        Kind::String,
        "org.apache.kafka.server.log.remote.metadata.storage.TopicBasedRemoteLogMetadataManager",
        Valid::NonEmpty,
        Medium,
        ReadOnly,
    )
    .ignored("Tiered storage; Ottla keeps all data on its own disks."),
    row("remote.log.metadata.manager.class.path", Kind::String, NONE, ANY, Medium, ReadOnly)
        .ignored("Tiered storage; Ottla keeps all data on its own disks."),
    row(
        "remote.log.metadata.manager.impl.prefix",
        Kind::String,
        "rlmm.config.",
        Valid::NonEmpty,
        Medium,
        ReadOnly,
    )
    .ignored("Tiered storage; Ottla keeps all data on its own disks."),
    row("remote.log.metadata.manager.listener.name", Kind::String, NONE, ANY, Medium, ReadOnly)
        .ignored("Tiered storage; Ottla keeps all data on its own disks."),
    row("remote.log.reader.max.pending.tasks", Kind::Int, "100", at_least(1), Medium, ReadOnly)
        .ignored("Tiered storage; Ottla keeps all data on its own disks."),
    row("remote.log.reader.threads", Kind::Int, "10", at_least(1), Medium, ClusterWide)
        .ignored("Tiered storage; Ottla keeps all data on its own disks."),
    row("remote.log.storage.manager.class.name", Kind::String, NONE, ANY, Medium, ReadOnly)
        .ignored("Tiered storage; Ottla keeps all data on its own disks."),
    row("remote.log.storage.manager.class.path", Kind::String, NONE, ANY, Medium, ReadOnly)
        .ignored("Tiered storage; Ottla keeps all data on its own disks."),
    row(
        "remote.log.storage.manager.impl.prefix",
        Kind::String,
        "rsm.config.",
        Valid::NonEmpty,
        Medium,
        ReadOnly,
    )
    .ignored("Tiered storage; Ottla keeps all data on its own disks."),
    row("remote.log.storage.system.enable", Kind::Boolean, "false", ANY, Medium, ReadOnly)
        .ignored("Tiered storage; Ottla keeps all data on its own disks."),
    row("unclean.leader.election.enable", Kind::Boolean, "false", ANY, High, ClusterWide)
        .applied("Whether a replica out of sync may lead, at the price of lost records."),
];
