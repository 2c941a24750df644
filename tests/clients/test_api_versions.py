"""What the broker advertises, and that each advertised version of each API really answers."""

import struct
import uuid

import pytest

from harness import batches, schema
from harness.wire import ERRORS, Wire, error_name, topic_id

# Key -> range as Apache Kafka 4.3.1 advertises it. What a single broker must have; others come as they are built.
SINGLE_BROKER = {
    "Produce": (0, 13),
    "Fetch": (4, 18),
    "ListOffsets": (1, 11),
    "Metadata": (0, 13),
    "FindCoordinator": (0, 6),
    "ApiVersions": (0, 4),
    "CreateTopics": (2, 7),
    "DeleteTopics": (1, 6),
    "DeleteRecords": (0, 2),
    "InitProducerId": (0, 5),
    "OffsetForLeaderEpoch": (2, 4),
    "DescribeConfigs": (1, 4),
    "AlterConfigs": (0, 2),
    "DescribeLogDirs": (1, 5),
    "CreatePartitions": (0, 3),
    "IncrementalAlterConfigs": (0, 1),
    "DescribeQuorum": (0, 2),
    "UpdateFeatures": (0, 2),
    "DescribeCluster": (0, 2),
    "DescribeProducers": (0, 0),
    "ListConfigResources": (0, 1),
    "DescribeTopicPartitions": (0, 0),
}
OTHERS = {
    "OffsetCommit": (2, 10),
    "OffsetFetch": (1, 10),
    "JoinGroup": (0, 9),
    "Heartbeat": (0, 4),
    "LeaveGroup": (0, 5),
    "SyncGroup": (0, 5),
    "DescribeGroups": (0, 6),
    "ListGroups": (0, 5),
    "DeleteGroups": (0, 2),
    "OffsetDelete": (0, 0),
    "ConsumerGroupHeartbeat": (0, 1),
    "ConsumerGroupDescribe": (0, 1),
    "ElectLeaders": (0, 2),
    "AlterPartitionReassignments": (0, 1),
    "ListPartitionReassignments": (0, 0),
    "AlterReplicaLogDirs": (1, 2),
    "UnregisterBroker": (0, 0),
    "AddRaftVoter": (0, 1),
    "RemoveRaftVoter": (0, 0),
}
VERSIONS = [(api, version) for api, (low, high) in SINGLE_BROKER.items() for version in range(low, high + 1)]


@pytest.mark.parametrize("api", SINGLE_BROKER)
def test_api_is_advertised_with_kafkas_range(wire, api):
    assert wire.advertised().get(schema.key_of(api)) == SINGLE_BROKER[api]


def test_nothing_beyond_kafkas_ranges_is_advertised(wire):
    known = {schema.key_of(api): range_ for api, range_ in {**SINGLE_BROKER, **OTHERS}.items()}
    for key, range_ in wire.advertised().items():
        if key in known:
            assert range_ == known[key], schema.name_of(key)


def test_api_versions_of_an_unknown_version_answers_version_0_with_the_table(wire):
    data = struct.pack(">hhih", 18, 99, 7, 1) + b"x" + b"\x00\x01\x01\x00"
    wire.send_raw(struct.pack(">i", len(data)) + data)
    frame = wire.read_frame()
    correlation_id, error, count = struct.unpack(">ihi", frame[:10])
    assert (correlation_id, error) == (7, ERRORS["UNSUPPORTED_VERSION"])
    rows = [struct.unpack(">hhh", frame[10 + 6 * i : 16 + 6 * i]) for i in range(count)]
    assert (18, 0, 4) in rows


def test_api_versions_shows_the_finalized_metadata_version(wire):
    answer = wire.call("ApiVersions", version=4, ClientSoftwareName="a", ClientSoftwareVersion="1")
    assert answer["ErrorCode"] == 0
    for kind in ("SupportedFeatures", "FinalizedFeatures"):
        assert any(item["Name"].endswith("metadata.version") for item in answer[kind]), kind


def test_api_versions_refuses_a_bad_client_name(wire):
    answer = wire.call("ApiVersions", version=3, ClientSoftwareName="bad name!", ClientSoftwareVersion="1")
    assert error_name(answer["ErrorCode"]) == "INVALID_REQUEST"


