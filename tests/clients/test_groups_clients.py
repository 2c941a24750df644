"""Groups with real clients, in both protocols, and Kafka's group tools."""

import json
import re
import threading

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from kafka import KafkaConsumer, KafkaProducer

from harness.tools import go_program, java_program, kcat
from harness.waiting import eventually

classic = pytest.mark.needs("JoinGroup", "SyncGroup", "OffsetCommit", "OffsetFetch")
next_generation = pytest.mark.needs("ConsumerGroupHeartbeat", "OffsetCommit", "OffsetFetch")
pytestmark = pytest.mark.needs("OffsetCommit")
PROTOCOLS = [pytest.param("classic", marks=classic), pytest.param("consumer", marks=next_generation)]


def fill(bootstrap, topic, partitions, count):
    producer = Producer({"bootstrap.servers": bootstrap})
    for n in range(count):
        producer.produce(topic, b"%d" % n, partition=n % partitions)
    assert producer.flush(30) == 0


class Member(threading.Thread):
    """A librdkafka consumer that polls in its own thread and remembers what it saw and owned."""

    def __init__(self, bootstrap, group, topic, **settings):
        super().__init__(daemon=True)
        self.topic, self.seen, self.owned, self.errors = topic, [], set(), []
        self.stopping = threading.Event()
        base = {"bootstrap.servers": bootstrap, "group.id": group, "auto.offset.reset": "earliest"}
        self.consumer = Consumer({**base, "auto.commit.interval.ms": 200, **settings})
        self.start()

    def run(self):
        self.consumer.subscribe([self.topic], on_assign=self._changed, on_revoke=self._changed)
        while not self.stopping.is_set():
            item = self.consumer.poll(0.1)
            self.owned = {one.partition for one in self.consumer.assignment()}
            if item is not None:
                (self.errors if item.error() else self.seen).append(item.error() or item.value())
        self.consumer.close()

    def _changed(self, *_):
        self.owned = set()

    def leave(self):
        self.stopping.set()
        self.join(30)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_librdkafka_members_share_and_take_over(bootstrap, make_topic, name, protocol):
    topic = make_topic(4)
    fill(bootstrap, topic, 4, 400)
    one = Member(bootstrap, name, topic, **{"group.protocol": protocol})
    eventually(lambda: one.owned == {0, 1, 2, 3}, 30)
    two = Member(bootstrap, name, topic, **{"group.protocol": protocol})
    eventually(lambda: len(one.owned) == 2 and len(two.owned) == 2 and not one.owned & two.owned, 40)
    fill(bootstrap, topic, 4, 400)
    eventually(lambda: len(one.seen) + len(two.seen) >= 800, 30)
    one.leave()
    eventually(lambda: two.owned == {0, 1, 2, 3}, 40)
    two.leave()
    assert not one.errors + two.errors
    check = Consumer({"bootstrap.servers": bootstrap, "group.id": name})
    found = check.committed([TopicPartition(topic, index) for index in range(4)], timeout=10)
    assert [item.offset for item in found] == [200] * 4
    check.close()


@classic
def test_librdkafka_cooperative(bootstrap, make_topic, name):
    topic = make_topic(4)
    settings = {"partition.assignment.strategy": "cooperative-sticky"}
    members = [Member(bootstrap, name, topic, **settings) for _ in range(2)]
    eventually(lambda: {len(item.owned) for item in members} == {2}, 40)
    for item in members:
        item.leave()


@classic
def test_kafka_python_goes_on_from_its_commit(bootstrap, topic, name):
    producer = KafkaProducer(bootstrap_servers=bootstrap)
    for n in range(20):
        producer.send(topic, b"%d" % n)
    producer.flush()

    def read(count):
        consumer = KafkaConsumer(
            topic, bootstrap_servers=bootstrap, group_id=name, auto_offset_reset="earliest", enable_auto_commit=False,
            consumer_timeout_ms=20_000, max_poll_records=5,
        )  # fmt: skip
        out = []
        for item in consumer:
            out.append(item.value)
            if len(out) == count:
                break
        consumer.commit({_partition(topic): _offset(int(out[-1]) + 1)})
        consumer.close()
        return out

    assert read(10) == [b"%d" % n for n in range(10)]
    assert read(10) == [b"%d" % n for n in range(10, 20)]


def _partition(topic):
    from kafka import TopicPartition as Partition

    return Partition(topic, 0)


