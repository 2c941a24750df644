"""What may go wrong with groups: their offsets and who owns what."""

from collections import defaultdict
from dataclasses import dataclass

from .commits import Commits, offsets_of


def commit_went_back(history):
    """What a group is said to have committed is below what was accepted, or seen, before it was asked."""
    commits = Commits(history)
    for event in history.of("offsets"):
        at = offsets_of(event)
        for key in [key for key in commits.floors if key[0] == event["group"]]:
            before, now = commits.surely(key, event["since"]), at.get(key[1], -1)
            if now < before and not commits.maybe(key, now, event["since"], event["t"]):
                yield f"{key[0]} has {now} for {key[1]} at {event['t']:.3f}, and had {before} before"


def began_below_the_commit(history):
    """A member began to read below what its group had committed before it got the partition."""
    commits, waiting = Commits(history), {}
    for event in history.of("assigned", "revoked", "poll"):
        client, group = event["client"], event.get("group")
        if event["op"] == "poll":
            if not event["r"] or (client, event["p"]) not in waiting:
                continue
            key, since = waiting.pop((client, event["p"]))
            first, floor = event["r"][0][0], commits.surely(key, since)
            if first < floor and not commits.maybe(key, first, since, event["t"]):
                yield f"{client} of {key[0]} began {event['p']} at {first}; {floor} was committed"
        else:
            for partition in event["p"]:
                waiting.pop((client, partition), None)
                if event["op"] == "assigned":
                    waiting[client, partition] = ((group, partition), event["t"])


def two_owners(history):
    """One answer names two owners, two members own a partition at once, or a former owner's commit is accepted after a later one's."""
    for event in history.of("owners"):
        owner = {}
        for member, partitions in event["owners"].items():
            for partition in partitions:
                if partition in owner:
                    yield f"{event['group']}: {partition} belongs to {owner[partition]} and {member} at {event['t']:.3f}"
                owner[partition] = member
    yield from _commits_of_former_owners(history)
    yield from _owners_at_once(history)


def _commits_of_former_owners(history):
    since, began, newest = {}, {}, {}
    for event in history.of("assigned", "commit", "committed"):
        client, group = event["client"], event.get("group")
        if event["op"] == "assigned":
            for partition in event["p"]:
                since[client, partition] = event["t"]
        elif event["op"] == "commit":
            # What counts is who owned the partition when this began.
            began[client] = {p: (newest.get((group, p)), since.get((client, p), 0)) for p in offsets_of(event)}
        else:
            for partition in offsets_of(event):
                latest, own = began.get(client, {}).get(partition, (None, 0))
                if latest and latest[0] > own:
                    yield f"{group}: a commit of {partition} by {client}, owner since {own:.3f}, was accepted after one of {latest[1]}, owner since {latest[0]:.3f}"
                newest[group, partition] = max(newest.get((group, partition), (0, "")), (own, client))


@dataclass
class _Tenure:
    """A partition of a member from `since` on. `proof`: when its last accepted commit of anything began."""

    since: float
    proof: float = -1.0
    is_over: bool = False


def _owners_at_once(history):
    """Tenures of one partition that overlap, when both are proved.

    Until it hears otherwise, a member that was cut off or paused believes to own what another has by now: for its
    session time-out, for the time of a commit while it revokes, or for the length of a fault. So its `assigned` and
    `revoked` alone prove nothing. An accepted commit of anything does: commits are taken from members of the current
    generation or epoch only, a member commits about once a second while it gets records, and in an eager group each
    generation is a tenure of its own. When both had one that began after both had the partition, both were owners.
    What the history cannot tell is two owners one of which gets no records at all.
    """
    tenures, began = defaultdict(dict), {}
    for event in history.of("assigned", "revoked", "commit", "committed"):
        client, group = event["client"], event.get("group")
        if event["op"] == "commit":
            began[client] = event["t"]
        elif event["op"] == "assigned":
            for partition in event["p"]:
                tenures[group, partition][client] = _Tenure(event["t"])
        elif event["op"] == "revoked":
            for partition in event["p"]:
                if client in tenures[group, partition]:
                    tenures[group, partition][client].is_over = True
        elif event["op"] == "committed" and event["at"]:
            for (of, partition), all_of_it in tenures.items():
                own = all_of_it.get(client)
                if of == group and own and not own.is_over:
                    own.proof = began.get(client, -1.0)
                    for other in _proved_with(own, all_of_it):
                        yield f"{group}: {partition} belongs to {client} since {own.since:.3f} and to {other} at {event['t']:.3f}"


def _proved_with(own, tenures):
    """The members whose tenure overlaps with this one for certain."""
    for member, tenure in tenures.items():
        if tenure is not own and min(own.proof, tenure.proof) > max(own.since, tenure.since):
            yield member


ANOMALIES = {
    "commit went back": commit_went_back,
    "began below the commit": began_below_the_commit,
    "two owners": two_owners,
}
