"""Classic and KIP-848 groups by hand: each step and each refusal with Kafka's error code."""

import uuid

import pytest

from harness.waiting import eventually
from harness.wire import error_name

pytestmark = pytest.mark.needs("JoinGroup", "SyncGroup", "Heartbeat", "LeaveGroup", "OffsetCommit", "OffsetFetch")
consumer_protocol = pytest.mark.needs("ConsumerGroupHeartbeat", "ConsumerGroupDescribe")


def code(answer):
    return error_name(answer["ErrorCode"])


@pytest.fixture
def group(name, wire):
    """A group name whose coordinator is ready."""
    eventually(lambda: is_ready(wire, name), 30)
    return name


def is_ready(wire, group):
    """Whether the coordinator has loaded the group's partition."""
    return find(wire, group) == "NONE" and heartbeat(wire, group, "nobody", 1) == "UNKNOWN_MEMBER_ID"


def find(wire, group):
    return code(wire.call("FindCoordinator", {"CoordinatorKeys": [group]}, 6)["Coordinators"][0])


def join(wire, group, member="", instance=None, version=9, protocols=("range",), session_ms=10_000, rebalance_ms=10_000):
    body = {
        "GroupId": group,
        "SessionTimeoutMs": session_ms,
        "RebalanceTimeoutMs": rebalance_ms,
        "MemberId": member,
        "GroupInstanceId": instance,
        "ProtocolType": "consumer",
        "Protocols": [{"Name": item, "Metadata": item.encode()} for item in protocols],
    }
    return wire.call("JoinGroup", body, version)


def join_new(wire, group, **options):
    """Joins as a new member: asks for an id first, as version 4 and later want."""
    first = join(wire, group, **options)
    if code(first) == "MEMBER_ID_REQUIRED":
        return join(wire, group, first["MemberId"], **options)
    return first


def sync(wire, group, joined, assignments=(), member=None, generation=None):
    body = {
        "GroupId": group,
        "GenerationId": joined["GenerationId"] if generation is None else generation,
        "MemberId": joined["MemberId"] if member is None else member,
        "ProtocolType": "consumer",
        "ProtocolName": joined["ProtocolName"],
        "Assignments": [{"MemberId": id_, "Assignment": data} for id_, data in assignments],
    }
    return wire.call("SyncGroup", body, 5)


def heartbeat(wire, group, member, generation):
    return code(wire.call("Heartbeat", {"GroupId": group, "GenerationId": generation, "MemberId": member}, 4))


def leave(wire, group, *members):
    rows = [{"MemberId": item, "GroupInstanceId": None} for item in members]
    return wire.call("LeaveGroup", {"GroupId": group, "Members": rows}, 5)


def commit(wire, group, topic, offset, member="", generation=-1, metadata=None, version=9):
    row = {"PartitionIndex": 0, "CommittedOffset": offset, "CommittedLeaderEpoch": 0, "CommittedMetadata": metadata}
    body = {
        "GroupId": group,
        "GenerationIdOrMemberEpoch": generation,
        "MemberId": member,
        "Topics": [{"Name": topic, "Partitions": [row]}],
    }
    return wire.call("OffsetCommit", body, version)["Topics"][0]["Partitions"][0]


def committed(wire, group, topic, version=9):
    wanted = [{"Name": topic, "PartitionIndexes": [0]}]
    if version >= 8:
        body = {"Groups": [{"GroupId": group, "Topics": wanted}]}
        return wire.call("OffsetFetch", body, version)["Groups"][0]["Topics"][0]["Partitions"][0]
    return wire.call("OffsetFetch", {"GroupId": group, "Topics": wanted}, version)["Topics"][0]["Partitions"][0]


def stable(wire, group, **options):
    """A group of one, stable: what JoinGroup said."""
    joined = join_new(wire, group, **options)
    assert (code(joined), joined["Leader"]) == ("NONE", joined["MemberId"])
    synced = sync(wire, group, joined, [(joined["MemberId"], b"mine")])
    assert (code(synced), synced["Assignment"]) == ("NONE", b"mine")
    return joined


def test_a_new_member_is_given_an_id_first(wire, group):
    first = join(wire, group)
    assert code(first) == "MEMBER_ID_REQUIRED"
    assert first["MemberId"]
    joined = join(wire, group, first["MemberId"])
    assert (code(joined), joined["GenerationId"], joined["MemberId"]) == ("NONE", 1, first["MemberId"])


@pytest.mark.parametrize("version", range(10))
def test_every_version_of_join_works(wire, group, version):
    joined = join_new(wire, group, version=version)
    assert code(joined) == "NONE"
    assert joined["GenerationId"] == 1


