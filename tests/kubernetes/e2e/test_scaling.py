"""More brokers, fewer brokers, and a change of mind."""

import pytest

from harness.waiting import eventually

pytestmark = pytest.mark.operator


def holders(cluster, topic):
    """Brokers that hold replicas of a topic."""
    return {replica for partition in cluster.describe(topic)["partitions"] for replica in partition["replicas"]}


def test_three_to_five_and_back_under_load(cluster, load):
    cluster.change(replicas=5)
    cluster.wait_settled(5, 180)
    held = [broker["replicas"] for broker in cluster.status()["brokers"]]
    # Of three zones one has a single broker, which holds a replica of every partition; those of the others hold half each.
    assert min(held) >= max(held) // 2, f"replicas are spread over the new brokers: {held}"
    load.more()
    # A change of mind in the middle of the drain.
    cluster.namespace.run("scale", "cluster", cluster.name, "--replicas=3")
    eventually(lambda: cluster.status().get("leaving"), 60)
    cluster.change(replicas=4)
    cluster.wait_settled(4, 180)
    load.more()
    cluster.change(replicas=3)
    cluster.wait_settled(3, 180)
    assert holders(cluster, load.topic) == {0, 1, 2}
    assert sorted(cluster.status()["voters"]) == [0, 1, 2]
    load.more()


def test_fewer_brokers_than_replicas_is_refused_with_a_reason(cluster, load):
    cluster.change(replicas=2)
    try:
        def told():
            item = cluster.get()["status"]
            words = " ".join(entry.get("message", "") for entry in item["conditions"]) + str(item.get("step"))
            return "replica" in words and words
        print(eventually(told, 60))
        load.more()
        assert len(cluster.ready_pods()) == 3, "nobody left"
    finally:
        cluster.change(replicas=3)
    cluster.wait_settled(3)
