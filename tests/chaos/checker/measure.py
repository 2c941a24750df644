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