def test_a_group_of_one_lives_and_ends(wire, group):
    joined = stable(wire, group)
    member, generation = joined["MemberId"], joined["GenerationId"]
    assert heartbeat(wire, group, member, generation) == "NONE"
    assert heartbeat(wire, group, member, generation + 1) == "ILLEGAL_GENERATION"
    assert heartbeat(wire, group, "nobody", generation) == "UNKNOWN_MEMBER_ID"
    assert code(leave(wire, group, member)["Members"][0]) == "NONE"
    assert code(leave(wire, group, member)["Members"][0]) == "UNKNOWN_MEMBER_ID"
    assert heartbeat(wire, group, member, generation) == "UNKNOWN_MEMBER_ID"


def test_a_second_member_makes_the_first_join_again(broker, wire, group):
    first = stable(wire, group)
    with broker.wire() as other:
        id_ = join(other, group)["MemberId"]
        body = {
            "GroupId": group, "SessionTimeoutMs": 10_000, "RebalanceTimeoutMs": 10_000, "MemberId": id_,
            "ProtocolType": "consumer", "Protocols": [{"Name": "range", "Metadata": b"second"}],
        }  # fmt: skip
        pending = other.send("JoinGroup", body, 9)
        eventually(lambda: heartbeat(wire, group, first["MemberId"], first["GenerationId"]) == "REBALANCE_IN_PROGRESS")
        again = join(wire, group, first["MemberId"])
        assert code(again) == "NONE", again
        second = other.receive(pending)
        assert {code(again), code(second)} == {"NONE"}
        assert again["GenerationId"] == second["GenerationId"] == first["GenerationId"] + 1
        assert {item["MemberId"] for item in again["Members"]} == {first["MemberId"], id_}
        waiting = other.send(
            "SyncGroup",
            {"GroupId": group, "GenerationId": second["GenerationId"], "MemberId": id_, "ProtocolType": "consumer", "ProtocolName": "range"},
            5,
        )
        rows = [(first["MemberId"], b"one"), (id_, b"two")]
        assert sync(wire, group, again, rows)["Assignment"] == b"one"
        assert other.receive(waiting)["Assignment"] == b"two"


def test_protocols_that_do_not_match_are_refused(broker, wire, group):
    stable(wire, group)
    with broker.wire() as other:
        assert error_name(join_new(other, group, protocols=("roundrobin",))["ErrorCode"]) == "error 23"


def test_session_timeouts_have_bounds(wire, group):
    assert code(join(wire, group, session_ms=1)) == "INVALID_SESSION_TIMEOUT"
    assert code(join(wire, group, session_ms=10**8)) == "INVALID_SESSION_TIMEOUT"


def test_an_empty_group_id_is_refused(wire, group):
    assert error_name(join(wire, "")["ErrorCode"]) == "error 24"


def test_a_static_member_returns_without_a_rebalance(wire, group):
    joined = stable(wire, group, instance="i-1")
    again = join(wire, group, instance="i-1")
    assert code(again) == "NONE"
    assert again["GenerationId"] == joined["GenerationId"]
    assert again["MemberId"] != joined["MemberId"]
    body = {"GroupId": group, "GenerationId": joined["GenerationId"], "MemberId": joined["MemberId"], "GroupInstanceId": "i-1"}
    assert code(wire.call("Heartbeat", body, 4)) == "FENCED_INSTANCE_ID"


def test_a_member_that_falls_silent_is_removed(wire, group):
    joined = stable(wire, group, session_ms=6000)
    eventually(lambda: heartbeat_state(wire, group) == "Empty", 20, 0.5)
    assert heartbeat(wire, group, joined["MemberId"], joined["GenerationId"]) == "UNKNOWN_MEMBER_ID"


def heartbeat_state(wire, group):
    return wire.call("DescribeGroups", {"Groups": [group]}, 5)["Groups"][0]["GroupState"]


def test_offsets_are_committed_and_fetched(wire, group, topic):
    assert committed(wire, group, topic)["CommittedOffset"] == -1
    assert code(commit(wire, group, topic, 42, metadata="note")) == "NONE"
    found = committed(wire, group, topic)
    assert (found["CommittedOffset"], found["Metadata"]) == (42, "note")


@pytest.mark.parametrize("version", range(2, 10))
def test_every_version_of_commit_works(wire, group, topic, version):
    assert code(commit(wire, group, topic, version, version=version)) == "NONE"
    assert committed(wire, group, topic)["CommittedOffset"] == version


