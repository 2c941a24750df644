"""The life of Topics."""

import time

import pytest

from harness.cluster import Topic
from harness.kubectl import Refused, is_ready
from harness.waiting import eventually

pytestmark = pytest.mark.operator


def replicas_of(cluster, topic):
    """Replicas of each partition, while none moves."""
    item = Topic(cluster, topic).get()
    assert is_ready(item), item.get("status")
    return [len(partition["replicas"]) for partition in cluster.describe(topic)["partitions"]]


def config_of(cluster, topic):
    """Settings of the topic itself."""
    return cluster.describe(topic)["configs"]


def test_a_topic_is_made_and_gets_more_partitions_replicas_and_settings(cluster, topic):
    topic.create(partitions=2, replicationFactor=1, config={"retention.ms": "3600000"})
    topic.wait_ready()
    assert replicas_of(cluster, topic.name) == [1, 1]
    cluster.ottla("produce", topic.name, "a record that has to move along")
    topic.change(partitions=4)
    eventually(lambda: replicas_of(cluster, topic.name) == [1] * 4)
    for factor in (3, 2):
        topic.change(replicationFactor=factor)
        eventually(lambda factor=factor: replicas_of(cluster, topic.name) == [factor] * 4, 90)
    topic.change(config={"retention.ms": "7200000", "max.message.bytes": "2000000"})
    eventually(lambda: config_of(cluster, topic.name).get("retention.ms") == "7200000")
    assert config_of(cluster, topic.name).get("max.message.bytes") == "2000000"
    topic.change(config={"retention.ms": None})
    eventually(lambda: config_of(cluster, topic.name).get("retention.ms") != "7200000", what="a setting that left the spec is taken back")
    read = cluster.ottla("consume", topic.name, "--from-beginning", "--until-end")
    assert "a record that has to move along" in read


def test_what_can_never_be_is_refused_at_once(cluster, topic):
    topic.create(partitions=3, replicationFactor=3)
    for change, words in (({"partitions": 2}, "partitions can only grow"), ({"topicName": "other"}, "cannot be renamed"),
                          ({"clusterRef": {"name": "other"}}, "clusterRef cannot be changed")):
        with pytest.raises(Refused, match=words):
            topic.change(**change)


def test_a_topic_that_was_there_is_adopted_with_its_settings(cluster, topic):
    cluster.ottla("topic", "create", topic.name, "--partitions", "2", "--replication-factor", "3",
                  "-c", "max.message.bytes=1234567")
    topic.create(partitions=2, config={"retention.ms": "3600000"})
    topic.wait_ready()
    eventually(lambda: config_of(cluster, topic.name).get("retention.ms") == "3600000")
    assert config_of(cluster, topic.name).get("max.message.bytes") == "1234567", "what the resource does not name stays"


def test_of_two_resources_for_one_topic_the_older_wins(cluster, topic, name):
    topic.create(topicName=f"{name}-shared", partitions=2)
    topic.wait_ready()
    other = Topic(cluster, f"{name}-second").create(topicName=f"{name}-shared", partitions=5)
    try:
        reason, message = other.wait_not_ready()
        assert topic.name in message, (reason, message)
        assert len(cluster.describe(f"{name}-shared")["partitions"]) == 2
    finally:
        other.delete()


@pytest.mark.parametrize("policy,stays", [("Retain", True), ("Delete", False)])
def test_deleting_the_resource_keeps_or_deletes_the_topic(cluster, topic, policy, stays):
    topic.create(partitions=1, deletionPolicy=policy)
    topic.wait_ready()
    topic.delete()
    if stays:
        assert cluster.describe(topic.name)
        cluster.ottla("topic", "delete", topic.name, "--yes")
    else:
        eventually(lambda: cluster.describe(topic.name) is None)


def test_a_topic_deleted_behind_the_resource_is_told_and_not_made_again(cluster, topic):
    topic.create(partitions=1)
    topic.wait_ready()
    cluster.ottla("topic", "delete", topic.name, "--yes")
    topic.namespace.run("annotate", "topic", topic.name, "ottla-test/look=now")
    reason, message = topic.wait_not_ready(90)
    assert cluster.describe(topic.name) is None, (reason, message)


def test_more_replicas_than_brokers_is_said_and_nothing_else_suffers(cluster, topic):
    topic.create(partitions=1, replicationFactor=5)
    _, message = topic.wait_not_ready()
    assert "5" in message and "3" in message, message


def labelled(manifest, name):
    """The resource with a label to select it by."""
    return {**manifest, "metadata": {**manifest["metadata"], "labels": {"ottla-test": name}}}


@pytest.mark.long
def test_a_thousand_topics(cluster, name):
    topics = [Topic(cluster, f"{name}-{number}") for number in range(1000)]
    begun = time.monotonic()
    cluster.namespace.apply([labelled(topic.manifest(partitions=1, replicationFactor=3, deletionPolicy="Delete"), name) for topic in topics])
    ours = f"ottla-test={name}"
    applied = time.monotonic()

    def all_ready():
        items = cluster.namespace.get("topics", selector=ours)
        return len(items) == 1000 and all(is_ready(item) for item in items)

    eventually(all_ready, 120, pause=1)
    print(f"1,000 Topics: applied in {applied - begun:.1f} s, Ready {time.monotonic() - applied:.1f} s later")
    cluster.namespace.delete_all("topics", ours)
    begun = time.monotonic()
    eventually(lambda: not cluster.namespace.get("topics", selector=ours), 60, pause=1)
    print(f"1,000 Topics: gone {time.monotonic() - begun:.1f} s after their deletion")
    eventually(lambda: cluster.status()["partitions"]["total"] < 1000, 90)
