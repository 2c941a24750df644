"""Fetch, sessions, ListOffsets, OffsetForLeaderEpoch and DeleteRecords over the wire."""

import time
import uuid

import pytest

from harness import batches
from harness.waiting import eventually
from harness.wire import alter_config, error_name, fetch, list_offset, produce, topic_id

EARLIEST, LATEST, MAX_TIMESTAMP, EARLIEST_LOCAL, LATEST_TIERED = -2, -1, -3, -4, -5


def code(answer):
    return error_name(answer["ErrorCode"])


def fill(wire, topic, count, size=100, per_batch=1):
    for _ in range(count):
        assert code(produce(wire, topic, batches.batch([b"x" * size] * per_batch))) == "NONE"


def delete_records(wire, topic, offset, partition=0):
    rows = [{"PartitionIndex": partition, "Offset": offset}]
    body = {"Topics": [{"Name": topic, "Partitions": rows}], "TimeoutMs": 5000}
    return wire.call("DeleteRecords", body)["Topics"][0]["Partitions"][0]


def test_an_offset_inside_a_batch_returns_the_whole_batch(wire, topic):
    fill(wire, topic, 3, per_batch=10)
    parts = batches.parse(fetch(wire, topic, 15)["Records"])
    assert [part.base_offset for part in parts] == [10, 20]


def test_high_watermark_and_log_start_are_told(wire, topic):
    fill(wire, topic, 3)
    answer = fetch(wire, topic, 0)
    assert (answer["HighWatermark"], answer["LastStableOffset"], answer["LogStartOffset"]) == (3, 3, 0)


def test_offsets_out_of_range(wire, topic):
    fill(wire, topic, 3)
    assert code(fetch(wire, topic, 4, max_wait_ms=0)) == "OFFSET_OUT_OF_RANGE"
    assert code(fetch(wire, topic, -1, max_wait_ms=0)) == "OFFSET_OUT_OF_RANGE"
    at_the_end = fetch(wire, topic, 3, max_wait_ms=0)
    assert (code(at_the_end), at_the_end["Records"] or b"") == ("NONE", b"")


def test_an_empty_fetch_waits_for_max_wait(wire, topic):
    begin = time.monotonic()
    answer = fetch(wire, topic, 0, max_wait_ms=400)
    assert 0.3 < time.monotonic() - begin < 3
    assert code(answer) == "NONE"


def test_a_waiting_fetch_is_woken_by_a_produce(broker, wire, topic):
    with broker.wire() as reader:
        named = {"Topic": topic, "Partitions": [{"Partition": 0, "FetchOffset": 0, "PartitionMaxBytes": 1 << 20}]}
        body = {"MaxWaitMs": 20_000, "MinBytes": 1, "MaxBytes": 1 << 20, "Topics": [named]}
        pending = reader.send("Fetch", body, 12)
        time.sleep(0.2)
        fill(wire, topic, 1)
        begin = time.monotonic()
        answer = reader.receive(pending)
        assert time.monotonic() - begin < 5
        assert len(batches.parse(answer["Responses"][0]["Partitions"][0]["Records"])) == 1


def test_min_bytes_are_waited_for(broker, wire, topic):
    fill(wire, topic, 1)
    begin = time.monotonic()
    answer = fetch(wire, topic, 0, max_wait_ms=500, min_bytes=100_000)
    assert time.monotonic() - begin > 0.4
    assert len(batches.parse(answer["Records"])) == 1


def test_max_bytes_bound_the_answer_but_for_the_first_batch(wire, topic):
    fill(wire, topic, 10, size=10_000)
    bounded = fetch(wire, topic, 0, partition_max_bytes=25_000)
    assert len(batches.parse(bounded["Records"])) == 2
    assert len(bounded["Records"]) <= 25_000
    first = fetch(wire, topic, 0, partition_max_bytes=10)
    assert len(batches.parse(first["Records"])) == 1
    whole = fetch(wire, topic, 0, max_bytes=10)
    assert len(batches.parse(whole["Records"])) == 1


def test_a_fetch_of_two_gigabytes_is_bounded(wire, topic):
    fill(wire, topic, 3, size=100_000)
    answer = fetch(wire, topic, 0, max_bytes=2**31 - 1, partition_max_bytes=2**31 - 1)
    assert len(batches.parse(answer["Records"])) == 3


def test_unknown_topic_id_partition_and_leader_epochs(wire, topic, name):
    assert code(fetch(wire, f"{name}-none", 0, max_wait_ms=0)) == "UNKNOWN_TOPIC_OR_PARTITION"
    assert code(fetch(wire, topic, 0, partition=5, max_wait_ms=0)) == "UNKNOWN_TOPIC_OR_PARTITION"
    assert code(fetch(wire, topic, 0, leader_epoch=9, max_wait_ms=0)) == "UNKNOWN_LEADER_EPOCH"
    assert code(fetch(wire, topic, 0, leader_epoch=0, max_wait_ms=0)) == "NONE"
    row = {"TopicId": uuid.uuid4(), "Partitions": [{"Partition": 0, "FetchOffset": 0, "PartitionMaxBytes": 100}]}
    answer = wire.call("Fetch", {"MaxWaitMs": 0, "MinBytes": 0, "MaxBytes": 100, "Topics": [row]}, 16)
    assert code(answer["Responses"][0]["Partitions"][0]) == "UNKNOWN_TOPIC_ID"


