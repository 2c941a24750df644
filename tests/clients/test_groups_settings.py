"""Settings of single groups: Kafka's tool shows and changes them, and members feel it at their next heartbeat."""

import re
import uuid

import pytest

from harness.waiting import eventually
from harness.wire import error_name
from test_groups_wire import beat, code, enter, is_ready, join, join_new

pytestmark = pytest.mark.needs("ConsumerGroupHeartbeat", "IncrementalAlterConfigs", "DescribeConfigs")
GROUP = 32
SESSION, HEARTBEAT = "consumer.session.timeout.ms", "consumer.heartbeat.interval.ms"


@pytest.fixture
def group(name, wire):
    eventually(lambda: is_ready(wire, name), 30)
    return name


def alter(wire, group, **values):
    """Sets a group's settings; None takes one away. Returns (error, words)."""
    rows = [
        {"Name": key.replace("_", "."), "ConfigOperation": 1 if value is None else 0, "Value": None if value is None else str(value)}
        for key, value in values.items()
    ]
    resource = {"ResourceType": GROUP, "ResourceName": group, "Configs": rows}
    answer = wire.call("IncrementalAlterConfigs", {"Resources": [resource], "ValidateOnly": False}, 1)["Responses"][0]
    return error_name(answer["ErrorCode"]), answer["ErrorMessage"]


def test_a_group_hears_its_own_heartbeat_interval_at_its_next_heartbeat(wire, group, topic):
    member = str(uuid.uuid4())
    first = enter(wire, group, topic, member)
    assert first["HeartbeatIntervalMs"] == 1000
    assert alter(wire, group, consumer_heartbeat_interval_ms=2500)[0] == "NONE"
    told = lambda: beat(wire, group, member, first["MemberEpoch"])["HeartbeatIntervalMs"]  # noqa: E731
    eventually(lambda: told() == 2500)
    assert alter(wire, group, consumer_heartbeat_interval_ms=None)[0] == "NONE"
    eventually(lambda: told() == 1000)


def test_bounds_of_brokers_hold_for_groups(wire, group):
    error, words = alter(wire, group, consumer_session_timeout_ms=5)
    assert (error, words) == (
        "INVALID_CONFIG",
        "consumer.session.timeout.ms must be greater than or equal to group.consumer.min.session.timeout.ms",
    )
    error, words = alter(wire, group, consumer_heartbeat_interval_ms=50_000)
    assert error == "INVALID_CONFIG"
    assert words.startswith("consumer.heartbeat.interval.ms must be less than or equal to group.consumer.max.heartbeat")
    assert alter(wire, group, no_such_setting=1) == ("INVALID_CONFIG", "Unknown group config name: no.such.setting")
    assert alter(wire, "", consumer_session_timeout_ms=50_000)[0] == "INVALID_REQUEST"


def test_kafkas_tool_shows_where_a_value_comes_from(tools, wire, group):
    of_group = ["--entity-type", "groups", "--entity-name", group]
    tools("configs", *of_group, "--alter", "--add-config", f"{SESSION}=50000")
    own = f"  {SESSION}=50000 sensitive=false synonyms={{DYNAMIC_GROUP_CONFIG:{SESSION}=50000, DEFAULT_CONFIG:group.{SESSION}=45000}}"
    text = eventually(lambda: _shows(tools("configs", *of_group, "--describe"), own), 20)
    assert HEARTBEAT not in text
    every = tools("configs", *of_group, "--describe", "--all")
    assert re.search(rf"  {re.escape(HEARTBEAT)}=1000 .*STATIC_BROKER_CONFIG:group\.{re.escape(HEARTBEAT)}=1000", every), every
    assert len([line for line in every.splitlines() if line.startswith("  ")]) == 17
    listed = wire.call("ListConfigResources", {"ResourceTypes": [GROUP]}, 1)["ConfigResources"]
    assert {"ResourceName": group, "ResourceType": GROUP} in [
        {key: item[key] for key in ("ResourceName", "ResourceType")} for item in listed
    ]
    tools("configs", *of_group, "--alter", "--delete-config", SESSION)
    eventually(lambda: SESSION not in tools("configs", *of_group, "--describe", check=False)[1], 20)


