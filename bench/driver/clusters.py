"""The scenarios of three brokers: each takes a system's name, starts a fresh cluster, and returns numbers by name."""

import contextlib
import time

from harness.cluster import Cluster
from harness.waiting import eventually
from harness.wire import Wire, create_topic
from ledger import LedgerProducer, verify

from . import proc, systems
from .scenarios import produce_in_slices

PARTITIONS = 6
# Beyond this the brokers have their own defaults.
SETTINGS = {"min.insync.replicas": 2, "broker.session.timeout.ms": 9000, "replica.lag.time.max.ms": 30000}


@contextlib.contextmanager
def running(system):
    """Three started brokers, gone afterwards with their data."""
    cluster = new(system)
    with cluster:
        yield cluster


def new(system):
    """Three brokers that are not started yet."""
    kind, folder = systems.KINDS[system], systems.new_folder(system)

    def make(settings, node_id):
        settings = {**settings, "log.retention.check.interval.ms": 300_000}
        return kind(settings, folder=f"{folder}/{node_id}", node_id=node_id)

    return Cluster(3, SETTINGS, make)


def pids(cluster):
    """The processes."""
    return [broker.pid for broker in cluster.brokers.values() if broker.is_running]


def memory(cluster):
    """Resident megabytes of all brokers together."""
    return sum(proc.memory(pid)[0] for pid in pids(cluster))


def start(system, options):
    """From nothing to the first acknowledged record; memory of three idle brokers."""
    cluster = new(system)
    begin = time.monotonic()
    try:
        for broker in cluster.brokers.values():
            broker.launch()
        first = next(iter(cluster.brokers.values()))
        eventually(lambda: _create(first, "t"), 120, 0.002)
        made = systems.load("produce", cluster.bootstrap, "t", 1, 100, 1, "acks=-1", "linger.ms=0", "retry.backoff.ms=5")
        seconds = time.monotonic() - begin
        assert made["failed"] == 0
        time.sleep(options.idle_seconds)
        idle = memory(cluster)
        with proc.Cost(*pids(cluster)) as cost:
            time.sleep(5)
        return {
            "cluster_from_nothing_s": seconds,
            "cluster_idle_mb": idle,
            "cluster_idle_cpu_pct": 100 * cost.cpu / cost.seconds,
        }
    finally:
        cluster.destroy()


def _create(broker, topic):
    with broker.wire(timeout=5) as wire:
        return create_topic(wire, topic, 1, None, 3)["ErrorCode"] == 0


def throughput(system, options):
    """Produce 1,000 B with acks=all, three replicas, 6 partitions; memory after it."""
    count = int(options.cluster_gigabytes * 1e6)
    tuning = ["acks=-1", "linger.ms=5", "batch.size=1000000", "queue.buffering.max.messages=1000000"]
    with running(system) as cluster:
        cluster.create("warm", PARTITIONS)
        cluster.create("t", PARTITIONS)
        systems.load("produce", cluster.bootstrap, "warm", PARTITIONS, 1000, min(count, 200_000), *tuning)
        made = produce_in_slices(cluster.bootstrap, PARTITIONS, count, tuning, pids(cluster), copies=3)
        return {
            **{f"cluster_{key}": value for key, value in made.items()},
            "cluster_after_mb": memory(cluster),
        }


def latency(system, options):
    """Acknowledgements at 1,000 messages a second with linger 0 and acks=all."""
    tuning = ["acks=-1", "linger.ms=0", "socket.nagle.disable=true"]
    with running(system) as cluster:
        cluster.create("t", PARTITIONS)
        systems.load("latency", cluster.bootstrap, "t", PARTITIONS, 1000, 1000, 5, *tuning)
        with proc.Cost(*pids(cluster)) as cost:
            seen = systems.load("latency", cluster.bootstrap, "t", PARTITIONS, 1000, 1000, options.latency_seconds, *tuning)
        return {
            "cluster_latency_p50_us": seen["p50_us"],
            "cluster_latency_p99_us": seen["p99_us"],
            "cluster_latency_p999_us": seen["p999_us"],
            "cluster_latency_cpu_pct": 100 * cost.cpu / seen["seconds"],
        }


def _under_load(cluster):
    cluster.create("t", PARTITIONS)
    ledger = LedgerProducer(cluster.bootstrap, "t", PARTITIONS, size=1000, acks="all", pause=0.001).start()
    eventually(lambda: ledger.acknowledged_count > 2000, 60)
    ledger.longest_gap = dict.fromkeys(ledger.longest_gap, 0.0)
    return ledger


def _wait_more(ledger):
    before = {index: len(numbers) for index, numbers in ledger.acknowledged.items()}
    eventually(lambda: all(len(ledger.acknowledged[index]) > before[index] + 100 for index in before), 120)


