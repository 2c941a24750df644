"""What a group has committed for certain, and what it may have."""

from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass
from itertools import takewhile
from math import inf


@dataclass
class Attempt:
    """A commit. `ended`: when it was accepted; infinity: nobody heard, it may still arrive; minus infinity: refused."""

    offset: int
    began: float
    ended: float = inf


def offsets_of(event):
    """partition -> offset."""
    return {int(partition): offset for partition, offset in event["at"].items()}


class Commits:
    """All commits of a history, and what is known of their order.

    A member may commit lower by itself, and the load does: when a commit of unknown outcome arrives late, the next
    member begins there and goes on from there. So an accepted commit is the new floor even if it is lower; that a
    member had no reason to begin so low is found where it began.
    """

    def __init__(self, history):
        self.attempts, self.accepted, self.floors, running = defaultdict(list), defaultdict(list), defaultdict(list), {}
        for event in history.of("commit", "committed", "commit-refused", "offsets"):
            op, now = event["op"], event["t"]
            for partition, offset in offsets_of(event).items():
                key = (event["group"], partition)
                if op == "offsets":
                    self._know(key, offset, event["since"], now)
                    continue
                if op == "commit" or (event["client"], key) not in running:
                    running[event["client"], key] = Attempt(offset, now)
                    self.attempts[key].append(running[event["client"], key])
                attempt = running[event["client"], key]
                if op == "committed":
                    attempt.ended = now
                    self._know(key, offset, attempt.began, now, is_commit=True)
                    self.accepted[key].append(attempt)
                elif op == "commit-refused":
                    attempt.ended = -inf

    def _know(self, key, offset, began, now, is_commit=False):
        floors = self.floors[key]
        floor = floors[-1][1] if floors else -1
        # A lower commit that was still on its way when this began may be the later one of the two.
        on_their_way = takewhile(lambda one: one.ended >= began, reversed(self.accepted[key]))
        overtaken = any(one.offset < offset for one in on_their_way)
        if (offset > floor and not overtaken) or (offset < floor and is_commit):
            floors.append((now, offset))

    def surely(self, key, time):
        """The offset a group had for (group, partition) before this time, at least; -1: none."""
        floors = self.floors.get(key, [])
        index = bisect_left(floors, (time,)) - 1
        return floors[index][1] if index >= 0 else -1

    def maybe(self, key, offset, since, until):
        """Whether a commit of exactly this offset may have been stored in this time."""
        return any(one.offset == offset and one.began < until and one.ended >= since for one in self.attempts[key])
