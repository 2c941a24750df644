"""The scenarios: each takes a system's name, starts what it needs, and returns measured numbers by name."""

import contextlib
import socket
import struct
import time

from harness import schema
from harness.wire import Wire, alter_config, create_topic

from . import proc, systems

PARTITIONS = 8
# A load that fills the page cache is measured in so many slices.
SLICES = 8
# A topic, as resources of settings are numbered.
TOPIC = 2
SETTINGS = {"log.retention.check.interval.ms": 300_000}


@contextlib.contextmanager
def running(system, settings=None):
    """A started broker, gone afterwards with its data."""
    broker = systems.launch(system, {**SETTINGS, **(settings or {})})
    try:
        systems.start_and_time(broker)
        yield broker
    finally:
        broker.destroy()


def make_topic(broker, topic, partitions, count=1):
    """Creates topics and waits until each partition answers; returns the seconds until all do."""
    begin = time.monotonic()
    names = [topic] if count == 1 else [f"{topic}-{index}" for index in range(count)]
    with Wire(broker.bootstrap, timeout=300) as wire:
        for name in names:
            answer = create_topic(wire, name, partitions)
            assert answer["ErrorCode"] == 0, answer
        answered = time.monotonic() - begin
        for name in names:
            wait_leaders(wire, name, partitions)
    return answered, time.monotonic() - begin


def wait_leaders(wire, topic, partitions, timeout=300):
    """Waits until the log of each partition answers."""
    rows = [{"PartitionIndex": index, "Timestamp": -1} for index in range(partitions)]
    body = {"ReplicaId": -1, "Topics": [{"Name": topic, "Partitions": rows}]}
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        answer = wire.call("ListOffsets", body, 7)["Topics"][0]["Partitions"]
        if not any(item["ErrorCode"] for item in answer):
            return {item["PartitionIndex"]: item["Offset"] for item in answer}
        time.sleep(0.002)
    raise RuntimeError(f"{topic}: partitions without a leader after {timeout} s")


def start(system, options):
    """Start to first answered Metadata; memory when idle."""
    broker = systems.launch(system, SETTINGS)
    try:
        seconds = systems.start_and_time(broker)
        time.sleep(options.idle_seconds)
        resident, proportional = proc.memory(broker.pid)
        with proc.Cost(broker.pid) as cost:
            time.sleep(5)
        idle = 100 * cost.cpu / cost.seconds
        return {"start_ms": seconds * 1000, "idle_mb": resident, "idle_pss_mb": proportional, "idle_cpu_pct": idle}
    finally:
        broker.destroy()


