"""Produce: acknowledgements, codecs, timestamps, idempotence, and each refusal with Kafka's error code."""

import gzip
import time
import uuid

import pytest

from harness import batches
from harness.wire import alter_config, error_name, fetch, list_offset, produce, topic_id

TOPIC = 2
DAY = 86_400_000


def code(answer):
    return error_name(answer["ErrorCode"])


def now():
    return int(time.time() * 1000)


def init_producer(wire):
    end = time.monotonic() + 10
    while True:
        answer = wire.call("InitProducerId", {"TransactionalId": None, "TransactionTimeoutMs": 60_000}, 4)
        if code(answer) == "NONE" or time.monotonic() > end:
            assert code(answer) == "NONE"
            return answer["ProducerId"], answer["ProducerEpoch"]
        time.sleep(0.1)


def values(wire, topic, offset=0):
    parts = batches.parse(fetch(wire, topic, offset)["Records"])
    return [row[3] for part in parts for row in part.records()]


@pytest.mark.parametrize("acks", [-1, 1])
def test_offsets_are_consecutive_and_records_come_back(wire, topic, acks):
    first = produce(wire, topic, batches.batch([b"a", b"b", b"c"]), acks=acks)
    second = produce(wire, topic, batches.batch([b"d"]), acks=acks)
    assert (code(first), first["BaseOffset"], second["BaseOffset"]) == ("NONE", 0, 3)
    assert (first["LogAppendTimeMs"], first["LogStartOffset"]) == (-1, 0)
    assert values(wire, topic) == [b"a", b"b", b"c", b"d"]


def test_acks_0_is_not_answered_and_is_written(wire, topic):
    produce(wire, topic, batches.batch([b"silent"]), acks=0)
    assert produce(wire, topic, batches.batch([b"next"]))["BaseOffset"] == 1
    assert values(wire, topic) == [b"silent", b"next"]


def test_bytes_come_back_as_sent_but_for_offset_and_leader_epoch(wire, topic):
    sent = batches.batch([(b"k", b"v", [(b"h", b"1"), (b"h", None)]), (None, None)])
    produce(wire, topic, sent)
    stored = fetch(wire, topic, 0)["Records"]
    assert stored[:12] == sent[:12]
    assert stored[16:] == sent[16:]
    assert batches.parse(stored)[0].leader_epoch == 0


def test_many_partitions_in_one_request_each_get_an_answer(wire, make_topic):
    topic = make_topic(3)
    rows = [{"Index": index, "Records": batches.batch([b"x"])} for index in (0, 1, 2, 7)]
    body = {"Acks": -1, "TimeoutMs": 5000, "TopicData": [{"Name": topic, "PartitionData": rows}]}
    answers = wire.call("Produce", body, 9)["Responses"][0]["PartitionResponses"]
    assert {item["Index"]: code(item) for item in answers} == {
        0: "NONE",
        1: "NONE",
        2: "NONE",
        7: "UNKNOWN_TOPIC_OR_PARTITION",
    }


def test_unknown_topic_and_topic_id(wire, name):
    assert code(produce(wire, name, batches.batch([b"x"]))) == "UNKNOWN_TOPIC_OR_PARTITION"
    partition = {"Index": 0, "Records": batches.batch([b"x"])}
    data = [{"TopicId": uuid.uuid4(), "PartitionData": [partition]}]
    answer = wire.call("Produce", {"Acks": -1, "TimeoutMs": 5000, "TopicData": data}, 13)
    assert code(answer["Responses"][0]["PartitionResponses"][0]) == "UNKNOWN_TOPIC_ID"


def test_by_topic_id(wire, topic):
    assert code(produce(wire, topic, batches.batch([b"x"]), version=13)) == "NONE"
    assert topic_id(wire, topic) == topic_id(wire, topic)


def test_acks_of_2_are_refused(wire, topic):
    assert code(produce(wire, topic, batches.batch([b"x"]), acks=2)) == "INVALID_REQUIRED_ACKS"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"crc": 1}, "CORRUPT_MESSAGE"),
        ({"count": 2}, "INVALID_RECORD"),
        ({"last_offset_delta": 5}, "INVALID_RECORD"),
        ({"attributes": 0x20}, "INVALID_RECORD"),
    ],
    ids=["crc", "count", "last-offset-delta", "control"],
)
def test_a_batch_that_is_wrong_inside_is_refused_and_nothing_is_written(wire, topic, options, expected):
    assert code(produce(wire, topic, batches.batch([b"x"], **options))) == expected
    assert list_offset(wire, topic, -1)["Offset"] == 0
    assert produce(wire, topic, batches.batch([b"y"]))["BaseOffset"] == 0


