"""Metadata, topics and their settings over the wire, error codes included."""

import uuid

import pytest

from conftest import wait_for_leader
from harness import batches
from harness.waiting import eventually
from harness.wire import (
    alter_config,
    create_topic,
    describe_config,
    error_name,
    list_offset,
    produce,
    topic_id,
)

TOPIC, BROKER = 2, 4


def code(answer):
    return error_name(answer["ErrorCode"])


def delete(wire, **topic):
    return wire.call("DeleteTopics", {"Topics": [topic], "TimeoutMs": 10_000}, 6)["Responses"][0]


def test_metadata_of_all_topics_lists_a_new_one(wire, topic):
    answer = wire.call("Metadata", {"Topics": None}, 12)
    assert topic in {item["Name"] for item in answer["Topics"]}
    assert answer["ControllerId"] == 1
    assert answer["ClusterId"]


def test_metadata_names_the_address_clients_can_use(broker, wire):
    node = wire.call("Metadata", {"Topics": []}, 12)["Brokers"][0]
    assert f"{node['Host']}:{node['Port']}" == broker.bootstrap
    assert node["NodeId"] == 1


def test_metadata_of_an_unknown_topic_without_creation(wire, name):
    answer = wire.call("Metadata", Topics=[{"Name": name}], AllowAutoTopicCreation=False)
    assert code(answer["Topics"][0]) == "UNKNOWN_TOPIC_OR_PARTITION"


def test_metadata_creates_a_topic_when_allowed(wire, name):
    wire.call("Metadata", Topics=[{"Name": name}], AllowAutoTopicCreation=True)
    wait_for_leader(wire, name)
    answer = wire.call("Metadata", Topics=[{"Name": name}], AllowAutoTopicCreation=False)
    assert len(answer["Topics"][0]["Partitions"]) == 3


def test_metadata_by_topic_id(wire, topic):
    id_ = topic_id(wire, topic)
    answer = wire.call("Metadata", {"Topics": [{"TopicId": id_, "Name": None}]}, 12)["Topics"][0]
    assert (code(answer), answer["Name"]) == ("NONE", topic)
    unknown = wire.call("Metadata", {"Topics": [{"TopicId": uuid.uuid4(), "Name": None}]}, 12)["Topics"][0]
    assert code(unknown) == "UNKNOWN_TOPIC_ID"


def test_metadata_of_a_bad_name(wire):
    answer = wire.call("Metadata", Topics=[{"Name": "bad/name"}], AllowAutoTopicCreation=True)
    assert code(answer["Topics"][0]) == "INVALID_TOPIC_EXCEPTION"


def test_describe_topic_partitions_pages_with_a_cursor(wire, make_topic):
    names = sorted([make_topic(3), make_topic(3)])
    body = {"Topics": [{"Name": item} for item in names], "ResponsePartitionLimit": 4}
    first = wire.call("DescribeTopicPartitions", body)
    assert [(item["Name"], len(item["Partitions"])) for item in first["Topics"]] == [(names[0], 3), (names[1], 1)]
    assert first["NextCursor"] == {"TopicName": names[1], "PartitionIndex": 1}
    second = wire.call("DescribeTopicPartitions", {**body, "Cursor": first["NextCursor"]})
    assert [(item["Name"], len(item["Partitions"])) for item in second["Topics"]] == [(names[1], 2)]
    assert second["NextCursor"] is None


def test_describe_topic_partitions_of_an_unknown_topic(wire, name):
    answer = wire.call("DescribeTopicPartitions", Topics=[{"Name": name}])
    assert code(answer["Topics"][0]) == "UNKNOWN_TOPIC_OR_PARTITION"


def test_operations_are_told_to_those_who_ask(wire, topic, name):
    cluster, of_topic, unasked = 8096, 3576, -(2**31)
    for asked in (True, False):
        asks = {"IncludeTopicAuthorizedOperations": asked, "IncludeClusterAuthorizedOperations": asked}
        both = [{"Name": topic}, {"Name": name}]
        answer = wire.call("Metadata", version=9, Topics=both, AllowAutoTopicCreation=False, **asks)
        wanted = of_topic if asked else unasked
        assert [item["TopicAuthorizedOperations"] for item in answer["Topics"]] == [wanted, wanted]
        assert answer["ClusterAuthorizedOperations"] == (cluster if asked else unasked)
        answer = wire.call("DescribeCluster", IncludeClusterAuthorizedOperations=asked)
        assert answer["ClusterAuthorizedOperations"] == (cluster if asked else unasked)
    answer = wire.call("DescribeTopicPartitions", Topics=[{"Name": topic}], ResponsePartitionLimit=10)
    assert answer["Topics"][0]["TopicAuthorizedOperations"] == of_topic