def _named(version, from_version, topic, id_):
    return {"TopicId": id_} if version >= from_version else {"Name": topic}


def _produce(version, topic, id_):
    records = batches.batch([b"v"])
    partition = {"Index": 0, "Records": records}
    return {
        "Acks": -1,
        "TimeoutMs": 5000,
        "TopicData": [{**_named(version, 13, topic, id_), "PartitionData": [partition]}],
    }


def _fetch(version, topic, id_):
    named = {"TopicId": id_} if version >= 13 else {"Topic": topic}
    partition = {"Partition": 0, "FetchOffset": 0, "PartitionMaxBytes": 1 << 20}
    return {"MaxWaitMs": 10, "MinBytes": 0, "MaxBytes": 1 << 20, "Topics": [{**named, "Partitions": [partition]}]}


def _list_offsets(version, topic, _):
    return {"ReplicaId": -1, "Topics": [{"Name": topic, "Partitions": [{"PartitionIndex": 0, "Timestamp": -1}]}]}


def _metadata(version, topic, _):
    return {"Topics": [{"Name": topic}]}


def _find_coordinator(version, topic, _):
    return {"CoordinatorKeys": ["g"]} if version >= 4 else {"Key": "g"}


def _create_topics(version, topic, _):
    new = {"Name": f"{topic}-ct{version}", "NumPartitions": 1, "ReplicationFactor": 1}
    return {"Topics": [{**new, "Assignments": [], "Configs": []}], "timeoutMs": 5000}


def _delete_topics(version, topic, _):
    names = [f"{topic}-none"]
    if version >= 6:
        return {"Topics": [{"Name": item} for item in names], "TimeoutMs": 5000}
    return {"TopicNames": names, "TimeoutMs": 5000}


def _delete_records(version, topic, _):
    return {"Topics": [{"Name": topic, "Partitions": [{"PartitionIndex": 0, "Offset": 0}]}], "TimeoutMs": 5000}


def _init_producer_id(version, topic, _):
    return {"TransactionalId": None, "TransactionTimeoutMs": 60_000}


def _leader_epoch(version, topic, _):
    partition = {"Partition": 0, "CurrentLeaderEpoch": -1, "LeaderEpoch": 0}
    return {"ReplicaId": -1, "Topics": [{"Topic": topic, "Partitions": [partition]}]}


def _describe_configs(version, topic, _):
    return {"Resources": [{"ResourceType": 2, "ResourceName": topic, "ConfigurationKeys": None}]}


def _alter_configs(version, topic, _):
    configs = [{"Name": "retention.ms", "Value": "1000000"}]
    return {"Resources": [{"ResourceType": 2, "ResourceName": topic, "Configs": configs}], "ValidateOnly": True}


def _incremental(version, topic, _):
    configs = [{"Name": "retention.ms", "ConfigOperation": 0, "Value": "1000000"}]
    return {"Resources": [{"ResourceType": 2, "ResourceName": topic, "Configs": configs}], "ValidateOnly": True}


def _create_partitions(version, topic, _):
    return {"Topics": [{"Name": topic, "Count": 2, "Assignments": None}], "TimeoutMs": 5000, "ValidateOnly": True}


def _describe_quorum(version, topic, _):
    return {"Topics": [{"TopicName": "__cluster_metadata", "Partitions": [{"PartitionIndex": 0}]}]}


def _describe_producers(version, topic, _):
    return {"Topics": [{"Name": topic, "PartitionIndexes": [0]}]}


BODIES = {
    "Produce": _produce,
    "Fetch": _fetch,
    "ListOffsets": _list_offsets,
    "Metadata": _metadata,
    "FindCoordinator": _find_coordinator,
    "ApiVersions": lambda *_: {"ClientSoftwareName": "a", "ClientSoftwareVersion": "1"},
    "CreateTopics": _create_topics,
    "DeleteTopics": _delete_topics,
    "DeleteRecords": _delete_records,
    "InitProducerId": _init_producer_id,
    "OffsetForLeaderEpoch": _leader_epoch,
    "DescribeConfigs": _describe_configs,
    "AlterConfigs": _alter_configs,
    "IncrementalAlterConfigs": _incremental,
    "CreatePartitions": _create_partitions,
    "DescribeLogDirs": lambda *_: {"Topics": None},
    "DescribeQuorum": _describe_quorum,
    "UpdateFeatures": lambda *_: {"FeatureUpdates": [], "timeoutMs": 5000},
    "DescribeCluster": lambda *_: {},
    "DescribeProducers": _describe_producers,
    "ListConfigResources": lambda *_: {},
    "DescribeTopicPartitions": lambda version, topic, _: {"Topics": [{"Name": topic}]},
}