def kill(system, options):
    """kill -9 of a leader under load: the longest pause of a partition it led, records lost."""
    with running(system) as cluster:
        ledger = _under_load(cluster)
        victim = cluster.leader("t", 0)
        led = [index for index, row in cluster.partitions("t").items() if row["LeaderId"] == victim]
        cluster.brokers[victim].kill()
        _wait_more(ledger)
        gap = max(ledger.longest_gap[index] for index in led)
        left = ledger.finish(120)
        verdict = verify(cluster.to_leaders("t"), ledger)
        lost = len(verdict.lost) + len(verdict.duplicates) + len(verdict.out_of_order)
        return {"cluster_kill_gap_s": gap, "cluster_kill_lost": lost, "cluster_kill_failed": len(ledger.failed) + left}


def restart(system, options):
    """A controlled restart of each broker in turn under load: the longest pause, failed sends."""
    with running(system) as cluster:
        ledger = _under_load(cluster)
        for broker in cluster.brokers.values():
            broker.stop()
            broker.restart()
            eventually(lambda: cluster.is_whole("t"), 120)
            _wait_more(ledger)
        left = ledger.finish(120)
        clean = verify(cluster.to_leaders("t"), ledger).is_clean
        return {
            "cluster_restart_gap_ms": 1000 * max(ledger.longest_gap.values()),
            "cluster_restart_failed": len(ledger.failed) + left + (0 if clean else 1),
        }


def topics(system, options):
    """Create 1,000 topics of 3 partitions and 3 replicas with one request, until each partition answers."""
    with running(system) as cluster:
        names = [f"many-{index}" for index in range(1000)]
        begin = time.monotonic()
        with cluster.anyone() as wire:
            _create_all(wire, names, 3)
        answered = time.monotonic() - begin
        _wait_answers(cluster, names)
        return {"cluster_create_1000_s": time.monotonic() - begin, "cluster_create_1000_answer_s": answered}


def _create_all(wire, names, partitions):
    wire.socket.settimeout(300)
    rows = [{"Name": name, "NumPartitions": partitions, "ReplicationFactor": 3} for name in names]
    answer = wire.call("CreateTopics", {"Topics": rows, "timeoutMs": 300_000}, 7)
    assert not any(item["ErrorCode"] for item in answer["Topics"]), answer["Topics"][:3]


def _wait_answers(cluster, names, without=(), timeout=300):
    """Waits until the leader of each partition answers for it; brokers in `without` must lead none."""
    end = time.monotonic() + timeout
    waiting = set(names)
    while waiting:
        with cluster.anyone() as wire:
            asked = [{"Name": name} for name in sorted(waiting)]
            answer = wire.call("Metadata", Topics=asked, AllowAutoTopicCreation=False)["Topics"]
        led = {}
        for topic in answer:
            if topic["ErrorCode"] == 0 and all(row["LeaderId"] not in (-1, *without) for row in topic["Partitions"]):
                for row in topic["Partitions"]:
                    led.setdefault(row["LeaderId"], {}).setdefault(topic["Name"], []).append(row["PartitionIndex"])
        bad = {topic["Name"] for topic in answer} - {name for rows in led.values() for name in rows}
        for leader, rows in led.items():
            bad |= _not_answering(cluster.brokers[leader], rows)
        waiting &= bad
        assert time.monotonic() < end, f"{len(waiting)} topics do not answer"


def _not_answering(broker, rows):
    body = {
        "ReplicaId": -1,
        "Topics": [
            {"Name": name, "Partitions": [{"PartitionIndex": index, "Timestamp": -1} for index in indexes]}
            for name, indexes in rows.items()
        ],
    }
    with broker.wire(timeout=60) as wire:
        answer = wire.call("ListOffsets", body, 7)["Topics"]
    # OFFSET_NOT_AVAILABLE: it leads, and the high watermark is on its way.
    return {topic["Name"] for topic in answer if any(item["ErrorCode"] not in (0, 78) for item in topic["Partitions"])}


def ten_thousand(system, options):
    """10,000 partitions: creation, memory, idle CPU, and the failover of all that one broker leads."""
    with running(system) as cluster:
        names = [f"many-{index}" for index in range(10)]
        begin = time.monotonic()
        for name in names:
            with cluster.anyone() as wire:
                _create_all(wire, [name], 1000)
        _wait_answers(cluster, names)
        created = time.monotonic() - begin
        eventually(lambda: all(cluster.is_whole(name) for name in names), 120)
        time.sleep(options.idle_seconds)
        with proc.Cost(*pids(cluster)) as cost:
            time.sleep(10)
        out = {
            "cluster_10000_create_s": created,
            "cluster_10000_mb": memory(cluster),
            "cluster_10000_idle_cpu_pct": 100 * cost.cpu / cost.seconds,
        }
        controller = cluster.controller()
        victim = next(number for number in cluster.brokers if number != controller)
        cluster.brokers[victim].kill()
        begin = time.monotonic()
        _wait_answers(cluster, names, (victim,))
        return {**out, "cluster_10000_failover_s": time.monotonic() - begin}


SCENARIOS = {
    "cluster-start": start,
    "cluster-throughput": throughput,
    "cluster-latency": latency,
    "cluster-kill": kill,
    "cluster-restart": restart,
    "cluster-topics": topics,
    "cluster-ten-thousand": ten_thousand,
}
OURS_ALONE = {"cluster-restart", "cluster-topics", "cluster-ten-thousand"}
