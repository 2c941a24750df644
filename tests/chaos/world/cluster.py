"""The brokers of a run, each on its host, disk and clock; and what their metadata say."""

import contextlib
import time

from harness.brokers import CLUSTER_ID, Ottla
from harness.cluster import SHARED
from harness.wire import Wire

from .network import Network, address

PORT = 9092
SETTINGS = {
    **SHARED,
    "ottla.cluster.id": CLUSTER_ID,
    "log.segment.bytes": 1 << 20,
    "offsets.topic.num.partitions": 4,
    "log.index.size.max.bytes": 64 << 10,
    "group.consumer.heartbeat.interval.ms": 1000,
    "group.consumer.min.heartbeat.interval.ms": 1000,
    "ottla.log.level": "info",
}


class Broker(Ottla):
    """A broker on a host of its own."""

    def __init__(self, host, folder, disk, clock, settings):
        super().__init__(settings, folder=folder, data_dirs=[disk.data], node_id=host)
        self.host, self.disk, self.clock = host, disk, clock
        self.bootstrap = f"{address(host)}:{PORT}"
        self.is_stopped = False

    def properties(self):
        return {**super().properties(), "ottla.http.listener": f"{address(self.host)}:9644"}

    def command(self):
        return [*Network.inside(self.host), *super().command()]

    def launch(self):
        """Starts the process, unless it runs, without waiting for it; its log says when."""
        if self.is_running:
            return self
        self.environment = self.clock.environment()
        with open(self.log_path, "a", encoding="utf-8") as log:
            log.write(f"---- launched at {time.time():.3f}\n")
        super().launch()
        self.disk.group.take(self.pid)
        self.is_stopped = False
        return self


class Cluster:
    """Brokers by their id. `members` are those that are meant to belong to it now."""

    def __init__(self, brokers, members):
        self.brokers, self.members = brokers, set(members)

    @property
    def bootstrap(self):
        """The addresses of the members."""
        return ",".join(self.brokers[number].bootstrap for number in sorted(self.members))

    def running(self):
        """Members that run and are not stopped by a signal."""
        return [number for number in sorted(self.members) if self.brokers[number].is_running and not self.brokers[number].is_stopped]

    def ask(self, api, body, version=None, timeout=3):
        """The answer of the first member that gives one, or nothing."""
        for number in self.running():
            with contextlib.suppress(OSError, AssertionError, ValueError):
                with Wire(self.brokers[number].bootstrap, timeout=timeout) as wire:
                    return wire.call(api, body, version)
        return None

    def metadata(self):
        """(ids of brokers, controller, (topic, index) -> partition), or nothing when nobody answers."""
        answer = self.ask("Metadata", {"Topics": None, "AllowAutoTopicCreation": False}, 9)
        if answer is None:
            return None
        rows = {
            (topic["Name"], row["PartitionIndex"]): row for topic in answer["Topics"] for row in topic["Partitions"]
        }
        return {item["NodeId"] for item in answer["Brokers"]}, answer["ControllerId"], rows

    def controller(self):
        """The controller's id, or nothing."""
        seen = self.metadata()
        return seen[1] if seen and seen[1] in self.brokers else None

    def what_is_missing(self):
        """Why the cluster is not whole: an empty text when every member is there and every replica in sync."""
        down = [number for number in sorted(self.members) if not self.brokers[number].is_running]
        if down:
            return f"brokers {down} do not run"
        for number in sorted(self.members):
            missing = self._missing_for(number)
            if missing:
                return f"broker {number} says: {missing}"
        return ""

    def _missing_for(self, number):
        try:
            with Wire(self.brokers[number].bootstrap, timeout=5) as wire:
                answer = wire.call("Metadata", {"Topics": None, "AllowAutoTopicCreation": False}, 9)
        except (OSError, AssertionError, ValueError) as error:
            return f"no answer ({error!r})"
        seen = {item["NodeId"] for item in answer["Brokers"]}
        if seen != self.members:
            return f"brokers {sorted(seen)} of {sorted(self.members)}"
        for topic in answer["Topics"]:
            for row in topic["Partitions"]:
                if row["LeaderId"] not in self.members or set(row["IsrNodes"]) != set(row["ReplicaNodes"]):
                    name = f"{topic['Name']}-{row['PartitionIndex']}"
                    return f"{name} leader {row['LeaderId']} isr {row['IsrNodes']} of {row['ReplicaNodes']}"
        return ""

    def wait_whole(self, timeout):
        """Waits until nothing is missing; returns what still is after `timeout` seconds."""
        end = time.monotonic() + timeout
        while (missing := self.what_is_missing()) and time.monotonic() < end:
            time.sleep(0.3)
        return missing
