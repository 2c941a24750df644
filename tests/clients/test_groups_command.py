"""`ottla group`: list, describe, every way of resetting offsets, delete. It speaks Kafka's protocol: any broker will do."""

import datetime
import json
import os
import subprocess

import pytest
from confluent_kafka import Producer

from harness.waiting import eventually
from test_groups_wire import code, commit, committed, is_ready, leave, stable

pytestmark = [
    pytest.mark.needs("OffsetCommit", "OffsetFetch", "JoinGroup"),
    pytest.mark.skipif(not os.path.exists(os.environ.get("OTTLA_BIN", "")), reason="no ottla binary"),
]
RECORDS, DAY_MS = 10, 24 * 3600 * 1000


def ottla(bootstrap, *arguments, check=True, stdin=None):
    """Runs the command; returns what it printed."""
    command = [os.environ["OTTLA_BIN"], "group", arguments[0], "--bootstrap", bootstrap, *map(str, arguments[1:])]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, input=stdin)
    if check:
        assert done.returncode == 0, done.stderr
        return done.stdout
    assert done.returncode != 0, done.stdout
    return done.stderr


@pytest.fixture
def now_ms():
    return int(datetime.datetime.now().timestamp() * 1000)


@pytest.fixture
def filled(bootstrap, make_topic, now_ms):
    """A topic of two partitions; record n of each is RECORDS - n days old."""
    topic = make_topic(2)
    producer = Producer({"bootstrap.servers": bootstrap})
    for partition in range(2):
        for number in range(RECORDS):
            producer.produce(topic, b"x", partition=partition, timestamp=now_ms - (RECORDS - number) * DAY_MS)
    assert producer.flush(30) == 0
    return topic


@pytest.fixture
def group(name, wire, filled):
    """A group that committed 6 of partition 0."""
    eventually(lambda: is_ready(wire, name), 30)
    assert code(commit(wire, name, filled, 6)) == "NONE"
    return name


def reset(bootstrap, group, *arguments):
    """What a reset says, by partition: {partition: (before, after)}."""
    rows = json.loads(ottla(bootstrap, "reset-offsets", group, *arguments, "--output", "json"))
    return {row["partition"]: (row["offset_before"], row["offset"]) for row in rows}


@pytest.mark.parametrize(
    ("mode", "first", "second"),
    [
        (["--to-earliest"], 0, 0),
        (["--to-latest"], RECORDS, RECORDS),
        (["--to-current"], 6, RECORDS),
        (["--to-offset", "4"], 4, 4),
        (["--to-offset", "400"], RECORDS, RECORDS),
        (["--by-duration", "P3DT12H"], 7, 7),
        (["--by-duration", "84h"], 7, 7),
    ],
)
def test_offsets_are_reset_only_when_told_to(bootstrap, wire, group, filled, mode, first, second):
    expected = {0: (6, first), 1: (None, second)}
    assert reset(bootstrap, group, "--topic", filled, *mode, "--dry-run") == expected
    assert committed(wire, group, filled)["CommittedOffset"] == 6
    assert reset(bootstrap, group, "--topic", filled, *mode, "--execute") == expected
    assert committed(wire, group, filled)["CommittedOffset"] == first


def test_offsets_are_shifted_and_set_by_time(bootstrap, wire, group, filled, now_ms):
    only = ["--topic", f"{filled}:0"]
    assert reset(bootstrap, group, *only, "--shift-by", "-4", "--execute") == {0: (6, 2)}
    assert reset(bootstrap, group, "--all-topics", "--shift-by", "100") == {0: (2, RECORDS)}
    assert "no offset of" in ottla(bootstrap, "reset-offsets", group, "--topic", filled, "--shift-by", "1", check=False)
    at = datetime.datetime.fromtimestamp((now_ms - 2 * DAY_MS - 1000) / 1000, datetime.timezone.utc)
    when = at.strftime("%Y-%m-%dT%H:%M:%S.000")
    assert reset(bootstrap, group, *only, "--to-datetime", when, "--execute") == {0: (2, 8)}
    assert committed(wire, group, filled)["CommittedOffset"] == 8


def test_an_exported_plan_is_read_back_and_kafkas_tool_reads_it_too(bootstrap, tools, wire, group, filled, tmp_path):
    plan = tmp_path / "plan.csv"
    plan.write_text(ottla(bootstrap, "reset-offsets", group, "--topic", filled, "--to-offset", "3", "--export"))
    assert sorted(plan.read_text().split()) == [f"{filled},0,3", f"{filled},1,3"]
    assert reset(bootstrap, group, "--from-file", plan, "--execute") == {0: (6, 3), 1: (None, 3)}
    assert code(commit(wire, group, filled, 9)) == "NONE"
    tools("consumer-groups", "--group", group, "--reset-offsets", "--from-file", plan, "--execute")
    assert committed(wire, group, filled)["CommittedOffset"] == 3
    plan.write_text("not a plan\n")
    assert "line 1 is not topic,partition,offset" in ottla(bootstrap, "reset-offsets", group, "--from-file", plan, check=False)


def test_groups_are_listed_described_and_deleted(bootstrap, wire, group, filled):
    listed = {item["group"]: item for item in json.loads(ottla(bootstrap, "list", "--output", "json"))}
    assert (listed[group]["state"], listed[group]["type"]) == ("Empty", "classic")
    described = json.loads(ottla(bootstrap, "describe", group, "--output", "json"))
    rows = {row["partition"]: row for row in described["partitions"]}
    assert (described["lag"], rows[0]["committed_offset"], rows[0]["end_offset"], rows[0]["lag"]) == (4, 6, RECORDS, 4)
    assert "forgotten" in ottla(bootstrap, "delete-offsets", group, "--topic", f"{filled}:0")
    assert committed(wire, group, filled)["CommittedOffset"] == -1
    assert code(commit(wire, group, filled, 1)) == "NONE"
    assert "deleted" in ottla(bootstrap, "delete", group)
    assert group not in ottla(bootstrap, "list")
    assert ottla(bootstrap, "describe", group, check=False)


def test_a_group_with_members_is_left_alone(bootstrap, wire, group, filled):
    joined = stable(wire, group)
    assert "member" in ottla(bootstrap, "reset-offsets", group, "--topic", filled, "--to-earliest", "--execute", check=False)
    assert ottla(bootstrap, "delete", group, check=False)
    assert committed(wire, group, filled)["CommittedOffset"] == 6
    leave(wire, group, joined["MemberId"])
