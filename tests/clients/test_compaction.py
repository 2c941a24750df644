"""Compacted topics: what every client reads of them, and what a kill -9 does to them."""

import os
import random
import time
import urllib.request

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from conftest import wait_for_leader
from harness import batches
from harness.tools import KafkaTools, dump_log, kcat
from harness.waiting import eventually
from harness.wire import create_topic, error_name, fetch, list_offset, produce
from ledger import read_partition

# Small segments that roll soon, and a cleaner that looks often.
SETTINGS = {
    "log.cleaner.backoff.ms": 200,
    "log.cleaner.dedupe.buffer.size": 4 << 20,
    "log.retention.check.interval.ms": 500,
    "group.initial.rebalance.delay.ms": 0,
    "log.segment.delete.delay.ms": 500,
}
COMPACTED = {
    "cleanup.policy": "compact",
    "segment.bytes": 1 << 20,
    "min.cleanable.dirty.ratio": "0.01",
    "delete.retention.ms": 86_400_000,
}


def code(answer):
    return error_name(answer["ErrorCode"])


def with_topic(broker, configs=None, topic="t"):
    wire = broker.wire()
    assert code(create_topic(wire, topic, 1, {**COMPACTED, **(configs or {})})) == "NONE"
    wait_for_leader(wire, topic)
    return wire


def fill(bootstrap, rounds, keys, topic="t", size=1000, **settings):
    """Writes each key in each round; returns the last value of each."""
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 5, **settings})
    last, failed = {}, []
    for number in range(rounds):
        for key in range(keys):
            value = b"%d:%d:" % (key, number) + b"." * size
            producer.produce(topic, value, key=b"key-%d" % key, partition=0, on_delivery=lambda e, _: e and failed.append(e))
            producer.poll(0)
            last[b"key-%d" % key] = value
    assert producer.flush(60) == 0
    assert not failed, failed[:3]
    return last


def delete(bootstrap, keys, topic="t"):
    """Writes a tombstone for each key."""
    producer = Producer({"bootstrap.servers": bootstrap})
    for key in keys:
        producer.produce(topic, None, key=key, partition=0)
    assert producer.flush(30) == 0


