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


def wait_loaded(wire, groups, timeout=60):
    """Waits until the offsets of every group can be fetched; returns how many there are."""
    end = time.monotonic() + timeout
    total = 0
    for group in groups:
        while True:
            wire.call("FindCoordinator", {"CoordinatorKeys": [group]}, 6)
            answer = wire.call("OffsetFetch", {"Groups": [{"GroupId": group, "Topics": None}]}, 9)["Groups"][0]
            if answer["ErrorCode"] == 0:
                total += sum(len(topic["Partitions"]) for topic in answer["Topics"])
                break
            if time.monotonic() > end:
                raise RuntimeError(f"{group}: error {answer['ErrorCode']} after {timeout} s")
            time.sleep(0.005)
    return total


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
        line = program(broker, "commit", "t", OFFSETS // len(groups), len(groups), 1, 100, 2)
        subprocess.run(line, stdout=subprocess.DEVNULL, timeout=60, check=True)
        broker.kill()
        begin = time.monotonic()
        start_and_time(broker)
        with Wire(broker.bootstrap, timeout=60) as wire:
            kept = wait_loaded(wire, groups)
        return {"offsets_load_s": time.monotonic() - begin, "offsets_lost": OFFSETS - kept}


SCENARIOS = {"group-join": group_join, "group-memory": group_memory, "commits": commits, "group-load": group_load}
