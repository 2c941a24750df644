"""librdkafka, through confluent-kafka."""

import time

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewPartitions, NewTopic, OffsetSpec

COUNT = 3000
BASE = int(time.time() * 1000) - 3_600_000


def reader(bootstrap, **settings):
    return Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "not-used",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "enable.partition.eof": False,
            **settings,
        }
    )


def read(bootstrap, topic, partitions, count, **settings):
    consumer = reader(bootstrap, **settings)
    try:
        consumer.assign([TopicPartition(topic, index, 0) for index in range(partitions)])
        out = []
        while len(out) < count:
            got = consumer.consume(min(500, count - len(out)), timeout=15)
            assert got, f"{len(out)} of {count} records"
            for item in got:
                assert item.error() is None, item.error()
            out += got
        return out
    finally:
        consumer.close()


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
@pytest.mark.parametrize("idempotent", [False, True], ids=["plain", "idempotent"])
def test_round_trip(bootstrap, make_topic, codec, idempotent):
    topic = make_topic(3, {"retention.ms": -1})
    producer = Producer(
        {"bootstrap.servers": bootstrap, "compression.type": codec, "enable.idempotence": idempotent, "linger.ms": 5}
    )
    failed = []
    for n in range(COUNT):
        producer.produce(
            topic,
            b"value %d" % n,
            key=b"%d" % n,
            partition=n % 3,
            headers=[("n", b"%d" % n)],
            timestamp=BASE + n,
            on_delivery=lambda error, _: error and failed.append(error),
        )
        producer.poll(0)
    assert producer.flush(30) == 0
    assert not failed
    records = read(bootstrap, topic, 3, COUNT)
    for index in range(3):
        own = [item for item in records if item.partition() == index]
        assert [item.offset() for item in own] == list(range(COUNT // 3))
        assert [item.value() for item in own] == [b"value %d" % n for n in range(index, COUNT, 3)]
    sample = records[17]
    n = int(sample.key())
    assert (sample.headers(), sample.timestamp()[1]) == ([("n", b"%d" % n)], BASE + n)


def test_admin(bootstrap, name):
    admin = AdminClient({"bootstrap.servers": bootstrap})

    def done(futures):
        return [future.result(20) for future in futures.values()]

    done(admin.create_topics([NewTopic(name, 1, 1, config={"retention.ms": "5000"})]))
    with pytest.raises(KafkaException) as caught:
        done(admin.create_topics([NewTopic(name, 1, 1)]))
    assert caught.value.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS
    resource = ConfigResource(ConfigResource.Type.TOPIC, name)
    assert done(admin.describe_configs([resource]))[0]["retention.ms"].value == "5000"
    done(admin.create_partitions([NewPartitions(name, 4)]))
    assert len(admin.list_topics(name, timeout=10).topics[name].partitions) == 4
    cluster = admin.describe_cluster().result(10)
    assert (len(cluster.nodes), cluster.controller.id) == (1, 1)
    done(admin.delete_topics([name]))


def test_offsets_and_deleted_records(bootstrap, topic):
    producer = Producer({"bootstrap.servers": bootstrap})
    for n in range(20):
        producer.produce(topic, b"%d" % n, timestamp=BASE + 1000 * n)
        producer.flush()
    admin = AdminClient({"bootstrap.servers": bootstrap})
    partition = TopicPartition(topic, 0)

    def offset(spec):
        return admin.list_offsets({partition: spec})[partition].result(10).offset

    assert (offset(OffsetSpec.earliest()), offset(OffsetSpec.latest())) == (0, 20)
    assert offset(OffsetSpec.for_timestamp(BASE + 4500)) == 5
    assert offset(OffsetSpec.max_timestamp()) == 19
    deleted = admin.delete_records([TopicPartition(topic, 0, 7)])
    assert next(iter(deleted.values())).result(10).low_watermark == 7
    consumer = reader(bootstrap)
    assert consumer.get_watermark_offsets(partition, timeout=10) == (7, 20)
    consumer.close()
    assert read(bootstrap, topic, 1, 13)[0].value() == b"7"


def test_a_record_larger_than_the_topic_allows_is_reported(bootstrap, make_topic):
    topic = make_topic(1, {"max.message.bytes": 2000})
    errors = []
    producer = Producer({"bootstrap.servers": bootstrap})
    producer.produce(topic, b"x" * 5000, on_delivery=lambda error, _: errors.append(error))
    producer.flush(20)
    assert errors[0].code() == KafkaError.MSG_SIZE_TOO_LARGE


def test_a_large_record_comes_through_small_fetches(bootstrap, make_topic):
    topic = make_topic(1, {"max.message.bytes": 20_000_000})
    producer = Producer({"bootstrap.servers": bootstrap, "message.max.bytes": 15_000_000})
    producer.produce(topic, b"y" * 10_000_000)
    producer.produce(topic, b"z")
    assert producer.flush(30) == 0
    records = read(bootstrap, topic, 1, 2, **{"fetch.message.max.bytes": 1000, "fetch.max.bytes": 12_000_000})
    assert [len(item.value()) for item in records] == [10_000_000, 1]


def test_end_of_partition_is_seen(bootstrap, topic):
    consumer = reader(bootstrap, **{"enable.partition.eof": True})
    consumer.assign([TopicPartition(topic, 0, 0)])
    item = consumer.poll(15)
    assert item.error().code() == KafkaError._PARTITION_EOF
    consumer.close()
