//! Settings of a group.

use super::Importance::Medium;
use super::UpdateMode::ClusterWide;
use super::row::{ANY, at_least, between, row};
use super::{Kind, Setting, Valid};

const SHARE: &str = "Limits and time-outs of share groups.";
const STREAMS: &str = "Limits and time-outs of streams groups.";

pub(super) const ROWS: &[Setting] = &[
    row("consumer.assignment.interval.ms", Kind::Int, "1000", at_least(0), Medium, ClusterWide)
        .applied("Least time between two computed assignments of the group."),
    row("consumer.heartbeat.interval.ms", Kind::Int, "5000", at_least(1), Medium, ClusterWide)
        .applied("Time between heartbeats told to the group's members."),
    row("consumer.session.timeout.ms", Kind::Int, "45000", at_least(1), Medium, ClusterWide)
        .applied("Silence after which a member of the group is removed."),
    row("share.assignment.interval.ms", Kind::Int, "1000", at_least(0), Medium, ClusterWide).later(SHARE),
    row("share.auto.offset.reset", Kind::String, "latest", ANY, Medium, ClusterWide).later(SHARE),
    row("share.delivery.count.limit", Kind::Int, "5", at_least(2), Medium, ClusterWide).later(SHARE),
    row("share.heartbeat.interval.ms", Kind::Int, "5000", at_least(1), Medium, ClusterWide).later(SHARE),
    row(
        "share.isolation.level",
        Kind::String,
        "read_uncommitted",
        Valid::OneOf(&["read_committed", "read_uncommitted"]),
        Medium,
        ClusterWide,
    )
    .later(SHARE),
    row("share.partition.max.record.locks", Kind::Int, "2000", between(100, 10000), Medium, ClusterWide)
        .later(SHARE),
    row("share.record.lock.duration.ms", Kind::Int, "30000", between(1000, 3600000), Medium, ClusterWide)
        .later(SHARE),
    row("share.renew.acknowledge.enable", Kind::Boolean, "true", ANY, Medium, ClusterWide).later(SHARE),
    row("share.session.timeout.ms", Kind::Int, "45000", at_least(1), Medium, ClusterWide).later(SHARE),
    row("streams.assignment.interval.ms", Kind::Int, "1000", at_least(0), Medium, ClusterWide).later(STREAMS),
    row("streams.heartbeat.interval.ms", Kind::Int, "5000", at_least(1), Medium, ClusterWide).later(STREAMS),
    row("streams.initial.rebalance.delay.ms", Kind::Int, "3000", at_least(0), Medium, ClusterWide)
        .later(STREAMS),
    row("streams.num.standby.replicas", Kind::Int, "0", at_least(0), Medium, ClusterWide).later(STREAMS),
    row("streams.session.timeout.ms", Kind::Int, "45000", at_least(1), Medium, ClusterWide).later(STREAMS),
];
