"""Bad input from the network: bounded memory, an error code or a closed connection, and the broker serves on."""

import gzip
import os
import random
import socket
import struct
import time

import pytest

from harness import batches, schema
from harness.wire import Closed, error_name, fetch, produce

MEBIBYTE = 1 << 20


@pytest.fixture(autouse=True)
def _still_serving(broker):
    """After each of these tests the broker is the same process, answers, and has not swallowed memory."""
    pid, before = broker.pid, broker.resident_bytes()
    yield
    assert broker.is_running
    assert broker.pid == pid
    with broker.wire(timeout=5) as wire:
        assert wire.call("Metadata", {"Topics": []}, 12)["Brokers"]
    assert broker.resident_bytes() < before + 400 * MEBIBYTE


def frame(data):
    return struct.pack(">i", len(data)) + data


@pytest.mark.parametrize("length", [-1, -(2**31), 2**31 - 1, 200 * MEBIBYTE])
def test_a_frame_with_an_impossible_length_closes_the_connection(wire, length):
    wire.send_raw(struct.pack(">i", length) + b"\x00" * 64)
    assert wire.is_closed_within(10)


@pytest.mark.parametrize("seed", range(5))
def test_garbage_closes_the_connection(broker, seed):
    dice = random.Random(seed)
    for _ in range(20):
        with broker.wire(timeout=10) as wire:
            wire.send_raw(frame(dice.randbytes(dice.randrange(1, 200))))
            wire.socket.shutdown(socket.SHUT_WR)
            assert wire.is_closed_within(10)


def test_an_http_request_is_not_kafka(wire):
    wire.send_raw(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert wire.is_closed_within(10)


@pytest.mark.parametrize("api", ["Produce", "Fetch", "Metadata", "ListOffsets", "CreateTopics", "DescribeConfigs"])
def test_requests_cut_short_or_with_flipped_bytes_do_no_harm(broker, api):
    from test_api_versions import BODIES, SINGLE_BROKER

    key, version = schema.key_of(api), SINGLE_BROKER[api][1]
    good = schema.encode_request(key, version, BODIES[api](version, "no-such-topic", batches_id()), 1)
    dice = random.Random(key)
    for _ in range(60):
        data = bytearray(good[: dice.randrange(10, len(good) + 1)])
        for _ in range(dice.randrange(0, 4)):
            data[dice.randrange(8, len(data))] = dice.randrange(256)
        with broker.wire(timeout=5) as wire:
            wire.send_raw(frame(bytes(data)))
            wire.socket.shutdown(socket.SHUT_WR)
            try:
                wire.read_frame()
            except (Closed, TimeoutError, OSError):
                pass


def batches_id():
    import uuid

    return uuid.uuid4()


def test_an_array_that_claims_two_billion_entries_is_refused(wire):
    header = struct.pack(">hhih", 3, 8, 1, 1) + b"x"
    wire.send_raw(frame(header + struct.pack(">i", 2**31 - 1) + b"\x00" * 10))
    assert wire.is_closed_within(10)


def test_a_slow_sender_holds_up_nobody(broker, wire, topic):
    slow = broker.wire()
    slow.send_raw(struct.pack(">i", 1000) + b"\x00\x03")
    begin = time.monotonic()
    assert produce(wire, topic, batches.batch([b"x"]))["ErrorCode"] == 0
    assert time.monotonic() - begin < 5
    slow.close()


def test_a_reader_that_never_reads_is_bounded(broker, wire, make_topic):
    topic = make_topic(1, {"max.message.bytes": 2 * MEBIBYTE})
    for _ in range(20):
        assert produce(wire, topic, batches.batch([os.urandom(MEBIBYTE)]))["ErrorCode"] == 0
    deaf = broker.wire()
    row = {"Partition": 0, "FetchOffset": 0, "PartitionMaxBytes": 50 * MEBIBYTE}
    body = {"MaxWaitMs": 0, "MinBytes": 0, "MaxBytes": 50 * MEBIBYTE, "Topics": [{"Topic": topic, "Partitions": [row]}]}
    deaf.socket.settimeout(2)
    try:
        for _ in range(300):
            deaf.send("Fetch", body, 12)
    except (TimeoutError, OSError):
        pass
    assert fetch(wire, topic, 0)["ErrorCode"] == 0
    deaf.close()


def test_a_decompression_bomb_is_refused_or_stored_but_not_unpacked_in_memory(broker, make_topic, wire):
    """A gigabyte of zeros in a megabyte: the topic's own compression makes the broker look inside."""
    topic = make_topic(1, {"compression.type": "uncompressed", "max.message.bytes": 4 * MEBIBYTE})
    body = gzip.compress(batches.record(0, 0, None, b"\x00" * (512 * MEBIBYTE)), 1)
    answer = produce(wire, topic, batches.batch([b"x"], codec=batches.GZIP, body=body))
    assert answer["ErrorCode"] != 0, error_name(answer["ErrorCode"])


def test_half_open_and_idle_connections_by_the_hundred(broker, wire, topic):
    connections = [socket.create_connection(("127.0.0.1", broker.ports[0])) for _ in range(500)]
    assert produce(wire, topic, batches.batch([b"x"]))["ErrorCode"] == 0
    for item in connections:
        item.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        item.close()


def test_many_pipelined_requests_are_all_answered(broker, topic):
    with broker.wire() as wire:
        pending = [wire.send("Metadata", {"Topics": [{"Name": topic}]}, 12) for _ in range(2000)]
        for item in pending:
            assert wire.receive(item)["Topics"][0]["Name"] == topic
