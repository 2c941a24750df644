"""kill -9, torn tails, flipped bits, missing indexes: what was acknowledged is there, nothing is corrupt."""

import os
import random
import time

import pytest

from conftest import wait_for_leader
from harness import batches
from harness.tools import dump_log
from harness.waiting import eventually
from harness.wire import create_topic, error_name, fetch, list_offset, produce
from ledger import LedgerProducer, verify
from test_produce import init_producer


def code(answer):
    return error_name(answer["ErrorCode"])


def with_topic(broker, topic="t", partitions=1, configs=None):
    """A connection to a broker that has the topic."""
    wire = broker.wire()
    assert code(create_topic(wire, topic, partitions, configs)) == "NONE"
    wait_for_leader(wire, topic)
    return wire


def rounds(default):
    """How often to kill: fewer for the slow reference."""
    return 2 if os.environ.get("OTTLA_TEST_BROKER") == "kafka" else default


@pytest.mark.timeout(300)
def test_kill_9_under_load_over_and_over_loses_and_doubles_nothing(start_broker):
    broker = start_broker({"log.segment.bytes": 1 << 20, "log.retention.check.interval.ms": 500})
    with_topic(broker, partitions=4).close()
    ledger = LedgerProducer(broker.bootstrap, "t", 4, size=1000).start()
    dice = random.Random(7)
    for _ in range(rounds(12)):
        before = ledger.acknowledged_count
        eventually(lambda: ledger.acknowledged_count > before + 200, 30)
        time.sleep(dice.uniform(0.0, 0.6))
        broker.kill()
        broker.restart()
    assert ledger.finish() == 0
    assert not ledger.failed, ledger.failed[:5]
    with broker.wire() as wire:
        verdict = verify(wire, ledger)
    assert verdict.is_clean, str(verdict)
    assert verdict.stored == ledger.sent
    broker.stop()
    for index in range(4):
        for line in dump_log(*broker.segments("t", index)):
            assert "isvalid: false" not in line, line


def test_kill_9_during_the_start_is_survived(start_broker):
    broker = start_broker()
    with with_topic(broker, partitions=3) as wire:
        for index in range(3):
            assert code(produce(wire, "t", batches.batch([b"x" * 1000] * 50), partition=index)) == "NONE"
    dice = random.Random(3)
    for _ in range(rounds(10)):
        broker.kill()
        broker.launch()
        time.sleep(dice.uniform(0.0, 0.06) if broker.flavour == "ottla" else dice.uniform(0.5, 4))
    broker.kill()
    broker.restart()
    with broker.wire() as wire:
        for index in range(3):
            assert list_offset(wire, "t", -1, index)["Offset"] == 50


def test_topics_settings_and_deletions_survive_kill_9(start_broker):
    broker = start_broker()
    with with_topic(broker, "stays", 3, {"retention.ms": 4242}) as wire:
        create_topic(wire, "goes")
        wait_for_leader(wire, "goes")
        wire.call("DeleteTopics", {"Topics": [{"Name": "goes"}], "TimeoutMs": 5000}, 6)
    broker.kill()
    broker.restart()
    with broker.wire() as wire:
        wait_for_leader(wire, "stays")
        names = {item["Name"] for item in wire.call("Metadata", {"Topics": None}, 12)["Topics"]}
        assert "stays" in names
        assert "goes" not in names
        from harness.wire import describe_config

        assert describe_config(wire, 2, "stays")[1]["retention.ms"]["Value"] == "4242"


def test_log_start_offset_survives_a_clean_restart(start_broker):
    broker = start_broker()
    with with_topic(broker) as wire:
        for _ in range(10):
            produce(wire, "t", batches.batch([b"x"]))
        rows = [{"PartitionIndex": 0, "Offset": 6}]
        wire.call("DeleteRecords", {"Topics": [{"Name": "t", "Partitions": rows}], "TimeoutMs": 5000})
    broker.stop()
    broker.restart()
    with broker.wire() as wire:
        assert (list_offset(wire, "t", -2)["Offset"], list_offset(wire, "t", -1)["Offset"]) == (6, 10)


@pytest.mark.parametrize("way", ["stop", "kill"])
def test_idempotent_producers_go_on_after_a_restart(start_broker, way):
    broker = start_broker()
    with with_topic(broker) as wire:
        id_, epoch = init_producer(wire)
        for n in range(4):
            assert code(produce(wire, "t", batches.batch([b"%d" % n], producer=(id_, epoch, n)))) == "NONE"
    getattr(broker, way)()
    broker.restart()
    with broker.wire() as wire:
        wait_for_leader(wire, "t")
        again = produce(wire, "t", batches.batch([b"3"], producer=(id_, epoch, 3)))
        assert (code(again), again["BaseOffset"]) == ("NONE", 3)
        gap = produce(wire, "t", batches.batch([b"9"], producer=(id_, epoch, 9)))
        assert code(gap) == "OUT_OF_ORDER_SEQUENCE_NUMBER"
        assert produce(wire, "t", batches.batch([b"4"], producer=(id_, epoch, 4)))["BaseOffset"] == 4
        assert init_producer(wire)[0] != id_


def _stopped_with_records(start_broker, count=20, configs=None, way="kill"):
    broker = start_broker()
    with with_topic(broker, configs=configs) as wire:
        for n in range(count):
            assert code(produce(wire, "t", batches.batch([b"%d " % n + b"x" * 1000]))) == "NONE"
    getattr(broker, way)()
    return broker