def test_describe_cluster(broker, wire):
    answer = wire.call("DescribeCluster", {}, 1)
    assert code(answer) == "NONE"
    node = answer["Brokers"][0]
    assert f"{node['Host']}:{node['Port']}" == broker.bootstrap


@pytest.mark.parametrize(
    ("partitions", "factor", "configs", "expected"),
    [
        (0, 1, {}, "INVALID_PARTITIONS"),
        (-2, 1, {}, "INVALID_PARTITIONS"),
        (1, 0, {}, "INVALID_REPLICATION_FACTOR"),
        (1, 2, {}, "INVALID_REPLICATION_FACTOR"),
        (1, 1, {"no.such.key": "1"}, "INVALID_CONFIG"),
        (1, 1, {"retention.ms": "soon"}, "INVALID_CONFIG"),
        (1, 1, {"segment.bytes": "1"}, "INVALID_CONFIG"),
        (1, 1, {"cleanup.policy": "keep"}, "INVALID_CONFIG"),
        (1, 1, {"compression.type": "brotli"}, "INVALID_CONFIG"),
    ],
)
def test_create_topic_with_bad_input(wire, name, partitions, factor, configs, expected):
    answer = create_topic(wire, name, partitions, configs, factor)
    assert code(answer) == expected
    assert answer["ErrorMessage"]


@pytest.mark.parametrize("bad", ["", ".", "..", "a b", "x" * 250, "ä", "a/b"])
def test_create_topic_with_a_bad_name(wire, bad):
    assert code(create_topic(wire, bad)) == "INVALID_TOPIC_EXCEPTION"


def test_create_topic_twice(wire, topic):
    assert code(create_topic(wire, topic)) == "TOPIC_ALREADY_EXISTS"


def test_names_that_collide_in_metrics_are_refused(wire, name):
    assert code(create_topic(wire, f"{name}.a")) == "NONE"
    assert code(create_topic(wire, f"{name}_a")) == "INVALID_TOPIC_EXCEPTION"


def test_the_same_topic_twice_in_one_request(wire, name):
    item = {"Name": name, "NumPartitions": 1, "ReplicationFactor": 1, "Assignments": [], "Configs": []}
    answer = wire.call("CreateTopics", {"Topics": [item, item], "timeoutMs": 5000})
    assert {code(entry) for entry in answer["Topics"]} == {"INVALID_REQUEST"}


def test_create_topic_validate_only_creates_nothing(wire, name):
    answer = create_topic(wire, name, 4, validateOnly=True)
    assert (code(answer), answer["NumPartitions"]) == ("NONE", 4)
    metadata = wire.call("Metadata", Topics=[{"Name": name}], AllowAutoTopicCreation=False)
    assert code(metadata["Topics"][0]) == "UNKNOWN_TOPIC_OR_PARTITION"


def test_create_topic_with_defaults_and_settings_in_the_answer(wire, name):
    answer = create_topic(wire, name, -1, {"retention.ms": 12345}, -1)
    assert (code(answer), answer["NumPartitions"], answer["ReplicationFactor"]) == ("NONE", 3, 1)
    settings = {item["Name"]: item for item in answer["Configs"]}
    assert (settings["retention.ms"]["Value"], settings["retention.ms"]["ConfigSource"]) == ("12345", 1)


def test_create_topic_with_manual_assignments(wire, name):
    rows = [{"PartitionIndex": index, "BrokerIds": [1]} for index in range(2)]
    assert code(create_topic(wire, name, -1, None, -1, assignments=rows)) == "NONE"
    wait_for_leader(wire, name)
    partitions = wire.call("Metadata", Topics=[{"Name": name}])["Topics"][0]["Partitions"]
    assert [item["ReplicaNodes"] for item in sorted(partitions, key=lambda p: p["PartitionIndex"])] == [[1], [1]]


@pytest.mark.parametrize(
    "rows",
    [
        [{"PartitionIndex": 0, "BrokerIds": [9]}],
        [{"PartitionIndex": 0, "BrokerIds": [1, 1]}],
        [{"PartitionIndex": 1, "BrokerIds": [1]}],
        [{"PartitionIndex": 0, "BrokerIds": []}],
    ],
)
def test_create_topic_with_a_bad_assignment(wire, name, rows):
    assert code(create_topic(wire, name, -1, None, -1, assignments=rows)) == "INVALID_REPLICA_ASSIGNMENT"


