"""Committed offsets: who may see them, when they go, and what Kafka's tools read from the log that keeps them."""

import struct
import uuid

import pytest

from conftest import wait_for_leader
from harness.tools import KafkaTools
from harness.waiting import eventually
from harness.wire import create_topic, error_name
from test_groups_wire import beat, code, commit, committed, enter, group, is_ready, leave, stable  # noqa: F401

pytestmark = pytest.mark.needs("OffsetCommit", "OffsetFetch", "JoinGroup")


def fetch(wire, groups, topics, stable=True, version=9):
    """OffsetFetch of several groups: {group: {topic: offset}}; None for `topics` asks for all there are."""
    wanted = None if topics is None else [{"Name": item, "PartitionIndexes": [0]} for item in topics]
    body = {"Groups": [{"GroupId": item, "Topics": wanted} for item in groups], "RequireStable": stable}
    answer = wire.call("OffsetFetch", body, version)["Groups"]
    assert [error_name(item["ErrorCode"]) for item in answer] == ["NONE"] * len(groups), answer
    return {
        item["GroupId"]: {topic["Name"]: topic["Partitions"][0]["CommittedOffset"] for topic in item["Topics"]} for item in answer
    }


def test_one_request_fetches_the_offsets_of_several_groups(wire, name, make_topic):
    groups, topics = [f"{name}-g{index}" for index in range(3)], [make_topic(), make_topic()]
    for index, one in enumerate(groups):
        eventually(lambda one=one: is_ready(wire, one), 30)
        assert code(commit(wire, one, topics[0], index)) == "NONE"
    assert fetch(wire, groups, topics) == {one: {topics[0]: index, topics[1]: -1} for index, one in enumerate(groups)}
    assert fetch(wire, groups, None, version=8) == {one: {topics[0]: index} for index, one in enumerate(groups)}


def test_leader_epoch_and_metadata_come_back(wire, group, topic):  # noqa: F811
    assert code(commit(wire, group, topic, 3, metadata="é" * 4096)) == "NONE"
    found = committed(wire, group, topic)
    assert (found["CommittedLeaderEpoch"], found["Metadata"]) == (0, "é" * 4096)
    assert error_name(commit(wire, group, topic, 4, metadata="é" * 4097)["ErrorCode"]) == "error 12"
    assert committed(wire, group, topic)["CommittedOffset"] == 3


@pytest.mark.needs("ConsumerGroupHeartbeat")
def test_members_of_a_consumer_group_commit_and_fetch_in_their_epoch_only(wire, group, topic):  # noqa: F811
    epoch = enter(wire, group, topic, "AAAAAAAAAAAAAAAAAAAAAA")["MemberEpoch"]
    member = "AAAAAAAAAAAAAAAAAAAAAA"
    assert code(commit(wire, group, topic, 1, member, epoch)) == "NONE"
    assert error_name(commit(wire, group, topic, 2, member, epoch + 1)["ErrorCode"]) == "error 113"
    assert code(commit(wire, group, topic, 2, "nobody", epoch)) == "UNKNOWN_MEMBER_ID"
    body = {"GroupId": group, "MemberId": member, "MemberEpoch": epoch + 1, "Topics": None}
    assert error_name(wire.call("OffsetFetch", {"Groups": [body]}, 9)["Groups"][0]["ErrorCode"]) == "error 113"
    body["MemberEpoch"] = epoch
    assert error_name(wire.call("OffsetFetch", {"Groups": [body]}, 9)["Groups"][0]["ErrorCode"]) == "NONE"
    assert committed(wire, group, topic)["CommittedOffset"] == 1


def test_a_deleted_topic_takes_its_offsets_along(wire, group, make_topic):  # noqa: F811
    goes, stays = make_topic(), make_topic()
    for one in (goes, stays):
        assert code(commit(wire, group, one, 5)) == "NONE"
    wire.call("DeleteTopics", {"Topics": [{"Name": goes, "TopicId": uuid.UUID(int=0)}], "TimeoutMs": 10_000}, 6)
    eventually(lambda: fetch(wire, [group], None)[group] == {stays: 5})
    assert error_name(create_topic(wire, goes)["ErrorCode"]) == "NONE"
    wait_for_leader(wire, goes)
    assert committed(wire, group, goes)["CommittedOffset"] == -1