def test_a_torn_tail_is_cut_off(start_broker):
    broker = _stopped_with_records(start_broker)
    active = broker.segments("t")[-1]
    with open(active, "r+b") as file:
        file.truncate(active.stat().st_size - 300)
    broker.restart()
    with broker.wire() as wire:
        eventually(lambda: list_offset(wire, "t", -1)["Offset"] == 19)
        assert produce(wire, "t", batches.batch([b"new"]))["BaseOffset"] == 19
        assert [part.base_offset for part in batches.parse(fetch(wire, "t", 0)["Records"])] == list(range(20))


def test_garbage_behind_the_tail_is_cut_off(start_broker):
    broker = _stopped_with_records(start_broker)
    with open(broker.segments("t")[-1], "ab") as file:
        file.write(os.urandom(500))
    broker.restart()
    with broker.wire() as wire:
        assert list_offset(wire, "t", -1)["Offset"] == 20
        assert produce(wire, "t", batches.batch([b"new"]))["BaseOffset"] == 20


@pytest.mark.parametrize("way", ["stop", "kill"])
def test_missing_indexes_are_built_again(start_broker, way):
    broker = _stopped_with_records(start_broker, 60, {"segment.bytes": 1 << 20, "index.interval.bytes": 1024}, way)
    for kind in ("*.index", "*.timeindex", "*.snapshot"):
        for file in broker.partition_dir("t").glob(kind):
            file.unlink()
    broker.restart()
    with broker.wire() as wire:
        assert list_offset(wire, "t", -1)["Offset"] == 60
        for offset in (0, 17, 59):
            assert batches.parse(fetch(wire, "t", offset)["Records"])[0].base_offset == offset


def _reads_everywhere(broker):
    with broker.wire() as wire:
        assert list_offset(wire, "t", -1)["Offset"] == 60
        for offset in (0, 31, 59):
            assert batches.parse(fetch(wire, "t", offset)["Records"])[0].base_offset == offset


@pytest.mark.parametrize("way", ["stop", "kill"])
def test_truncated_indexes_do_no_harm(start_broker, way):
    broker = _stopped_with_records(start_broker, 60, {"index.interval.bytes": 1024}, way)
    for file in broker.partition_dir("t").glob("*.index"):
        os.truncate(file, file.stat().st_size // 16 * 8)
    for file in broker.partition_dir("t").glob("*.timeindex"):
        os.truncate(file, 0)
    broker.restart()
    _reads_everywhere(broker)


def test_garbage_in_indexes_does_no_harm_after_a_kill(start_broker):
    broker = _stopped_with_records(start_broker, 60, {"index.interval.bytes": 1024})
    for file in broker.partition_dir("t").glob("*.index"):
        file.write_bytes(os.urandom(100))
    broker.restart()
    _reads_everywhere(broker)


# Where in the fifteenth batch a bit is flipped: only what lies behind the CRC field is covered by it.
FLIPS = {"base-offset": 0, "length": 9, "crc": 18, "attributes": 22, "payload": 500}


def _flipped(start_broker, place, way, machine_restarted):
    """A broker that found a bit flipped in the fifteenth of thirty batches of partition 0; the file and its bytes."""
    broker = start_broker()
    with with_topic(broker, partitions=2) as wire:
        for _ in range(30):
            for index in range(2):
                assert code(produce(wire, "t", batches.batch([b"x" * 1000]), partition=index)) == "NONE"
    getattr(broker, way)()
    path = broker.segments("t", 0)[0]
    data = bytearray(path.read_bytes())
    data[len(data) // 30 * 15 + FLIPS[place]] ^= 4
    path.write_bytes(data)
    if machine_restarted:
        # Without it the broker cannot know that what was written outlived the machine, and verifies all of it.
        (broker.data_dirs[0] / ".ottla_boot").unlink()
    broker.restart()
    return broker, path, bytes(data)


@pytest.mark.ottla_only("Kafka cuts the log at the broken batch and loses what follows")
@pytest.mark.parametrize("place", FLIPS)
def test_a_flipped_bit_takes_that_log_out_and_the_others_serve(start_broker, place):
    broker, path, data = _flipped(start_broker, place, "kill", True)
    with broker.wire() as wire:
        eventually(lambda: code(produce(wire, "t", batches.batch([b"y"]), partition=1)) == "NONE")
        assert len(batches.parse(fetch(wire, "t", 0, partition=1)["Records"])) == 31
        answer = produce(wire, "t", batches.batch([b"y"]), partition=0)
        assert code(answer) in ("KAFKA_STORAGE_ERROR", "NOT_LEADER_OR_FOLLOWER"), answer
    assert path.read_bytes() == data, "the evidence is left as it was"


@pytest.mark.ottla_only("Kafka cuts the log at the broken batch and loses what follows")
@pytest.mark.parametrize("place", FLIPS)
@pytest.mark.parametrize("way", ["stop", "kill"])
def test_a_flipped_bit_that_is_not_looked_for_costs_no_other_record(start_broker, place, way):
    broker, path, data = _flipped(start_broker, place, way, False)
    with broker.wire() as wire:
        eventually(lambda: code(produce(wire, "t", batches.batch([b"y"]), partition=1)) == "NONE")
        answer = list_offset(wire, "t", -1, partition=0)
        assert code(answer) != "NONE" or answer["Offset"] == 30, answer
    assert path.read_bytes()[: len(data)] == data


def test_a_second_broker_on_the_same_data_is_refused(start_broker):
    broker = start_broker()
    other = start_broker(launch_only=True, data_dirs=broker.data_dirs)
    other.process.wait(60)
    assert other.process.returncode != 0
    assert "lock" in other.output().lower()
    with broker.wire() as wire:
        assert wire.call("Metadata", {"Topics": []}, 12)["Brokers"]