def test_delete_topic_by_name_and_by_id(wire, make_topic):
    first, second = make_topic(), make_topic()
    id_ = topic_id(wire, second)
    assert code(delete(wire, Name=first)) == "NONE"
    answer = delete(wire, Name=None, TopicId=id_)
    assert (code(answer), answer["Name"]) == ("NONE", second)
    assert code(delete(wire, Name=first)) == "UNKNOWN_TOPIC_OR_PARTITION"
    assert code(delete(wire, Name=None, TopicId=id_)) == "UNKNOWN_TOPIC_ID"


def test_a_topic_created_again_is_empty_and_has_a_new_id(wire, topic):
    old = topic_id(wire, topic)
    assert code(produce(wire, topic, batches.batch([b"a", b"b"]))) == "NONE"
    assert code(delete(wire, Name=topic)) == "NONE"
    assert code(create_topic(wire, topic)) == "NONE"
    wait_for_leader(wire, topic)
    assert topic_id(wire, topic) != old
    assert list_offset(wire, topic, -1)["Offset"] == 0


def test_create_partitions_grows_and_never_shrinks(wire, topic):
    def grow(count, **fields):
        item = {"Name": topic, "Count": count, "Assignments": None, **fields}
        body = {"Topics": [item], "TimeoutMs": 10_000}
        return wire.call("CreatePartitions", body)["Results"][0]

    assert code(grow(3)) == "NONE"
    eventually(lambda: len(wire.call("Metadata", Topics=[{"Name": topic}])["Topics"][0]["Partitions"]) == 3)
    wait_for_leader(wire, topic)
    assert code(grow(3)) == "INVALID_PARTITIONS"
    assert code(grow(2)) == "INVALID_PARTITIONS"
    assert code(grow(4, Assignments=[{"BrokerIds": [7]}])) == "INVALID_REPLICA_ASSIGNMENT"
    assert code(produce(wire, topic, batches.batch([b"x"]), partition=2)) == "NONE"


def test_create_partitions_of_an_unknown_topic(wire, name):
    answer = wire.call("CreatePartitions", Topics=[{"Name": name, "Count": 3}], TimeoutMs=5000)
    assert code(answer["Results"][0]) == "UNKNOWN_TOPIC_OR_PARTITION"


def test_topic_settings_show_value_source_synonyms_and_docs(wire, make_topic):
    topic = make_topic(1, {"retention.bytes": 4096})
    answer, entries = describe_config(wire, TOPIC, topic)
    assert code(answer) == "NONE"
    own, default = entries["retention.bytes"], entries["retention.ms"]
    assert (own["Value"], own["ConfigSource"]) == ("4096", 1)
    assert own["Synonyms"][0]["Name"] == "retention.bytes"
    assert "log.retention.bytes" in {item["Name"] for item in own["Synonyms"]}
    assert (default["Value"], default["ConfigSource"]) == ("604800000", 5)
    assert default["Documentation"]
    assert not default["ReadOnly"]


def test_only_the_asked_keys_are_described(wire, topic):
    _, entries = describe_config(wire, TOPIC, topic, ["retention.ms", "segment.bytes"])
    assert set(entries) == {"retention.ms", "segment.bytes"}


def test_settings_are_set_appended_and_removed(wire, topic):
    assert code(alter_config(wire, TOPIC, topic, {"retention.ms": 5000, "segment.bytes": 1048576})) == "NONE"
    _, entries = describe_config(wire, TOPIC, topic)
    assert (entries["retention.ms"]["Value"], entries["segment.bytes"]["Value"]) == ("5000", "1048576")
    assert code(alter_config(wire, TOPIC, topic, {"retention.ms": None})) == "NONE"
    _, entries = describe_config(wire, TOPIC, topic)
    assert (entries["retention.ms"]["Value"], entries["segment.bytes"]["Value"]) == ("604800000", "1048576")
    append = [{"Name": "cleanup.policy", "ConfigOperation": 2, "Value": "compact"}]
    body = {"Resources": [{"ResourceType": TOPIC, "ResourceName": topic, "Configs": append}]}
    assert code(wire.call("IncrementalAlterConfigs", body)["Responses"][0]) == "NONE"
    _, entries = describe_config(wire, TOPIC, topic)
    assert set(entries["cleanup.policy"]["Value"].split(",")) == {"delete", "compact"}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"no.such.key": 1}, "INVALID_CONFIG"),
        ({"retention.ms": "x"}, "INVALID_CONFIG"),
        ({"retention.ms": -5}, "INVALID_CONFIG"),
        ({"min.insync.replicas": 0}, "INVALID_CONFIG"),
        ({"message.timestamp.type": "Never"}, "INVALID_CONFIG"),
    ],
)
def test_bad_settings_are_refused_and_change_nothing(wire, topic, settings, expected):
    _, before = describe_config(wire, TOPIC, topic)
    assert code(alter_config(wire, TOPIC, topic, settings)) == expected
    _, after = describe_config(wire, TOPIC, topic)
    assert before == after


