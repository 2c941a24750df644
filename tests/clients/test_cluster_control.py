"""Restart permits, drains and voters: running a cluster with Ottla's command and Kafka's tools."""

import json
import os
import re
import shutil
import signal
import socket
import struct
import threading
import uuid
import urllib.error
import urllib.request

import pytest

from harness import batches
from harness.brokers import flavour, free_ports
from harness.cluster import SHARED, Cluster
from harness.tools import KafkaTools, run
from harness.waiting import eventually
from harness.wire import ERRORS as CODES
from harness.wire import error_name, produce

pytestmark = [pytest.mark.ottla_only("Kafka has no restart permit"), pytest.mark.timeout(240)]


@pytest.fixture
def cluster():
    """Three brokers of one's own."""
    with Cluster(3) as item:
        yield item


def ottla(cluster, *arguments, check=True):
    """The `ottla cluster` command; with `check` off (exit code, all output)."""
    running = ",".join(item.bootstrap for item in cluster.brokers.values() if item.is_running)
    command = [os.environ["OTTLA_BIN"], "cluster", *arguments, "--bootstrap", running]
    return run(command, check=check)


def status(cluster):
    """The cluster's status, its brokers by id."""
    text = json.loads(ottla(cluster, "brokers", "-o", "json"))
    return {**text, "brokers": {item["id"]: item for item in text["brokers"]}}


def broker(cluster, number):
    """The status of one broker."""
    return status(cluster)["brokers"].get(number)


def voters(cluster):
    """Ids of the brokers that vote, as the quorum says."""
    replicas = json.loads(ottla(cluster, "quorum", "-o", "json"))["replicas"]
    return sorted(item["broker"] for item in replicas if item["role"] == "voter")


def refusals(cluster, *arguments):
    """What a command says that must fail with exit code 1."""
    code, text = ottla(cluster, *arguments, check=False)
    assert code == 1, (code, text)
    return text


def ask_as_broker(item, question, cluster_id):
    """A question in the words that brokers have for each other (JSON under a private key); the answer."""
    body = json.dumps({"cluster_id": cluster_id, "question": question}).encode()
    frame = struct.pack(">hhih", 10_002, 0, 1, -1) + body
    with socket.create_connection(("127.0.0.1", item.ports[0]), timeout=20) as connection:
        connection.sendall(struct.pack(">i", len(frame)) + frame)
        reader = connection.makefile("rb")
        length = struct.unpack(">i", reader.read(4))[0]
        return json.loads(reader.read(length)[4:])


