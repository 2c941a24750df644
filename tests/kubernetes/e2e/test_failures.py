"""An API server that is away, and an operator that is."""

import time

import pytest

from harness.waiting import eventually

pytestmark = [pytest.mark.nodes, pytest.mark.operator]


def node_of(cluster, broker):
    """Where a broker runs."""
    return cluster.pods()[f"{cluster.name}-{broker}"]["spec"]["nodeName"]


@pytest.mark.long
def test_an_api_server_that_hangs_for_a_minute_does_not_matter_to_clients(cluster, load, nodes):
    begun = load.figures()["acknowledged"]
    nodes.freeze_api_server()
    time.sleep(60)
    nodes.thaw_api_server()
    eventually(lambda: load.figures()["acknowledged"] > begun + 60 * 150, 60)
    before = cluster.get()["metadata"]["generation"]
    cluster.change(config={"log.retention.ms": "90000000"})
    eventually(lambda: cluster.status()["observedGeneration"] > before, 90, what="the operator works again")
    cluster.wait_settled(3)


@pytest.mark.long
def test_a_node_dies_while_the_operator_is_away(cluster, release, make_load, nodes):
    dead, alive = node_of(cluster, 2), node_of(cluster, 0)
    with make_load(cluster, node=alive) as load:
        release.scale_operator(0)
        eventually(lambda: not release.operator_pods())
        nodes.stop(dead)
        load.more(1000)
        nodes.start(dead)
        eventually(lambda: len(cluster.ready_pods()) == 3, 180)
        release.scale_operator(1)
        cluster.wait_settled(3, 180)
        load.more()

