"""Three brokers and where replicas are: reassignment with throttles, log directories, reading from followers."""

import json
import time

import pytest

from harness import batches
from harness.cluster import Cluster
from harness.tools import KafkaTools
from harness.waiting import eventually
from harness.wire import error_name, list_offset, produce
from test_cluster import finish, more, under_load

pytestmark = [pytest.mark.needs("ElectLeaders", "AlterPartitionReassignments"), pytest.mark.timeout(300)]


def code(answer):
    return error_name(answer["ErrorCode"])


@pytest.fixture
def cluster():
    """Three brokers of one's own."""
    with Cluster(3) as item:
        yield item


def fill(cluster, count):
    """Produces so many records of 100 kB to t-0."""
    with cluster.to_leaders("t")(0) as wire:
        eventually(lambda: code(produce(wire, "t", batches.batch([b"x" * 100_000]))) == "NONE")
        for _ in range(count - 1):
            assert code(produce(wire, "t", batches.batch([b"x" * 100_000]))) == "NONE"


def write_plan(folder, moves, **fields):
    """A plan for the tool: (topic, partition, replicas) each."""
    path = folder / "plan.json"
    rows = [{"topic": topic, "partition": index, "replicas": replicas, **fields} for topic, index, replicas in moves]
    path.write_text(json.dumps({"version": 1, "partitions": rows}))
    return path


def config_of(tools, kind, name):
    """What is set on a broker or topic, as the tool prints it."""
    return tools("configs", "--describe", "--entity-type", kind, "--entity-name", str(name))


def test_a_throttled_reassignment_is_slow_and_leaves_no_throttle_behind(cluster, tmp_path):
    cluster.create("t", 1, 1, {"segment.bytes": 1 << 30})
    leader = cluster.leader("t")
    fill(cluster, 40)
    target = {1: 2, 2: 3, 3: 1}[leader]
    plan = write_plan(tmp_path, [("t", 0, [leader, target])])
    tools = KafkaTools(cluster.bootstrap)
    begin = time.monotonic()
    tools("reassign-partitions", "--reassignment-json-file", plan, "--execute", "--throttle", "1000000")
    assert "follower.replication.throttled.rate=1000000" in config_of(tools, "brokers", target)
    assert f"0:{leader}" in config_of(tools, "topics", "t")
    eventually(lambda: sorted(cluster.partitions("t")[0]["IsrNodes"]) == sorted([leader, target]), 90)
    # 4 MB at 1 MB a second, of which a second's worth may go at once.
    assert time.monotonic() - begin > 2.5
    verified = tools("reassign-partitions", "--reassignment-json-file", plan, "--verify")
    assert "is completed" in verified
    assert "throttled" not in config_of(tools, "topics", "t")
    assert "throttled.rate" not in config_of(tools, "brokers", target)


def test_a_reassignment_is_cancelled(cluster, tmp_path):
    cluster.create("t", 1, 1)
    leader = cluster.leader("t")
    fill(cluster, 30)
    target = {1: 2, 2: 3, 3: 1}[leader]
    plan = write_plan(tmp_path, [("t", 0, [target])])
    tools = KafkaTools(cluster.bootstrap)
    tools("reassign-partitions", "--reassignment-json-file", plan, "--execute", "--throttle", "1000")
    assert "is still in progress" in tools("reassign-partitions", "--reassignment-json-file", plan, "--verify")
    tools("reassign-partitions", "--reassignment-json-file", plan, "--cancel")
    eventually(lambda: cluster.partitions("t")[0]["ReplicaNodes"] == [leader], 30)
    assert "throttled" not in config_of(tools, "topics", "t")
    with cluster.to_leaders("t")(0) as wire:
        assert list_offset(wire, "t", -1)["Offset"] == 30


def test_the_replication_factor_changes_by_reassignment(cluster, tmp_path):
    cluster.create("t", 1, 1)
    leader = cluster.leader("t")
    others = sorted({1, 2, 3} - {leader})
    tools = KafkaTools(cluster.bootstrap)
    for replicas in ([leader, *others], [others[0], leader]):
        plan = write_plan(tmp_path, [("t", 0, replicas)])
        tools("reassign-partitions", "--reassignment-json-file", plan, "--execute")
        eventually(lambda wanted=replicas: cluster.partitions("t")[0]["ReplicaNodes"] == wanted, 60)
        eventually(lambda: cluster.is_whole("t"), 60)


def test_partitions_are_added_over_all_brokers(cluster):
    cluster.create("t", 1)
    tools = KafkaTools(cluster.bootstrap)
    tools("topics", "--alter", "--topic", "t", "--partitions", "6")
    eventually(lambda: cluster.is_whole("t") and len(cluster.partitions("t")) == 6, 30)
    for index in range(6):
        with cluster.to_leaders("t")(index) as wire:
            eventually(lambda at=index: code(produce(wire, "t", batches.batch([b"x"]), partition=at)) == "NONE")


