"""What is refused, in which row and with which code: each answer was first seen of Apache Kafka."""

import uuid

import pytest
from harness.wire import create_topic, error_name
from test_groups_wire import group  # noqa: F401 a fixture
from test_metadata import TOPIC


def code(answer):
    return error_name(answer["ErrorCode"])


def test_a_topic_named_twice_is_refused_in_one_row(wire, name, topic):
    rows = [{"Name": name, "NumPartitions": 1, "ReplicationFactor": 1}] * 2
    answer = wire.call("CreateTopics", {"Topics": rows, "timeoutMs": 5000})["Topics"]
    assert [code(row) for row in answer] == ["INVALID_REQUEST"]
    rows = [{"Name": topic, "Count": 8}, {"Name": topic, "Count": 9}]
    answer = wire.call("CreatePartitions", {"Topics": rows, "TimeoutMs": 5000})["Results"]
    assert [code(row) for row in answer] == ["INVALID_REQUEST"]
    answer = wire.call("DeleteTopics", {"Topics": [{"Name": topic}] * 2, "TimeoutMs": 5000}, 6)["Responses"]
    assert [code(row) for row in answer] == ["INVALID_REQUEST"]
    asked = [{"PartitionIndex": 0, "Timestamp": -1, "CurrentLeaderEpoch": -1}] * 2
    answer = wire.call("ListOffsets", {"ReplicaId": -1, "Topics": [{"Name": topic, "Partitions": asked}]}, 7)
    assert [code(row) for row in answer["Topics"][0]["Partitions"]] == ["INVALID_REQUEST"]


def test_a_setting_without_a_value_makes_no_topic(wire, name):
    topic = {"Name": name, "NumPartitions": 1, "ReplicationFactor": 1, "Configs": [{"Name": "retention.ms", "Value": None}]}
    answer = wire.call("CreateTopics", {"Topics": [topic], "timeoutMs": 5000})["Topics"][0]
    assert code(answer) == "INVALID_CONFIG"
    assert code(create_topic(wire, name)) == "NONE"


def test_a_topic_to_delete_has_a_name_or_an_id(wire):
    asked = [{"Name": None, "TopicId": uuid.UUID(int=0)}, {"Name": None, "TopicId": uuid.uuid4()}]
    answer = wire.call("DeleteTopics", {"Topics": asked, "TimeoutMs": 5000}, 6)["Responses"]
    assert {(row["Name"], code(row)) for row in answer} == {(None, "INVALID_REQUEST"), (None, "UNKNOWN_TOPIC_ID")}


@pytest.mark.parametrize("version", [10, 11])
def test_metadata_by_id_alone_begins_with_version_12(wire, version):
    answer = wire.call("Metadata", {"Topics": [{"TopicId": uuid.uuid4(), "Name": None}]}, version)["Topics"][0]
    assert (code(answer), answer["Name"]) == ("INVALID_REQUEST", "")


def test_a_cursor_before_the_first_partition(wire, topic):
    cursor = {"TopicName": topic, "PartitionIndex": -2}
    body = {"Topics": [{"Name": topic}], "ResponsePartitionLimit": 10, "Cursor": cursor}
    assert [code(row) for row in wire.call("DescribeTopicPartitions", body)["Topics"]] == ["INVALID_REQUEST"]


def test_no_keys_are_all_keys(wire, topic):
    resource = {"ResourceType": TOPIC, "ResourceName": topic, "ConfigurationKeys": []}
    assert wire.call("DescribeConfigs", {"Resources": [resource]})["Results"][0]["Configs"]


def test_settings_of_what_is_no_topic_name(wire):
    setting = {"Name": "retention.ms", "ConfigOperation": 0, "Value": "1"}
    body = {"Resources": [{"ResourceType": TOPIC, "ResourceName": "b b", "Configs": [setting]}]}
    assert code(wire.call("IncrementalAlterConfigs", body)["Responses"][0]) == "INVALID_TOPIC_EXCEPTION"


def test_a_producer_names_its_id_and_its_epoch_or_neither(wire):
    body = {"TransactionalId": None, "TransactionTimeoutMs": 60_000, "ProducerId": 5, "ProducerEpoch": -1}
    assert code(wire.call("InitProducerId", body, 4)) == "INVALID_REQUEST"


def test_the_quorum_of_another_topic(wire):
    body = {"Topics": [{"TopicName": "x", "Partitions": [{"PartitionIndex": 3}]}]}
    topic = wire.call("DescribeQuorum", body)["Topics"][0]
    row = topic["Partitions"][0]
    assert (topic["TopicName"], row["PartitionIndex"], code(row)) == ("x", 3, "UNKNOWN_TOPIC_OR_PARTITION")


def test_an_offset_of_a_partition_that_is_not_there(wire, group, topic, name):  # noqa: F811
    rows = [{"PartitionIndex": index, "CommittedOffset": 5} for index in (99, 0, -1)]
    topics = [{"Name": topic, "Partitions": rows}, {"Name": f"{name}-none", "Partitions": rows[:1]}]
    for member, expected in (("", "NONE"), ("nobody", "UNKNOWN_MEMBER_ID")):
        generation = -1 if not member else 3
        body = {"GroupId": group, "GenerationIdOrMemberEpoch": generation, "MemberId": member, "Topics": topics}
        answer = wire.call("OffsetCommit", body, 9)["Topics"]
        seen = {(item["Name"], row["PartitionIndex"]): code(row) for item in answer for row in item["Partitions"]}
        unknown = "UNKNOWN_TOPIC_OR_PARTITION"
        assert seen == {(topic, 99): unknown, (topic, 0): expected, (topic, -1): unknown, (f"{name}-none", 99): unknown}
    answer = wire.call("OffsetFetch", {"Groups": [{"GroupId": group, "Topics": None}]}, 9)["Groups"][0]
    assert [row["PartitionIndex"] for row in answer["Topics"][0]["Partitions"]] == [0]


def test_offsets_of_a_group_without_a_name_are_not_deleted(wire, group, topic):  # noqa: F811
    body = {"GroupId": "", "Topics": [{"Name": topic, "Partitions": [{"PartitionIndex": 0}]}]}
    assert wire.call("OffsetDelete", body)["ErrorCode"] == 24


@pytest.mark.needs("ConsumerGroupHeartbeat")
def test_a_member_of_a_consumer_group_makes_its_own_id(wire, group, topic):  # noqa: F811
    body = {"GroupId": group, "MemberEpoch": 0, "RebalanceTimeoutMs": 5000, "SubscribedTopicNames": [topic], "TopicPartitions": []}
    assert code(wire.call("ConsumerGroupHeartbeat", body, 1)) == "INVALID_REQUEST"