def _shows(text, line):
    assert line in text, text
    return text


@pytest.mark.needs("JoinGroup")
def test_a_full_group_takes_nobody_else(start_broker):
    broker = start_broker({"group.max.size": 2, "group.consumer.max.size": 1, "group.initial.rebalance.delay.ms": 3000})
    from conftest import wait_for_leader
    from harness.wire import create_topic

    with broker.wire() as one, broker.wire() as two, broker.wire() as three:
        create_topic(one, "t")
        wait_for_leader(one, "t")
        for group in ("g", "next"):
            eventually(lambda group=group: is_ready(one, group), 30)
        ids = [join(wire, "g")["MemberId"] for wire in (one, two)]
        body = {"GroupId": "g", "SessionTimeoutMs": 10_000, "RebalanceTimeoutMs": 10_000, "ProtocolType": "consumer"}
        body["Protocols"] = [{"Name": "range", "Metadata": b"x"}]
        pending = [(wire, wire.send("JoinGroup", {**body, "MemberId": id_}, 9)) for wire, id_ in zip((one, two), ids)]
        eventually(lambda: code(join_new(three, "g")) == "error 81")
        for wire, number in pending:
            assert code(wire.receive(number)) == "NONE"
        enter(one, "next", "t", str(uuid.uuid4()))
        fields = {"SubscribedTopicNames": ["t"], "TopicPartitions": [], "RebalanceTimeoutMs": 10_000}
        refused = beat(two, "next", str(uuid.uuid4()), 0, **fields)
        assert code(refused) == "error 81"


@pytest.mark.needs("JoinGroup")
def test_a_new_classic_group_waits_for_more_members_before_its_first_rebalance(start_broker):
    broker = start_broker({"group.initial.rebalance.delay.ms": 1500})
    with broker.wire() as wire, broker.wire() as other:
        group = f"delayed-{uuid.uuid4()}"
        eventually(lambda: is_ready(wire, group), 30)
        ids = [join(item, group)["MemberId"] for item in (wire, other)]
        first = send_join(wire, group, ids[0])
        second = send_join(other, group, ids[1])
        joined = [wire.receive(first), other.receive(second)]
    assert [code(item) for item in joined] == ["NONE", "NONE"]
    # Both are in the first generation: without the delay the first would have had it to itself.
    assert [item["GenerationId"] for item in joined] == [1, 1]
    assert sorted(len(item["Members"]) for item in joined) == [0, 2]


def send_join(wire, group, member):
    protocols = [{"Name": "range", "Metadata": b"range"}]
    times = {"SessionTimeoutMs": 10_000, "RebalanceTimeoutMs": 10_000}
    return wire.send("JoinGroup", {"GroupId": group, "MemberId": member, "ProtocolType": "consumer", "Protocols": protocols, **times}, 9)


def test_the_consumer_protocol_can_be_switched_off(start_broker):
    broker = start_broker({"group.coordinator.rebalance.protocols": "classic", "group.initial.rebalance.delay.ms": 0})
    with broker.wire() as wire:
        group = f"classic-{uuid.uuid4()}"
        eventually(lambda: is_ready(wire, group), 30)
        answer = beat(wire, group, str(uuid.uuid4()), 0, SubscribedTopicNames=["t"], TopicPartitions=[], RebalanceTimeoutMs=10_000)
        assert code(answer) == "UNSUPPORTED_VERSION"
        described = wire.call("ConsumerGroupDescribe", {"GroupIds": [group]}, 0)["Groups"][0]
        assert code(described) == "UNSUPPORTED_VERSION"
        assert code(join_new(wire, group)) == "NONE"
