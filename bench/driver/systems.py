"""The systems under comparison, each fresh for every measurement."""

import atexit
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from harness import brokers
from harness.wire import Wire


def load(*arguments):
    """Runs the load program; returns its line of JSON as a dict."""
    return _run("OTTLA_BENCH_LOAD", *arguments)


def replay(*arguments):
    """Runs the program that sends batches encoded beforehand; returns its line of JSON as a dict."""
    return _run("OTTLA_BENCH_REPLAY", *arguments)


def _run(program, *arguments, timeout=900):
    done = subprocess.run(
        [os.environ[program], *[str(item) for item in arguments]],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    if done.returncode != 0 or not done.stdout.strip():
        raise RuntimeError(f"{os.environ[program]} {' '.join(map(str, arguments))}: {done.stderr.strip()}")
    return json.loads(done.stdout.splitlines()[-1])


def back_pages(count):
    """Has the host of a virtual machine give memory for so many bytes of page cache, by a file that is removed at once.

    A machine that returns its free memory to the host pays a fault of the host's for each page that it takes again: five
    times what the write costs. Which system pays would be chance. Two seconds later the memory begins to go back.
    """
    path = Path(os.environ["OTTLA_BENCH_DATA"]) / "pages"
    with open(path, "wb", buffering=0) as scratch:
        block = bytes(1 << 20)
        for _ in range(count // len(block) + 1):
            scratch.write(block)
    path.unlink()


def launch(system, settings=None):
    """Starts a fresh broker of a system (`kafka` or `ottla`) without waiting for it."""
    return KINDS[system](settings, folder=new_folder(system))


def new_folder(system):
    """An empty folder for the data of a system, removed when all is measured."""
    base = os.environ["OTTLA_BENCH_DATA"]
    Path(base).mkdir(parents=True, exist_ok=True)
    folder = tempfile.mkdtemp(prefix=f"{system}-", dir=base)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


class Emptied:
    """Gives the bytes of its data back when it is done, and keeps the files.

    An ext4 without a journal passes over each inode that was freed in the last minutes when it makes a new one: files of
    one measurement, removed, would slow the next one down that makes files, some ten times.
    """

    def destroy(self):
        """Kills the process and empties its files."""
        super().destroy()
        for path in Path(self.folder).rglob("*"):
            if path.is_file():
                os.truncate(path, 0)


class BenchOttla(Emptied, brokers.Ottla):
    """Ottla as it is."""


class BenchKafka(Emptied, brokers.Kafka):
    """Kafka with a heap and collector as its own start script has them."""

    @staticmethod
    def java(*arguments):
        heap = os.environ.get("KAFKA_HEAP", "1g")
        options = [f"-Xms{heap}", f"-Xmx{heap}", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20"]
        return ["java", *options, "-cp", f"{os.environ['OTTLA_KAFKA_LIBS']}/*", *arguments]


KINDS = {"kafka": BenchKafka, "ottla": BenchOttla}


def start_and_time(broker):
    """Starts a broker; returns the seconds from the start of its process to its first answered Metadata."""
    broker.write_config()
    broker.format()
    with open(broker.log_path, "ab") as log:
        begin = time.monotonic()
        broker.process = subprocess.Popen(
            broker.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, cwd=broker.folder,
            start_new_session=True, env=brokers.clean_environment(),
        )  # fmt: skip
    return wait_answer(broker, begin)


def wait_answer(broker, begin, timeout=180):
    """Seconds from `begin` to the first Metadata that names a broker."""
    while time.monotonic() < begin + timeout:
        try:
            with Wire(broker.bootstrap, timeout=5) as wire:
                if wire.call("Metadata", version=9, Topics=[])["Brokers"]:
                    return time.monotonic() - begin
        except (OSError, ValueError):
            if broker.process.poll() is not None:
                raise RuntimeError(broker.output()) from None
            time.sleep(0.001)
    raise RuntimeError(f"no answer in {timeout} s")


class Unavoidable:
    """The program that does only what cannot be avoided, driven over loopback."""

    def __init__(self):
        self.binary = os.environ["OTTLA_BENCH_UNAVOIDABLE"]
        self.folder = tempfile.mkdtemp(prefix="unavoidable-", dir=os.environ["OTTLA_BENCH_DATA"])

    def _pair(self, server, client):
        """Runs both; returns the last line of each."""
        port = brokers.free_ports(1)[0]
        first = subprocess.Popen([self.binary, *server, f"listen=127.0.0.1:{port}"], stdout=subprocess.PIPE, text=True)
        time.sleep(0.3)
        try:
            second = subprocess.run([self.binary, *client, f"to=127.0.0.1:{port}"], check=True, stdout=subprocess.PIPE, text=True)
            return json.loads(first.communicate(timeout=60)[0].splitlines()[-1]), json.loads(second.stdout.splitlines()[-1])
        finally:
            first.kill()

    def cost(self, total_bytes, frame_bytes, slices):
        """(what receiving costs, what sending costs), each the mean of the program's own lines."""
        try:
            sinks = []
            for index in range(slices):
                back_pages(total_bytes // slices)
                server = ["sink", f"dir={self.folder}/{index}"]
                sinks.append(self._pair(server, ["push", f"bytes={total_bytes // slices}", f"frame-bytes={frame_bytes}"])[0])
            sink = {key: statistics.mean(line[key] for line in sinks) for key in ("cpu_s_per_gb", "mb_per_s")}
            largest = max(Path(self.folder).glob("*/*"), key=lambda item: item.stat().st_size)
            source, _ = self._pair(
                ["source", f"file={largest}"], ["pull", f"bytes={total_bytes}", "fetch-bytes=1048576"]
            )
            return sink, source
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def latency(self, rate, seconds):
        """How long answers of `sink` take at a rate: the client's line."""
        try:
            return self._pair(["sink", f"dir={self.folder}"], ["pace", f"rate={rate}", f"seconds={seconds}"])[1]
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)
