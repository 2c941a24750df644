"""From nothing to a cluster that takes records, by one `helm install`."""

import json

import pytest

from harness.kubectl import kubectl
from harness.release import helm
from harness.waiting import eventually

pytestmark = pytest.mark.operator


def test_one_install_gives_three_brokers_in_three_zones_and_a_topic(cluster, release):
    zones = {node["metadata"]["labels"].get("topology.kubernetes.io/zone")
             for node in json.loads(kubectl("get", "nodes", "-o", "json"))["items"]}
    nodes = {pod["spec"]["nodeName"] for pod in cluster.pods().values()}
    assert len(nodes) == min(3, len(zones)), "brokers are spread over the zones"
    orders = cluster.namespace.get("topic", "orders")
    eventually(lambda: cluster.namespace.get("topic", "orders")["status"]["partitions"]["count"] == 6)
    assert orders["metadata"]["ownerReferences"][0]["kind"] == "ConfigMap"
    described = cluster.describe("orders")
    assert len(described["partitions"]) == 6
    assert all(sorted(partition["replicas"]) == [0, 1, 2] for partition in described["partitions"])
    status = cluster.status()
    assert status["bootstrap"] == cluster.bootstrap and status["partitions"]["offline"] == 0
    assert sorted(status["voters"]) == [0, 1, 2]


def test_brokers_know_their_zone(cluster):
    info = json.loads(cluster.ottla("cluster", "info", "-o", "json"))
    racks = {str(broker.get("rack")) for broker in info["brokers"]}
    assert len(racks) == len({pod["spec"]["nodeName"] for pod in cluster.pods().values()}), info


def test_helm_test_sends_records_and_reads_them_back(cluster, release):
    assert "Succeeded" in release.test()


def test_notes_say_how_to_connect(cluster, release):
    assert cluster.bootstrap in helm("get", "notes", release.name, "-n", release.namespace.name)


def test_columns_explain_and_scale_are_there(cluster):
    header, row = cluster.namespace.run("get", "cluster", cluster.name).splitlines()
    assert header.split()[:4] == ["NAME", "READY", "BROKERS", "VERSION"], header
    assert row.split()[1:3] == ["True", "3/3"], row
    assert "emptied first" in cluster.namespace.run("explain", "cluster.spec.replicas").replace("\n", " ").replace("    ", "")
    scale = json.loads(cluster.namespace.run("get", "--raw",
                       f"/apis/ottla.dev/v1/namespaces/{cluster.namespace.name}/clusters/{cluster.name}/scale"))
    assert scale["spec"]["replicas"] == 3 == scale["status"]["replicas"]


def test_an_upgrade_of_the_chart_changes_the_topic_and_restarts_no_broker(cluster, release, load):
    before = cluster.uids()
    values = {**release.values, "topics": {"orders": {"partitions": 8, "replicationFactor": 3}, "more": {"partitions": 1}}}
    release.upgrade(**values)
    eventually(lambda: len(cluster.describe("orders")["partitions"]) == 8)
    eventually(lambda: cluster.describe("more"))
    release.upgrade(**{**values, "topics": {"orders": values["topics"]["orders"]}})
    eventually(lambda: not cluster.namespace.find("topic", "more"), what="a topic that left the values leaves the cluster")
    assert cluster.describe("more"), "its records stay: deletionPolicy is Retain"
    load.more()
    assert cluster.uids() == before