def roll(bootstrap, topic="t", size=1_050_000):
    """Ends the active segment: two records that do not fit into one."""
    producer = Producer({"bootstrap.servers": bootstrap, "message.max.bytes": 2_000_000})
    for number in range(2):
        producer.produce(topic, b"x" * (size // 2), key=b"roll-%d" % number, partition=0)
        assert producer.flush(30) == 0


def read_all(bootstrap, topic="t", **settings):
    """(key, value, offset) of every record."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "none", "enable.auto.commit": False, **settings})
    try:
        partition = TopicPartition(topic, 0)
        low, high = consumer.get_watermark_offsets(partition, timeout=10)
        consumer.assign([TopicPartition(topic, 0, low)])
        rows, end = [], time.monotonic() + 60
        while time.monotonic() < end:
            for item in consumer.consume(1000, timeout=0.3):
                assert item.error() is None, item.error()
                rows.append((item.key(), item.value(), item.offset()))
            position = consumer.position([partition])[0].offset
            if position >= high:
                return rows
        raise AssertionError(f"stands at {position}, the log ends at {high}")
    finally:
        consumer.close()


def table(rows):
    """The last value of each key."""
    last = {key: value for key, value, _ in rows if not key.startswith(b"roll-")}
    return {key: value for key, value in last.items() if value is not None}


def bytes_on_disk(broker, topic="t"):
    return sum(item.stat().st_size for item in broker.segments(topic))


def wait_until_compacted(broker, at_most, topic="t", timeout=60):
    """Waits until so few records are left below the active segment."""
    eventually(lambda: len(read_all(broker.bootstrap, topic)) <= at_most, timeout, 0.2)


def assert_dump_is_clean(broker, topic="t"):
    folder = broker.partition_dir(topic)
    files = [*sorted(folder.glob("*.log")), *sorted(folder.glob("*.index")), *sorted(folder.glob("*.timeindex"))]
    text = dump_log(*files)
    wrong = [line for line in text if "isvalid: false" in line or "mismatch" in line.lower() or "not found" in line.lower()]
    assert not wrong, wrong[:5]


@pytest.fixture
def compacting(start_broker):
    return start_broker(SETTINGS)


@pytest.mark.parametrize("codec", ["none", "zstd"])
def test_the_last_value_of_each_key_stays_at_its_offset(compacting, codec):
    with_topic(compacting).close()
    settings = {"compression.type": codec, "enable.idempotence": True}
    size = 1000 if codec == "none" else 100
    rounds = 40
    before = fill(compacting.bootstrap, rounds, 100, size=size, **settings)
    roll(compacting.bootstrap)
    wait_until_compacted(compacting, 250)
    rows = read_all(compacting.bootstrap)
    assert table(rows) == before
    offsets = [offset for _, _, offset in rows]
    assert offsets == sorted(offsets)
    assert rows[-1][2] == rounds * 100 + 1, "the log's end stays"
    assert_dump_is_clean(compacting)


def test_every_client_reads_a_compacted_topic(compacting):
    with_topic(compacting).close()
    before = fill(compacting.bootstrap, 60, 50)
    roll(compacting.bootstrap)
    wait_until_compacted(compacting, 150)
    expected = {key.decode(): value.decode() for key, value in before.items()}

    def rows_of(text):
        rows = dict(line.split("\t", 1) for line in text.splitlines() if line.startswith("key-"))
        return {key: value for key, value in rows.items() if not key.startswith("roll-")}

    arguments = ["-C", "-t", "t", "-o", "beginning", "-e", "-q", "-f", "%k\t%s\n"]
    assert rows_of(kcat(compacting.bootstrap, *arguments)) == expected
    tools = KafkaTools(compacting.bootstrap)
    properties = ["--formatter-property", "print.key=true", "--timeout-ms", "6000"]
    done = tools("console-consumer", "--topic", "t", "--from-beginning", *properties, check=False)
    text = done[1]
    assert rows_of("\n".join(line for line in text.splitlines() if line.startswith("key-"))) == expected
    assert table(read_all(compacting.bootstrap)) == before
    assert table(read_all(compacting.bootstrap, **{"fetch.message.max.bytes": 2000})) == before


def test_a_fetch_from_a_hole_goes_on_behind_it(compacting):
    wire = with_topic(compacting)
    fill(compacting.bootstrap, 30, 100)
    roll(compacting.bootstrap)
    wait_until_compacted(compacting, 250)
    with wire:
        rows = [offset for offset, _ in read_partition(wire, "t", 0)]
        holes = [offset for offset in range(rows[-1]) if offset not in set(rows)]
        assert len(holes) > 500
        for offset in holes[::200]:
            answer = fetch(wire, "t", offset)
            assert code(answer) == "NONE"
            parts = batches.parse(answer["Records"])
            assert parts[0].last_offset >= offset
            assert parts[0].crc_is_right
        assert list_offset(wire, "t", -2)["Offset"] == 0


def test_a_tombstone_takes_its_key_away_and_goes_itself(compacting):
    with_topic(compacting, {"delete.retention.ms": 1000}).close()
    before = fill(compacting.bootstrap, 15, 100)
    gone = [b"key-%d" % key for key in range(50)]
    delete(compacting.bootstrap, gone)
    roll(compacting.bootstrap)
    wait_until_compacted(compacting, 250)
    rows = read_all(compacting.bootstrap)
    assert table(rows) == {key: value for key, value in before.items() if key not in gone}

    def tombstones():
        # Something new to clean, so that the cleaner comes again.
        fill(compacting.bootstrap, 2, 20, topic="t")
        roll(compacting.bootstrap)
        return sum(value is None for _, value, _ in read_all(compacting.bootstrap))

    eventually(lambda: tombstones() == 0, 60)
    kept = table(read_all(compacting.bootstrap))
    assert {key: kept[key] for key in kept if int(key[4:]) >= 50} == {
        key: value for key, value in before.items() if int(key[4:]) >= 50
    }


def test_records_without_a_key_are_refused(compacting):
    with with_topic(compacting) as wire:
        assert code(produce(wire, "t", batches.batch([b"no key"]))) == "INVALID_RECORD"
        assert code(produce(wire, "t", batches.batch([(b"k", b"v")]))) == "NONE"


def test_min_compaction_lag_keeps_young_records(compacting):
    with_topic(compacting, {"min.compaction.lag.ms": 3_600_000}).close()
    fill(compacting.bootstrap, 30, 100)
    roll(compacting.bootstrap)
    time.sleep(2)
    assert len(read_all(compacting.bootstrap)) == 3002
    tools = KafkaTools(compacting.bootstrap)
    entity = ["--entity-type", "topics", "--entity-name", "t", "--alter", "--add-config", "min.compaction.lag.ms=0"]
    tools("configs", *entity)
    wait_until_compacted(compacting, 250)


def test_max_compaction_lag_rolls_and_cleans(compacting):
    wire = with_topic(compacting, {"max.compaction.lag.ms": 1500, "min.cleanable.dirty.ratio": "1.0"})
    fill(compacting.bootstrap, 20, 10, size=100)
    time.sleep(2)
    # The next record finds that the segment is too old.
    fill(compacting.bootstrap, 1, 10, size=100)
    with wire:
        eventually(lambda: len(read_partition(wire, "t", 0)) <= 20, 60)


def test_compact_and_delete_together(compacting):
    configs = {"cleanup.policy": "compact,delete", "retention.ms": 3_600_000}
    with_topic(compacting, configs).close()
    before = fill(compacting.bootstrap, 30, 100)
    roll(compacting.bootstrap)
    wait_until_compacted(compacting, 250)
    assert table(read_all(compacting.bootstrap)) == before
    tools = KafkaTools(compacting.bootstrap)
    tools("configs", "--entity-type", "topics", "--entity-name", "t", "--alter", "--add-config", "retention.ms=1")
    with compacting.wire() as wire:
        eventually(lambda: list_offset(wire, "t", -2)["Offset"] >= 3000, 60)


def test_an_idempotent_producer_goes_on_after_its_batches_were_compacted(compacting):
    with_topic(compacting).close()
    producer = Producer({"bootstrap.servers": compacting.bootstrap, "enable.idempotence": True, "linger.ms": 5})
    failed = []

    def send(count):
        for number in range(count):
            producer.produce("t", b"." * 1000, key=b"only", partition=0, on_delivery=lambda e, _: e and failed.append(e))
            producer.poll(0)
        assert producer.flush(60) == 0

    send(2000)
    fill(compacting.bootstrap, 1, 1)
    roll(compacting.bootstrap)
    wait_until_compacted(compacting, 50)
    compacting.kill()
    compacting.restart()
    send(100)
    assert not failed, failed[:3]


def test_offsets_survive_the_compaction_of_their_topic(start_broker):
    settings = {
        **SETTINGS,
        "offsets.topic.num.partitions": 1,
        "offsets.topic.segment.bytes": 1 << 20,
        "log.cleaner.min.cleanable.ratio": "0.01",
    }
    broker = start_broker(settings)
    with with_topic(broker, {"cleanup.policy": "delete"}) as wire:
        assert code(produce(wire, "t", batches.batch([b"x"] * 10))) == "NONE"

    def commit(group, offset, metadata):
        consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": group, "enable.auto.commit": False})
        offsets = [TopicPartition("t", 0, offset, metadata)]
        for _ in range(60):
            consumer.commit(offsets=offsets, asynchronous=False)
        consumer.close()

    for number in range(25):
        commit(f"group-{number}", number % 10, "m" * 2000)
    eventually(lambda: bytes_on_disk(broker, "__consumer_offsets") < 1_500_000, 60)
    broker.kill()
    broker.restart()
    for number in range(25):
        consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": f"group-{number}"})
        assert consumer.committed([TopicPartition("t", 0)], timeout=30)[0].offset == number % 10
        consumer.close()


def kills():
    return 2 if os.environ.get("OTTLA_TEST_BROKER") == "kafka" else 8


@pytest.mark.timeout(400)
def test_kill_9_while_compacting_over_and_over_loses_no_last_value(start_broker):
    broker = start_broker({**SETTINGS, "log.cleaner.io.max.bytes.per.second": 8 << 20})
    with_topic(broker).close()
    dice = random.Random(5)
    acknowledged, sent = {}, {}

    def write(number):
        producer = Producer({"bootstrap.servers": broker.bootstrap, "enable.idempotence": True, "linger.ms": 5})

        def note(key, value):
            def done(error, _):
                if error is None:
                    acknowledged[key] = value

            return done

        for index in range(3000):
            key = b"key-%d" % dice.randrange(200)
            value = b"%d:%d:" % (number, index) + b"." * 1000
            sent.setdefault(key, []).append(value)
            producer.produce("t", value, key=key, partition=0, on_delivery=note(key, value))
            producer.poll(0)
        assert producer.flush(60) == 0

    for number in range(kills()):
        write(number)
        roll(broker.bootstrap)
        time.sleep(dice.uniform(0.0, 1.2))
        broker.kill()
        broker.restart()
        assert table(read_all(broker.bootstrap)) == acknowledged
    wait_until_compacted(broker, 1500)
    assert table(read_all(broker.bootstrap)) == acknowledged
    folder = broker.partition_dir("t")
    broker.stop()
    assert_dump_is_clean(broker)
    assert not [item for item in folder.iterdir() if item.suffix in (".cleaned", ".swap")]


@pytest.mark.ottla_only("the names are ours")
def test_what_the_cleaner_does_is_seen_in_the_metrics(compacting):
    with_topic(compacting).close()
    fill(compacting.bootstrap, 30, 100)
    roll(compacting.bootstrap)
    wait_until_compacted(compacting, 250)

    def metric(name):
        with urllib.request.urlopen(f"{compacting.http}/metrics", timeout=5) as answer:
            rows = [line for line in answer.read().decode().splitlines() if line.startswith(f"{name} ")]
        return float(rows[0].split()[1])

    assert metric("ottla_cleaner_runs_total") >= 1
    assert metric("ottla_cleaner_records_kept_total") < metric("ottla_cleaner_records_seen_total")
    assert metric("ottla_cleaner_uncleanable_partitions") == 0
    assert "log cleaned" in compacting.output(400)


@pytest.mark.ottla_only("Apache Kafka is not told to look at such damage")
def test_a_damaged_log_is_uncleanable_and_says_so(start_broker):
    broker = start_broker({**SETTINGS, "log.cleaner.backoff.ms": 3_600_000})
    with_topic(broker).close()
    fill(broker.bootstrap, 15, 100)
    roll(broker.bootstrap)
    broker.stop()
    with open(broker.segments("t")[0], "r+b") as file:
        file.seek(5000)
        file.write(b"\xff" * 10)
    broker.settings["log.cleaner.backoff.ms"] = 200
    broker.restart()

    def is_shown():
        with urllib.request.urlopen(f"{broker.http}/metrics", timeout=5) as answer:
            return "ottla_cleaner_uncleanable_partitions 1" in answer.read().decode()

    eventually(is_shown, 20)
    assert "cannot be cleaned" in broker.output(400)
    with broker.wire() as wire:
        assert code(produce(wire, "t", batches.batch([(b"k", b"v")]))) == "NONE"