def test_a_replica_moves_to_another_log_directory_under_load(tmp_path):
    cluster = Cluster(3)
    folders = [tmp_path / "a", tmp_path / "b"]
    cluster.brokers[1].data_dirs = folders
    with cluster:
        ledger = under_load(cluster, partitions=2)
        here = cluster.brokers[1].partition_dir("t", 0).parent
        there = next(folder for folder in folders if folder != here)
        replicas = cluster.partitions("t")[0]["ReplicaNodes"]
        dirs = [str(there) if number == 1 else "any" for number in replicas]
        plan = write_plan(tmp_path, [("t", 0, replicas)], log_dirs=dirs)
        tools = KafkaTools(cluster.bootstrap)
        tools("reassign-partitions", "--reassignment-json-file", plan, "--execute")
        eventually(lambda: (there / "t-0").is_dir() and not (here / "t-0").exists(), 60)
        more(ledger, 500)
        tools("reassign-partitions", "--reassignment-json-file", plan, "--verify")
        described = tools("log-dirs", "--describe", "--broker-list", "1", "--topic-list", "t")
        rows = json.loads(described.splitlines()[-1])["brokers"][0]["logDirs"]
        held = {row["logDir"]: {item["partition"] for item in row["partitions"]} for row in rows}
        assert "t-0" in held[str(there)]
        assert not any(item["isFuture"] for row in rows for item in row["partitions"])
        cluster.brokers[1].kill()
        more(ledger, 200)
        cluster.brokers[1].restart()
        finish(cluster, ledger)


def test_replicas_are_the_same_says_the_verification_tool(cluster):
    cluster.create("t", 3)
    for index in range(3):
        with cluster.to_leaders("t")(index) as wire:
            for _ in range(10):
                assert code(produce(wire, "t", batches.batch([b"x" * 500]), partition=index)) == "NONE"
    tools = KafkaTools(cluster.bootstrap)
    process = tools.popen("replica-verification", "--topics-include", "t", "--report-interval-ms", "1000")
    try:
        line = next(text for text in iter(process.stdout.readline, b"") if b"max lag is" in text)
        assert b"max lag is 0" in line, line
    finally:
        process.kill()
        process.wait()


def fetch_as(wire, topic_id, replica, epoch, offset=0, version=17):
    """One partition's answer to a fetch of a replica."""
    rows = [{"Partition": 0, "FetchOffset": offset, "PartitionMaxBytes": 1 << 20, "CurrentLeaderEpoch": -1}]
    body = {
        "ReplicaState": {"ReplicaId": replica, "ReplicaEpoch": epoch},
        "MaxWaitMs": 0,
        "MinBytes": 0,
        "MaxBytes": 1 << 20,
        "SessionEpoch": -1,
        "Topics": [{"TopicId": topic_id, "Partitions": rows}],
    }
    return wire.call("Fetch", body, version)["Responses"][0]["Partitions"][0]


@pytest.mark.ottla_only("Kafka asks for an authorizer to keep others away")
def test_nobody_but_the_replicas_broker_says_what_it_has(cluster):
    cluster.create("t")
    leader = cluster.leader("t")
    follower = ({1, 2, 3} - {leader}).pop()
    with cluster.brokers[leader].wire() as wire:
        topic_id = wire.call("Metadata", Topics=[{"Name": "t"}])["Topics"][0]["TopicId"]
        assert code(produce(wire, "t", batches.batch([b"x"]))) == "NONE"
        for epoch in (-1, 0, 1 << 40):
            assert code(fetch_as(wire, topic_id, follower, epoch)) == "NOT_LEADER_OR_FOLLOWER"
        assert code(fetch_as(wire, topic_id, -1, -1)) == "NONE"


def test_a_consumer_reads_from_the_replica_in_its_rack():
    cluster = Cluster(3, {"replica.selector.class": "org.apache.kafka.common.replica.RackAwareReplicaSelector"})
    for number, broker in cluster.brokers.items():
        broker.settings["broker.rack"] = f"r{number}"
    with cluster:
        cluster.create("t")
        leader = cluster.leader("t")
        near = ({1, 2, 3} - {leader}).pop()
        with cluster.brokers[leader].wire() as wire:
            assert code(produce(wire, "t", batches.batch([b"x"]))) == "NONE"
            eventually(lambda: read(wire, f"r{near}")["PreferredReadReplica"] == near)
            assert read(wire, f"r{leader}")["PreferredReadReplica"] == -1
            assert read(wire, "elsewhere")["PreferredReadReplica"] == -1
        with cluster.brokers[near].wire() as wire:
            eventually(lambda: len(batches.parse(read(wire, f"r{near}")["Records"] or b"")) == 1)
        consume_near(cluster, near)


def read(wire, rack):
    """A consumer's fetch from a rack."""
    rows = [{"Partition": 0, "FetchOffset": 0, "PartitionMaxBytes": 1 << 20, "CurrentLeaderEpoch": -1}]
    body = {
        "ReplicaId": -1,
        "MaxWaitMs": 100,
        "MinBytes": 1,
        "MaxBytes": 1 << 20,
        "SessionEpoch": -1,
        "RackId": rack,
        "Topics": [{"Topic": "t", "Partitions": rows}],
    }
    return wire.call("Fetch", body, 12)["Responses"][0]["Partitions"][0]


def consume_near(cluster, near):
    """librdkafka goes where it is sent."""
    from confluent_kafka import Consumer, TopicPartition

    settings = {"bootstrap.servers": cluster.bootstrap, "group.id": "g", "client.rack": f"r{near}"}
    consumer = Consumer({**settings, "enable.auto.commit": False})
    try:
        consumer.assign([TopicPartition("t", 0, 0)])
        message = consumer.poll(20)
        assert message is not None and message.error() is None and message.value() == b"x"
    finally:
        consumer.close()