def test_old_commits_name_their_own_retention(start_broker):
    broker = start_broker({"offsets.retention.check.interval.ms": 500})
    with broker.wire() as wire:
        create_topic(wire, "t")
        wait_for_leader(wire, "t")
        eventually(lambda: is_ready(wire, "short"), 30)
        eventually(lambda: is_ready(wire, "long"), 30)
        for one, retention in (("short", 1000), ("long", -1)):
            rows = [{"PartitionIndex": 0, "CommittedOffset": 7, "CommittedMetadata": ""}]
            body = {"GroupId": one, "MemberId": "", "GenerationIdOrMemberEpoch": -1, "RetentionTimeMs": retention}
            answer = wire.call("OffsetCommit", {**body, "Topics": [{"Name": "t", "Partitions": rows}]}, 3)
            assert code(answer["Topics"][0]["Partitions"][0]) == "NONE"
        eventually(lambda: fetch(wire, ["short", "long"], ["t"]) == {"short": {"t": -1}, "long": {"t": 7}}, 30)
        names = lambda: [item["GroupId"] for item in wire.call("ListGroups", {}, 5)["Groups"]]  # noqa: E731
        eventually(lambda: names() == ["long"], 30)


@pytest.mark.needs("ConsumerGroupHeartbeat")
def test_offsets_of_topics_that_are_read_are_not_deleted(wire, group, topic):  # noqa: F811
    member = "m" * 22
    epoch = enter(wire, group, topic, member)["MemberEpoch"]
    assert code(commit(wire, group, topic, 1, member, epoch)) == "NONE"
    body = {"GroupId": group, "Topics": [{"Name": topic, "Partitions": [{"PartitionIndex": 0}]}]}
    answer = wire.call("OffsetDelete", body, 0)
    assert error_name(answer["Topics"][0]["Partitions"][0]["ErrorCode"]) == "error 86"
    assert code(beat(wire, group, member, -1)) == "NONE"
    assert code(wire.call("OffsetDelete", body, 0)["Topics"][0]["Partitions"][0]) == "NONE"
    assert code(wire.call("OffsetDelete", {**body, "GroupId": f"{group}-none"}, 0)) == "GROUP_ID_NOT_FOUND"


def test_groups_are_listed_by_state_and_type(wire, name, topic):
    empty, live = f"{name}-empty", f"{name}-live"
    for one in (empty, live):
        eventually(lambda one=one: is_ready(wire, one), 30)
    assert code(commit(wire, empty, topic, 1)) == "NONE"
    joined = stable(wire, live)

    def listed(states=(), types=()):
        found = wire.call("ListGroups", {"StatesFilter": list(states), "TypesFilter": list(types)}, 5)["Groups"]
        return {item["GroupId"] for item in found} & {empty, live}

    assert listed() == {empty, live}
    assert listed(states=["stable"]) == {live}
    assert listed(states=["Empty", "PreparingRebalance"]) == {empty}
    assert listed(types=["Classic"]) == {empty, live}
    assert listed(types=["consumer"]) == set()
    leave(wire, live, joined["MemberId"])


def test_a_group_that_is_not_there_is_an_error_from_version_6_on(wire, group):  # noqa: F811
    old = wire.call("DescribeGroups", {"Groups": [f"{group}-none"]}, 5)["Groups"][0]
    assert (code(old), old["GroupState"]) == ("NONE", "Dead")
    asked = wire.call("DescribeGroups", {"Groups": [f"{group}-none"], "IncludeAuthorizedOperations": True}, 5)["Groups"][0]
    assert (old["AuthorizedOperations"], asked["AuthorizedOperations"]) == (-(2**31), 3400)
    new = wire.call("DescribeGroups", {"Groups": [f"{group}-none"]}, 6)["Groups"][0]
    assert (code(new), new["GroupState"], new["ErrorMessage"]) == ("GROUP_ID_NOT_FOUND", "Dead", f"Group {group}-none not found.")


@pytest.mark.needs("ConsumerGroupHeartbeat")
def test_kafkas_dump_log_decodes_offsets_and_groups(start_broker):
    broker = start_broker({"offsets.topic.num.partitions": 1, "group.initial.rebalance.delay.ms": 0})
    with broker.wire() as wire:
        create_topic(wire, "t")
        wait_for_leader(wire, "t")
        eventually(lambda: is_ready(wire, "old"), 30)
        joined = stable(wire, "old", session_ms=30_000)
        assert code(commit(wire, "old", "t", 42, joined["MemberId"], joined["GenerationId"], metadata="note")) == "NONE"
        epoch = enter(wire, "new", "t", "B" * 22)["MemberEpoch"]
        assert code(commit(wire, "new", "t", 43, "B" * 22, epoch)) == "NONE"
        wire.call("DeleteGroups", {"GroupsNames": ["old"]}, 2)
    broker.stop()
    log = broker.segments("__consumer_offsets")[0]
    text = KafkaTools(broker.bootstrap)("dump-log", "--offsets-decoder", "--files", log)
    for wanted in ('"group":"old"', '"topic":"t"', '"offset":42', '"metadata":"note"', '"groupId":"new"', '"offset":43', '"memberId":"' + "B" * 22):
        assert wanted in text, f"{wanted} is not in\n{text}"
    assert "Failed" not in text
    assert '"epoch":' in text
    assert struct.unpack(">b", log.read_bytes()[16:17]) == (2,)