class Session:
    """A fetch session by hand."""

    def __init__(self, wire, version=13):
        self.wire, self.version, self.id, self.epoch = wire, version, 0, 0

    def fetch(self, topics=(), forget=(), max_wait_ms=100):
        body = {
            "MaxWaitMs": max_wait_ms,
            "MinBytes": 1,
            "MaxBytes": 1 << 20,
            "SessionId": self.id,
            "SessionEpoch": self.epoch,
            "Topics": list(topics),
            "ForgottenTopicsData": list(forget),
        }
        answer = self.wire.call("Fetch", body, self.version)
        if answer["ErrorCode"] == 0:
            self.id = answer["SessionId"]
            self.epoch += 1
        return answer


def wanted(wire, topic, offsets):
    rows = [
        {"Partition": index, "FetchOffset": offset, "PartitionMaxBytes": 1 << 20} for index, offset in offsets.items()
    ]
    return {"TopicId": topic_id(wire, topic), "Partitions": rows}


def partitions_of(answer):
    return {item["PartitionIndex"]: item for topic in answer["Responses"] for item in topic["Partitions"]}


def test_a_session_answers_only_what_is_new(wire, make_topic):
    topic = make_topic(2)
    session = Session(wire)
    first = session.fetch([wanted(wire, topic, {0: 0, 1: 0})])
    assert first["SessionId"] > 0
    assert set(partitions_of(first)) == {0, 1}
    assert partitions_of(session.fetch()) == {}
    assert code(produce(wire, topic, batches.batch([b"x"]), partition=1)) == "NONE"
    third = session.fetch(max_wait_ms=2000)
    assert set(partitions_of(third)) == {1}
    assert len(batches.parse(partitions_of(third)[1]["Records"])) == 1


def test_a_session_forgets_and_changes_partitions(wire, make_topic):
    topic = make_topic(2)
    fill(wire, topic, 3)
    session = Session(wire)
    assert len(batches.parse(partitions_of(session.fetch([wanted(wire, topic, {0: 0})]))[0]["Records"])) == 3
    moved = session.fetch([wanted(wire, topic, {0: 2})])
    assert len(batches.parse(partitions_of(moved)[0]["Records"])) == 1
    forget = {"TopicId": topic_id(wire, topic), "Partitions": [0]}
    assert partitions_of(session.fetch(forget=[forget])) == {}


def test_sessions_with_wrong_ids_and_epochs(wire, topic):
    session = Session(wire)
    session.fetch([wanted(wire, topic, {0: 0})])
    session.epoch += 5
    assert code(session.fetch()) == "INVALID_FETCH_SESSION_EPOCH"
    session.id, session.epoch = 123_456_789, 3
    assert code(session.fetch()) == "FETCH_SESSION_ID_NOT_FOUND"


def test_a_session_over_a_deleted_topic_says_so(wire, make_topic):
    topic, other = make_topic(), make_topic()
    session = Session(wire)
    session.fetch([wanted(wire, topic, {0: 0}), wanted(wire, other, {0: 0})])
    wire.call("DeleteTopics", {"Topics": [{"Name": topic}], "TimeoutMs": 5000}, 6)
    answer = eventually(lambda: partitions_of(session.fetch()))
    assert code(answer[0]) in ("UNKNOWN_TOPIC_ID", "UNKNOWN_TOPIC_OR_PARTITION")


def test_list_offsets_specials(wire, make_topic):
    topic = make_topic(1, {"retention.ms": -1})
    stamps = [1_000_000, 5_000_000, 3_000_000]
    for stamp in stamps:
        produce(wire, topic, batches.batch([b"x"], timestamps=[stamp]))
    assert list_offset(wire, topic, EARLIEST)["Offset"] == 0
    assert list_offset(wire, topic, LATEST)["Offset"] == 3
    newest = list_offset(wire, topic, MAX_TIMESTAMP)
    assert (newest["Offset"], newest["Timestamp"]) == (1, 5_000_000)
    assert list_offset(wire, topic, EARLIEST_LOCAL)["Offset"] == 0
    assert list_offset(wire, topic, LATEST_TIERED)["Offset"] == -1


