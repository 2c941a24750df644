"""Scenarios of groups: many members at once, many commits, many groups, and loading what was committed."""

import contextlib
import json
import os
import subprocess
import time

from harness.wire import Wire

from . import proc
from .scenarios import make_topic, running
from .systems import start_and_time

MEMBERS, GROUPS, OFFSETS = 1000, 1000, 100_000
NO_DELAY = {"group.initial.rebalance.delay.ms": 0}


def program(broker, command, *arguments):
    """The command line of the program that plays the clients."""
    host, port = broker.bootstrap.split(":")
    return [os.environ["OTTLA_BENCH_GROUPS"], command, host, port, *map(str, arguments)]


def make_coordinator(broker, groups):
    """Makes __consumer_offsets and waits until it is loaded."""
    with Wire(broker.bootstrap, timeout=60) as wire:
        wait_loaded(wire, groups)


def fetch_offsets(wire, group, partitions):
    """The answer of OffsetFetch for one group; None for all partitions."""
    topics = None if partitions is None else [{"Name": "t", "PartitionIndexes": partitions}]
    return wire.call("OffsetFetch", {"Groups": [{"GroupId": group, "Topics": topics}]}, 9)["Groups"][0]


def wait_loaded(wire, groups, timeout=60):
    """Waits until an offset of every group can be fetched."""
    end = time.monotonic() + timeout
    for group in groups:
        wire.call("FindCoordinator", {"CoordinatorKeys": [group]}, 6)
        while error := fetch_offsets(wire, group, [0])["ErrorCode"]:
            if time.monotonic() > end:
                raise RuntimeError(f"{group}: error {error} after {timeout} s")
            time.sleep(0.005)
            wire.call("FindCoordinator", {"CoordinatorKeys": [group]}, 6)


@contextlib.contextmanager
def members(broker, command, groups, each, hold):
    """Lets members join; gives what the program says when all groups are stable, and what that cost the broker."""
    line = program(broker, command, "t", groups, each, hold)
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as clients:
        try:
            clients.stdout.readline()
            with proc.Cost(broker.pid) as cost:
                clients.stdin.write("\n")
                clients.stdin.flush()
                said = json.loads(clients.stdout.readline())
            yield said, cost
        finally:
            clients.kill()


def group_join(system, _):
    """1,000 members join one group at once, in each protocol."""
    out = {}
    for command, prefix in (("join", "classic"), ("next", "consumer")):
        with running(system) as broker:
            make_topic(broker, "t", MEMBERS)
            make_coordinator(broker, ["bench-0"])
            with members(broker, command, 1, MEMBERS, 10) as (said, cost):
                out[f"{prefix}_stable_s"] = said["stable_s"]
                out[f"{prefix}_join_cpu_s"] = cost.cpu
                with proc.Cost(broker.pid) as beating:
                    time.sleep(8)
                out[f"{prefix}_beat_cpu_pct"] = 100 * beating.cpu / beating.seconds
    return out


def group_memory(system, _):
    """1,000 groups of 10 members, each with a connection of its own."""
    more = {"max.connections": 100_000} if system == "kafka" else {}
    with running(system, {**NO_DELAY, **more}) as broker:
        make_topic(broker, "t", 10)
        make_coordinator(broker, ["bench-0"])
        with members(broker, "join", GROUPS, 10, 20) as (said, cost):
            time.sleep(5)
            resident, _ = proc.memory(broker.pid)
            return {"groups_1000_mb": resident, "groups_1000_stable_s": said["stable_s"], "groups_1000_cpu_s": cost.cpu}


def commits(system, options):
    """Commits of one offset each, and of ten, pipelined over 50 connections for 50 groups."""
    out = {}
    with running(system) as broker:
        make_topic(broker, "t", 100)
        make_coordinator(broker, [f"bench-{index}" for index in range(50)])
        for per_request in (1, 10):
            for seconds in (3, options.commit_seconds):
                line = program(broker, "commit", "t", 100, 50, 20, per_request, seconds)
                with proc.Cost(broker.pid) as cost:
                    done = subprocess.run(line, capture_output=True, text=True, timeout=120, check=True)
            said = json.loads(done.stdout)
            out[f"commits_{per_request}_per_s"] = said["commits_per_s"]
            out[f"commits_{per_request}_cpu_s_per_million"] = cost.cpu / (said["commits"] / 1e6)
    return out


def group_load(system, _):
    """kill -9 with 100,000 committed offsets in 100 groups; seconds until each can be fetched again."""
    groups = [f"bench-{index}" for index in range(100)]
    with running(system) as broker:
        make_topic(broker, "t", OFFSETS // len(groups))
        make_coordinator(broker, groups)
        each = OFFSETS // len(groups)
        line = program(broker, "commit", "t", each, len(groups), 1, 100, -each // 100)
        subprocess.run(line, stdout=subprocess.DEVNULL, timeout=60, check=True)
        broker.kill()
        begin = time.monotonic()
        start_and_time(broker)
        with Wire(broker.bootstrap, timeout=60) as wire:
            wait_loaded(wire, groups)
            took = time.monotonic() - begin
            found = [fetch_offsets(wire, group, None)["Topics"] for group in groups]
        kept = sum(len(topic["Partitions"]) for topics in found for topic in topics)
        return {"offsets_load_s": took, "offsets_lost": OFFSETS - kept}


SCENARIOS = {"group-join": group_join, "group-memory": group_memory, "commits": commits, "group-load": group_load}