def test_a_flipped_bit_is_refused(wire, topic):
    data = bytearray(batches.batch([b"x" * 100]))
    data[80] ^= 1
    assert code(produce(wire, topic, bytes(data))) == "CORRUPT_MESSAGE"


def test_two_batches_for_one_partition_are_refused(wire, topic):
    assert code(produce(wire, topic, batches.batch([b"x"]) + batches.batch([b"y"]))) == "INVALID_RECORD"


def test_the_old_message_format_is_refused(broker, wire, topic):
    """Kafka's code for it depends on the version of the request; none of them is NONE."""
    answer = produce(wire, topic, batches.message_v1(b"old"), version=3)
    assert code(answer) in ("UNSUPPORTED_FOR_MESSAGE_FORMAT", "INVALID_RECORD")
    assert list_offset(wire, topic, -1)["Offset"] == 0


def test_a_batch_larger_than_max_message_bytes_is_refused(wire, make_topic):
    topic = make_topic(1, {"max.message.bytes": 1000})
    assert code(produce(wire, topic, batches.batch([b"x" * 2000]))) == "MESSAGE_TOO_LARGE"
    assert code(produce(wire, topic, batches.batch([b"x" * 500]))) == "NONE"
    alter_config(wire, TOPIC, topic, {"max.message.bytes": 5000})
    deadline = time.monotonic() + 5
    while (got := code(produce(wire, topic, batches.batch([b"x" * 2000])))) != "NONE":
        assert time.monotonic() < deadline, got
        time.sleep(0.05)


def test_a_compacted_topic_wants_keys(wire, make_topic):
    topic = make_topic(1, {"cleanup.policy": "compact"})
    assert code(produce(wire, topic, batches.batch([b"x"]))) == "INVALID_RECORD"
    assert code(produce(wire, topic, batches.batch([(b"k", b"x")]))) == "NONE"


