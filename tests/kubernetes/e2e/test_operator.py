"""The operator: killed at every write, twice there, with nothing more than its rights."""

import json

import pytest

from harness.cluster import Cluster, Topic
from harness.waiting import eventually

pytestmark = pytest.mark.operator


def set_environment(release, **variables):
    """Sets variables of the operator; None takes one away. The Deployment rolls."""
    words = [f"{name}={value}" if value is not None else f"{name}-" for name, value in variables.items()]
    release.namespace.run("set", "env", f"deployment/{release.deployment}", *words)


@pytest.mark.long
def test_an_operator_that_dies_after_each_write_gets_there(release, cluster, other_cluster):
    """Each incarnation makes one write and is gone; still a cluster is founded, gets a topic, restarts and goes."""
    set_environment(release, OTTLA_OPERATOR_DIE_AT_WRITE="1")
    try:
        other_cluster.create(**other_cluster.spec)
        topic = Topic(other_cluster, other_cluster.name).create(partitions=2, replicationFactor=3)
        eventually(lambda: len(other_cluster.ready_pods()) == 3, 280, pause=1)
        eventually(lambda: other_cluster.describe(topic.name), 280, pause=1)
    finally:
        set_environment(release, OTTLA_OPERATOR_DIE_AT_WRITE=None)
    topic.wait_ready(90)
    other_cluster.wait_settled(3)


def test_killed_in_the_middle_of_a_roll_the_next_one_goes_on(release, cluster, load):
    before = cluster.uids()
    cluster.change(podTemplate={"annotations": {"ottla-test/roll": str(load.name)}})
    for _ in range(4):
        for pod in release.operator_pods():
            release.namespace.run("delete", "pod", pod["metadata"]["name"], "--force", "--grace-period=0")
        eventually(lambda: any(pod["status"].get("phase") == "Running" for pod in release.operator_pods()))
    eventually(lambda: all(uid != before[name] for name, uid in cluster.uids().items()), 180)
    cluster.wait_settled(3)
    load.more()


def test_of_two_operators_one_works_and_the_other_takes_over(release, cluster, topic):
    release.scale_operator(2)
    try:
        eventually(lambda: len([pod for pod in release.operator_pods() if pod["status"].get("phase") == "Running"]) == 2)

        def holder():
            lease = release.namespace.get("lease", release.deployment)
            return lease["spec"].get("holderIdentity")

        first = eventually(holder)
        pod = next(pod["metadata"]["name"] for pod in release.operator_pods() if first.startswith(pod["metadata"]["name"]))
        release.namespace.run("delete", "pod", pod, "--force", "--grace-period=0")
        topic.create(partitions=1)
        topic.wait_ready(90)
        assert holder() != first
    finally:
        release.scale_operator(1)
    eventually(lambda: len(release.operator_pods()) == 1)


def test_it_restarts_without_touching_a_broker(release, cluster, load):
    before = cluster.uids()
    release.namespace.run("rollout", "restart", f"deployment/{release.deployment}")
    release.namespace.run("rollout", "status", f"deployment/{release.deployment}", "--timeout=60s", timeout=70)
    cluster.wait_settled(3)
    load.more()
    assert cluster.uids() == before


def test_it_can_do_no_more_than_the_chart_says(release):
    account = f"system:serviceaccount:{release.namespace.name}:{release.deployment}"

    def may(verb, what, namespace):
        what, _, part = what.partition("/")
        asked = ["auth", "can-i", verb, what, f"--subresource={part}", f"--as={account}", "-n", namespace]
        try:
            return release.namespace.run(*asked).strip() == "yes"
        except LookupError:
            return False

    assert may("patch", "statefulsets.apps", release.namespace.name)
    for verb, what in (("get", "secrets"), ("create", "pods"), ("create", "roles"), ("delete", "nodes"), ("get", "pods/exec")):
        assert not may(verb, what, release.namespace.name), (verb, what)
    assert not may("list", "pods", "default")


def test_a_paused_cluster_is_left_alone(cluster):
    before = json.dumps(cluster.namespace.get("statefulset", cluster.name)["spec"], sort_keys=True)
    cluster.change(paused=True)
    try:
        cluster.change(podTemplate={"annotations": {"ottla-test/paused": "yes"}})
        eventually(lambda: cluster.status()["observedGeneration"] == cluster.get()["metadata"]["generation"])
        assert json.dumps(cluster.namespace.get("statefulset", cluster.name)["spec"], sort_keys=True) == before
    finally:
        cluster.change(paused=False, podTemplate={"annotations": {"ottla-test/paused": None}})
    cluster.wait_settled(3)
    assert isinstance(cluster, Cluster)
