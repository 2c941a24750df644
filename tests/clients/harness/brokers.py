"""Brokers to start, stop, kill and start again: ours, and Apache Kafka's as the reference.

A test never asks which of the two it has, except to skip what only one of them can do.
"""

import contextlib
import ctypes
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from . import schema
from .wire import Wire

CLUSTER_ID = "MkU3OEVBNTcwNTJENDM2Qg"


_handed_out = set()


def free_ports(count):
    """Ports nobody listens on at this moment, none of those that the kernel gives to connections on their way out.

    A port of that range can be taken by a client's connection before the broker that was given it listens.
    """
    lowest_given = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    found = []
    for port in random.sample(range(min(10_000, lowest_given // 2), lowest_given), k=50 * count):
        if port not in _handed_out and _is_free(port):
            found.append(port)
            _handed_out.add(port)
        if len(found) == count:
            return found
    raise RuntimeError(f"no {count} free ports below {lowest_given}")


def _is_free(port):
    with socket.socket() as item:
        item.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            item.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def clean_environment():
    """Our own environment without OTTLA_...: the broker reads settings from there."""
    return {key: value for key, value in os.environ.items() if not key.startswith("OTTLA_")}


_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1


def _die_with_parent():
    """In the child: a run that is killed leaves no brokers behind. Counts for the thread that starts it."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class StartFailed(RuntimeError):
    """The broker ended or did not answer in time; the text ends with its output."""


class Broker:
    """One broker process with its own folder. Settings use Kafka's keys."""

    flavour = ""
    start_timeout = 60.0

    def __init__(self, settings=None, folder=None, data_dirs=None, environment=None, node_id=1):
        self.node_id = node_id
        self.owns_folder = folder is None
        self.folder = Path(folder or tempfile.mkdtemp(prefix="ottla-test-"))
        self.folder.mkdir(parents=True, exist_ok=True)
        self.ports = free_ports(3)
        self.bootstrap = f"127.0.0.1:{self.ports[0]}"
        self.data_dirs = [Path(item) for item in (data_dirs or [self.folder / "data"])]
        self.settings = dict(settings or {})
        self.environment = dict(environment or {})
        self.process = None
        self.log_path = self.folder / "broker.log"

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.destroy()

    # What a flavour fills in.

    def properties(self):
        """All settings of this broker."""
        raise NotImplementedError

    def command(self):
        """The command line."""
        raise NotImplementedError

    def format(self):
        """Prepares a new data directory where the flavour wants that."""

    # What tests use.

    @property
    def config_path(self):
        """The properties file the broker is started with."""
        return self.folder / "server.properties"

    def write_config(self):
        """Writes the properties file."""
        lines = [f"{key}={value}" for key, value in {**self.properties(), **self.settings}.items()]
        self.config_path.write_text("\n".join(lines) + "\n")

    def launch(self):
        """Starts the process without waiting for it."""
        self.write_config()
        self.format()
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env={**clean_environment(), **self.environment},
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )
        return self

    def start(self):
        """Starts the process and waits for its first answered Metadata."""
        self.launch()
        self.wait_ready()
        return self

    def wait_ready(self, timeout=None):
        """Waits until Metadata names this broker as controller or member; returns the seconds it took."""
        begin = time.monotonic()
        end = begin + (timeout or self.start_timeout)
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise StartFailed(f"ended with {self.process.returncode}\n{self.output()}")
            with contextlib.suppress(OSError, AssertionError, ValueError):
                with Wire(self.bootstrap, timeout=2) as wire:
                    if wire.call("Metadata", version=9, Topics=[])["Brokers"]:
                        return time.monotonic() - begin
            time.sleep(0.02)
        raise StartFailed(f"no answer in time\n{self.output()}")

    def output(self, lines=60):
        """The end of what the broker printed."""
        with contextlib.suppress(FileNotFoundError):
            return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-lines:])
        return ""

    @property
    def pid(self):
        """The process id."""
        return self.process.pid

    @property
    def is_running(self):
        """Whether the process is alive."""
        return self.process is not None and self.process.poll() is None

    def signal(self, number):
        """Sends a signal to the process."""
        self.process.send_signal(number)

    def stop(self, timeout=60.0):
        """SIGTERM; returns (seconds, exit code)."""
        begin = time.monotonic()
        self.signal(signal.SIGTERM)
        code = self.process.wait(timeout)
        return time.monotonic() - begin, code

    def kill(self):
        """kill -9."""
        if self.is_running:
            self.process.kill()
            self.process.wait()

    def restart(self):
        """Starts again after a stop or a kill, on the same ports and data."""
        assert not self.is_running
        return self.start()

    def partition_dir(self, topic, partition=0):
        """The folder of a partition."""
        for folder in self.data_dirs:
            if (folder / f"{topic}-{partition}").is_dir():
                return folder / f"{topic}-{partition}"
        raise FileNotFoundError(f"{topic}-{partition} in {self.data_dirs}")

    def segments(self, topic, partition=0):
        """The .log files of a partition, oldest first."""
        return sorted(self.partition_dir(topic, partition).glob("*.log"))

    def wire(self, **options):
        """A connection by hand."""
        return Wire(self.bootstrap, **options)

    def resident_bytes(self):
        """Resident memory of the process."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        return 0

    def destroy(self):
        """Kills the process and removes the folder, unless logs are to be kept."""
        self.kill()
        keep = os.environ.get("OTTLA_TEST_KEEP")
        if keep and self.log_path.exists():
            Path(keep).mkdir(parents=True, exist_ok=True)
            shutil.copy(self.log_path, Path(keep) / f"{self.folder.name}.log")
        if self.owns_folder:
            shutil.rmtree(self.folder, ignore_errors=True)


class Ottla(Broker):
    """`ottla broker --config server.properties`."""

    flavour = "ottla"
    start_timeout = 20.0

    @staticmethod
    def binary():
        """The binary under test."""
        return os.environ["OTTLA_BIN"]

    def properties(self):
        return {
            "node.id": self.node_id,
            "listeners": f"PLAINTEXT://{self.bootstrap}",
            "advertised.listeners": f"PLAINTEXT://{self.bootstrap}",
            "log.dirs": ",".join(str(item) for item in self.data_dirs),
            "ottla.http.listener": f"127.0.0.1:{self.ports[1]}",
        }

    @property
    def http(self):
        """The address of metrics and health."""
        return f"http://127.0.0.1:{self.ports[1]}"

    def command(self):
        return [self.binary(), "broker", "--config", str(self.config_path)]


class Kafka(Broker):
    """Apache Kafka as one combined broker and controller."""

    flavour = "kafka"
    start_timeout = 120.0

    def properties(self):
        controller = f"127.0.0.1:{self.ports[2]}"
        return {
            "process.roles": "broker,controller",
            "node.id": self.node_id,
            "controller.quorum.voters": f"{self.node_id}@{controller}",
            "controller.listener.names": "CONTROLLER",
            "listeners": f"PLAINTEXT://{self.bootstrap},CONTROLLER://{controller}",
            "advertised.listeners": f"PLAINTEXT://{self.bootstrap}",
            "log.dirs": ",".join(str(item) for item in self.data_dirs),
            "log.initial.task.delay.ms": 200,
            "offsets.topic.replication.factor": 1,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "share.coordinator.state.topic.replication.factor": 1,
            "share.coordinator.state.topic.min.isr": 1,
        }

    @staticmethod
    def java(*arguments):
        """A Java command line with Kafka's jars."""
        return ["java", "-Xmx512m", "-Xms256m", "-cp", f"{schema.libs_dir()}/*", *arguments]

    def format(self):
        if all((item / "meta.properties").exists() for item in self.data_dirs):
            return
        arguments = ["format", "-g", "-t", CLUSTER_ID, "-c", str(self.config_path)]
        subprocess.run(
            self.java("kafka.tools.StorageTool", *arguments),
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def command(self):
        return self.java("kafka.Kafka", str(self.config_path))


def flavour():
    """The broker class the run is about."""
    return {"ottla": Ottla, "kafka": Kafka}[os.environ.get("OTTLA_TEST_BROKER", "ottla")]