def test_list_offsets_by_time(wire, make_topic):
    topic = make_topic(1, {"retention.ms": -1})
    for stamp in (1000, 2000, 3000):
        rows = [b"a", b"b"]
        produce(wire, topic, batches.batch(rows, timestamps=[stamp, stamp + 500]))
    found = [list_offset(wire, topic, stamp) for stamp in (0, 1000, 1400, 1501, 2000, 3500)]
    assert [(item["Offset"], item["Timestamp"]) for item in found] == [
        (0, 1000),
        (0, 1000),
        (1, 1500),
        (2, 2000),
        (2, 2000),
        (5, 3500),
    ]
    beyond = list_offset(wire, topic, 9000)
    assert (code(beyond), beyond["Offset"]) == ("NONE", -1)


def test_list_offsets_of_unknown_things(wire, topic, name):
    assert code(list_offset(wire, f"{name}-none", LATEST)) == "UNKNOWN_TOPIC_OR_PARTITION"
    assert code(list_offset(wire, topic, LATEST, partition=9)) == "UNKNOWN_TOPIC_OR_PARTITION"


def test_offset_for_leader_epoch(wire, topic):
    fill(wire, topic, 4)

    def ask(epoch, current=-1):
        row = {"Partition": 0, "CurrentLeaderEpoch": current, "LeaderEpoch": epoch}
        body = {"ReplicaId": -1, "Topics": [{"Topic": topic, "Partitions": [row]}]}
        return wire.call("OffsetForLeaderEpoch", body)["Topics"][0]["Partitions"][0]

    assert (ask(0)["LeaderEpoch"], ask(0)["EndOffset"]) == (0, 4)
    assert ask(7)["EndOffset"] == -1
    assert code(ask(0, current=5)) == "UNKNOWN_LEADER_EPOCH"


def test_delete_records_moves_the_log_start(wire, topic):
    fill(wire, topic, 10)
    answer = delete_records(wire, topic, 4)
    assert (code(answer), answer["LowWatermark"]) == ("NONE", 4)
    assert list_offset(wire, topic, EARLIEST)["Offset"] == 4
    assert code(fetch(wire, topic, 3, max_wait_ms=0)) == "OFFSET_OUT_OF_RANGE"
    assert batches.parse(fetch(wire, topic, 4)["Records"])[0].base_offset == 4
    assert delete_records(wire, topic, 2)["LowWatermark"] == 4
    assert code(delete_records(wire, topic, 11)) == "OFFSET_OUT_OF_RANGE"
    everything = delete_records(wire, topic, -1)
    assert everything["LowWatermark"] == 10
    assert produce(wire, topic, batches.batch([b"x"]))["BaseOffset"] == 10


def test_delete_records_of_an_unknown_partition(wire, topic):
    assert code(delete_records(wire, topic, 0, partition=9)) == "UNKNOWN_TOPIC_OR_PARTITION"


def test_segments_roll_and_retention_by_size_removes_the_oldest(broker, wire, make_topic):
    topic = make_topic(1, {"segment.bytes": 1 << 20, "file.delete.delay.ms": 100})
    fill(wire, topic, 60, size=100_000)
    assert len(broker.segments(topic)) >= 5
    alter_config(wire, 2, topic, {"retention.bytes": 2 << 20})
    eventually(lambda: list_offset(wire, topic, EARLIEST)["Offset"] > 20)
    eventually(lambda: len(broker.segments(topic)) <= 4)
    start = list_offset(wire, topic, EARLIEST)["Offset"]
    assert batches.parse(fetch(wire, topic, start)["Records"])[0].base_offset == start
    assert list_offset(wire, topic, LATEST)["Offset"] == 60


def test_retention_by_time_is_dynamic_and_empties_the_log(wire, make_topic):
    topic = make_topic(1, {"segment.bytes": 1 << 20})
    old = int(time.time() * 1000) - 3_600_000
    for _ in range(15):
        produce(wire, topic, batches.batch([b"x" * 100_000], timestamps=[old]))
    time.sleep(1.2)
    assert list_offset(wire, topic, EARLIEST)["Offset"] == 0
    alter_config(wire, 2, topic, {"retention.ms": 60_000})
    eventually(lambda: list_offset(wire, topic, EARLIEST)["Offset"] == 15)
    assert produce(wire, topic, batches.batch([b"x"]))["BaseOffset"] == 15


def test_segments_roll_by_time(broker, wire, make_topic):
    topic = make_topic(1, {"segment.ms": 200})
    base = int(time.time() * 1000)
    for step in range(4):
        produce(wire, topic, batches.batch([b"x"], timestamps=[base + step * 1000]))
        time.sleep(0.25)
    assert len(broker.segments(topic)) >= 2
    assert len(batches.parse(fetch(wire, topic, 0)["Records"])) == 1 or list_offset(wire, topic, LATEST)["Offset"] == 4


@pytest.mark.parametrize("version", [4, 7, 11, 12])
def test_old_fetch_versions_carry_the_same_records(wire, topic, version):
    fill(wire, topic, 2)
    assert len(batches.parse(fetch(wire, topic, 0, version=version)["Records"])) == 2