def is_open(url):
    """Whether a probe answers with success."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status == 200
    except urllib.error.HTTPError:
        return False


def test_a_permit_is_held_by_one_and_ends_when_its_holder_is_back_in_every_isr(cluster):
    cluster.create("t", 3)
    assert "may restart" in ottla(cluster, "can-restart", "1")
    granted = json.loads(ottla(cluster, "permit", "ask", "1", "--for", "120", "-o", "json"))
    epoch = granted["answer"]["granted"]["epoch"]
    assert "held" in json.loads(ottla(cluster, "permit", "ask", "1", "-o", "json"))["answer"]
    assert f"broker 1 holds restart permit {epoch}" in refusals(cluster, "permit", "ask", "2")
    assert f"broker 1 holds restart permit {epoch}" in refusals(cluster, "permit", "ask", "2", "--force")
    assert broker(cluster, 1)["permit"]["reason"] == "ottla cluster permit"
    assert cluster.brokers[1].stop()[1] == 0
    assert "holds restart permit" in refusals(cluster, "can-restart", "2")
    cluster.brokers[1].restart()
    eventually(lambda: broker(cluster, 1)["permit"] is None, 60)
    assert cluster.is_whole("t")
    ottla(cluster, "permit", "ask", "2")
    held = broker(cluster, 2)["permit"]["epoch"]
    assert held > epoch
    refusals(cluster, "permit", "release", "2", str(held + 1))
    ottla(cluster, "permit", "release", "2", str(held))
    assert broker(cluster, 2)["permit"] is None


def test_an_old_registration_gets_no_permit(cluster):
    epoch = broker(cluster, 1)["epoch"]
    assert "is stale" in refusals(cluster, "permit", "ask", "1", "--epoch", str(epoch - 1))
    cluster.create("t")
    ottla(cluster, "permit", "ask", "1", "--epoch", str(epoch))


def test_each_partition_that_suffers_is_named_and_force_is_loud(cluster):
    cluster.create("t", 2)
    cluster.brokers[3].kill()
    eventually(lambda: broker(cluster, 3)["fenced"], 30)
    text = refusals(cluster, "can-restart", "1")
    assert "t-0 would have 1 in-sync replicas and needs 2" in text
    assert "t-1 would have 1 in-sync replicas and needs 2" in text
    assert "quorum would have 1 of 3 voters" in text
    code, text = ottla(cluster, "permit", "ask", "1", "--force", check=False)
    assert code == 0 and "FORCED over" in text and "t-0 would have" in text
    assert broker(cluster, 1)["permit"]["forced"]


def test_a_stop_waits_until_the_others_can_spare_the_broker(cluster):
    cluster.create("t", 3)
    cluster.brokers[3].kill()
    eventually(lambda: broker(cluster, 3)["fenced"], 30)
    first = cluster.brokers[1]
    first.signal(signal.SIGTERM)
    eventually(lambda: "may not stop yet" in first.output(400), 30)
    assert first.is_running
    assert error_name(_produce_somewhere(cluster)) == "NONE"
    cluster.brokers[3].restart()
    assert first.process.wait(60) == 0
    assert "permit to stop" in first.output(400)
    first.restart()
    eventually(lambda: cluster.is_whole("t") and broker(cluster, 1)["permit"] is None, 60)


def _produce_somewhere(cluster):
    with cluster.to_leaders("t")(0) as wire:
        return produce(wire, "t", batches.batch([b"x"]))["ErrorCode"]


def test_two_stops_at_once_take_turns(cluster):
    cluster.create("t", 3)
    waiting = dict(cluster.brokers)
    for item in waiting.values():
        item.signal(signal.SIGTERM)
    while waiting:
        number = eventually(lambda: next((key for key, item in waiting.items() if not item.is_running), 0), 90)
        assert waiting.pop(number).process.returncode == 0
        cluster.brokers[number].restart()
    logs = [item.output(2000) for item in cluster.brokers.values()]
    assert not any("WITHOUT A PERMIT" in text for text in logs)
    eventually(lambda: cluster.is_whole("t"), 60)


def test_a_cluster_that_stops_as_a_whole_needs_no_majority(cluster):
    cluster.create("t", 3)
    cluster.brokers[1].kill()
    cluster.brokers[2].kill()
    last = cluster.brokers[3]
    last.signal(signal.SIGTERM)
    code, text = ottla(cluster, "permit", "all", check=False)
    assert code != 0, f"nobody has recorded it: {text}"
    assert last.process.wait(10) == 0
    assert "nobody to ask" in last.output(400)
    for item in cluster.brokers.values():
        item.launch()
    eventually(lambda: cluster.is_whole("t"), 60)


def test_replicas_that_nobody_else_has_move_away_first(cluster):
    cluster.create("single", 3, 1)
    holder = cluster.leader("single", 0)
    assert "may restart" in ottla(cluster, "can-restart", str(holder))
    assert "single-0 can never spare a replica" in refusals(
        cluster, "can-restart", str(holder), "--single-replica", "refuse"
    )
    ask = ["permit", "ask", str(holder), "--single-replica", "move-away", "--wait", "60"]
    ottla(cluster, *ask)
    assert all(row["ReplicaNodes"] != [holder] for row in cluster.partitions("single").values())


def test_a_drained_broker_is_proven_empty_before_it_leaves(cluster):
    fourth = cluster.add(4)
    cluster.create("t", 8)
    assert broker(cluster, 4)["replicas"] > 0
    assert "holds" in refusals(cluster, "unregister", "4")
    plan = ottla(cluster, "drain", "4")
    assert "PARTITION" in plan and not broker(cluster, 4)["cordoned"]
    ottla(cluster, "drain", "4", "--execute")
    proof = broker(cluster, 4)
    assert (proof["replicas"], proof["voter"], proof["cordoned"]) == (0, False, True)
    cluster.create("later", 8)
    assert broker(cluster, 4)["replicas"] == 0
    assert "still runs" in refusals(cluster, "unregister", "4")
    assert fourth.stop()[1] == 0
    ottla(cluster, "unregister", "4")
    assert sorted(status(cluster)["brokers"]) == [1, 2, 3]
    assert cluster.is_whole("t")


def test_a_broker_that_was_added_gets_its_share_when_asked(cluster):
    cluster.create("t", 9)
    cluster.add(4)
    assert broker(cluster, 4)["replicas"] == 0
    assert "PARTITION" in ottla(cluster, "rebalance", "--topic", "t")
    ottla(cluster, "rebalance", "--topic", "t", "--execute")
    rows = cluster.partitions("t").values()
    held = [sum(number in row["ReplicaNodes"] for row in rows) for number in cluster.brokers]
    assert max(held) - min(held) <= 1, held
    assert cluster.is_whole("t")


def test_voters_follow_the_brokers_up_and_down_without_an_edit():
    with Cluster(1, {"ottla.founding.brokers": 1}) as cluster:
        assert voters(cluster) == [1]
        for number in (2, 3):
            cluster.add(number)
        eventually(lambda: voters(cluster) == [1, 2, 3], 60)
        for number in (4, 5):
            cluster.add(number)
        eventually(lambda: voters(cluster) == [1, 2, 3, 4, 5], 60)
        cluster.create("t", 5)
        for number in (1, 5):
            ottla(cluster, "drain", str(number), "--execute")
            assert number not in voters(cluster)
            assert cluster.brokers[number].stop()[1] == 0
            ottla(cluster, "unregister", str(number))
        eventually(lambda: voters(cluster) == [2, 3, 4], 60)
        assert cluster.is_whole("t")


def test_a_voter_with_a_new_disk_takes_the_place_of_its_old_self(cluster):
    cluster.create("t")
    eventually(lambda: voters(cluster) == [1, 2, 3], 60)
    before = broker(cluster, 2)["directory_id"]
    victim = cluster.brokers[2]
    victim.kill()
    for folder in victim.data_dirs:
        shutil.rmtree(folder)
    victim.restart()
    eventually(lambda: voters(cluster) == [1, 2, 3] and cluster.is_whole("t"), 60)
    assert broker(cluster, 2)["directory_id"] != before


def test_a_broker_that_was_away_for_long_is_brought_back_by_a_snapshot():
    with Cluster(3, {"metadata.log.max.record.bytes.between.snapshots": 20_000}) as cluster:
        cluster.brokers[3].kill()
        for number in range(30):
            with cluster.anyone() as wire:
                topics = [{"Name": f"t{number}-{part}", "NumPartitions": 20, "ReplicationFactor": 3} for part in range(10)]
                wire.call("CreateTopics", Topics=topics, timeoutMs=30000)
        cluster.brokers[3].restart()
        eventually(lambda: broker(cluster, 3)["replicas"] > 0 and broker(cluster, 3)["in_sync"] == broker(cluster, 3)["replicas"], 90)
        with cluster.brokers[3].wire() as wire:
            assert len(wire.call("Metadata", {"Topics": None}, 12)["Topics"]) >= 300


def test_kafkas_quorum_tool_describes_and_changes_the_voters(cluster, tmp_path):
    tools = KafkaTools(cluster.bootstrap)
    eventually(lambda: voters(cluster) == [1, 2, 3], 60)
    text = tools("metadata-quorum", "describe", "--status")
    assert len(re.findall(r'"id": [123]', text.split("CurrentVoters", 1)[1].split("CurrentObservers")[0])) == 3
    table = tools("metadata-quorum", "describe", "--replication")
    assert len(re.findall(r"^[123]\s.*\b(?:Leader|Follower)\b", table, re.MULTILINE)) == 3
    leader = int(re.search(r"LeaderId:\s+(\d)", text).group(1))
    other = next(number for number in (1, 2, 3) if number != leader)
    directory = broker(cluster, other)["directory_id"]
    change = ["--controller-id", str(other), "--controller-directory-id", directory]
    tools("metadata-quorum", "remove-controller", *change)
    assert other not in voters(cluster)
    code, text = tools("metadata-quorum", "remove-controller", *change, check=False)
    assert code != 0 and "does not vote" in text
    properties = tmp_path / "controller.properties"
    properties.write_text(
        f"process.roles=controller\nnode.id={other}\nlog.dirs={cluster.brokers[other].data_dirs[0]}\n"
        f"controller.listener.names=CONTROLLER\nlisteners=CONTROLLER://127.0.0.1:1\n"
        f"controller.quorum.bootstrap.servers={cluster.bootstrap}\n"
    )
    tools("metadata-quorum", "--command-config", properties, "add-controller")
    assert sorted(voters(cluster)) == [1, 2, 3]
    # The leader itself can be told to go as well.
    directory = broker(cluster, leader)["directory_id"]
    tools("metadata-quorum", "remove-controller", "--controller-id", str(leader), "--controller-directory-id", directory)
    assert leader not in voters(cluster)


def test_kafkas_cluster_tool_lists_and_unregisters(cluster):
    tools = KafkaTools(cluster.bootstrap)
    cluster.brokers[3].kill()
    eventually(lambda: broker(cluster, 3)["fenced"], 30)
    listed = tools("cluster", "list-endpoints", "--include-fenced-brokers")
    assert len(re.findall(r"\b127\.0\.0\.1\b", listed)) == 3
    tools("cluster", "unregister", "--id", "3")
    assert sorted(status(cluster)["brokers"]) == [1, 2]


def test_a_disk_of_another_cluster_is_refused_with_one_line(cluster, start_broker):
    stranger = start_broker({"node.id": 4}, node_id=4)
    stranger.stop()
    stranger.settings = {**SHARED, "controller.quorum.bootstrap.servers": cluster.bootstrap}
    stranger.log_path.unlink()
    stranger.launch()
    assert stranger.process.wait(30) == 1
    lines = [line for line in stranger.output().splitlines() if "error" in line.lower()]
    assert len(lines) == 1 and "belongs to cluster" in lines[0], stranger.output()


def test_a_broker_is_ready_only_when_it_is_in_every_isr_and_alive_all_the_time(cluster):
    cluster.create("t", 3)
    third = cluster.brokers[3]
    assert is_open(f"{third.http}/readyz") and is_open(f"{third.http}/livez")
    ottla(cluster, "permit", "ask", "3")
    eventually(lambda: not is_open(f"{third.http}/readyz"), 10)
    assert is_open(f"{third.http}/livez")
    third.stop()
    third.launch()
    eventually(lambda: is_open(f"{third.http}/readyz"), 60)
    # It knows before the others do.
    eventually(lambda: cluster.is_whole("t") and broker(cluster, 3)["permit"] is None, 5)


def test_a_minority_neither_elects_nor_says_how_the_cluster_is(cluster):
    cluster.create("t")
    survivor = next(number for number in (1, 2, 3) if number != cluster.controller())
    for number in cluster.brokers:
        if number != survivor:
            cluster.brokers[number].kill()
    code, text = ottla(cluster, "can-restart", str(survivor), "--request-timeout", "5", check=False)
    assert code != 0 and "no active controller" in text
    assert flavour().flavour == "ottla"
    for number in cluster.brokers:
        if number != survivor:
            cluster.brokers[number].launch()
    eventually(lambda: cluster.is_whole("t"), 90)


def _registration(cluster, number, features, **more):
    directory = str(uuid.uuid4())
    return {
        "broker_id": number,
        "cluster_id": status(cluster)["cluster_id"],
        "incarnation_id": str(uuid.uuid4()),
        "endpoints": [{"listener": "PLAINTEXT", "host": "127.0.0.1", "port": 1, "security_protocol": 0}],
        "features": [{"name": "ottla.metadata.version", "min": features[0], "max": features[1]}],
        "rack": None,
        "directories": [directory],
        "metadata_directory": directory,
        "previous_epoch": -1,
        "cordoned": False,
        **more,
    }


def test_brokers_of_an_older_and_of_a_next_version_are_understood_and_levels_keep_them_apart(cluster):
    identity = status(cluster)["cluster_id"]
    leader = cluster.brokers[cluster.controller()]

    def register(number, features, **more):
        request = {"RegisterBroker": _registration(cluster, number, features, **more)}
        return ask_as_broker(leader, {"Control": request}, identity)["said"]["Control"]["RegisterBroker"]

    # The next version says more than this one knows, and can run at a higher level.
    assert "Ok" in register(8, (1, 3), software_version="9.9", mood="good")
    # This level's records are unknown to a version that ends at level 1.
    assert register(9, (1, 1))["Err"]["code"] == CODES["UNSUPPORTED_VERSION"]
    asked = ask_as_broker(leader, {"Control": {"MakeCoffee": {"cups": 2}}}, identity)
    assert asked["said"] == {"Failed": CODES["UNSUPPORTED_VERSION"]}
    assert ask_as_broker(leader, "QuorumStatus", "another-cluster")["said"] == {"Failed": 104}
    tools = KafkaTools(cluster.bootstrap)
    code, text = tools("features", "upgrade", "--feature", "ottla.metadata.version=3", check=False)
    assert code != 0 and "only supports versions" in text
    code, text = tools("features", "downgrade", "--feature", "ottla.metadata.version=1", check=False)
    assert code != 0
    assert sorted(status(cluster)["brokers"]) == [1, 2, 3, 8]


def test_what_brokers_say_to_each_other_is_answered_on_their_listener_only(start_broker):
    item = start_broker(
        {"listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,INNER:PLAINTEXT", "inter.broker.listener.name": "INNER"},
        launch_only=True,
    )
    item.kill()
    inner = f"INNER://127.0.0.1:{item.ports[2]}"
    item.settings["listeners"] = f"PLAINTEXT://{item.bootstrap},{inner}"
    item.settings["advertised.listeners"] = item.settings["listeners"]
    item.restart()
    with pytest.raises((struct.error, OSError)):
        ask_as_broker(item, "QuorumStatus", "any")
    item.ports[0] = item.ports[2]
    assert "said" in ask_as_broker(item, "QuorumStatus", "any")


class Pods:
    """Brokers that find each other by one name, each with an address and a name of its own, as pods have them."""

    def __init__(self, folder, size=3):
        self.hosts = folder / "hosts"
        self.port = free_ports(1)[0]
        self.network = 0
        self.moved = {}
        self.published = set()
        shared = {
            **SHARED,
            "controller.quorum.bootstrap.servers": f"brokers.test:{self.port}",
            "ottla.founding.brokers": size,
        }
        self.brokers = {number: flavour()(shared, node_id=number) for number in range(1, size + 1)}
        for item in self.brokers.values():
            self._in_own_names(item)
        self.publish()

    def _in_own_names(self, item):
        original = item.command
        script = f'mount --bind {self.hosts} /etc/hosts && exec "$@"'
        item.command = lambda: ["unshare", "-m", "sh", "-c", script, "sh", *original()]

    def address(self, number):
        """The address that a pod has now."""
        return f"127.77.{self.moved.get(number, self.network)}.{number}"

    def publish(self, *numbers):
        """What the name service says: the pods so far and these."""
        self.published |= set(numbers)
        lines = ["127.0.0.1 localhost"]
        for number in sorted(self.published):
            lines.append(f"{self.address(number)} brokers.test")
            lines.append(f"{self.address(number)} pod-{number}.test")
        # Written in place: the brokers have this file mounted.
        with open(self.hosts, "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")

    def launch(self, number):
        """Starts a pod at its present address."""
        item = self.brokers[number]
        item.bootstrap = f"{self.address(number)}:{self.port}"
        item.settings["listeners"] = f"PLAINTEXT://{item.bootstrap}"
        item.settings["advertised.listeners"] = f"PLAINTEXT://pod-{number}.test:{self.port}"
        return item.launch()

    def voters(self, number):
        """Who votes, as one broker says."""
        with self.brokers[number].wire(timeout=5) as wire:
            topics = [{"TopicName": "__cluster_metadata", "Partitions": [{"PartitionIndex": 0}]}]
            answer = wire.call("DescribeQuorum", {"Topics": topics}, 1)["Topics"][0]["Partitions"][0]
            return sorted(item["ReplicaId"] for item in answer["CurrentVoters"])


@pytest.mark.root
def test_pods_found_by_one_name_come_one_by_one_and_come_back_with_other_addresses(tmp_path):
    pods = Pods(tmp_path)
    try:
        # Alone it may not found a cluster, although the name knows of nobody else.
        pods.publish(1)
        pods.launch(1)
        eventually(lambda: "looking for a cluster" in pods.brokers[1].output(), 20)
        pods.publish(2)
        pods.launch(2).wait_ready()
        pods.publish(3)
        pods.launch(3).wait_ready()
        eventually(lambda: pods.voters(3) == [1, 2, 3], 60)
        identities = {item.data_dirs[0].joinpath("meta.properties").read_text().split("cluster.id=")[1][:22] for item in pods.brokers.values()}
        assert len(identities) == 1
        for item in pods.brokers.values():
            item.kill()
        pods.network, pods.published = 1, set()
        for number in pods.brokers:
            pods.publish(number)
            pods.launch(number)
        for item in pods.brokers.values():
            item.wait_ready()
        eventually(lambda: pods.voters(1) == [1, 2, 3], 60)
        # One of them alone gets another address once more.
        pods.brokers[2].kill()
        pods.moved[2] = 9
        pods.publish()
        pods.launch(2).wait_ready()
        assert pods.brokers[2].wire().call("Metadata", {"Topics": []}, 12)["ControllerId"] > 0
    finally:
        for item in pods.brokers.values():
            item.destroy()


def test_kafkas_own_clients_do_not_notice_that_each_broker_restarts_in_turn(cluster, tmp_path):
    cluster.create("rolled", 6)
    tools = KafkaTools(cluster.bootstrap)
    # Left alone it never sends anything twice.
    (tmp_path / "producer.properties").write_text("retries=1000000\nretry.backoff.ms=20\n")
    options = ["--acks", "-1", "--throughput", "200", "--producer.config", tmp_path / "producer.properties"]
    producer = tools.popen("verifiable-producer", "--topic", "rolled", *options)
    consumer = tools.popen("verifiable-consumer", "--topic", "rolled", "--group-id", "rolled", "--reset-policy", "earliest")
    sent, read = Lines(producer), Lines(consumer)
    try:
        eventually(lambda: sent.count("producer_send_success") > 200, 60)
        for number in cluster.brokers:
            ottla(cluster, "permit", "ask", str(number), "--wait", "60")
            assert cluster.brokers[number].stop()[1] == 0
            cluster.brokers[number].restart()
            eventually(lambda: broker(cluster, number)["permit"] is None, 60)
            before = sent.count("producer_send_success")
            eventually(lambda: sent.count("producer_send_success") > before + 100, 60)
    finally:
        producer.terminate()
        producer.wait(60)
    sent.thread.join(60)
    acknowledged = {item["value"] for item in sent.rows if item["name"] == "producer_send_success"}
    errors = [item for item in sent.rows if item["name"] == "producer_send_error"]
    assert not errors, errors[:3]
    try:
        eventually(lambda: read.records() >= len(acknowledged), 60)
    finally:
        consumer.terminate()
        consumer.wait(60)


class Lines:
    """What a verifiable client prints: one JSON object a line."""

    def __init__(self, process):
        self.process, self.rows = process, []
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        for line in self.process.stdout:
            if line.startswith(b"{"):
                self.rows.append(json.loads(line))

    def count(self, name):
        """Lines of that name."""
        return sum(row.get("name") == name for row in list(self.rows))

    def records(self):
        """Records that a consumer has read."""
        return sum(row.get("count", 0) for row in list(self.rows) if row.get("name") == "records_consumed")
