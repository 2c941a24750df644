//! Identity, the metadata quorum and replication.

use super::Importance::{High, Low, Medium};
use super::UpdateMode::{ClusterWide, ReadOnly};
use super::row::{ANY, NONE, at_least, row};
use super::{Kind, Setting, Valid};

pub(super) const ROWS: &[Setting] = &[
    row("alter.config.policy.class.name", Kind::Class, NONE, ANY, Low, ReadOnly)
        .ignored("Java class that may refuse changes of settings."),
    row("alter.log.dirs.replication.quota.window.num", Kind::Int, "11", at_least(1), Low, ReadOnly)
        .ignored("Windows kept to measure moves between directories."),
    row("alter.log.dirs.replication.quota.window.size.seconds", Kind::Int, "1", at_least(1), Low, ReadOnly)
        .ignored("Length of a window in which moves between directories are measured."),
    row("auto.create.topics.enable", Kind::Boolean, "true", ANY, High, ReadOnly)
        .applied("Whether a topic is created when a client first asks for it."),
    row("auto.leader.rebalance.enable", Kind::Boolean, "true", ANY, High, ReadOnly)
        .applied("Whether leaders move back to preferred replicas by themselves."),
    row("broker.heartbeat.interval.ms", Kind::Int, "2000", ANY, Medium, ReadOnly)
        .applied("Time between two heartbeats of a broker to the controller."),
    row("broker.id", Kind::Int, "-1", ANY, High, ReadOnly).applied("Older name of node.id."),
    row("broker.rack", Kind::String, NONE, ANY, Medium, ReadOnly)
        .applied("Rack or zone of the broker; replicas are spread over racks."),
    row("broker.session.timeout.ms", Kind::Int, "9000", ANY, Medium, ReadOnly)
        .applied("Silence after which the controller takes a broker for dead."),
    row("config.providers", Kind::List, "", ANY, Low, ClusterWide)
        .ignored("Java classes that look up placeholders in settings."),
    row("controlled.shutdown.enable", Kind::Boolean, "true", ANY, Medium, ReadOnly)
        .applied("Whether a broker hands its leaders over before it stops."),
    row("controller.listener.names", Kind::List, NONE, ANY, High, ReadOnly)
        .ignored("Listeners of Kafka's controllers; Ottla's quorum needs none of its own."),
    row("controller.quorum.append.linger.ms", Kind::Int, "25", at_least(0), Medium, ReadOnly)
        .ignored("Time the metadata quorum waits to gather records into one write."),
    row("controller.quorum.auto.join.enable", Kind::Boolean, "false", ANY, Low, ReadOnly)
        .ignored("Whether controllers join the voters by themselves; Ottla's brokers always do."),
    row("controller.quorum.bootstrap.servers", Kind::List, "", ANY, High, ReadOnly)
        .applied("Brokers to ask for the metadata quorum at the first start."),
    row("controller.quorum.election.backoff.max.ms", Kind::Int, "1000", at_least(0), High, ReadOnly)
        .ignored("Longest wait before another election of the metadata quorum."),
    row("controller.quorum.election.timeout.ms", Kind::Int, "1000", at_least(0), High, ReadOnly)
        .applied("Time a voter waits for votes before it tries again, at most twice that; half a second unless it is set."),
    row("controller.quorum.fetch.max.bytes", Kind::Int, "1048576", at_least(1), Low, ReadOnly)
        .ignored("Most bytes of one fetch of the metadata log."),
    row("controller.quorum.fetch.snapshot.max.bytes", Kind::Int, "1048576", at_least(1), Low, ReadOnly)
        .ignored("Most bytes of one piece of a metadata snapshot."),
    row("controller.quorum.fetch.timeout.ms", Kind::Int, "2000", at_least(0), High, ReadOnly)
        .applied("Silence of the quorum's leader after which a voter, at most twice that later, starts an election; 1500 unless it is set, and at least 300."),
    row("controller.quorum.request.timeout.ms", Kind::Int, "2000", at_least(0), Medium, ReadOnly)
        .ignored("Time a voter waits for another's answer."),
    row("controller.quorum.retry.backoff.ms", Kind::Int, "20", at_least(0), Low, ReadOnly)
        .ignored("Wait before a request to another voter is sent again."),
    row("controller.quorum.voters", Kind::List, "", ANY, High, ReadOnly)
        .applied("First voters of the metadata quorum, each as id@host:port."),
    row("controller.quota.window.num", Kind::Int, "11", at_least(1), Low, ReadOnly)
        .ignored("Windows kept to measure changes of topics."),
    row("controller.quota.window.size.seconds", Kind::Int, "1", at_least(1), Low, ReadOnly)
        .ignored("Length of a window in which changes of topics are measured."),
    row("controller.socket.timeout.ms", Kind::Int, "30000", ANY, Medium, ReadOnly)
        .ignored("Time-out of Kafka's channel between controller and broker."),
    row("create.topic.policy.class.name", Kind::Class, NONE, ANY, Low, ReadOnly)
        .ignored("Java class that may refuse new topics."),
    row(
        "follower.replication.throttled.rate",
        Kind::Long,
        "9223372036854775807",
        at_least(0),
        Medium,
        ClusterWide,
    )
    .applied("Bytes per second that throttled followers may fetch, for this broker."),
    row("initial.broker.registration.timeout.ms", Kind::Int, "60000", ANY, Medium, ReadOnly)
        .later("Time a starting broker tries to register before it gives up."),
    row("inter.broker.listener.name", Kind::String, NONE, ANY, Medium, ReadOnly)
        .applied("Listener that brokers use among themselves."),
    row("leader.imbalance.check.interval.seconds", Kind::Long, "300", at_least(1), High, ReadOnly)
        .applied("How often the controller looks for leaders to move back."),
    row(
        "leader.replication.throttled.rate",
        Kind::Long,
        "9223372036854775807",
        at_least(0),
        Medium,
        ClusterWide,
    )
    .applied("Bytes per second that throttled leaders may send, for this broker."),
    row("node.id", Kind::Int, NONE, at_least(0), High, ReadOnly)
        .applied("Id of this broker, unlike all others of the cluster."),
    row("num.replica.alter.log.dirs.threads", Kind::Int, NONE, ANY, High, ReadOnly)
        .ignored("Threads that move replicas between directories."),
    row("num.replica.fetchers", Kind::Int, "1", at_least(1), High, ClusterWide)
        .ignored("Fetchers for each other broker; Ottla has one stream for each pair of brokers."),
    row("process.roles", Kind::List, NONE, Valid::OneOf(&["broker", "controller"]), High, ReadOnly)
        .ignored("Roles of the process; an Ottla broker always has both."),
    row(
        "replica.alter.log.dirs.io.max.bytes.per.second",
        Kind::Long,
        "9223372036854775807",
        at_least(0),
        Medium,
        ClusterWide,
    )
    .applied("Bytes per second for moving replicas between directories."),
    row("replica.fetch.backoff.ms", Kind::Int, "1000", at_least(0), Medium, ReadOnly)
        .applied("Wait of a follower after an error."),
    row("replica.fetch.max.bytes", Kind::Int, "1048576", at_least(0), Medium, ReadOnly)
        .applied("Bytes a follower asks for, of each partition."),
    row("replica.fetch.min.bytes", Kind::Int, "1", ANY, High, ReadOnly)
        .applied("Bytes a follower waits for."),
    row("replica.fetch.response.max.bytes", Kind::Int, "10485760", at_least(0), Medium, ReadOnly)
        .applied("Bytes a follower asks for, of all partitions together."),
    row("replica.fetch.wait.max.ms", Kind::Int, "500", ANY, High, ReadOnly)
        .applied("Time a follower lets the leader wait for new records."),
    row("replica.high.watermark.checkpoint.interval.ms", Kind::Long, "5000", ANY, High, ReadOnly)
        .applied("How often high watermarks are saved."),
    row("replica.lag.time.max.ms", Kind::Long, "30000", ANY, High, ReadOnly)
        .applied("Time after which a follower that has not caught up leaves the ISR."),
    row("replica.selector.class", Kind::String, NONE, ANY, Medium, ReadOnly).applied(
        "How a replica near the consumer is chosen; names ending in RackAwareReplicaSelector choose by rack.",
    ),
    row("replica.socket.receive.buffer.bytes", Kind::Int, "65536", ANY, High, ReadOnly)
        .ignored("Receive buffer of the sockets between brokers."),
    row("replica.socket.timeout.ms", Kind::Int, "30000", ANY, High, ReadOnly)
        .applied("Time a follower waits for its leader's answer."),
    row("replication.quota.window.num", Kind::Int, "11", at_least(1), Low, ReadOnly)
        .ignored("Windows kept to measure throttled replication."),
    row("replication.quota.window.size.seconds", Kind::Int, "1", at_least(1), Low, ReadOnly)
        .ignored("Length of a window in which throttled replication is measured."),
];
