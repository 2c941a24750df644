"""Histories told line by line, for the tests of the checker."""

import itertools
from collections import defaultdict

from checker import History, check


class Story:
    """A history; each line is a tenth of a second after the one before. Everything is about partition 0 unless told otherwise."""

    def __init__(self):
        self.events, self.log, self.times = [], defaultdict(list), itertools.count(1)

    def tell(self, client, op, **fields):
        self.events.append({"t": next(self.times) / 10, "client": client, "op": op, **fields})
        return self

    def open(self, sender="a.1", idempotent=True):
        return self.tell("a", "open", sender=sender, idempotent=idempotent)

    def send(self, number, sender="a.1", p=0):
        return self.tell("a", "send", s=sender, n=number, p=p)

    def ack(self, number, offset, sender="a.1", p=0):
        return self.tell("a", "ack", s=sender, n=number, p=p, o=offset)

    def sent(self, number, offset=None, sender="a.1", end="ack", stored=True, p=0):
        """A record that was sent and answered for; stored at the next offset unless told otherwise."""
        self.send(number, sender, p)
        place = len(self.log[p])
        if stored:
            self.log[p].append((place, f"{sender}:{number}"))
        if end == "ack":
            return self.ack(number, place if offset is None else offset, sender, p)
        return self.tell("a", end, s=sender, n=number, p=p, e="why")

    def reader(self, name="r", p=0):
        return self.tell(name, "assigned", p=[p])

    def member(self, name="m1", group="g", p=0):
        return self.tell(name, "member", group=group).assigned(name, group, p)

    def assigned(self, name="m1", group="g", p=0):
        return self.tell(name, "assigned", group=group, p=[p])

    def revoked(self, name="m1", group="g", p=0):
        return self.tell(name, "revoked", group=group, p=[p])

    def poll(self, *rows, client="r", p=0):
        return self.tell(client, "poll", p=p, r=[list(row) for row in rows])

    def began(self, offset, client="m1", group="g", p=0):
        """A commit that was not answered yet."""
        return self.tell(client, "commit", group=group, at={str(p): offset})

    def ended(self, offset, client="m1", outcome="committed", group="g", p=0):
        return self.tell(client, outcome, group=group, at={str(p): offset})

    def commit(self, offset, client="m1", outcome="committed", group="g", p=0):
        return self.began(offset, client, group, p).ended(offset, client, outcome, group, p)

    def offsets(self, at, since=None, group="g"):
        """What the group had committed; asked just before the answer unless told otherwise."""
        now = next(self.times) / 10
        return self.tell("o", "offsets", group=group, since=now if since is None else since, at=at)

    def owners(self, **owners):
        return self.tell("o", "owners", group="g", owners=owners)

    def history(self):
        return History(self.events, dict(self.log))

    def anomalies(self):
        return {finding.anomaly for finding in check(self.history())}
