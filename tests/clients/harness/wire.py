"""A connection that speaks Kafka's protocol by hand, at any version, and says exactly what came back."""

import contextlib
import itertools
import socket
import struct
import time

from . import schema

ERRORS = {
    "UNKNOWN_SERVER_ERROR": -1,
    "NONE": 0,
    "OFFSET_OUT_OF_RANGE": 1,
    "CORRUPT_MESSAGE": 2,
    "UNKNOWN_TOPIC_OR_PARTITION": 3,
    "LEADER_NOT_AVAILABLE": 5,
    "NOT_LEADER_OR_FOLLOWER": 6,
    "MESSAGE_TOO_LARGE": 10,
    "COORDINATOR_LOAD_IN_PROGRESS": 14,
    "COORDINATOR_NOT_AVAILABLE": 15,
    "NOT_COORDINATOR": 16,
    "INVALID_TOPIC_EXCEPTION": 17,
    "RECORD_LIST_TOO_LARGE": 18,
    "NOT_ENOUGH_REPLICAS": 19,
    "INVALID_REQUIRED_ACKS": 21,
    "ILLEGAL_GENERATION": 22,
    "UNKNOWN_MEMBER_ID": 25,
    "INVALID_SESSION_TIMEOUT": 26,
    "REBALANCE_IN_PROGRESS": 27,
    "INVALID_TIMESTAMP": 32,
    "UNSUPPORTED_VERSION": 35,
    "TOPIC_ALREADY_EXISTS": 36,
    "INVALID_PARTITIONS": 37,
    "INVALID_REPLICATION_FACTOR": 38,
    "INVALID_REPLICA_ASSIGNMENT": 39,
    "INVALID_CONFIG": 40,
    "INVALID_REQUEST": 42,
    "UNSUPPORTED_FOR_MESSAGE_FORMAT": 43,
    "OUT_OF_ORDER_SEQUENCE_NUMBER": 45,
    "DUPLICATE_SEQUENCE_NUMBER": 46,
    "INVALID_PRODUCER_EPOCH": 47,
    "KAFKA_STORAGE_ERROR": 56,
    "UNKNOWN_PRODUCER_ID": 59,
    "NON_EMPTY_GROUP": 68,
    "GROUP_ID_NOT_FOUND": 69,
    "FETCH_SESSION_ID_NOT_FOUND": 70,
    "INVALID_FETCH_SESSION_EPOCH": 71,
    "FENCED_LEADER_EPOCH": 74,
    "UNKNOWN_LEADER_EPOCH": 75,
    "UNSUPPORTED_COMPRESSION_TYPE": 76,
    "MEMBER_ID_REQUIRED": 79,
    "FENCED_INSTANCE_ID": 82,
    "INVALID_RECORD": 87,
    "UNKNOWN_TOPIC_ID": 100,
    "INCONSISTENT_TOPIC_ID": 103,
    "FENCED_MEMBER_EPOCH": 110,
    "UNRELEASED_INSTANCE_ID": 111,
    "UNSUPPORTED_ASSIGNOR": 112,
}
NAMES = {code: name for name, code in ERRORS.items()}


def error_name(code):
    """The name of an error code, or the number where the tests know no name."""
    return NAMES.get(code, f"error {code}")


class Closed(ConnectionError):
    """The broker closed the connection."""


class Wire:
    """One connection. `call` sends a request and waits; `send` and `receive` allow pipelining."""

    def __init__(self, address, timeout=15.0):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.ids = itertools.count(1)
        self.versions = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Closes the connection."""
        with contextlib.suppress(OSError):
            self.socket.close()

    def send_raw(self, data):
        """Sends bytes as they are."""
        self.socket.sendall(data)

    def read_exactly(self, count):
        """Reads so many bytes, or raises `Closed`."""
        parts, left = [], count
        while left:
            try:
                part = self.socket.recv(min(left, 1 << 20))
            except ConnectionResetError as error:
                raise Closed("reset by the broker") from error
            if not part:
                raise Closed(f"closed by the broker with {left} of {count} bytes missing")
            parts.append(part)
            left -= len(part)
        return b"".join(parts)

    def read_frame(self):
        """Reads one response frame without its length."""
        size = struct.unpack(">i", self.read_exactly(4))[0]
        return self.read_exactly(size)

    def is_closed_within(self, seconds):
        """Whether the broker closes the connection in time; whatever it sends before is dropped."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.socket.settimeout(left)
            try:
                if not self.socket.recv(65536):
                    return True
            except TimeoutError:
                return False
            except OSError:
                return True
        return False

    def send(self, api, body=None, version=None, **fields):
        """Sends a request; the answer is what `receive` is to be given."""
        key = schema.key_of(api)
        version = self.best(api) if version is None else version
        correlation_id = next(self.ids)
        data = schema.encode_request(key, version, body if body is not None else fields, correlation_id)
        self.socket.sendall(struct.pack(">i", len(data)) + data)
        return key, version, correlation_id

    def receive(self, pending):
        """The answer to what `send` returned; answers come in the order of the requests."""
        key, version, correlation_id = pending
        got, body = schema.decode_response(key, version, self.read_frame())
        assert got == correlation_id, f"answer {got} instead of {correlation_id}"
        return body

    def call(self, api, body=None, version=None, **fields):
        """Sends a request and returns the decoded answer."""
        return self.receive(self.send(api, body, version, **fields))

    def advertised(self):
        """API key -> (low, high) as the broker says."""
        if not self.versions:
            answer = self.call("ApiVersions", version=3, ClientSoftwareName="tests", ClientSoftwareVersion="1")
            assert answer["ErrorCode"] == 0
            self.versions = {
                item["ApiKey"]: (item["MinVersion"], item["MaxVersion"]) for item in answer["ApiKeys"]
            }
        return self.versions

    def best(self, api):
        """The highest version both sides know."""
        key = schema.key_of(api)
        if key == 18:
            return 3
        assert key in self.advertised(), f"{api} is not advertised"
        return min(self.advertised()[key][1], schema.valid_versions(key)[1])


