"""What may go wrong with groups: their offsets and who owns what."""

from collections import defaultdict


def _offsets(event):
    return {int(partition): offset for partition, offset in event["at"].items()}


def _maybe_accepted(history):
    """(group, partition) -> offsets whose commit nobody heard the outcome of: an old request may arrive late."""
    maybe = defaultdict(set)
    for event in history.of("commit-failed"):
        for partition, offset in _offsets(event).items():
            maybe[event["group"], partition].add(offset)
    return maybe


def commit_went_back(history):
    """What a group is said to have committed is below what was accepted, or seen, before it was asked."""
    maybe, floor, past = _maybe_accepted(history), defaultdict(list), history.of("committed", "offsets")
    for event in past:
        for partition, offset in _offsets(event).items():
            floor[event["group"], partition].append((event["t"], offset))
    for event in history.of("offsets"):
        at = _offsets(event)
        for (group, partition), known in floor.items():
            if group != event["group"]:
                continue
            before = max((offset for time, offset in known if time < event["since"]), default=-1)
            now = at.get(partition, -1)
            if now < before and now not in maybe[group, partition]:
                yield f"{group} has {now} for {partition} at {event['t']:.3f}, and had {before} before"


def began_below_the_commit(history):
    """A member began to read below what its group had committed before it got the partition."""
    maybe, committed, waiting = _maybe_accepted(history), defaultdict(lambda: -1), {}
    for event in history.of("committed", "assigned", "revoked", "poll"):
        if event["op"] == "committed":
            for partition, offset in _offsets(event).items():
                key = (event["group"], partition)
                committed[key] = max(committed[key], offset)
        elif event["op"] == "poll":
            group, floor = waiting.pop((event["client"], event["p"]), (None, -1))
            first = event["r"][0][0] if event["r"] else floor
            if first < floor and first not in maybe[group, event["p"]]:
                yield f"{event['client']} of {group} began {event['p']} at {first}; {floor} was committed"
        elif event.get("group"):
            for partition in event["p"]:
                waiting.pop((event["client"], partition), None)
                if event["op"] == "assigned":
                    floor = committed[event["group"], partition]
                    waiting[event["client"], partition] = (event["group"], floor)


def two_owners(history):
    """One answer names two owners, or a commit of a former owner is accepted after one of the later owner."""
    for event in history.of("owners"):
        owner = {}
        for member, partitions in event["owners"].items():
            for partition in partitions:
                if partition in owner:
                    yield f"{event['group']}: {partition} belongs to {owner[partition]} and {member} at {event['t']:.3f}"
                owner[partition] = member
    yield from _commits_of_former_owners(history)


def _commits_of_former_owners(history):
    since, began, newest = {}, {}, {}
    for event in history.of("assigned", "commit", "committed"):
        client, group = event["client"], event.get("group")
        if event["op"] == "assigned":
            for partition in event["p"]:
                since[client, partition] = event["t"]
        elif event["op"] == "commit":
            # What counts is who owned the partition when this began.
            began[client] = {p: (newest.get((group, p)), since.get((client, p), 0)) for p in _offsets(event)}
        else:
            for partition in _offsets(event):
                latest, own = began.get(client, {}).get(partition, (None, since.get((client, partition), 0)))
                if latest and latest[0] > own and latest[1] != client:
                    yield f"{group}: a commit of {partition} by {client}, owner since {own:.3f}, was accepted after one of {latest[1]}, owner since {latest[0]:.3f}"
                newest[group, partition] = max(newest.get((group, partition), (0, "")), (own, client))


ANOMALIES = {
    "commit went back": commit_went_back,
    "began below the commit": began_below_the_commit,
    "two owners": two_owners,
}
