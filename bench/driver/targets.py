"""What is to be reached: one row per number of the report, as data."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """A number, what it is called, and its limits: absolute, and as a ratio to Kafka's or to the unavoidable program's.

    `better` says which way is good. A ratio is ours divided by the other's.
    """

    scenario: str
    key: str
    title: str
    unit: str
    better: str = "lower"
    limit: float | None = None
    to_kafka: float | None = None
    to_unavoidable: float | None = None

    def text(self):
        """The target in words."""
        sign = "<=" if self.better == "lower" else ">="
        parts = []
        if self.limit is not None:
            parts.append(f"{sign} {self.limit:g} {self.unit}")
        if self.to_kafka is not None:
            parts.append(f"{sign} {self.to_kafka:.3g} x Kafka")
        if self.to_unavoidable is not None:
            parts.append(f"{sign} {self.to_unavoidable:g} x unavoidable")
        return ", ".join(parts) or "-"

    def missed(self, ours, kafka, floor):
        """Whether a limit is missed; None when nothing could be judged."""
        if ours is None:
            return None
        checks = [(ours, self.limit)]
        if kafka and self.to_kafka is not None:
            checks.append((ours / kafka, self.to_kafka))
        if floor and self.to_unavoidable is not None:
            checks.append((ours / floor, self.to_unavoidable))
        judged = [(value, limit) for value, limit in checks if limit is not None]
        if not judged:
            return None
        if self.better == "lower":
            return any(value > limit for value, limit in judged)
        return any(value < limit for value, limit in judged)


THIRD, HALF, QUARTER, EIGHTH, TENTH = 1 / 3, 1 / 2, 1 / 4, 1 / 8, 1 / 10
SINGLE = [
    Target("start", "start_ms", "start to first answered Metadata", "ms", limit=50),
    Target("start", "idle_mb", "memory idle", "MB", limit=12),
    Target("start", "idle_pss_mb", "memory idle, proportional", "MB"),
    Target("start", "idle_cpu_pct", "CPU idle", "%"),
    Target("throughput", "after_load_mb", "memory after the load", "MB", limit=40),
    Target("throughput", "produce_cpu_s_per_gb", "produce 1,000 B: CPU s per GB", "s", "lower", 1.5, THIRD, 1.6),
    Target("throughput", "produce_mb_per_s", "produce 1,000 B: throughput", "MB/s", "higher", to_kafka=2.5),
    Target("throughput", "consume_cpu_s_per_gb", "consume: CPU s per GB", "s", "lower", 0.5, THIRD, 1.4),
    Target("throughput", "consume_mb_per_s", "consume: throughput", "MB/s", "higher"),
    Target("small", "small_cpu_s_per_million", "produce 100 B: CPU s per million", "s", to_kafka=HALF),
    Target("small", "small_messages_per_s", "produce 100 B: messages/s", "/s", "higher", to_kafka=2),
    Target("small", "small_replayed_per_s", "the same, batches encoded beforehand", "/s", "higher", to_kafka=2),
    Target("small", "small_client_cpu_s_per_million", "produce 100 B: the client's CPU s per million", "s"),
    Target("latency", "latency_p50_us", "acks at 2,000/s: p50", "us", limit=300),
    Target("latency", "latency_p99_us", "acks at 2,000/s: p99", "us", to_kafka=TENTH),
    Target("latency", "latency_p999_us", "acks at 2,000/s: p99.9", "us", to_kafka=TENTH),
    Target("latency", "latency_cpu_pct", "acks at 2,000/s: CPU", "%", limit=12),
    Target("partitions", "create_1000_answer_s", "create 1,000 partitions: answered", "s", limit=0.3),
    Target("partitions", "create_1000_s", "create 1,000 partitions: all serving", "s", limit=0.3),
    Target("partitions", "with_1000_mb", "memory with 1,000 partitions", "MB", limit=48),
    Target("recovery", "recovery_s", "serving again after kill -9, 1,000 partitions", "s", limit=0.3),
    Target("recovery", "recovery_lost", "records lost by it", "", limit=0),
    Target("ten-thousand", "create_10000_s", "create 10,000 partitions", "s", limit=5),
    Target("ten-thousand", "with_10000_mb", "memory with 10,000 partitions", "MB", limit=150),
    Target("ten-thousand", "with_10000_cpu_pct", "idle CPU with 10,000 partitions", "%", limit=1),
    Target("group-join", "classic_stable_s", "1,000 members join, classic: stable", "s", to_kafka=1),
    Target("group-join", "classic_join_cpu_s", "1,000 members join, classic: CPU", "s", to_kafka=QUARTER),
    Target("group-join", "consumer_stable_s", "1,000 members join, KIP-848: stable", "s", to_kafka=1),
    Target("group-join", "consumer_join_cpu_s", "1,000 members join, KIP-848: CPU", "s", to_kafka=QUARTER),
    Target("commits", "commits_1_per_s", "commits, one offset a request", "/s", "higher", 100_000, 2),
    Target("commits", "commits_10_per_s", "commits, ten offsets a request", "/s", "higher", to_kafka=2),
    Target("group-memory", "groups_1000_mb", "memory with 1,000 groups of 10 members", "MB", limit=100),
    Target("group-load", "offsets_load_s", "100,000 offsets after kill -9: start to fetched", "s", limit=1),
    Target("group-load", "offsets_lost", "offsets lost by it", "", limit=0),
    Target("compaction", "compaction_mb_per_s", "compaction: throughput", "MB/s", "higher", to_kafka=2),
    Target("compaction", "compaction_cpu_s_per_gb", "compaction: CPU s per GB", "s"),
    Target("compaction", "compaction_max_mb", "compaction: most memory", "MB", to_kafka=1 / 4),
    Target("compaction", "compaction_left_ratio", "compaction: bytes left of those before", ""),
    Target("connections", "connections_5000_mb", "memory with 5,000 idle connections", "MB", limit=60),
]
CLUSTER = [
    Target("cluster-start", "cluster_from_nothing_s", "three brokers: nothing to the first acknowledged record", "s", limit=1.5),
    Target("cluster-start", "cluster_idle_mb", "memory of three idle", "MB", limit=36),
    Target("cluster-start", "cluster_idle_cpu_pct", "CPU of three idle", "%"),
    Target("cluster-throughput", "cluster_cpu_s_per_gb", "acks=all, RF 3, 1,000 B: CPU s per GB, all brokers", "s", "lower", 5, EIGHTH),
    Target("cluster-throughput", "cluster_mb_per_s", "acks=all, RF 3, 1,000 B: throughput", "MB/s", "higher", to_kafka=4),
    Target("cluster-throughput", "cluster_after_mb", "memory of three after the load", "MB", limit=120),
    Target("cluster-latency", "cluster_latency_p50_us", "acks=all at 1,000/s: p50", "us"),
    Target("cluster-latency", "cluster_latency_p99_us", "acks=all at 1,000/s: p99", "us", to_kafka=TENTH),
    Target("cluster-latency", "cluster_latency_p999_us", "acks=all at 1,000/s: p99.9", "us", to_kafka=TENTH),
    Target("cluster-latency", "cluster_latency_cpu_pct", "acks=all at 1,000/s: CPU of three", "%"),
    Target("cluster-kill", "cluster_kill_gap_s", "kill -9 of a leader: longest pause", "s", limit=1),
    Target("cluster-kill", "cluster_kill_lost", "records lost by it", "", limit=0),
    Target("cluster-restart", "cluster_restart_gap_ms", "controlled restart of each: longest pause", "ms", limit=300),
    Target("cluster-restart", "cluster_restart_failed", "failed sends", "", limit=0),
    Target("cluster-topics", "cluster_create_1000_s", "create 1,000 topics x 3, all serving", "s", limit=3),
    Target("cluster-ten-thousand", "cluster_10000_create_s", "create 10,000 partitions, RF 3", "s"),
    Target("cluster-ten-thousand", "cluster_10000_mb", "memory of three with 10,000 partitions", "MB"),
    Target("cluster-ten-thousand", "cluster_10000_idle_cpu_pct", "idle CPU with 10,000 partitions", "%"),
    Target("cluster-ten-thousand", "cluster_10000_failover_s", "10,000 partitions: failover of one broker", "s", limit=2),
]