def test_timestamps_out_of_bounds_are_refused(wire, make_topic):
    topic = make_topic(1, {"message.timestamp.before.max.ms": DAY, "message.timestamp.after.max.ms": DAY})
    for stamp in (now() - 2 * DAY, now() + 2 * DAY):
        assert code(produce(wire, topic, batches.batch([b"x"], timestamps=[stamp]))) == "INVALID_TIMESTAMP"
    assert code(produce(wire, topic, batches.batch([b"x"], timestamps=[now() - DAY // 2]))) == "NONE"


def test_log_append_time_overwrites_timestamps(wire, make_topic):
    topic = make_topic(1, {"message.timestamp.type": "LogAppendTime"})
    before = now()
    answer = produce(wire, topic, batches.batch([b"a", b"b"], timestamps=[1000, 2000]))
    assert before - 2000 <= answer["LogAppendTimeMs"] <= now() + 2000
    part = batches.parse(fetch(wire, topic, 0)["Records"])[0]
    assert part.is_log_append_time
    assert part.crc_is_right
    assert part.max_timestamp == answer["LogAppendTimeMs"]
    assert list_offset(wire, topic, answer["LogAppendTimeMs"])["Offset"] == 0


def test_a_compressed_batch_is_stored_as_sent(wire, topic):
    plain = batches.batch([b"a" * 300, b"b" * 300])
    body = gzip.compress(plain[batches.HEADER_BYTES :])
    assert code(produce(wire, topic, batches.batch([b"a" * 300, b"b" * 300], codec=1, body=body))) == "NONE"
    part = batches.parse(fetch(wire, topic, 0)["Records"])[0]
    assert (part.codec, part.count) == (1, 2)
    assert part.data[batches.HEADER_BYTES :] == body


def test_an_unknown_codec_is_refused(wire, topic):
    assert code(produce(wire, topic, batches.batch([b"x"], codec=7))) != "NONE"
    assert list_offset(wire, topic, -1)["Offset"] == 0


@pytest.mark.parametrize(("setting", "codec"), [("gzip", 1), ("snappy", 2), ("lz4", 3), ("zstd", 4), ("uncompressed", 0)])
def test_the_broker_compresses_as_the_topic_says(wire, make_topic, setting, codec):
    topic = make_topic(1, {"compression.type": setting})
    plain = batches.batch([(b"k", b"value" * 100), (b"k", b"value" * 50)])
    body = gzip.compress(plain[batches.HEADER_BYTES :])
    stamps = {"base_timestamp": batches.Batch(plain).base_timestamp, "timestamps": [batches.Batch(plain).base_timestamp] * 2}
    rows = [(b"k", b"value" * 100), (b"k", b"value" * 50)]
    assert code(produce(wire, topic, batches.batch(rows, codec=1, body=body, **stamps))) == "NONE"
    part = batches.parse(fetch(wire, topic, 0)["Records"])[0]
    assert (part.codec, part.count, part.crc_is_right) == (codec, 2, True)
    if codec == 0:
        assert [row[3] for row in part.records()] == [b"value" * 100, b"value" * 50]


def test_idempotent_retries_are_answered_with_the_original_offset(wire, topic):
    id_, epoch = init_producer(wire)
    sent = [batches.batch([b"%d" % n], producer=(id_, epoch, n)) for n in range(5)]
    offsets = [produce(wire, topic, item)["BaseOffset"] for item in sent]
    assert offsets == [0, 1, 2, 3, 4]
    again = [produce(wire, topic, item) for item in sent]
    assert [(code(item), item["BaseOffset"]) for item in again] == [("NONE", offset) for offset in offsets]
    assert list_offset(wire, topic, -1)["Offset"] == 5


def test_a_gap_in_the_sequence_is_refused(wire, topic):
    id_, epoch = init_producer(wire)
    assert code(produce(wire, topic, batches.batch([b"a"], producer=(id_, epoch, 0)))) == "NONE"
    answer = produce(wire, topic, batches.batch([b"c"], producer=(id_, epoch, 2)))
    assert code(answer) == "OUT_OF_ORDER_SEQUENCE_NUMBER"
    assert code(produce(wire, topic, batches.batch([b"b"], producer=(id_, epoch, 1)))) == "NONE"


def test_a_duplicate_older_than_the_last_five_is_refused(wire, topic):
    id_, epoch = init_producer(wire)
    for n in range(7):
        produce(wire, topic, batches.batch([b"x"], producer=(id_, epoch, n)))
    answer = produce(wire, topic, batches.batch([b"x"], producer=(id_, epoch, 0)))
    assert code(answer) in ("OUT_OF_ORDER_SEQUENCE_NUMBER", "DUPLICATE_SEQUENCE_NUMBER")
    assert list_offset(wire, topic, -1)["Offset"] == 7


def test_an_old_epoch_is_fenced_and_a_new_one_starts_at_zero(wire, topic):
    id_, epoch = init_producer(wire)
    produce(wire, topic, batches.batch([b"a"], producer=(id_, epoch, 0)))
    assert code(produce(wire, topic, batches.batch([b"b"], producer=(id_, epoch + 1, 0)))) == "NONE"
    answer = produce(wire, topic, batches.batch([b"c"], producer=(id_, epoch, 1)))
    assert code(answer) == "INVALID_PRODUCER_EPOCH"


def test_sequences_wrap_around(wire, topic):
    id_, epoch = init_producer(wire)
    last = 2**31 - 1
    first = produce(wire, topic, batches.batch([b"a", b"b"], producer=(id_, epoch, last - 1)))
    assert code(first) == "NONE"
    assert code(produce(wire, topic, batches.batch([b"c"], producer=(id_, epoch, 0)))) == "NONE"


def test_producers_are_described(wire, topic):
    id_, epoch = init_producer(wire)
    produce(wire, topic, batches.batch([b"a", b"b"], producer=(id_, epoch, 0)))
    answer = wire.call("DescribeProducers", Topics=[{"Name": topic, "PartitionIndexes": [0]}])
    partition = answer["Topics"][0]["Partitions"][0]
    assert code(partition) == "NONE"
    state = partition["ActiveProducers"][0]
    assert (state["ProducerId"], state["ProducerEpoch"], state["LastSequence"]) == (id_, epoch, 1)
    assert state["CurrentTxnStartOffset"] == -1


def test_producer_ids_are_never_given_twice(wire):
    ids = [init_producer(wire)[0] for _ in range(50)]
    assert len(set(ids)) == 50


def test_min_insync_replicas_above_the_replicas_refuses_acks_all(wire, make_topic):
    topic = make_topic(1, {"min.insync.replicas": 2})
    assert code(produce(wire, topic, batches.batch([b"x"]))) in ("NOT_ENOUGH_REPLICAS", "NONE")
    assert code(produce(wire, topic, batches.batch([b"x"]), acks=1)) == "NONE"