def _error_codes(value, path=""):
    """All error codes anywhere in an answer."""
    if isinstance(value, dict):
        for key, item in value.items():
            if key in ("ErrorCode", "TopicConfigErrorCode"):
                yield path, item
            else:
                yield from _error_codes(item, f"{path}.{key}")
    elif isinstance(value, list):
        for item in value:
            yield from _error_codes(item, path)


@pytest.fixture(scope="module")
def shared_topic(broker):
    with broker.wire() as wire:
        from conftest import wait_for_leader
        from harness.wire import create_topic

        assert create_topic(wire, "every-version")["ErrorCode"] == 0
        wait_for_leader(wire, "every-version")
        return "every-version", topic_id(wire, "every-version")


@pytest.mark.parametrize(("api", "version"), VERSIONS, ids=[f"{api}-v{version}" for api, version in VERSIONS])
def test_every_version_answers(broker, shared_topic, api, version):
    topic, id_ = shared_topic
    expected = {0}
    if api == "Produce" and version < 3:
        expected = {ERRORS["UNSUPPORTED_VERSION"]}
    if api == "DeleteTopics":
        expected = {ERRORS["UNKNOWN_TOPIC_OR_PARTITION"]}
    if api == "FindCoordinator":
        expected = {0, ERRORS["COORDINATOR_NOT_AVAILABLE"]}
    if api == "InitProducerId":
        expected = {0, ERRORS["COORDINATOR_LOAD_IN_PROGRESS"]}  # no block of ids yet
    with broker.wire() as wire:
        if api == "Produce" and version < 3:
            _assert_refused(wire, version)
            return
        body = BODIES[api](version, topic, id_)
        answer = wire.call(api, body, version)
    codes = {code for _, code in _error_codes(answer)}
    assert codes <= expected, (api, version, {error_name(code) for code in codes}, answer)


def _assert_refused(wire: Wire, version):
    """Produce 0 to 2 are advertised for old clients' sake and refused: an error answer or a closed connection."""
    data = struct.pack(">hhih", 0, version, 1, 1) + b"x" + struct.pack(">hii", 1, 1000, 0)
    wire.send_raw(struct.pack(">i", len(data)) + data)
    try:
        wire.read_frame()
    except ConnectionError:
        return


def test_unknown_api_key_closes_the_connection_or_says_so(wire):
    data = struct.pack(">hhih", 1999, 0, 1, 1) + b"x"
    wire.send_raw(struct.pack(">i", len(data)) + data)
    assert wire.is_closed_within(5)


def test_answers_come_in_the_order_of_the_requests(wire, shared_topic):
    topic, id_ = shared_topic
    pending = []
    for round_ in range(60):
        pending.append(wire.send("Metadata", {"Topics": [{"Name": topic}]}, 12))
        pending.append(wire.send("Produce", _produce(9, topic, id_), 9))
        pending.append(wire.send("ApiVersions", {"ClientSoftwareName": "a", "ClientSoftwareVersion": "1"}, 3))
    offsets = []
    for item in pending:
        answer = wire.receive(item)
        if item[0] == 0:
            offsets.append(answer["Responses"][0]["PartitionResponses"][0]["BaseOffset"])
    assert offsets == list(range(offsets[0], offsets[0] + 60))


def test_a_request_split_into_single_bytes_is_answered(wire):
    body = schema.encode_request(3, 12, {"Topics": []}, 5)
    for byte in struct.pack(">i", len(body)) + body:
        wire.send_raw(bytes([byte]))
    correlation_id, answer = schema.decode_response(3, 12, wire.read_frame())
    assert correlation_id == 5
    assert answer["Brokers"]


def test_topic_ids_are_random_and_stable(wire, make_topic):
    first, second = topic_id(wire, make_topic()), topic_id(wire, make_topic())
    assert first != second != uuid.UUID(int=0)
