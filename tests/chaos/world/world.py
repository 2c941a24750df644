"""All of it together, and what faults may do to it."""

import os
import subprocess
import time
from pathlib import Path

from harness.wire import Wire

from . import clock, disk
from .cluster import SETTINGS, Broker, Cluster
from .network import Network

HOSTS = range(1, 6)
STRANGER = 9
STOP_TIMEOUT = 150.0


class World:
    """Hosts 1 to 5 with disks and clocks, of which the first `size` are members from the start, and one stranger."""

    def __init__(self, folder, size, seed, note):
        self.folder, self.note = Path(folder), note
        self.topic, self.partitions = "chaos", 6
        self.network = Network([*HOSTS, STRANGER], seed)
        self.library = clock.build(self.folder)
        addresses = ",".join(f"{Network.address(host)}:9092" for host in range(1, size + 1))
        settings = {**SETTINGS, "controller.quorum.bootstrap.servers": addresses}
        brokers = {host: self._broker(host, settings) for host in HOSTS}
        self.spare = [host for host in HOSTS if host > size] if size == 3 else []
        self.cluster = Cluster(brokers, range(1, size + 1))
        self._stranger = None
        self.ended_by_themselves = []

    def _broker(self, host, settings):
        folder = self.folder / f"broker{host}"
        folder.mkdir()
        own_clock = clock.Clock(self.library, folder / "clock")
        return Broker(host, folder, disk.Disk(folder, host), own_clock, settings)

    def start(self):
        """Starts the members and makes the topic."""
        for number in sorted(self.cluster.members):
            self.cluster.brokers[number].launch()
        missing = self.cluster.wait_whole(90)
        if missing:
            raise AssertionError(f"the cluster did not come up: {missing}")
        topic = {"Name": self.topic, "NumPartitions": self.partitions, "ReplicationFactor": 3, "Configs": [], "Assignments": []}
        answer = self.cluster.ask("CreateTopics", {"Topics": [topic], "timeoutMs": 15_000}, timeout=30)
        assert answer and answer["Topics"][0]["ErrorCode"] == 0, answer
        missing = self.cluster.wait_whole(60)
        if missing:
            raise AssertionError(f"the topic did not come up: {missing}")

    def stranger(self):
        """A broker that has founded a cluster of its own, stopped."""
        if self._stranger is None:
            settings = {**SETTINGS, "ottla.cluster.id": "c3RyYW5nZXItaW4tYS1sYW5k"[:22]}
            self._stranger = self._broker(STRANGER, settings)
            self._stranger.start()
            self._stranger.kill()
        return self._stranger

    def stop(self, number):
        """SIGTERM; returns the seconds it took. One that does not end is killed, and that is noted."""
        broker, begin = self.cluster.brokers[number], time.monotonic()
        if not broker.is_running:
            return 0.0
        try:
            _, code = broker.stop(STOP_TIMEOUT)
            if code:
                self.note(f"broker {number} ended with {code} after SIGTERM")
        except subprocess.TimeoutExpired:
            self.note(f"broker {number} did not end within {STOP_TIMEOUT} s after SIGTERM and was killed")
            broker.kill()
        return time.monotonic() - begin

    def look_for_dead(self):
        """Members that ended although nobody told them to are started again, and remembered."""
        for number in sorted(self.cluster.members):
            broker = self.cluster.brokers[number]
            if broker.process is not None and not broker.is_running:
                text = f"broker {number} ended by itself with {broker.process.returncode}: {broker.output(1)}"
                self.note(text)
                self.ended_by_themselves.append(text)
                broker.launch()

    def ottla(self, *words, timeout=180):
        """Our own command line against the cluster."""
        command = [os.environ["OTTLA_BIN"], *words, "--bootstrap", self.cluster.bootstrap]
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
        self.note(f"ottla {' '.join(words)}: {done.returncode} {(done.stdout + done.stderr).strip()[-200:]!r}")
        return done.returncode == 0

    def unregister(self, number):
        """Takes a stopped broker out of the cluster for good."""
        controller = self.cluster.controller()
        with Wire(self.cluster.brokers[controller].bootstrap) as wire:
            answer = wire.call("UnregisterBroker", {"BrokerId": number})
        self.note(f"broker {number} unregistered: error {answer['ErrorCode']}")

    def heal(self):
        """Takes back whatever is still wrong."""
        self.network.heal()
        for broker in self.cluster.brokers.values():
            broker.disk.make_room()
            broker.clock.set(0)
            if broker.disk.group.works:
                broker.disk.group.limit(0, 0)

    def close(self):
        """Ends all brokers; what they printed stays."""
        for broker in [*self.cluster.brokers.values(), *([self._stranger] if self._stranger else [])]:
            if broker.is_running:
                broker.kill()
            broker.disk.group.remove()
        self.network.close()
