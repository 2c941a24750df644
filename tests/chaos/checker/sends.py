"""What may go wrong with records that are sent."""

from collections import defaultdict

from .history import name_of


def lost_write(history):
    """Acknowledged, and not in the log, or not where it was said to be."""
    for event in history.of("ack"):
        places = history.places.get((event["p"], name_of(event)), [])
        if not places:
            yield f"{name_of(event)} was acknowledged at {event['p']}@{event['o']} and is not in the log"
        elif event["o"] >= 0 and event["o"] not in places:
            yield f"{name_of(event)} was acknowledged at {event['p']}@{event['o']} and is at {places}"


def failed_write_is_there(history):
    """In the log although its client said that it was never sent."""
    for event in history.of("fail"):
        places = history.places.get((event["p"], name_of(event)))
        if places:
            yield f"{name_of(event)} failed and is at {event['p']}@{places}"


def never_sent(history):
    """In the log, and nobody sent it there."""
    sent = {(event["p"], name_of(event)) for event in history.of("send")}
    for (partition, name), places in history.places.items():
        if (partition, name) not in sent:
            yield f"{name!r} is at {partition}@{places} and was never sent there"


def duplicate(history):
    """Twice in the log although its producer is idempotent."""
    senders = history.idempotent_senders()
    for (partition, name), places in history.places.items():
        if len(places) > 1 and name.rsplit(":", 1)[0] in senders:
            writers = [str(writer) for place in places if (writer := history.writer(partition, place))]
            yield f"{name} is at {partition}@{places}{': ' if writers else ''}{'; '.join(writers)}"


def reordered(history):
    """An idempotent producer's records are not in the order they were sent in."""
    senders = history.idempotent_senders()
    for partition, rows in history.log.items():
        last = {}
        for offset, name in rows:
            sender, _, number = name.rpartition(":")
            if sender not in senders:
                continue
            number = int(number)
            if number < last.get(sender, (-1, 0))[0]:
                yield f"{name} is at {partition}@{offset}, behind {sender}:{last[sender][0]} at {last[sender][1]}"
            last[sender] = max(last.get(sender, (-1, 0)), (number, offset))


def non_monotonic_send(history):
    """Acknowledged below what was acknowledged before it was even sent, by whichever producers."""
    highest, before = defaultdict(lambda: -1), {}
    for event in history.of("send", "ack"):
        key = (event["p"], name_of(event))
        if event["op"] == "send":
            before[key] = highest[event["p"]]
        elif event["o"] >= 0:
            if event["o"] <= before.get(key, -1):
                yield f"{key[1]} is at {key[0]}@{event['o']}, but {before[key]} was acknowledged before it was sent"
            highest[event["p"]] = max(highest[event["p"]], event["o"])


def inconsistent_offset(history):
    """Two values at one offset: in acknowledgements, polls, and the log."""
    seen = defaultdict(set)
    for event in history.of("ack"):
        if event["o"] >= 0:
            seen[event["p"], event["o"]].add(name_of(event))
    for event in history.of("poll"):
        for offset, name in event["r"]:
            seen[event["p"], offset].add(name)
    for partition, rows in history.log.items():
        for offset, name in rows:
            seen[partition, offset].add(name)
    for (partition, offset), names in seen.items():
        if len(names) > 1:
            yield f"{partition}@{offset} is {' and '.join(sorted(names))}"


ANOMALIES = {
    "lost write": lost_write,
    "failed write is there": failed_write_is_there,
    "never sent": never_sent,
    "duplicate": duplicate,
    "reordered": reordered,
    "non-monotonic send": non_monotonic_send,
    "inconsistent offset": inconsistent_offset,
}