def throughput(system, options):
    """Produce 1,000 B with acks=1 to 8 partitions, then read everything from the beginning; memory after it."""
    count = int(options.gigabytes * 1e6)
    tuning = ["acks=1", "linger.ms=5", "batch.size=1000000", "queue.buffering.max.messages=1000000"]
    with running(system) as broker:
        make_topic(broker, "warm", PARTITIONS)
        make_topic(broker, "t", PARTITIONS)
        systems.load("produce", broker.bootstrap, "warm", PARTITIONS, 1000, min(count, 300_000), *tuning)
        made = produce_in_slices(broker.bootstrap, PARTITIONS, count, tuning, [broker.pid], copies=1)
        out = {f"produce_{key}": value for key, value in made.items()}
        out["after_load_mb"], out["after_load_pss_mb"] = proc.memory(broker.pid)
        reading = ["fetch.message.max.bytes=1048576", "check.crcs=false", "fetch.wait.max.ms=100"]
        systems.load("consume", broker.bootstrap, "warm", PARTITIONS, min(count, 300_000), *reading)
        with proc.Cost(broker.pid) as cost:
            read = systems.load("consume", broker.bootstrap, "t", PARTITIONS, count // SLICES * SLICES, *reading)
        out["consume_cpu_s_per_gb"] = cost.cpu / (read["bytes"] / 1e9)
        out["consume_mb_per_s"] = read["mb_per_s"]
        return out


def produce_in_slices(bootstrap, partitions, count, tuning, pids, copies):
    """Produces records of 1,000 B to `t`; what that cost. Each slice is written to pages that the host has given before."""
    cpu = client_cpu = seconds = sent = 0.0
    for _ in range(SLICES):
        systems.back_pages(count // SLICES * 1000 * copies)
        with proc.Cost(*pids) as cost:
            made = systems.load("produce", bootstrap, "t", partitions, 1000, count // SLICES, *tuning)
        cpu, client_cpu = cpu + cost.cpu, client_cpu + made["client_cpu_s"]
        seconds, sent = seconds + made["seconds"], sent + made["bytes"]
    gigabytes = sent / 1e9
    return {
        "cpu_s_per_gb": cpu / gigabytes,
        "mb_per_s": 1000 * gigabytes / seconds,
        "client_cpu_s_per_gb": client_cpu / gigabytes,
    }


def small(system, options):
    """Produce 100 B: with librdkafka, and with batches that were encoded beforehand, so that no client is the limit."""
    count = int(options.millions * 1e6)
    tuning = ["acks=1", "linger.ms=5", "batch.size=1000000", "batch.num.messages=10000"]
    tuning.append("queue.buffering.max.messages=2000000")
    with running(system) as broker:
        make_topic(broker, "t", PARTITIONS)
        systems.load("produce", broker.bootstrap, "t", PARTITIONS, 100, min(count, 1_000_000), *tuning)
        with proc.Cost(broker.pid) as cost:
            made = systems.load("produce", broker.bootstrap, "t", PARTITIONS, 100, count, *tuning)
        make_topic(broker, "replayed", PARTITIONS)
        systems.replay(broker.bootstrap, "replayed", PARTITIONS, 100, min(count, 1_000_000))
        replayed = systems.replay(broker.bootstrap, "replayed", PARTITIONS, 100, count)
        return {
            "small_cpu_s_per_million": cost.cpu / (count / 1e6),
            "small_messages_per_s": made["messages_per_s"],
            "small_client_cpu_s_per_million": made["client_cpu_s"] / (count / 1e6),
            "small_replayed_per_s": replayed["messages_per_s"],
        }


def latency(system, options):
    """Acknowledgements at 2,000 messages a second with linger 0 and acks=all."""
    tuning = ["acks=-1", "linger.ms=0", "socket.nagle.disable=true"]
    with running(system) as broker:
        make_topic(broker, "t", PARTITIONS)
        systems.load("latency", broker.bootstrap, "t", PARTITIONS, 1000, 2000, 5, *tuning)
        with proc.Cost(broker.pid) as cost:
            seen = systems.load("latency", broker.bootstrap, "t", PARTITIONS, 1000, 2000, options.latency_seconds, *tuning)
        return {
            "latency_p50_us": seen["p50_us"],
            "latency_p99_us": seen["p99_us"],
            "latency_p999_us": seen["p999_us"],
            "latency_cpu_pct": 100 * cost.cpu / seen["seconds"],
        }


def partitions(system, options):
    """Create 1,000 partitions at once; memory with them, each written to once."""
    with running(system) as broker:
        answered, serving = make_topic(broker, "many", 1000)
        systems.load("produce", broker.bootstrap, "many", 1000, 100, 1_000_000, "acks=1", "linger.ms=5")
        time.sleep(2)
        resident, proportional = proc.memory(broker.pid)
        return {
            "create_1000_s": serving,
            "create_1000_answer_s": answered,
            "with_1000_mb": resident,
            "with_1000_pss_mb": proportional,
        }


def ten_thousand(system, options):
    """10 topics of 1,000 partitions: creation, memory, CPU when idle."""
    with running(system) as broker:
        _, serving = make_topic(broker, "many", 1000, 10)
        time.sleep(5)
        resident, _ = proc.memory(broker.pid)
        with proc.Cost(broker.pid) as cost:
            time.sleep(10)
        return {"create_10000_s": serving, "with_10000_mb": resident, "with_10000_cpu_pct": 100 * cost.cpu / cost.seconds}


def recovery(system, options):
    """kill -9 with 1,000 partitions and 5 GB; seconds until every partition answers again."""
    count = int(options.recovery_gigabytes * 1e6)
    with running(system) as broker:
        make_topic(broker, "many", 1000)
        systems.load("produce", broker.bootstrap, "many", 1000, 1000, count, "acks=1", "linger.ms=50")
        with Wire(broker.bootstrap, timeout=60) as wire:
            before = wait_leaders(wire, "many", 1000)
        broker.kill()
        begin = time.monotonic()
        first = systems.start_and_time(broker)
        with Wire(broker.bootstrap, timeout=300) as wire:
            after = wait_leaders(wire, "many", 1000)
        serving = time.monotonic() - begin
        lost = sum(before[index] - after[index] for index in before)
        return {"recovery_s": serving, "recovery_first_answer_s": first, "recovery_lost": lost}


def connections(system, options):
    """5,000 idle connections that said hello; memory with them."""
    with running(system, {"max.connections": 100_000} if system == "kafka" else None) as broker:
        before, _ = proc.memory(broker.pid)
        hello = schema.encode_request(18, 3, {"ClientSoftwareName": "b", "ClientSoftwareVersion": "1"}, 1)
        hello = struct.pack(">i", len(hello)) + hello
        host, port = broker.bootstrap.split(":")
        sockets = []
        try:
            for _ in range(5000):
                item = socket.create_connection((host, int(port)), timeout=30)
                item.sendall(hello)
                sockets.append(item)
                if len(sockets) % 100 == 0:
                    for one in sockets[-100:]:
                        one.recv(4096)
            time.sleep(2)
            resident, _ = proc.memory(broker.pid)
            with Wire(broker.bootstrap) as wire:
                assert wire.call("Metadata", version=9, Topics=[])["Brokers"]
            return {"connections_5000_mb": resident, "connections_5000_more_mb": resident - before}
        finally:
            for item in sockets:
                item.close()


def compaction(system, options):
    """One partition of keyed records of 100 B, 20 for each key: how fast the cleaner gets through it, and its memory."""
    count = int(options.compaction_millions * 1e6)
    settings = {"log.cleaner.backoff.ms": 500, "log.segment.bytes": 64 << 20}
    with running(system, settings) as broker:
        with Wire(broker.bootstrap, timeout=60) as wire:
            configs = {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "1.0"}
            assert create_topic(wire, "t", 1, configs)["ErrorCode"] == 0
            wait_leaders(wire, "t", 1)
        tuning = ["acks=1", "linger.ms=5", "batch.size=1000000", "queue.buffering.max.messages=1000000"]
        systems.load("produce", broker.bootstrap, "t", 1, 100, count, *tuning, f"keys={count // 20}")
        before = sum(item.stat().st_size for item in broker.segments("t")[:-1])
        resident = [proc.memory(broker.pid)[0]]
        with proc.Cost(broker.pid) as cost, Wire(broker.bootstrap, timeout=60) as wire:
            alter_config(wire, TOPIC, "t", {"min.cleanable.dirty.ratio": "0.01"})
            while not is_cleaned(broker, "t"):
                resident.append(proc.memory(broker.pid)[0])
                time.sleep(0.05)
        return {
            "compaction_mb_per_s": before / 1e6 / cost.seconds,
            "compaction_cpu_s_per_gb": cost.cpu / (before / 1e9),
            "compaction_max_mb": max(resident),
            "compaction_left_ratio": sum(item.stat().st_size for item in broker.segments("t")[:-1]) / before,
        }


def is_cleaned(broker, topic):
    """Whether the cleaner has noted that it went through the topic's partition."""
    for folder in broker.data_dirs:
        with contextlib.suppress(OSError):
            lines = (folder / "cleaner-offset-checkpoint").read_text().splitlines()
            if any(line.startswith(f"{topic} 0 ") and line.split()[2] != "0" for line in lines[2:]):
                return True
    return False


def unavoidable_cost(options):
    """What receiving, CRC and writing, and what sendfile alone cost."""
    sink, source = systems.Unavoidable().cost(int(options.gigabytes * 1e9), 1_000_000, SLICES)
    return {
        "produce_cpu_s_per_gb": sink["cpu_s_per_gb"],
        "produce_mb_per_s": sink["mb_per_s"],
        "consume_cpu_s_per_gb": source["cpu_s_per_gb"],
        "consume_mb_per_s": source["mb_per_s"],
    }


def unavoidable_latency(options):
    """How long an answer takes when nothing is done but to receive, CRC and write."""
    seen = systems.Unavoidable().latency(2000, options.latency_seconds)
    return {f"latency_{name}_us": seen[f"{name}_us"] for name in ("p50", "p99", "p999")}


SCENARIOS = {
    "start": start,
    "throughput": throughput,
    "small": small,
    "latency": latency,
    "partitions": partitions,
    "ten-thousand": ten_thousand,
    "recovery": recovery,
    "connections": connections,
    "compaction": compaction,
}
# Scenarios with a floor: what the program that does only the unavoidable needs.
FLOORS = {"throughput": unavoidable_cost, "latency": unavoidable_latency}
# Scenarios in which Apache Kafka is slow or was not asked for: measured once, or not at all.
ONCE = {"recovery", "ten-thousand"}
OURS_ALONE = {"ten-thousand", "connections", "group-memory"}