def test_settings_of_an_unknown_topic(wire, name):
    assert code(alter_config(wire, TOPIC, name, {"retention.ms": 1})) == "UNKNOWN_TOPIC_OR_PARTITION"
    assert code(describe_config(wire, TOPIC, name)[0]) == "UNKNOWN_TOPIC_OR_PARTITION"


def test_alter_configs_replaces_all(wire, topic):
    alter_config(wire, TOPIC, topic, {"segment.bytes": 1048576})
    configs = [{"Name": "retention.ms", "Value": "7000"}]
    body = {"Resources": [{"ResourceType": TOPIC, "ResourceName": topic, "Configs": configs}]}
    assert code(wire.call("AlterConfigs", body)["Responses"][0]) == "NONE"
    _, entries = describe_config(wire, TOPIC, topic)
    assert (entries["retention.ms"]["Value"], entries["segment.bytes"]["ConfigSource"]) == ("7000", 5)


def test_validate_only_changes_no_setting(wire, topic):
    assert code(alter_config(wire, TOPIC, topic, {"retention.ms": 1}, validate_only=True)) == "NONE"
    _, entries = describe_config(wire, TOPIC, topic)
    assert entries["retention.ms"]["ConfigSource"] == 5


def test_broker_settings_are_dynamic_and_reach_topics(wire, topic):
    assert code(alter_config(wire, BROKER, "", {"log.retention.ms": 777_000})) == "NONE"
    try:
        eventually(lambda: _retention(wire, topic) == ("777000", 3))
        _, entries = describe_config(wire, BROKER, "1")
        assert entries["log.retention.ms"]["Value"] == "777000"
    finally:
        alter_config(wire, BROKER, "", {"log.retention.ms": None})


def _retention(wire, topic):
    entry = describe_config(wire, TOPIC, topic)[1]["retention.ms"]
    return entry["Value"], entry["ConfigSource"]


def test_read_only_broker_settings_are_refused(wire):
    assert code(alter_config(wire, BROKER, "1", {"node.id": 5})) in ("INVALID_REQUEST", "INVALID_CONFIG")
    _, entries = describe_config(wire, BROKER, "1")
    assert entries["node.id"]["ReadOnly"]


def test_list_config_resources_shows_topics(wire, topic):
    answer = wire.call("ListConfigResources", {"ResourceTypes": [TOPIC]}, 1)
    assert topic in {item["ResourceName"] for item in answer["ConfigResources"]}


def test_describe_log_dirs(broker, wire, topic):
    produce(wire, topic, batches.batch([b"x" * 1000]))
    answer = wire.call("DescribeLogDirs", {"Topics": [{"Topic": topic, "Partitions": [0]}]})
    result = answer["Results"][0]
    assert (code(result), result["LogDir"]) == ("NONE", str(broker.data_dirs[0]))
    assert result["TotalBytes"] > result["UsableBytes"] > 0
    partition = result["Topics"][0]["Partitions"][0]
    assert partition["PartitionSize"] > 1000
    assert (partition["OffsetLag"], partition["IsFutureKey"]) == (0, False)


def test_describe_quorum(wire):
    body = {"Topics": [{"TopicName": "__cluster_metadata", "Partitions": [{"PartitionIndex": 0}]}]}
    answer = wire.call("DescribeQuorum", body)
    partition = answer["Topics"][0]["Partitions"][0]
    assert (code(partition), partition["LeaderId"]) == ("NONE", 1)
    assert [item["ReplicaId"] for item in partition["CurrentVoters"]] == [1]


def test_unknown_features_are_refused(wire):
    body = {"FeatureUpdates": [{"Feature": "no.such", "MaxVersionLevel": 1, "UpgradeType": 1}], "timeoutMs": 5000}
    answer = wire.call("UpdateFeatures", body)
    codes = [answer["ErrorCode"], *[item["ErrorCode"] for item in answer.get("Results", [])]]
    assert any(codes)
