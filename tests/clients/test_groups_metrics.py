"""Groups as metrics show them: state, members, lag and its age."""

import time
import urllib.request

import pytest
from confluent_kafka import Producer

from conftest import wait_for_leader
from harness.waiting import eventually
from harness.wire import create_topic
from test_groups_wire import code, commit, enter, is_ready, stable

pytestmark = pytest.mark.ottla_only("Kafka has no such metrics")


def scrape(broker):
    """All samples: {name{labels}: value}."""
    with urllib.request.urlopen(f"{broker.http}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))


def start(start_broker, **settings):
    """A broker, its topic `t` of two partitions with ten records an hour old in each."""
    broker = start_broker({"group.initial.rebalance.delay.ms": 0, **settings})
    with broker.wire() as wire:
        create_topic(wire, "t", 2)
        wait_for_leader(wire, "t")
        for one in ("behind", "done", "live", "next"):
            eventually(lambda one=one: is_ready(wire, one), 30)
    producer = Producer({"bootstrap.servers": broker.bootstrap})
    for number in range(20):
        producer.produce("t", b"x", partition=number % 2, timestamp=int(time.time() * 1000) - 3_600_000)
    assert producer.flush(30) == 0
    return broker


def test_state_members_lag_and_age_are_shown(start_broker):
    broker = start(start_broker)
    with broker.wire() as wire:
        for one, offset in (("behind", 4), ("done", 10)):
            assert code(commit(wire, one, "t", offset)) == "NONE"
        stable(wire, "live", session_ms=45_000)
        enter(wire, "next", "t", "m" * 22)
        seen = eventually(lambda: _shows(scrape(broker), 'ottla_group_members{group="next"}', "1"))
    assert seen['ottla_group_state{group="behind",type="classic",state="Empty"}'] == "1"
    assert seen['ottla_group_state{group="live",type="classic",state="Stable"}'] == "1"
    assert seen['ottla_group_state{group="next",type="consumer",state="Stable"}'] == "1"
    assert seen['ottla_groups{type="classic",state="Empty"}'] == "2"
    assert (seen['ottla_group_lag{group="behind"}'], seen['ottla_group_lag{group="done"}']) == ("6", "0")
    assert 3600 <= float(seen['ottla_group_lag_seconds{group="behind"}']) < 3900
    assert seen['ottla_group_lag_seconds{group="done"}'] == "0"
    of_partition = '{group="behind",topic="t",partition="0"}'
    assert seen[f"ottla_group_partition_committed_offset{of_partition}"] == "4"
    assert seen[f"ottla_group_partition_lag{of_partition}"] == "6"
    assert float(seen[f"ottla_group_partition_lag_seconds{of_partition}"]) >= 3600
    assert (seen["ottla_groups_offsets"], seen["ottla_groups_members"]) == ("2", "2")
    assert seen["ottla_group_offset_commits_total"] == "2"


def _shows(seen, name, value):
    assert seen.get(name) == value, {key: item for key, item in seen.items() if "_group" in key}
    return seen


def test_cardinality_is_bounded(start_broker):
    limits = {"ottla.metrics.groups.max": 2, "ottla.metrics.group.partitions.max": 1, "offsets.topic.num.partitions": 1}
    broker = start(start_broker, **limits)
    with broker.wire() as wire:
        for one in ("behind", "done", "live"):
            assert code(commit(wire, one, "t", 1)) == "NONE"
        seen = eventually(lambda: _shows(scrape(broker), "ottla_groups_offsets", "3"))
    assert sorted(key for key in seen if key.startswith("ottla_group_members{")) == [
        'ottla_group_members{group="behind"}',
        'ottla_group_members{group="done"}',
    ]
    assert [key for key in seen if key.startswith("ottla_group_lag{")] == ['ottla_group_lag{group="behind"}']
    assert seen["ottla_groups_left_out"] == "2"
    assert seen['ottla_groups{type="classic",state="Empty"}'] == "3"