@pytest.mark.parametrize("version", range(1, 10))
def test_every_version_of_offset_fetch_works(wire, group, topic, version):
    commit(wire, group, topic, 7)
    assert committed(wire, group, topic, version)["CommittedOffset"] == 7


def test_commits_are_fenced_by_generation_and_member(wire, group, topic):
    joined = stable(wire, group)
    member, generation = joined["MemberId"], joined["GenerationId"]
    assert code(commit(wire, group, topic, 1, member, generation)) == "NONE"
    assert code(commit(wire, group, topic, 2, member, generation - 1)) == "ILLEGAL_GENERATION"
    assert code(commit(wire, group, topic, 2, "nobody", generation)) == "UNKNOWN_MEMBER_ID"
    assert code(commit(wire, group, topic, 2)) == "UNKNOWN_MEMBER_ID"
    assert committed(wire, group, topic)["CommittedOffset"] == 1


def test_large_metadata_and_unknown_topics_are_refused(wire, group, topic, name):
    assert error_name(commit(wire, group, topic, 1, metadata="x" * 5000)["ErrorCode"]) == "error 12"
    assert code(commit(wire, group, f"{name}-none", 1)) == "UNKNOWN_TOPIC_OR_PARTITION"


def test_groups_are_listed_described_and_deleted(wire, group, topic):
    joined = stable(wire, group)
    commit(wire, group, topic, 5, joined["MemberId"], joined["GenerationId"])
    listed = {item["GroupId"]: item for item in wire.call("ListGroups", {}, 5)["Groups"]}
    assert (listed[group]["GroupState"], listed[group]["GroupType"]) == ("Stable", "classic")
    described = wire.call("DescribeGroups", {"Groups": [group]}, 5)["Groups"][0]
    assert (described["GroupState"], described["ProtocolData"], len(described["Members"])) == ("Stable", "range", 1)
    assert code(delete(wire, group)) == "NON_EMPTY_GROUP"
    leave(wire, group, joined["MemberId"])
    assert code(delete(wire, group)) == "NONE"
    assert code(delete(wire, group)) == "GROUP_ID_NOT_FOUND"
    assert committed(wire, group, topic)["CommittedOffset"] == -1


def delete(wire, group):
    return wire.call("DeleteGroups", {"GroupsNames": [group]}, 2)["Results"][0]


def test_single_offsets_are_deleted(wire, group, topic):
    commit(wire, group, topic, 5)
    body = {"GroupId": group, "Topics": [{"Name": topic, "Partitions": [{"PartitionIndex": 0}]}]}
    assert code(wire.call("OffsetDelete", body, 0)) == "NONE"
    assert committed(wire, group, topic)["CommittedOffset"] == -1


def beat(wire, group, member, epoch, **fields):
    body = {"GroupId": group, "MemberId": member, "MemberEpoch": epoch, "RebalanceTimeoutMs": -1, **fields}
    return wire.call("ConsumerGroupHeartbeat", body, 1)


def enter(wire, group, topic, member, **fields):
    """Joins a KIP-848 group and takes what it is given."""
    first = beat(
        wire, group, member, 0, SubscribedTopicNames=[topic], TopicPartitions=[], RebalanceTimeoutMs=10_000, **fields
    )
    assert code(first) == "NONE", first
    return first


def partitions_of(answer):
    rows = (answer["Assignment"] or {}).get("TopicPartitions", [])
    return sorted(index for row in rows for index in row["Partitions"])


@consumer_protocol
def test_one_member_gets_all_partitions(wire, group, make_topic):
    topic, member = make_topic(3), str(uuid.uuid4())
    answer = enter(wire, group, topic, member)
    assert answer["MemberEpoch"] >= 1
    assert partitions_of(answer) == [0, 1, 2]
    gone = beat(wire, group, member, -1)
    assert (code(gone), gone["MemberEpoch"]) == ("NONE", -1)


@consumer_protocol
def test_a_second_member_takes_over_only_what_was_given_up(broker, wire, group, make_topic):
    topic, one, two = make_topic(4), str(uuid.uuid4()), str(uuid.uuid4())
    first = enter(wire, group, topic, one)
    id_ = first["Assignment"]["TopicPartitions"][0]["TopicId"]
    owned = [{"TopicId": id_, "Partitions": [0, 1, 2, 3]}]
    second = enter(wire, group, topic, two)
    assert partitions_of(second) == []
    shrunk = eventually(lambda: _assigned(beat(wire, group, one, first["MemberEpoch"], TopicPartitions=owned)))
    kept = partitions_of(shrunk)
    assert len(kept) == 2
    done = beat(wire, group, one, shrunk["MemberEpoch"], TopicPartitions=[{"TopicId": id_, "Partitions": kept}])
    assert done["MemberEpoch"] > first["MemberEpoch"]
    given = eventually(lambda: _assigned(beat(wire, group, two, second["MemberEpoch"], TopicPartitions=[])))
    assert sorted(kept + partitions_of(given)) == [0, 1, 2, 3]


