"""An API server that is away."""

import time

import pytest

from harness.waiting import eventually

pytestmark = [pytest.mark.nodes, pytest.mark.operator]


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