def _offset(offset):
    from kafka.structs import OffsetAndMetadata

    return OffsetAndMetadata(offset, "", -1)


@pytest.mark.parametrize(
    ("program", "command"),
    [
        pytest.param("franz", "group", marks=classic),
        pytest.param("franz", "group-next", marks=next_generation),
        pytest.param("saramaprobe", "group", marks=classic),
    ],
)
def test_go_members_share_a_topic(bootstrap, make_topic, name, program, command):
    topic = make_topic(6)
    fill(bootstrap, topic, 6, 1000)
    arguments = ["-bootstrap", bootstrap, "-topic", topic, "-group", name, "-count", "1000"]
    assert go_program(program, command, *arguments).endswith("OK\n")


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("command", ["rebalance", "commits", "static", "autocommit"])
def test_java_groups(bootstrap, name, protocol, command):
    assert java_program("GroupProbe", bootstrap, name, protocol, command).endswith("OK\n")


@classic
@pytest.mark.parametrize("command", ["eager", "cooperative"])
def test_java_assignors(bootstrap, name, command):
    assert java_program("GroupProbe", bootstrap, name, "classic", command).endswith("OK\n")


@classic
def test_kcat_balanced_consumer(bootstrap, make_topic, name):
    topic = make_topic(2)
    fill(bootstrap, topic, 2, 50)
    lines = kcat(bootstrap, "-G", name, "-X", "auto.offset.reset=earliest", "-c", "50", "-q", topic).splitlines()
    assert sorted(map(int, lines)) == list(range(50))


@classic
def test_consumer_groups_tool(tools, bootstrap, make_topic, name):
    topic = make_topic(1)
    fill(bootstrap, topic, 1, 100)
    assert len(kcat(bootstrap, "-G", name, "-X", "auto.offset.reset=earliest", "-c", "100", "-q", topic).splitlines()) == 100
    assert name in tools("consumer-groups", "--list").split()
    text = tools("consumer-groups", "--describe", "--group", name)
    assert re.search(rf"{topic}\s+0\s+100\s+100\s+0\s", text), text
    reset = ["--reset-offsets", "--group", name, "--topic", topic]
    assert re.search(r"\s30\b", tools("consumer-groups", *reset, "--to-offset", "30", "--dry-run"))
    tools("consumer-groups", *reset, "--shift-by", "-40", "--execute")
    text = tools("consumer-groups", "--describe", "--group", name)
    assert re.search(rf"{topic}\s+0\s+60\s+100\s+40\s", text), text
    assert "successful" in tools("consumer-groups", "--delete", "--group", name)
    assert name not in tools("consumer-groups", "--list").split()


@classic
def test_console_consumer_in_a_group_and_groups_tool(tools, bootstrap, topic, name):
    fill(bootstrap, topic, 1, 10)
    text = tools(
        "console-consumer", "--topic", topic, "--group", name, "--from-beginning", "--max-messages", "10", "--timeout-ms", "20000"
    )
    assert len(text.splitlines()) == 10
    assert name in tools("groups", "--list")


@classic
def test_verifiable_consumer(tools, bootstrap, topic, name):
    fill(bootstrap, topic, 1, 200)
    text = tools(
        "verifiable-consumer", "--topic", topic, "--group-id", name, "--max-messages", "200", "--reset-policy", "earliest"
    )
    events = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    assert sum(item["count"] for item in events if item["name"] == "records_consumed") == 200
    assert any(item["name"] == "offsets_committed" and item["success"] for item in events)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.timeout(240)
def test_members_go_on_after_kill_9_of_the_broker(start_broker, protocol):
    from conftest import wait_for_leader
    from harness.wire import create_topic

    broker = start_broker({"group.initial.rebalance.delay.ms": 0})
    with broker.wire() as wire:
        create_topic(wire, "t", 4)
        wait_for_leader(wire, "t")
    fill(broker.bootstrap, "t", 4, 400)
    settings = {"group.protocol": protocol, "reconnect.backoff.max.ms": 200, "log_level": 0}
    members = [Member(broker.bootstrap, "g", "t", **settings) for _ in range(2)]
    eventually(lambda: sum(len(item.seen) for item in members) >= 400, 60)
    broker.kill()
    broker.restart()
    fill(broker.bootstrap, "t", 4, 400)
    eventually(lambda: sum(len(item.seen) for item in members) >= 800, 90)
    for item in members:
        item.leave()
