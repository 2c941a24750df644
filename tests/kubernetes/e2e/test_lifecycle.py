"""The end of clusters, and their sleep."""

import pytest

from harness.cluster import Cluster, Topic
from harness.kubectl import Namespace, kubectl
from harness.release import Release
from harness.waiting import eventually

pytestmark = pytest.mark.operator


def claims(cluster):
    """Names of the brokers' claims."""
    return sorted(item["metadata"]["name"] for item in cluster.namespace.get("pvc", selector=f"ottla.dev/cluster={cluster.name}"))


def test_hibernated_and_woken_it_has_every_record(other_cluster, cluster):
    other = other_cluster.create(**other_cluster.spec)
    other.wait_settled(3)
    other.ottla("topic", "create", "kept", "--partitions", "3", "--replication-factor", "3")
    other.ottla("produce", "kept", "one", "two", "three")
    other.change(hibernate=True)
    eventually(lambda: not other.pods(), 30, what="brokers that all go do not wait for one another")
    assert len(claims(other)) == 3
    other.change(hibernate=False)
    other.wait_settled(3)
    read = other.ottla("consume", "kept", "--from-beginning", "--until-end").split()
    assert sorted(read) == ["one", "three", "two"]
    other.namespace.delete("cluster", other.name)
    eventually(lambda: not other.pods(), 30, what="brokers that all go do not wait for one another")


def test_a_deleted_cluster_keeps_its_volumes_and_a_new_one_of_that_name_has_the_records(other_cluster, cluster):
    other = other_cluster.create(**{**other_cluster.spec, "replicas": 1})
    other.wait_settled(1)
    other.ottla("topic", "create", "kept")
    other.ottla("produce", "kept", "still-here")
    other.namespace.delete("cluster", other.name)
    eventually(lambda: not other.pods(), 120)
    assert claims(other) == [f"data-{other.name}-0"]
    other.create(**{**other_cluster.spec, "replicas": 1})
    other.wait_settled(1)
    assert "still-here" in other.ottla("consume", "kept", "--from-beginning", "--until-end")


def test_a_deleted_cluster_takes_its_volumes_along_if_it_is_told_to(other_cluster, cluster):
    storage = {**other_cluster.spec["storage"], "retention": {"whenDeleted": "Delete"}}
    other = other_cluster.create(**{**other_cluster.spec, "replicas": 1, "storage": storage})
    other.wait_settled(1)
    assert claims(other)
    other.namespace.delete("cluster", other.name)
    eventually(lambda: not claims(other), 120)


def test_a_namespace_with_everything_in_it_goes(release, cluster, name):
    """With finalizers and no operator that looks after it any more."""
    namespace = Namespace(name)
    namespace.create()
    there = Cluster(namespace, "gone").create(replicas=1, storage={"ephemeral": True})
    Topic(there, "gone").create(partitions=1, deletionPolicy="Delete")
    namespace.destroy(120)
    assert not kubectl("get", "namespace", name, "--ignore-not-found")


def test_an_operator_elsewhere_looks_after_a_namespace_until_it_goes(cluster, name, image):
    """With a Role in that namespace and nothing else."""
    home, theirs = Namespace(f"{name}-home"), Namespace(name)
    try:
        home.create()
        theirs.create()
        release = Release(home, image, name="mine")
        release.install(**{"operator.watchNamespaces": [theirs.name], "crds.install": False})
        prod = Cluster(theirs, "prod").create(storage={"ephemeral": True})
        prod.wait_settled(3)
        Topic(prod, "t").create(partitions=1, deletionPolicy="Delete").wait_ready()
        theirs.destroy(60)
        assert not kubectl("get", "namespace", theirs.name, "--ignore-not-found")
    finally:
        theirs.wipe()
        home.wipe()


def test_a_watched_namespace_goes_with_its_cluster_and_topics(cluster, name, image):
    """The operator goes too: on its way out it lets the Topics go, and the brokers all at once."""
    namespace = Namespace(name)
    namespace.create()
    try:
        release = Release(namespace, image, name="mine")
        release.install(**{"cluster": {"enabled": True, "spec": {"storage": {"ephemeral": True}}},
                           "topics": {"t": {"partitions": 1, "deletionPolicy": "Delete"}}, "crds.install": False})
        mine = Cluster(namespace, "mine")
        mine.wait_settled(3)
        Topic(mine, "t").wait_ready()
    finally:
        namespace.destroy(60)
    assert not kubectl("get", "namespace", name, "--ignore-not-found")
