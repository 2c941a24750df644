"""How long there was no acknowledgement: as percentiles, and by fault."""

from bisect import bisect_right


def gaps(history):
    """(begin, end, partition) between acknowledgements of a partition, by whichever producer."""
    last, out = {}, []
    for event in history.of("ack"):
        partition, now = event["p"], event["t"]
        if partition in last:
            out.append((last[partition], now, partition))
        last[partition] = now
    return out


def longest_by_client(history):
    """client -> seconds of its own longest time between two acknowledgements of a partition."""
    last, longest = {}, {}
    for event in history.of("ack"):
        client, key = event["client"], (event["client"], event["p"])
        longest[client] = max(longest.get(client, 0.0), event["t"] - last.get(key, event["t"]))
        last[key] = event["t"]
    return longest


def percentile(values, share):
    """The value below which so many of the others are; nothing of nothing."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else None


def longest_by_fault(history, faults):
    """kind -> seconds of the longest gap that ended after such a fault began and before the next one did.

    `faults` are (begin, kind) in the order of their time; what comes before the first counts as `none`.
    """
    begins, longest = [begin for begin, _ in faults], {}
    for begin, end, _ in gaps(history):
        index = bisect_right(begins, end) - 1
        if index >= 1 and begins[index] - begin > (end - begin) / 2:
            index -= 1
        kind = faults[index][1] if index >= 0 else "none"
        longest[kind] = max(longest.get(kind, 0.0), end - begin)
    return longest