def topic_id(wire, topic):
    """The id of a topic."""
    answer = wire.call("Metadata", Topics=[{"Name": topic}], AllowAutoTopicCreation=False)
    assert answer["Topics"][0]["ErrorCode"] == 0, error_name(answer["Topics"][0]["ErrorCode"])
    return answer["Topics"][0]["TopicId"]


def produce(wire, topic, records, partition=0, acks=-1, version=9, timeout_ms=10_000):
    """Produces one encoded batch and returns the partition's answer (None for acks=0)."""
    by_id = version >= 13
    named = {"TopicId": topic_id(wire, topic)} if by_id else {"Name": topic}
    body = {
        "Acks": acks,
        "TimeoutMs": timeout_ms,
        "TopicData": [{**named, "PartitionData": [{"Index": partition, "Records": records}]}],
    }
    pending = wire.send("Produce", body, version)
    if acks == 0:
        return None
    return wire.receive(pending)["Responses"][0]["PartitionResponses"][0]


def fetch(wire, topic, offset, partition=0, version=12, max_wait_ms=500, **options):
    """Fetches from one partition outside of a session and returns the partition's answer."""
    by_id = version >= 13
    named = {"TopicId": topic_id(wire, topic)} if by_id else {"Topic": topic}
    body = {
        "MaxWaitMs": max_wait_ms,
        "MinBytes": options.get("min_bytes", 1),
        "MaxBytes": options.get("max_bytes", 50 << 20),
        "Topics": [
            {
                **named,
                "Partitions": [
                    {
                        "Partition": partition,
                        "FetchOffset": offset,
                        "PartitionMaxBytes": options.get("partition_max_bytes", 10 << 20),
                        "CurrentLeaderEpoch": options.get("leader_epoch", -1),
                    }
                ],
            }
        ],
    }
    answer = wire.call("Fetch", body, version)
    if not answer["Responses"]:
        return {"ErrorCode": answer.get("ErrorCode", 0), "Records": b"", "TopLevel": True}
    return answer["Responses"][0]["Partitions"][0]


def list_offset(wire, topic, timestamp, partition=0, version=None):
    """ListOffsets of one partition: the partition's answer."""
    version = wire.best("ListOffsets") if version is None else version
    body = {
        "ReplicaId": -1,
        "Topics": [{"Name": topic, "Partitions": [{"PartitionIndex": partition, "Timestamp": timestamp}]}],
    }
    return wire.call("ListOffsets", body, version)["Topics"][0]["Partitions"][0]


def create_topic(wire, topic, partitions=1, configs=None, replication_factor=1, **fields):
    """CreateTopics for one topic: the topic's answer."""
    item = {
        "Name": topic,
        "NumPartitions": partitions,
        "ReplicationFactor": replication_factor,
        "Configs": [{"Name": key, "Value": str(value)} for key, value in (configs or {}).items()],
        "Assignments": fields.pop("assignments", []),
    }
    answer = wire.call("CreateTopics", {"Topics": [item], "timeoutMs": 15_000, **fields})
    return answer["Topics"][0]


def alter_config(wire, kind, name, settings, validate_only=False):
    """IncrementalAlterConfigs of one resource; a value of None deletes. Returns the resource's answer."""
    configs = [
        {"Name": key, "ConfigOperation": 1 if value is None else 0, "Value": None if value is None else str(value)}
        for key, value in settings.items()
    ]
    body = {
        "Resources": [{"ResourceType": kind, "ResourceName": name, "Configs": configs}],
        "ValidateOnly": validate_only,
    }
    return wire.call("IncrementalAlterConfigs", body)["Responses"][0]


def describe_config(wire, kind, name, keys=None):
    """DescribeConfigs of one resource: (answer, key -> entry)."""
    body = {
        "Resources": [{"ResourceType": kind, "ResourceName": name, "ConfigurationKeys": keys}],
        "IncludeSynonyms": True,
        "IncludeDocumentation": True,
    }
    answer = wire.call("DescribeConfigs", body)["Results"][0]
    return answer, {entry["Name"]: entry for entry in answer["Configs"]}