def _assigned(answer):
    assert code(answer) == "NONE", answer
    return answer if answer["Assignment"] is not None else None


@consumer_protocol
def test_epochs_are_fenced(wire, group, topic):
    member = str(uuid.uuid4())
    answer = enter(wire, group, topic, member)
    assert code(beat(wire, group, member, answer["MemberEpoch"] + 5)) == "FENCED_MEMBER_EPOCH"
    assert code(beat(wire, group, str(uuid.uuid4()), 3)) == "UNKNOWN_MEMBER_ID"


@consumer_protocol
def test_unknown_assignors_and_double_instances_are_refused(wire, group, topic):
    member = str(uuid.uuid4())
    answer = beat(
        wire, group, member, 0, SubscribedTopicNames=[topic], TopicPartitions=[], RebalanceTimeoutMs=1000, ServerAssignor="none"
    )
    assert code(answer) == "UNSUPPORTED_ASSIGNOR"
    enter(wire, group, topic, member, InstanceId="i-1")
    other = beat(
        wire, group, str(uuid.uuid4()), 0, InstanceId="i-1", SubscribedTopicNames=[topic], TopicPartitions=[], RebalanceTimeoutMs=1000
    )
    assert code(other) == "UNRELEASED_INSTANCE_ID"


@consumer_protocol
def test_a_kip_848_group_is_described(wire, group, topic):
    member = str(uuid.uuid4())
    enter(wire, group, topic, member)
    described = wire.call("ConsumerGroupDescribe", {"GroupIds": [group]}, 1)["Groups"][0]
    assert (code(described), described["AssignorName"], len(described["Members"])) == ("NONE", "uniform", 1)
    assert described["Members"][0]["MemberId"] == member
    listed = {item["GroupId"]: item["GroupType"] for item in wire.call("ListGroups", {}, 5)["Groups"]}
    assert listed[group] == "consumer"
    absent = wire.call("ConsumerGroupDescribe", {"GroupIds": [f"{group}-none"]}, 1)["Groups"][0]
    assert code(absent) == "GROUP_ID_NOT_FOUND"
    asked = wire.call("ConsumerGroupDescribe", {"GroupIds": [group], "IncludeAuthorizedOperations": True}, 1)["Groups"][0]
    assert (described["AuthorizedOperations"], asked["AuthorizedOperations"]) == (-(2**31), 3400)


@consumer_protocol
def test_a_regular_expression_subscribes(wire, group, make_topic, name):
    make_topic(2)
    answer = beat(
        wire, group, str(uuid.uuid4()), 0, SubscribedTopicRegex=f"{name}-.*", TopicPartitions=[], RebalanceTimeoutMs=10_000
    )
    assert code(answer) == "NONE"
    bad = beat(
        wire, f"{group}-x", str(uuid.uuid4()), 0, SubscribedTopicRegex="(", TopicPartitions=[], RebalanceTimeoutMs=10_000
    )
    assert error_name(bad["ErrorCode"]) == "error 128"


@pytest.mark.timeout(120)
def test_groups_and_offsets_survive_kill_9(start_broker):
    broker = start_broker({"group.initial.rebalance.delay.ms": 0})
    from conftest import wait_for_leader
    from harness.wire import create_topic

    with broker.wire() as wire:
        create_topic(wire, "t", 3)
        wait_for_leader(wire, "t")
        for index in range(30):
            eventually(lambda: is_ready(wire, f"g{index}"), 30)
            eventually(lambda: code(commit(wire, f"g{index}", "t", 100 + index)) == "NONE")
        joined = eventually(lambda: _joined(wire, "alive"))
    broker.kill()
    broker.restart()
    with broker.wire() as wire:
        eventually(lambda: is_ready(wire, "alive"), 30)
        for index in range(30):
            eventually(lambda: committed(wire, f"g{index}", "t")["CommittedOffset"] == 100 + index)
        assert heartbeat(wire, "alive", joined["MemberId"], joined["GenerationId"]) == "NONE"


def _joined(wire, group):
    assert is_ready(wire, group)
    return stable(wire, group, session_ms=45_000)
