"""Several brokers of one flavour that make a cluster."""

import contextlib
import time

from .brokers import flavour
from .waiting import eventually
from .wire import Wire, create_topic

SHARED = {
    "offsets.topic.replication.factor": 3,
    "default.replication.factor": 3,
    "min.insync.replicas": 2,
    "group.initial.rebalance.delay.ms": 0,
    "broker.session.timeout.ms": 6000,
    "replica.lag.time.max.ms": 6000,
}


class Cluster:
    """Brokers 1..size; settings are shared by all, `make(settings, node_id=...)` makes one."""

    def __init__(self, size=3, settings=None, make=None):
        make = make or flavour()
        self.settings = {**SHARED, **(settings or {})}
        self.brokers = {number: make(dict(self.settings), node_id=number) for number in range(1, size + 1)}
        own = next(iter(self.brokers.values())).flavour == "ottla"
        for broker in self.brokers.values():
            if own:
                servers = ",".join(item.bootstrap for item in self.brokers.values())
                broker.settings["controller.quorum.bootstrap.servers"] = servers
            else:
                voters = ",".join(f"{item.node_id}@127.0.0.1:{item.ports[2]}" for item in self.brokers.values())
                broker.settings["controller.quorum.voters"] = voters

    @property
    def bootstrap(self):
        """All addresses."""
        return ",".join(item.bootstrap for item in self.brokers.values())

    def start(self):
        """Starts all and waits until each knows all."""
        for broker in self.brokers.values():
            broker.launch()
        for broker in self.brokers.values():
            broker.wait_ready()
        eventually(lambda: all(self.sees(number) == set(self.brokers) for number in self.brokers), 40)
        return self

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.destroy()
            raise

    def __exit__(self, *_):
        self.destroy()

    def destroy(self):
        """Kills all and removes what they had."""
        for item in self.brokers.values():
            item.destroy()

    def add(self, number):
        """Starts one more broker, of ours, and waits until it knows all."""
        servers = f"{self.bootstrap}"
        item = flavour()({**self.settings, "controller.quorum.bootstrap.servers": servers}, node_id=number)
        self.brokers[number] = item
        item.start()
        eventually(lambda: self.sees(number) == {key for key, other in self.brokers.items() if other.is_running}, 40)
        return item

    def sees(self, number):
        """The brokers that one broker knows."""
        with self.brokers[number].wire(timeout=5) as wire:
            return {item["NodeId"] for item in wire.call("Metadata", {"Topics": []}, 12)["Brokers"]}

    def anyone(self):
        """A connection to a broker that runs."""
        for item in self.brokers.values():
            if item.is_running:
                with contextlib.suppress(OSError):
                    return item.wire()
        raise AssertionError("no broker runs")

    def controller(self):
        """The controller's connection; topics are created there or anywhere."""
        with self.anyone() as wire:
            return wire.call("Metadata", {"Topics": []}, 12)["ControllerId"]

    def create(self, topic, partitions=1, replication_factor=3, configs=None, **fields):
        """Creates a topic and waits for leaders and full ISRs."""
        with self.anyone() as wire:
            answer = create_topic(wire, topic, partitions, configs, replication_factor, **fields)
            assert answer["ErrorCode"] == 0, answer
        eventually(lambda: self.is_whole(topic), 60)

    def partitions(self, topic):
        """Index -> the partition as Metadata shows it."""
        with self.anyone() as wire:
            answer = wire.call("Metadata", Topics=[{"Name": topic}], AllowAutoTopicCreation=False)["Topics"][0]
            assert answer["ErrorCode"] == 0, answer
            return {item["PartitionIndex"]: item for item in answer["Partitions"]}

    def is_whole(self, topic):
        """Whether each partition has a leader and all replicas in sync."""
        rows = self.partitions(topic).values()
        return rows and all(row["LeaderId"] > 0 and len(row["IsrNodes"]) == len(row["ReplicaNodes"]) for row in rows)

    def leader(self, topic, partition=0):
        """The id of a partition's leader."""
        return self.partitions(topic)[partition]["LeaderId"]

    def to_leaders(self, topic):
        """A function that gives a connection to a partition's leader; waits for one."""

        def connect(partition):
            number = eventually(lambda: max(0, self.leader(topic, partition)), 60)
            return Wire(self.brokers[number].bootstrap)

        return connect

    def wait_gone(self, number, timeout=60):
        """Waits until the others no longer count on a broker."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            with self.anyone() as wire:
                answer = wire.call("Metadata", {"Topics": []}, 12)
                if number not in {item["NodeId"] for item in answer["Brokers"]}:
                    return
            time.sleep(0.1)
        raise AssertionError(f"broker {number} is still counted on")
