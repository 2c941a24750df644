"""What clients attempted and saw, and what the log holds in the end.

Events are dictionaries in the order of their time `t`, as the journals of the load have them:

| op | fields | meaning |
|---|---|---|
| `open` | sender, idempotent | a producer with a name of its own begins |
| `send` | s, n, p | record `s:n` was handed to the client for partition p |
| `ack`, `unknown`, `fail` | s, n, p, o, e | stored at offset o (-1: not told); may be stored; was never sent |
| `member` | group | the client is in a group |
| `assigned`, `revoked` | p (list), group, lost | partitions come and go; without a group: a reader of everything |
| `poll` | p, r: [[offset, id], ...] | records that came, in order |
| `commit`, `committed`, `commit-failed`, `commit-refused` | group, at: {p: offset} | began; accepted; may be accepted; was not |
| `offsets` | group, since, at | what the group had committed, asked at `since`, answered at `t` |
| `owners` | group, owners: {member: [p, ...]} | one answer about who owns what |
"""

import json
from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Finding:
    """A promise that was broken."""

    anomaly: str
    text: str

    def __str__(self):
        return f"{self.anomaly}: {self.text}"


@dataclass(frozen=True)
class Writer:
    """Where a batch begins, and what it says of the producer and of the leader that wrote it."""

    base_offset: int
    producer_id: int
    producer_epoch: int
    base_sequence: int
    leader_epoch: int

    def __str__(self):
        return f"producer {self.producer_id} epoch {self.producer_epoch} sequence {self.base_sequence} leader epoch {self.leader_epoch}"


@dataclass
class History:
    """Events, and partition -> [(offset, id)] as read at the end, when all was healed; with it, where known, partition -> [`Writer`]."""

    events: list
    log: dict
    writers: dict = field(default_factory=dict)
    places: dict = field(init=False)
    ids: dict = field(init=False)

    def __post_init__(self):
        self.events.sort(key=lambda event: event["t"])
        self.ids = {partition: dict(rows) for partition, rows in self.log.items()}
        self.places = defaultdict(list)
        for partition, rows in self.log.items():
            for offset, name in rows:
                self.places[partition, name].append(offset)

    def writer(self, partition, offset):
        """The batch that holds the offset, or nothing where batches are not known."""
        rows = self.writers.get(partition, ())
        index = bisect_right([row.base_offset for row in rows], offset) - 1
        return rows[index] if index >= 0 else None

    def epochs(self):
        """producer id -> the epochs it wrote under. More than one: a broker's answer made the client begin anew."""
        found = defaultdict(set)
        for row in (row for rows in self.writers.values() for row in rows if row.producer_id >= 0):
            found[row.producer_id].add(row.producer_epoch)
        return dict(found)

    def of(self, *ops):
        """Events of some kinds."""
        return [event for event in self.events if event["op"] in ops]

    def idempotent_senders(self):
        """Names of the producers whose records may neither double nor change places."""
        return {event["sender"] for event in self.of("open") if event["idempotent"]}

    def groups(self):
        """group -> its clients."""
        members = defaultdict(set)
        for event in self.of("member"):
            members[event["group"]].add(event["client"])
        return dict(members)

    def readers(self):
        """Clients that read everything without a group."""
        return {event["client"] for event in self.of("assigned") if not event.get("group")}


def name_of(event):
    """The id of the record that an event of a producer is about."""
    return f"{event['s']}:{event['n']}"


def load_events(paths):
    """All events of journals; a last line that was cut off is left out."""
    events = []
    for path in paths:
        with open(path, encoding="utf-8") as file:
            for line in file:
                if line.endswith("\n"):
                    events.append(json.loads(line))
    return events
