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


@pytest.fixture
def dying(release):
    """An operator that dies and begins anew, with nothing left of what it knew: after one write, after two, and so on to 24,
    and again."""
    set_environment(release, OTTLA_OPERATOR_DIE_AT_WRITE="1")
    rolled_out(release)
    yield
    set_environment(release, OTTLA_OPERATOR_DIE_AT_WRITE=None)
    rolled_out(release)


def deaths(release):
    """What the operator wrote last in each of its lives, in order."""
    lines = release.namespace.run("logs", f"deployment/{release.deployment}", "--tail=-1").splitlines()
    said = [json.loads(line) for line in lines if "dying after this write" in line]
    return [line["what"] for line in said]


def rolled_out(release):
    """Waits until only operators of the present template are there."""
    release.namespace.run("rollout", "status", f"deployment/{release.deployment}", "--timeout=90s", timeout=100)
    eventually(lambda: len(release.operator_pods()) == 1)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_an_operator_that_dies_after_each_write_gets_there(release, cluster, other_cluster, make_load, dying):
    """Each write is the last one of some life of the operator; still a cluster is founded, changed, rolled, scaled and ended, and
    no send fails."""
    other = other_cluster.create(**other_cluster.spec)
    topic = Topic(other, other.name).create(partitions=2, replicationFactor=1, deletionPolicy="Delete")
    other.wait_settled(3, 280)
    topic.wait_ready(120)
    with make_load(other) as load:
        topic.change(partitions=4, replicationFactor=3, config={"retention.ms": "3600000"})
        eventually(lambda: [len(partition["replicas"]) for partition in other.describe(topic.name)["partitions"]] == [3] * 4, 120)
        topic.wait_ready(120)
        assert other.describe(topic.name)["configs"].get("retention.ms") == "3600000"
        other.change(config={"log.retention.ms": "86400000"})
        eventually(lambda: other.condition("ConfigurationApplied")[0] == "True", 120)
        before = other.uids()
        other.change(podTemplate={"annotations": {"ottla-test/roll": load.name}})
        eventually(lambda: all(uid != before[name] for name, uid in other.uids().items()), 240)
        other.wait_settled(3, 120)
        other.change(replicas=4)
        other.wait_settled(4, 240)
        other.change(replicas=3)
        other.wait_settled(3, 240)
        assert sorted(other.status()["voters"]) == [0, 1, 2]
        load.more()
        topic.delete()
        eventually(lambda: other.describe(topic.name) is None)
    ends = deaths(release)
    print(f"{len(ends)} deaths:", {what: ends.count(what) for what in sorted(set(ends))})
    assert len(ends) > 24 and {"StatefulSet", "cluster status", "topic status"} <= set(ends), ends
    other.namespace.delete("cluster", other.name)
    eventually(lambda: not other.pods(), 120)


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
