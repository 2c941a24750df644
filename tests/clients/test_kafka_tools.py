"""Kafka's own command line tools against the broker, and its dump-log over the broker's files."""

import json
import re

import pytest

from harness import batches
from harness.tools import dump_log
from harness.wire import produce


@pytest.fixture
def filled(wire, make_topic):
    """A topic with 100 records in 10 batches."""
    topic = make_topic(1)
    for n in range(10):
        answer = produce(wire, topic, batches.batch([b"%d" % (10 * n + i) for i in range(10)]))
        assert answer["ErrorCode"] == 0
    return topic


def test_console_producer_and_consumer(tools, topic):
    lines = "".join(f"k{n}\tline {n}\n" for n in range(50))
    tools("console-producer", "--topic", topic, "--reader-property", "parse.key=true", stdin=lines)
    got = tools(
        "console-consumer", "--topic", topic, "--partition", "0", "--offset", "earliest", "--max-messages", "50",
        "--formatter-property", "print.key=true", "--timeout-ms", "20000",
    )  # fmt: skip
    assert sorted(got.splitlines()) == sorted(lines.splitlines())


def test_topics(tools, name):
    tools("topics", "--create", "--topic", name, "--partitions", "2", "--config", "retention.ms=60000")
    assert name in tools("topics", "--list").split()
    text = tools("topics", "--describe", "--topic", name)
    assert "PartitionCount: 2" in text
    assert "retention.ms=60000" in text
    assert re.search(r"Leader: 1\s+Replicas: 1\s+Isr: 1", text)
    tools("topics", "--alter", "--topic", name, "--partitions", "3")
    assert "PartitionCount: 3" in tools("topics", "--describe", "--topic", name)
    tools("topics", "--delete", "--topic", name)
    assert name not in tools("topics", "--list").split()


def test_configs(tools, topic):
    entity = ["--entity-type", "topics", "--entity-name", topic]
    tools("configs", "--alter", *entity, "--add-config", "retention.ms=12345,cleanup.policy=[compact,delete]")
    text = tools("configs", "--describe", *entity)
    assert "retention.ms=12345" in text
    assert "cleanup.policy=compact,delete" in text
    tools("configs", "--alter", *entity, "--delete-config", "retention.ms")
    assert "retention.ms" not in tools("configs", "--describe", *entity)
    assert "log.segment.bytes" in tools("configs", "--describe", "--entity-type", "brokers", "--entity-name", "1", "--all")


def test_delete_records_and_get_offsets(tools, filled, tmp_path):
    plan = {"partitions": [{"topic": filled, "partition": 0, "offset": 42}], "version": 1}
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    assert "low_watermark: 42" in tools("delete-records", "--offset-json-file", tmp_path / "plan.json")
    assert tools("get-offsets", "--topic", filled, "--time", "earliest").strip() == f"{filled}:0:42"
    assert tools("get-offsets", "--topic", filled).strip() == f"{filled}:0:100"


def test_log_dirs(broker, tools, filled):
    text = tools("log-dirs", "--describe", "--topic-list", filled)
    found = json.loads(next(line for line in text.splitlines() if line.startswith("{")))
    folder = found["brokers"][0]["logDirs"][0]
    assert folder["error"] is None
    assert folder["logDir"] == str(broker.data_dirs[0])
    assert folder["partitions"][0]["size"] == sum(item.stat().st_size for item in broker.segments(filled))


def test_metadata_quorum(tools):
    status = tools("metadata-quorum", "describe", "--status")
    assert re.search(r"LeaderId:\s+1\b", status)
    assert re.search(r"^1\s", tools("metadata-quorum", "describe", "--replication"), re.M)


def test_cluster_id_and_features(tools):
    assert re.search(r"Cluster ID: \S{22}", tools("cluster", "cluster-id"))
    assert "metadata.version" in tools("features", "describe")


def test_broker_api_versions(tools):
    text = tools("broker-api-versions")
    assert "Produce(0): 0 to 13 [usable: 13]" in text
    assert "Fetch(1): 4 to 18 [usable: 18]" in text


def test_producer_and_consumer_perf(tools, bootstrap, make_topic):
    topic = make_topic(3)
    text = tools(
        "producer-perf-test", "--topic", topic, "--num-records", "50000", "--record-size", "500", "--throughput", "-1",
        "--producer-props", f"bootstrap.servers={bootstrap}", "acks=all", "compression.type=lz4",
    )  # fmt: skip
    assert "50000 records sent" in text


@pytest.mark.needs("JoinGroup", "OffsetCommit")
def test_consumer_perf(tools, bootstrap, make_topic):
    topic = make_topic(1)
    tools(
        "producer-perf-test", "--topic", topic, "--num-records", "20000", "--record-size", "100", "--throughput", "-1",
        "--producer-props", f"bootstrap.servers={bootstrap}",
    )  # fmt: skip
    text = tools("consumer-perf-test", "--topic", topic, "--num-records", "20000", "--timeout", "30000")
    assert float(text.splitlines()[-1].split(",")[4]) >= 20000


def test_verifiable_producer(tools, topic):
    text = tools("verifiable-producer", "--topic", topic, "--max-messages", "500", "--acks", "-1")
    last = json.loads(text.splitlines()[-1])
    assert (last["name"], last["sent"], last["acked"]) == ("tool_data", 500, 500)


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_dump_log_finds_nothing_wrong(broker, tools, bootstrap, make_topic, codec):
    topic = make_topic(1, {"segment.bytes": 1 << 20, "compression.type": "producer"})
    tools(
        "producer-perf-test", "--topic", topic, "--num-records", "8000", "--record-size", "300", "--throughput", "-1",
        "--producer-props", f"bootstrap.servers={bootstrap}", f"compression.type={codec}",
    )  # fmt: skip
    folder = broker.partition_dir(topic)
    lines = dump_log(*broker.segments(topic))
    assert not [line for line in lines if "isvalid: false" in line or "Found" in line or "corrupt" in line.lower()]
    assert len([line for line in lines if re.match(r"\| offset: \d+", line)]) == 8000
    indexes = [*folder.glob("*.index"), *folder.glob("*.timeindex")]
    text = "\n".join(dump_log(*indexes))
    assert "Mismatches" not in text
    assert "not found" not in text


def test_dump_log_reads_the_metadata_log(broker):
    folder = broker.data_dirs[0] / "__cluster_metadata-0"
    lines = dump_log(*sorted(folder.glob("*.log")))
    assert not [line for line in lines if "isvalid: false" in line]
    assert [line for line in lines if "offset:" in line]


def test_dump_log_reads_producer_snapshots(start_broker):
    broker = start_broker()
    with broker.wire() as wire:
        from conftest import wait_for_leader
        from harness.wire import create_topic
        from test_produce import init_producer

        create_topic(wire, "snap")
        wait_for_leader(wire, "snap")
        id_, epoch = init_producer(wire)
        produce(wire, "snap", batches.batch([b"a", b"b"], producer=(id_, epoch, 0)))
    broker.stop()
    snapshots = sorted(broker.partition_dir("snap").glob("*.snapshot"))
    text = "\n".join(dump_log(snapshots[-1]))
    assert f"producerId: {id_}" in text
    assert re.search(r"lastSequence: 1\b", text)


def test_a_tool_that_asks_for_what_is_not_there_says_so(tools, name):
    code, text = tools("topics", "--describe", "--topic", name, check=False)
    assert code != 0
    assert "does not exist" in text
