"""The process: starting, refusing to start, stopping, several data directories, a full disk."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

import pytest

from conftest import wait_for_leader
from harness import batches, brokers
from harness.disks import small_disk
from harness.waiting import eventually
from harness.wire import create_topic, error_name, fetch, list_offset, produce

ours = pytest.mark.ottla_only("its messages and limits are its own")


def code(answer):
    return error_name(answer["ErrorCode"])


def refused(start_broker, settings=None, **options):
    """Starts a broker that must refuse; returns what it printed."""
    broker = start_broker(settings, launch_only=True, **options)
    assert broker.process.wait(60) not in (0, None)
    return broker.output()


@ours
def test_a_busy_port_is_one_clear_line(start_broker):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        text = refused(start_broker, {"listeners": f"PLAINTEXT://127.0.0.1:{port}"})
    assert str(port) in text
    assert "in use" in text.lower()
    assert "panicked" not in text


@ours
@pytest.mark.parametrize(
    ("key", "value"),
    [("log.retenton.ms", "1"), ("log.segment.bytes", "many"), ("num.partitions", "0"), ("listeners", "nowhere")],
)
def test_a_bad_setting_is_one_clear_line(start_broker, key, value):
    text = refused(start_broker, {key: value})
    assert key in text
    assert "panicked" not in text
    assert len([line for line in text.splitlines() if line.strip()]) <= 8


@ours
def test_an_unreadable_config_file_is_said(tmp_path):
    done = subprocess.run(
        [brokers.Ottla.binary(), "broker", "--config", str(tmp_path / "none")],
        capture_output=True,
        check=False,
        timeout=20,
        env=brokers.clean_environment(),
    )
    assert done.returncode != 0
    assert b"none" in done.stderr + done.stdout


@ours
def test_settings_come_from_the_environment_too(start_broker):
    broker = start_broker(environment={"OTTLA_NUM_PARTITIONS": "7"})
    with broker.wire() as wire:
        assert create_topic(wire, "t", -1)["NumPartitions"] == 7


@ours
def test_the_first_screen_says_where_things_are(start_broker):
    broker = start_broker()
    eventually(lambda: broker.bootstrap in broker.output())
    text = broker.output()
    assert str(broker.data_dirs[0]) in text
    with broker.wire() as wire:
        assert wire.call("Metadata", {"Topics": []}, 12)["ClusterId"] in text


def test_sigterm_is_clean_and_nothing_is_recovered_after_it(start_broker):
    broker = start_broker()
    with broker.wire() as wire:
        create_topic(wire, "t", 10)
        wait_for_leader(wire, "t")
        for index in range(10):
            produce(wire, "t", batches.batch([b"x" * 1000]), partition=index)
    seconds, exit_code = broker.stop()
    if broker.flavour == "ottla":
        assert exit_code == 0
        assert seconds < 5, "far above the second it should take"
    assert (broker.data_dirs[0] / ".kafka_cleanshutdown").exists()
    broker.restart()
    with broker.wire() as wire:
        wait_for_leader(wire, "t")
        assert list_offset(wire, "t", -1)["Offset"] == 1


def test_sigterm_with_open_fetches_and_connections(start_broker):
    broker = start_broker()
    with broker.wire() as wire, contextlib.ExitStack() as stack:
        create_topic(wire, "t")
        wait_for_leader(wire, "t")
        row = {"Partition": 0, "FetchOffset": 0, "PartitionMaxBytes": 1 << 20}
        body = {"MaxWaitMs": 60_000, "MinBytes": 1, "MaxBytes": 1 << 20, "Topics": [{"Topic": "t", "Partitions": [row]}]}
        for _ in range(20):
            stack.enter_context(broker.wire()).send("Fetch", body, 12)
        time.sleep(0.3)
        seconds, _ = broker.stop()
    assert seconds < (5 if broker.flavour == "ottla" else 60)


@ours
def test_sigint_stops_too(start_broker):
    broker = start_broker()
    broker.signal(signal.SIGINT)
    assert broker.process.wait(10) == 0


def test_several_data_directories_share_the_partitions(start_broker, tmp_path):
    folders = [tmp_path / "a", tmp_path / "b", tmp_path / "c"]
    broker = start_broker(data_dirs=folders)
    with broker.wire() as wire:
        create_topic(wire, "t", 9)
        wait_for_leader(wire, "t")
        for index in range(9):
            assert code(produce(wire, "t", batches.batch([b"x"]), partition=index)) == "NONE"
        answer = wire.call("DescribeLogDirs", {"Topics": None})
        assert {item["LogDir"] for item in answer["Results"]} == {str(item) for item in folders}
    assert [len(list(folder.glob("t-*"))) for folder in folders] == [3, 3, 3]
    broker.kill()
    broker.restart()
    with broker.wire() as wire:
        wait_for_leader(wire, "t")
        assert [list_offset(wire, "t", -1, index)["Offset"] for index in range(9)] == [1] * 9


@ours
def test_a_data_directory_of_another_cluster_is_refused(start_broker, tmp_path):
    folders = [tmp_path / "a", tmp_path / "b"]
    first, second = start_broker(data_dirs=folders[:1]), start_broker(data_dirs=folders[1:])
    first.stop()
    second.stop()
    text = refused(start_broker, data_dirs=folders)
    assert "cluster" in text.lower()


@ours
def test_metrics_and_health(start_broker):
    broker = start_broker()
    with broker.wire() as wire:
        create_topic(wire, "seen")
        wait_for_leader(wire, "seen")
        produce(wire, "seen", batches.batch([b"x"]))

    def get(path):
        with urllib.request.urlopen(broker.http + path, timeout=5) as answer:
            return answer.read().decode()

    assert get("/livez") is not None
    assert get("/readyz") is not None
    text = get("/metrics")
    assert 'topic="seen"' in text
    assert "ottla_" in text


@ours
@pytest.mark.root
def test_a_full_disk_refuses_produce_serves_reads_and_recovers_by_itself(start_broker):
    with small_disk(192) as folder:
        broker = start_broker({"log.retention.check.interval.ms": 500}, data_dirs=[folder / "data"])
        wire = broker.wire()
        for topic in ("filler", "other"):
            create_topic(wire, topic, 1, {"segment.bytes": 4 << 20, "file.delete.delay.ms": 0})
            wait_for_leader(wire, topic)
        assert code(produce(wire, "other", batches.batch([b"x"]))) == "NONE"
        sent = 0
        while (answer := code(produce(wire, "filler", batches.batch([os.urandom(500_000)])))) == "NONE":
            sent += 1
            assert sent < 1000
        assert answer in ("KAFKA_STORAGE_ERROR", "NOT_ENOUGH_REPLICAS"), answer
        assert len(batches.parse(fetch(wire, "filler", 0)["Records"])) > 0
        assert list_offset(wire, "filler", -1)["Offset"] == sent
        rows = [{"PartitionIndex": 0, "Offset": sent}]
        deleted = wire.call("DeleteRecords", {"Topics": [{"Name": "filler", "Partitions": rows}], "TimeoutMs": 5000})
        assert code(deleted["Topics"][0]["Partitions"][0]) == "NONE"
        wire.call("DeleteTopics", {"Topics": [{"Name": "filler"}], "TimeoutMs": 5000}, 6)
        eventually(lambda: code(produce(wire, "other", batches.batch([b"y" * 100_000]))) == "NONE", 40)
        wire.close()


@ours
@pytest.mark.root
def test_a_start_on_a_full_disk_works_and_reads_are_served(start_broker):
    with small_disk(96) as folder:
        broker = start_broker(data_dirs=[folder / "data"])
        with broker.wire() as wire:
            create_topic(wire, "t")
            wait_for_leader(wire, "t")
            assert code(produce(wire, "t", batches.batch([b"kept" * 1000]))) == "NONE"
        broker.stop()
        with open(folder / "ballast", "wb") as file, contextlib.suppress(OSError):
            while True:
                file.write(b"\0" * 65536)
                file.flush()
        broker.restart()
        with broker.wire() as wire:
            eventually(lambda: len(batches.parse(fetch(wire, "t", 0)["Records"])) == 1)
            assert code(produce(wire, "t", batches.batch([b"x" * 100_000]))) != "NONE"
        (folder / "ballast").unlink()
        with broker.wire() as wire:
            eventually(lambda: code(produce(wire, "t", batches.batch([b"x" * 1000]))) == "NONE", 40)


@ours
@pytest.mark.root
def test_a_directory_that_became_read_only_is_out_alone(start_broker):
    with small_disk(128) as bad, tempfile.TemporaryDirectory(prefix="ottla-good-") as good:
        broker = start_broker(data_dirs=[Path(good) / "data", bad / "data"])
        with broker.wire() as wire:
            create_topic(wire, "t", 4)
            wait_for_leader(wire, "t")
            for index in range(4):
                assert code(produce(wire, "t", batches.batch([b"x"]), partition=index)) == "NONE"
        on_bad = {int(item.name.rsplit("-", 1)[1]) for item in (bad / "data").glob("t-*")}
        assert len(on_bad) == 2
        broker.stop()
        subprocess.run(["mount", "-o", "remount,ro", str(bad)], check=True)
        broker.restart()
        with broker.wire() as wire:
            for index in set(range(4)) - on_bad:
                eventually(lambda: code(produce(wire, "t", batches.batch([b"x"]), partition=index)) == "NONE")
            for index in on_bad:
                assert code(produce(wire, "t", batches.batch([b"x"]), partition=index)) != "NONE"
            states = {item["LogDir"]: code(item) for item in wire.call("DescribeLogDirs", {"Topics": None})["Results"]}
            assert states == {str(Path(good) / "data"): "NONE", str(bad / "data"): "KAFKA_STORAGE_ERROR"}


@ours
@pytest.mark.root
def test_a_read_only_directory_at_the_start_is_said(start_broker):
    with small_disk(16) as folder:
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
        text = refused(start_broker, data_dirs=[folder / "data"])
        assert str(folder) in text
        assert "panicked" not in text
