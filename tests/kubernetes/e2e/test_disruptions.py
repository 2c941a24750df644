"""Pods that are deleted, evicted, drained; nodes that die; disks that are lost. Under load: no send fails, no record is lost.

With the operator, and on brokers alone as in examples/without-operator.yaml: what is safe must be safe while the operator is away.
"""

import json

import pytest

from harness.cluster import Plain
from harness.kubectl import Refused
from harness.waiting import eventually


@pytest.fixture(params=[pytest.param("alone", marks=pytest.mark.long), pytest.param("operated", marks=pytest.mark.operator),
                        pytest.param("while_the_operator_is_away", marks=[pytest.mark.operator, pytest.mark.long])])
def brokers(request):
    """A settled cluster of three brokers."""
    return request.getfixturevalue({"alone": "plain", "operated": "cluster"}.get(request.param, "left_alone"))


@pytest.fixture
def left_alone(cluster, release):
    """Brokers of a Cluster whose operator is away, and finds everything in order when it is back."""
    release.scale_operator(0)
    eventually(lambda: not release.operator_pods())
    yield Plain(cluster.namespace, cluster.name)
    release.scale_operator(1)
    cluster.wait_settled(3)


def node_of(brokers, broker):
    """Where a broker runs."""
    return brokers.pods()[f"{brokers.name}-{broker}"]["spec"]["nodeName"]


def replaced(before, brokers):
    """Names of pods that are other pods now."""
    after = brokers.uids()
    return {name for name in before if after.get(name) not in (None, before[name])}


def evict(brokers, pod):
    """The eviction API."""
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": brokers.namespace.name}}
    path = f"/api/v1/namespaces/{brokers.namespace.name}/pods/{pod}/eviction"
    brokers.namespace.run("create", "--raw", path, "-f", "-", stdin=json.dumps(eviction))


def test_two_pods_deleted_at_once_stop_one_after_the_other(brokers, make_load):
    with make_load(brokers) as load:
        before = brokers.uids()
        brokers.namespace.delete("pod", f"{brokers.name}-0", f"{brokers.name}-1")
        eventually(lambda: len(replaced(before, brokers)) == 2)
        brokers.wait_settled(3)
        load.more()


def test_an_eviction_waits_while_another_broker_is_away(brokers, make_load):
    with make_load(brokers) as load:
        before = brokers.uids()
        first, second = f"{brokers.name}-0", f"{brokers.name}-2"
        evict(brokers, first)
        refusals = []

        def evicted():
            try:
                evict(brokers, second)
                return True
            except Refused as refused:
                refusals.append(str(refused))
                return False

        eventually(evicted, 60)
        assert first in replaced(before, brokers), "the second went when the first was back, and not before"
        assert refusals and "disruption budget" in refusals[0], refusals
        eventually(lambda: replaced(before, brokers) == {first, second})
        brokers.wait_settled(3)
        load.more()


@pytest.mark.nodes
def test_a_drained_node_gives_its_broker_back(brokers, make_load, nodes):
    node, elsewhere = node_of(brokers, 1), node_of(brokers, 0)
    before = brokers.uids()
    with make_load(brokers, node=elsewhere) as load:
        nodes.drain(node)
        load.more()
        nodes.uncordon(node)
        eventually(lambda: f"{brokers.name}-1" in replaced(before, brokers))
        brokers.wait_settled(3)
        load.more()


@pytest.mark.nodes
def test_a_node_dies_and_comes_back(brokers, make_load, nodes):
    dead, alive = node_of(brokers, 1), node_of(brokers, 0)
    with make_load(brokers, node=alive) as load:
        nodes.stop(dead)
        load.more(400)
        eventually(lambda: len(brokers.ready_pods()) == 2, 60, what="Kubernetes sees that the node is away")
        load.more()
        nodes.start(dead)
        brokers.wait_settled(3, 180)
        load.more()


def test_a_lost_volume_is_filled_again(brokers, make_load):
    broker = f"{brokers.name}-2"
    claim = f"data-{broker}"
    uid = brokers.namespace.get("pvc", claim)["metadata"]["uid"]
    with make_load(brokers) as load:
        load.more(500)
        brokers.namespace.delete("pvc", claim, wait=False)
        brokers.namespace.run("delete", "pod", broker, "--force", "--grace-period=0")
        eventually(lambda: brokers.namespace.get("pvc", claim)["metadata"]["uid"] != uid, 90)
        brokers.wait_settled(3, 180)
        described = brokers.describe(load.topic)
        assert all(sorted(partition["isr"]) == [0, 1, 2] for partition in described["partitions"]), described
        load.more()


def test_all_brokers_killed_at_once_come_back_with_every_record(brokers, make_load):
    """Nobody is asked: addresses change, everything restarts, and clients go on."""
    with make_load(brokers) as load:
        before = brokers.uids()
        brokers.namespace.run("delete", "pod", *before, "--force", "--grace-period=0")
        eventually(lambda: len(replaced(before, brokers)) == 3)
        brokers.wait_settled(3)
        load.more()
