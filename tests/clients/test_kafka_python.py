"""kafka-python."""

import time

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import NewTopic

from harness.waiting import eventually

BASE = int(time.time() * 1000) - 3_600_000


def consume(bootstrap, topic, count):
    consumer = KafkaConsumer(
        bootstrap_servers=bootstrap, auto_offset_reset="earliest", enable_auto_commit=False, consumer_timeout_ms=15_000
    )
    try:
        consumer.assign([TopicPartition(topic, 0)])
        consumer.seek_to_beginning()
        out = []
        for item in consumer:
            out.append(item)
            if len(out) == count:
                break
        return out
    finally:
        consumer.close()


@pytest.mark.parametrize("codec", [None, "gzip"])
@pytest.mark.parametrize("idempotent", [False, True], ids=["plain", "idempotent"])
def test_round_trip(bootstrap, topic, codec, idempotent):
    producer = KafkaProducer(
        bootstrap_servers=bootstrap, compression_type=codec, acks="all", linger_ms=5, enable_idempotence=idempotent
    )
    futures = [
        producer.send(topic, key=b"%d" % n, value=b"value %d" % n, headers=[("h", b"x")], partition=0) for n in range(500)
    ]
    producer.flush(30)
    assert [future.get(10).offset for future in futures] == list(range(500))
    producer.close()
    records = consume(bootstrap, topic, 500)
    assert [(item.key, item.value) for item in records] == [(b"%d" % n, b"value %d" % n) for n in range(500)]
    assert list(records[0].headers) == [("h", b"x")]


def test_offsets_for_times_and_bounds(bootstrap, topic):
    producer = KafkaProducer(bootstrap_servers=bootstrap)
    for n in range(10):
        producer.send(topic, b"x", partition=0, timestamp_ms=BASE + 1000 * n).get(10)
    producer.close()
    partition = TopicPartition(topic, 0)
    consumer = KafkaConsumer(bootstrap_servers=bootstrap)
    assert consumer.beginning_offsets([partition]) == {partition: 0}
    assert consumer.end_offsets([partition]) == {partition: 10}
    assert consumer.offsets_for_times({partition: BASE + 3001})[partition].offset == 4
    consumer.close()


def test_admin(bootstrap, name):
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    admin.create_topics([NewTopic(name, num_partitions=2, replication_factor=1)])
    eventually(lambda: name in admin.list_topics())
    admin.delete_topics([name])
    eventually(lambda: name not in admin.list_topics())
    admin.close()
