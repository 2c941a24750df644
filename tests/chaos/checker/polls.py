"""What may go wrong with records that are read."""

from collections import defaultdict


def _sessions(history):
    """Each poll of a partition with the offset that the same assignment saw last, or none."""
    last = {}
    for event in history.of("assigned", "revoked", "poll"):
        client = event["client"]
        if event["op"] != "poll":
            for partition in event["p"]:
                last.pop((client, partition), None)
            continue
        key = (client, event["p"])
        yield event, last.get(key)
        if event["r"]:
            last[key] = event["r"][-1][0]


def non_monotonic_poll(history):
    """Within one assignment, an offset that is not above the one before."""
    for event, before in _sessions(history):
        for offset, name in event["r"]:
            if before is not None and offset <= before:
                yield f"{event['client']} read {event['p']}@{offset} ({name}) after {before}"
            before = offset


def skipped_poll(history):
    """Within one assignment, records left out between two that came."""
    for event, before in _sessions(history):
        for offset, _ in event["r"]:
            between = range(offset if before is None else before + 1, offset)
            missed = [one for one in between if one in history.ids.get(event["p"], ())]
            if missed:
                yield f"{event['client']} read {event['p']}@{offset} after {before} without {missed[:5]}"
            before = offset


def read_and_gone(history):
    """Read by somebody, and not in the log at the end."""
    for event in history.of("poll"):
        for offset, name in event["r"]:
            if offset not in history.ids.get(event["p"], ()):
                yield f"{event['client']} read {name} at {event['p']}@{offset}, which is not there any more"


def unseen(history):
    """In the log, and a reader of everything, or a whole group, never saw it."""
    audiences = {**{name: {name} for name in history.readers()}, **history.groups()}
    seen = defaultdict(set)
    for event in history.of("poll"):
        seen[event["client"], event["p"]].update(offset for offset, _ in event["r"])
    for audience, clients in sorted(audiences.items()):
        for partition, rows in history.log.items():
            known = set().union(*(seen[client, partition] for client in clients))
            missed = [offset for offset, _ in rows if offset not in known]
            if missed:
                yield f"{audience} never saw {len(missed)} records of {partition}, from {missed[0]} to {missed[-1]}, which ends at {rows[-1][0] + 1}"


ANOMALIES = {
    "non-monotonic poll": non_monotonic_poll,
    "skipped poll": skipped_poll,
    "read and gone": read_and_gone,
    "unseen": unseen,
}
