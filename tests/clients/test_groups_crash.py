"""kill -9 of the broker under groups that rebalance: one owner for each partition, and commits never go backwards."""

import threading
import time

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from conftest import wait_for_leader
from harness.waiting import eventually
from harness.wire import create_topic
from test_groups_clients import PROTOCOLS

PARTITIONS, KILLS = 6, 3


class Watch:
    """Who owns what, as the members' listeners were told, and what was acknowledged."""

    def __init__(self):
        self.lock = threading.Lock()
        self.owners, self.acknowledged, self.wrong, self.seen = {}, {}, [], set()

    def took(self, member, partitions):
        with self.lock:
            for one in partitions:
                before = self.owners.get(one.partition)
                if before not in (None, member):
                    self.wrong.append(f"{one.partition} of {before} was given to {member}")
                self.owners[one.partition] = member

    def gave(self, member, partitions):
        with self.lock:
            for one in partitions:
                if self.owners.get(one.partition) == member:
                    del self.owners[one.partition]

    def committed(self, partition, offset):
        with self.lock:
            self.acknowledged[partition] = max(offset, self.acknowledged.get(partition, 0))


class Member(threading.Thread):
    """Reads, commits after each record, and comes and goes."""

    def __init__(self, watch, number, settings):
        super().__init__(daemon=True)
        self.watch, self.name, self.settings, self.stopping = watch, f"m{number}", settings, threading.Event()
        self.start()

    def run(self):
        life = 0
        while not self.stopping.is_set():
            life += 1
            self.live(f"{self.name}.{life}", time.monotonic() + 2 + 1.3 * int(self.name[1:]))

    def live(self, me, until):
        consumer = Consumer(self.settings)
        gave = lambda _, partitions: self.watch.gave(me, partitions)  # noqa: E731
        consumer.subscribe(["t"], on_assign=lambda _, item: self.watch.took(me, item), on_revoke=gave, on_lost=gave)
        while not self.stopping.is_set() and time.monotonic() < until:
            item = consumer.poll(0.1)
            if item is None or item.error():
                continue
            self.watch.seen.add(item.value())
            try:
                done = consumer.commit(item, asynchronous=False)
            except KafkaException:
                continue
            for one in done:
                if not one.error:
                    self.watch.committed(one.partition, one.offset)
        consumer.close()
        self.watch.gave(me, [TopicPartition("t", index) for index in range(PARTITIONS)])


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.timeout(280)
def test_one_owner_and_no_commit_goes_backwards(start_broker, protocol):
    broker = start_broker({"group.initial.rebalance.delay.ms": 0})
    with broker.wire() as wire:
        create_topic(wire, "t", PARTITIONS)
        wait_for_leader(wire, "t")
    base = {"bootstrap.servers": broker.bootstrap, "group.id": "g", "log_level": 0, "reconnect.backoff.max.ms": 200}
    settings = {**base, "group.protocol": protocol, "auto.offset.reset": "earliest", "enable.auto.commit": False}
    producer = Producer({"bootstrap.servers": broker.bootstrap, "log_level": 0, "reconnect.backoff.max.ms": 200})
    watch = Watch()
    members = [Member(watch, number, settings) for number in range(3)]
    written, highest = 0, {}
    for _ in range(KILLS):
        for _ in range(200):
            producer.produce("t", b"%d" % written, partition=written % PARTITIONS)
            written += 1
        end = time.monotonic() + 5
        while time.monotonic() < end:
            producer.poll(0.1)
            _never_backwards(broker, highest)
        broker.kill()
        broker.restart()
    assert producer.flush(60) == 0
    eventually(lambda: len(watch.seen) == written, 90)
    for member in members:
        member.stopping.set()
    for member in members:
        member.join(60)
    _never_backwards(broker, highest)
    assert not watch.wrong
    for partition, offset in watch.acknowledged.items():
        assert highest[partition] >= offset, f"{partition}: {offset} was acknowledged, {highest[partition]} is kept"


def _never_backwards(broker, highest):
    """Reads what is committed and checks it against what was seen before."""
    with broker.wire() as wire:
        group = {"GroupId": "g", "Topics": [{"Name": "t", "PartitionIndexes": list(range(PARTITIONS))}]}
        found = wire.call("OffsetFetch", {"Groups": [group]}, 9)["Groups"][0]
    for topic in found["Topics"]:
        for one in topic["Partitions"]:
            index, offset = one["PartitionIndex"], one["CommittedOffset"]
            assert offset >= highest.get(index, -1), f"{index} went from {highest[index]} to {offset}"
            highest[index] = offset
