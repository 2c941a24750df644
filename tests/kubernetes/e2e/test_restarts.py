"""Restarts: by the operator, by people, by Kubernetes. Under load, no send fails and no record is lost."""

import threading
import time

import pytest

from harness.waiting import eventually

pytestmark = pytest.mark.operator


def others(before, after):
    """Names of pods that are other pods now."""
    return {name for name in before if after.get(name) not in (None, before[name])}


def test_a_changed_setting_that_brokers_take_while_running_restarts_nothing(cluster, load):
    before = cluster.uids()
    cluster.change(config={"log.retention.ms": "86400000"})
    eventually(lambda: cluster.condition("ConfigurationApplied")[0] == "True")
    shown = cluster.ottla("config", "get", "broker/0", "log.retention.ms")
    assert "86400000" in shown
    load.more()
    assert cluster.uids() == before


def test_a_changed_pod_restarts_one_broker_after_the_other(cluster, load):
    before, begun = cluster.uids(), time.monotonic()
    cluster.change(podTemplate={"annotations": {"ottla-test/at": str(time.time())}})
    eventually(lambda: len(others(before, cluster.uids())) == 3, 120)
    cluster.wait_settled(3)
    print(f"three brokers restarted in {time.monotonic() - begun:.1f} s")
    load.more()


def test_rollout_restart_is_understood(cluster, load):
    before = cluster.uids()
    cluster.namespace.run("rollout", "restart", f"statefulset/{cluster.name}")
    eventually(lambda: len(others(before, cluster.uids())) == 3, 120)
    cluster.wait_settled(3)
    load.more()


def test_a_roll_stops_at_a_broker_that_does_not_come_back_and_goes_on_when_repaired(cluster, load, image):
    before = cluster.uids()
    good = cluster.status()["image"]
    cluster.change(image="does-not-exist:0")
    try:
        eventually(lambda: len(others(before, cluster.uids())) == 1, 60, what="one broker got the image")
        def told():
            status, reason, message = cluster.condition("Progressing")
            broken = [broker for broker in cluster.status()["brokers"] if broker.get("problem")]
            return status == "True" and broken and (reason, message)
        print("waiting, it says:", eventually(told, 90, what="the status says what is wrong"))
        load.more()
        assert len(others(before, cluster.uids())) == 1, "nobody else was restarted"
    finally:
        cluster.change(image=good)
    cluster.wait_settled(3)
    load.more()


def test_a_new_image_is_rolled_out_broker_by_broker(cluster, load, image):
    before = cluster.uids()
    repository, _, tag = image.rpartition(":")
    other = f"{repository}:{tag}-next"
    if other not in " ".join(name for node in cluster.namespace.get("nodes") for entry in node["status"]["images"] for name in entry.get("names") or []):
        pytest.skip(f"the nodes have no image {other}")
    cluster.change(image=other)
    eventually(lambda: len(others(before, cluster.uids())) == 3, 120)
    cluster.wait_settled(3)
    assert cluster.status()["image"] == other
    cluster.change(image=image)
    cluster.wait_settled(3, 180)
    load.more()


def test_the_operator_is_not_needed_for_restarts(cluster, release, load):
    release.scale_operator(0)
    try:
        eventually(lambda: not release.operator_pods())
        before = cluster.uids()
        worker = threading.Thread(target=cluster.namespace.delete, args=("pod", *sorted(before)))
        worker.start()
        worker.join(180)
        eventually(lambda: len(others(before, cluster.uids())) == 3 and len(cluster.ready_pods()) == 3, 120)
        load.more()
    finally:
        release.scale_operator(1)
    cluster.wait_settled(3)
