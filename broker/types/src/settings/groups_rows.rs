//! Consumer, share and streams groups, their coordinators and transactions.

use super::Importance::{High, Low, Medium};
use super::UpdateMode::{ClusterWide, ReadOnly};
use super::row::{ANY, at_least, between, row};
use super::{Kind, Setting, Valid};

pub(super) const ROWS: &[Setting] = &[
    row("add.partitions.to.txn.retry.backoff.max.ms", Kind::Int, "100", at_least(0), High, ReadOnly)
        .later("Longest wait before a partition is added to a transaction again, in milliseconds."),
    row("add.partitions.to.txn.retry.backoff.ms", Kind::Int, "20", at_least(1), High, ReadOnly)
        .later("First wait before a partition is added to a transaction again, in milliseconds."),
    row("group.consumer.assignment.interval.ms", Kind::Int, "1000", at_least(0), Medium, ClusterWide)
        .applied("Least time between two computed assignments of a consumer group."),
    row("group.consumer.assignors", Kind::List, "uniform,range", ANY, Medium, ReadOnly)
        .applied("Server-side assignors; the first is the default."),
    row("group.consumer.heartbeat.interval.ms", Kind::Int, "5000", at_least(1), Medium, ReadOnly)
        .applied("Time between heartbeats told to members of consumer groups."),
    row("group.consumer.max.assignment.interval.ms", Kind::Int, "15000", at_least(0), Medium, ReadOnly)
        .applied("Largest assignment interval a group may set."),
    row("group.consumer.max.heartbeat.interval.ms", Kind::Int, "15000", at_least(1), Medium, ReadOnly)
        .applied("Largest heartbeat interval a consumer group may set."),
    row("group.consumer.max.session.timeout.ms", Kind::Int, "60000", at_least(1), Medium, ReadOnly)
        .applied("Largest session time-out a consumer group may set."),
    row("group.consumer.max.size", Kind::Int, "2147483647", at_least(1), Medium, ReadOnly)
        .applied("Most members of a consumer group."),
    row(
        "group.consumer.migration.policy",
        Kind::String,
        "bidirectional",
        Valid::OneOfAnyCase(&["DISABLED", "DOWNGRADE", "UPGRADE", "BIDIRECTIONAL"]),
        Medium,
        ReadOnly,
    )
    .applied("Which way groups with members may change between the two protocols."),
    row("group.consumer.min.assignment.interval.ms", Kind::Int, "0", at_least(0), Medium, ReadOnly)
        .applied("Smallest assignment interval a group may set."),
    row("group.consumer.min.heartbeat.interval.ms", Kind::Int, "5000", at_least(1), Medium, ReadOnly)
        .applied("Smallest heartbeat interval a consumer group may set."),
    row("group.consumer.min.session.timeout.ms", Kind::Int, "45000", at_least(1), Medium, ReadOnly)
        .applied("Smallest session time-out a consumer group may set."),
    row("group.consumer.session.timeout.ms", Kind::Int, "45000", at_least(1), Medium, ReadOnly)
        .applied("Silence after which a member of a consumer group is removed."),
    row("group.coordinator.append.linger.ms", Kind::Int, "-1", at_least(-1), Medium, ReadOnly)
        .ignored("Time a group coordinator gathers records into one write."),
    row("group.coordinator.background.threads", Kind::Int, "2", at_least(1), High, ReadOnly)
        .ignored("Threads for assignments; Ottla computes them where it coordinates."),
    row(
        "group.coordinator.cached.buffer.max.bytes",
        Kind::Int,
        "1048588",
        at_least(524288),
        Medium,
        ClusterWide,
    )
    .ignored("Bytes of a write buffer a coordinator keeps."),
    row(
        "group.coordinator.rebalance.protocols",
        Kind::List,
        "classic,consumer,streams",
        Valid::OneOf(&["consumer", "classic", "share", "streams"]),
        Medium,
        ReadOnly,
    )
    .applied("Group protocols that are served; share and streams groups are not, whatever is listed."),
    row("group.coordinator.threads", Kind::Int, "4", at_least(1), High, ReadOnly)
        .ignored("Threads of Kafka's group coordinator."),
    row("group.initial.rebalance.delay.ms", Kind::Int, "3000", ANY, Medium, ReadOnly)
        .applied("Time a new classic group waits for more members before its first rebalance."),
    row("group.max.session.timeout.ms", Kind::Int, "1800000", ANY, Medium, ReadOnly)
        .applied("Largest session time-out a classic member may ask for."),
    row("group.max.size", Kind::Int, "2147483647", at_least(1), Medium, ReadOnly)
        .applied("Most members of a classic group."),
    row("group.min.session.timeout.ms", Kind::Int, "6000", ANY, Medium, ReadOnly)
        .applied("Smallest session time-out a classic member may ask for."),
    row("group.share.assignment.interval.ms", Kind::Int, "1000", at_least(0), Medium, ClusterWide)
        .later("Limits and time-outs of share groups."),
    row("group.share.assignors", Kind::List, "simple", ANY, Medium, ReadOnly)
        .later("Limits and time-outs of share groups."),
    row("group.share.delivery.count.limit", Kind::Int, "5", between(2, 10), Medium, ReadOnly)
        .later("Limits and time-outs of share groups."),
    row("group.share.heartbeat.interval.ms", Kind::Int, "5000", at_least(1), Medium, ReadOnly)
        .later("Limits and time-outs of share groups."),
    row("group.share.max.assignment.interval.ms", Kind::Int, "15000", at_least(0), Medium, ReadOnly)
        .later("Limits and time-outs of share groups."),
    row("group.share.max.delivery.count.limit", Kind::Int, "10", between(5, 25), Medium, ReadOnly)
        .later("Limits and time-outs of share groups."),
    row("group.share.max.heartbeat.interval.ms", Kind::Int, "15000", at_least(1), Medium, ReadOnly)
        .later("Limits and time-outs of share groups."),
    row(
        "group.share.max.partition.max.record.locks",
        Kind::Int,
        "4000",
        between(2000, 10000),
        Medium,
        ReadOnly,
    )
    .later("Limits and time-outs of share groups."),
    row(
        "group.share.max.record.lock.duration.ms",
        Kind::Int,
        "60000",
        between(30000, 3600000),
        Medium,
        ReadOnly,
    )
    .later("Limits and time-outs of share groups."),
    row("group.share.max.session.timeout.ms", Kind::Int, "60000", at_least(1), Medium, ReadOnly)
        .later("Limits and time-outs of share groups."),
    row("group.share.max.share.sessions", Kind::Int, "2000", at_least(1), Medium, ReadOnly)
        .later("Limits and time-outs of share groups."),
    row("group.share.max.size", Kind::Int, "200", between(1, 1000), Medium, ReadOnly)
        .later("Limits and time-outs of share groups."),
    row("group.share.min.assignment.interval.ms", Kind::Int, "0", at_least(0), Medium, ReadOnly)
        .later("Limits and time-outs of share groups."),
    row("group.share.min.delivery.count.limit", Kind::Int, "2", between(2, 5), Medium, ReadOnly)
        .later("Limits and time-outs of share groups."),
    row("group.share.min.heartbeat.interval.ms", Kind::Int, "5000", at_least(1), Medium, ReadOnly)
        .later("Limits and time-outs of share groups."),
    row("group.share.min.partition.max.record.locks", Kind::Int, "100", between(100, 2000), Medium, ReadOnly)
        .later("Limits and time-outs of share groups."),
    row(
        "group.share.min.record.lock.duration.ms",
        Kind::Int,
        "15000",
        between(1000, 30000),
        Medium,
        ReadOnly,
    )
    .later("Limits and time-outs of share groups."),
    row("group.share.min.session.timeout.ms", Kind::Int, "45000", at_least(1), Medium, ReadOnly)
        .later("Limits and time-outs of share groups."),
    row("group.share.partition.max.record.locks", Kind::Int, "2000", between(100, 10000), Medium, ReadOnly)
        .later("Limits and time-outs of share groups."),
    row("group.share.record.lock.duration.ms", Kind::Int, "30000", between(1000, 3600000), Medium, ReadOnly)
        .later("Limits and time-outs of share groups."),
    row("group.share.session.timeout.ms", Kind::Int, "45000", at_least(1), Medium, ReadOnly)
        .later("Limits and time-outs of share groups."),
    row("group.streams.assignment.interval.ms", Kind::Int, "1000", at_least(0), Medium, ClusterWide)
        .later("Limits and time-outs of streams groups."),
    row("group.streams.heartbeat.interval.ms", Kind::Int, "5000", at_least(1), Medium, ReadOnly)
        .later("Limits and time-outs of streams groups."),
    row("group.streams.initial.rebalance.delay.ms", Kind::Int, "3000", at_least(0), Medium, ReadOnly)
        .later("Limits and time-outs of streams groups."),
    row("group.streams.max.assignment.interval.ms", Kind::Int, "15000", at_least(0), Medium, ReadOnly)
        .later("Limits and time-outs of streams groups."),
    row("group.streams.max.heartbeat.interval.ms", Kind::Int, "15000", at_least(1), Medium, ReadOnly)
        .later("Limits and time-outs of streams groups."),
    row("group.streams.max.session.timeout.ms", Kind::Int, "60000", at_least(1), Medium, ReadOnly)
        .later("Limits and time-outs of streams groups."),
    row("group.streams.max.size", Kind::Int, "2147483647", at_least(1), Medium, ReadOnly)
        .later("Limits and time-outs of streams groups."),
    row("group.streams.max.standby.replicas", Kind::Int, "2", at_least(0), Medium, ReadOnly)
        .later("Limits and time-outs of streams groups."),
    row("group.streams.min.assignment.interval.ms", Kind::Int, "0", at_least(0), Medium, ReadOnly)
        .later("Limits and time-outs of streams groups."),
    row("group.streams.min.heartbeat.interval.ms", Kind::Int, "5000", at_least(1), Medium, ReadOnly)
        .later("Limits and time-outs of streams groups."),
    row("group.streams.min.session.timeout.ms", Kind::Int, "45000", at_least(1), Medium, ReadOnly)
        .later("Limits and time-outs of streams groups."),
    row("group.streams.num.standby.replicas", Kind::Int, "0", at_least(0), Medium, ReadOnly)
        .later("Limits and time-outs of streams groups."),
    row("group.streams.session.timeout.ms", Kind::Int, "45000", at_least(1), Medium, ReadOnly)
        .later("Limits and time-outs of streams groups."),
    row("share.coordinator.append.linger.ms", Kind::Int, "-1", at_least(-1), Medium, ReadOnly)
        .later("The coordinator of share groups."),
    row(
        "share.coordinator.cached.buffer.max.bytes",
        Kind::Int,
        "1048588",
        at_least(524288),
        Medium,
        ClusterWide,
    )
    .later("The coordinator of share groups."),
    row("share.coordinator.load.buffer.size", Kind::Int, "5242880", at_least(1), High, ReadOnly)
        .later("The coordinator of share groups."),
    row(
        "share.coordinator.snapshot.update.records.per.snapshot",
        Kind::Int,
        "500",
        between(0, 500),
        Medium,
        ReadOnly,
    )
    .later("The coordinator of share groups."),
    row("share.coordinator.state.topic.compression.codec", Kind::Int, "0", ANY, High, ReadOnly)
        .later("The coordinator of share groups."),
    row("share.coordinator.state.topic.min.isr", Kind::Short, "2", at_least(1), High, ReadOnly)
        .later("The coordinator of share groups."),
    row("share.coordinator.state.topic.num.partitions", Kind::Int, "50", at_least(1), High, ReadOnly)
        .later("The coordinator of share groups."),
    row("share.coordinator.state.topic.replication.factor", Kind::Short, "3", at_least(1), High, ReadOnly)
        .later("The coordinator of share groups."),
    row("share.coordinator.state.topic.segment.bytes", Kind::Int, "104857600", at_least(1), High, ReadOnly)
        .later("The coordinator of share groups."),
    row("share.coordinator.threads", Kind::Int, "1", at_least(1), Medium, ReadOnly)
        .later("The coordinator of share groups."),
    row("share.coordinator.write.timeout.ms", Kind::Int, "5000", at_least(1), High, ReadOnly)
        .later("The coordinator of share groups."),
    row("share.fetch.purgatory.purge.interval.requests", Kind::Int, "1000", ANY, Medium, ReadOnly)
        .later("The coordinator of share groups."),
    row(
        "transaction.abort.timed.out.transaction.cleanup.interval.ms",
        Kind::Int,
        "10000",
        at_least(1),
        Low,
        ReadOnly,
    )
    .later("The transaction coordinator."),
    row("transaction.max.timeout.ms", Kind::Int, "900000", at_least(1), High, ReadOnly)
        .later("Longest time-out a transaction may ask for."),
    row("transaction.partition.verification.enable", Kind::Boolean, "true", ANY, Low, ClusterWide)
        .later("The transaction coordinator."),
    row(
        "transaction.remove.expired.transaction.cleanup.interval.ms",
        Kind::Int,
        "3600000",
        at_least(1),
        Low,
        ReadOnly,
    )
    .later("The transaction coordinator."),
    row("transaction.state.log.load.buffer.size", Kind::Int, "5242880", at_least(1), High, ReadOnly)
        .later("The transaction coordinator."),
    row("transaction.state.log.min.isr", Kind::Int, "2", at_least(1), High, ReadOnly)
        .later("The transaction coordinator."),
    row("transaction.state.log.num.partitions", Kind::Int, "50", at_least(1), High, ReadOnly)
        .later("Partitions of the topic of transactions."),
    row("transaction.state.log.replication.factor", Kind::Short, "3", at_least(1), High, ReadOnly)
        .later("Replicas of the topic of transactions."),
    row("transaction.state.log.segment.bytes", Kind::Int, "104857600", at_least(1), High, ReadOnly)
        .later("The transaction coordinator."),
    row("transaction.two.phase.commit.enable", Kind::Boolean, "false", ANY, Low, ReadOnly)
        .later("The transaction coordinator."),
    row("transactional.id.expiration.ms", Kind::Int, "604800000", at_least(1), High, ReadOnly)
        .later("How long an unused transactional id is remembered."),
];
