"""Three brokers that know each other by name, and a name service that goes away."""

import pytest

from harness.brokers import flavour
from harness.cluster import Cluster
from harness.waiting import eventually
from test_cluster import finish, more, under_load

pytestmark = [
    pytest.mark.ottla_only("Kafka's brokers look names up for each connection"),
    pytest.mark.root,
    pytest.mark.timeout(240),
]


LOCAL = "127.0.0.1 localhost\n"
NAMES = LOCAL + "".join(f"127.0.0.1 broker-{number}.test\n" for number in (1, 2, 3))


def named(hosts):
    """A class of brokers that find each other by name, with a file of their own for /etc/hosts; clients need no name."""

    class Named(flavour()):
        @property
        def inner(self):
            return f"broker-{self.node_id}.test:{self.ports[2]}"

        def properties(self):
            return {
                **super().properties(),
                "listeners": f"PLAINTEXT://{self.bootstrap},INNER://127.0.0.1:{self.ports[2]}",
                "advertised.listeners": f"PLAINTEXT://{self.bootstrap},INNER://{self.inner}",
                "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,INNER:PLAINTEXT",
                "inter.broker.listener.name": "INNER",
            }

        def command(self):
            script = 'mount --bind "$1" /etc/hosts && shift && exec "$@"'
            return ["unshare", "--mount", "sh", "-c", script, "sh", str(hosts), *super().command()]

    return Named


def voters(cluster):
    """The voters of the metadata quorum."""
    with cluster.anyone() as wire:
        asked = [{"TopicName": "__cluster_metadata", "Partitions": [{"PartitionIndex": 0}]}]
        answer = wire.call("DescribeQuorum", {"Topics": asked}, 1)
        return {item["ReplicaId"] for item in answer["Topics"][0]["Partitions"][0]["CurrentVoters"]}


def test_a_leader_dies_while_no_name_can_be_looked_up(tmp_path):
    hosts = tmp_path / "hosts"
    hosts.write_text(NAMES)
    cluster = Cluster(3, make=named(hosts))
    for broker in cluster.brokers.values():
        servers = ",".join(item.inner for item in cluster.brokers.values())
        broker.settings["controller.quorum.bootstrap.servers"] = servers
    with cluster:
        eventually(lambda: voters(cluster) == {1, 2, 3}, 40)
        ledger = under_load(cluster, partitions=3)
        hosts.write_text(LOCAL)
        victim = cluster.brokers[cluster.controller()]
        victim.kill()
        more(ledger, 200)
        hosts.write_text(NAMES)
        victim.restart()
        finish(cluster, ledger)
