"""Reads partitions back, record by record, and compares them with a ledger."""

import gzip
from dataclasses import dataclass, field

from harness import batches
from harness.wire import error_name, fetch, list_offset


@dataclass
class Verdict:
    """What is wrong; empty lists mean that all is well."""

    lost: list = field(default_factory=list)
    moved: list = field(default_factory=list)
    duplicates: list = field(default_factory=list)
    out_of_order: list = field(default_factory=list)
    gaps: list = field(default_factory=list)
    bad_crc: list = field(default_factory=list)
    stored: int = 0

    @property
    def is_clean(self):
        """Whether nothing is wrong."""
        lists = (self.lost, self.moved, self.duplicates, self.out_of_order, self.gaps, self.bad_crc)
        return not any(lists)

    def __str__(self):
        parts = [f"{self.stored} stored"]
        for name in ("lost", "moved", "duplicates", "out_of_order", "gaps", "bad_crc"):
            items = getattr(self, name)
            if items:
                parts.append(f"{len(items)} {name}, first {items[:5]}")
        return "; ".join(parts)


def read_partition(wire, topic, partition, verdict=None, seen=None):
    """All (offset, value) from the log start to the end; gaps and bad CRCs go to the verdict, batches to the list `seen`."""
    verdict = verdict or Verdict()
    offset = list_offset(wire, topic, -2, partition)["Offset"]
    end = list_offset(wire, topic, -1, partition)["Offset"]
    rows = []
    while offset < end:
        answer = fetch(wire, topic, offset, partition, max_wait_ms=1000)
        assert answer["ErrorCode"] == 0, error_name(answer["ErrorCode"])
        parts = batches.parse(answer["Records"] or b"")
        assert parts, f"nothing at {offset} of {topic}-{partition}, which ends at {end}"
        for part in parts:
            if part.base_offset > offset:
                verdict.gaps.append((partition, offset, part.base_offset))
            if not part.crc_is_right:
                verdict.bad_crc.append((partition, part.base_offset))
            rows += [(row[0], row[3]) for row in _records(part) if row[0] >= offset]
            if seen is not None:
                seen.append(part)
            offset = part.last_offset + 1
    verdict.stored += len(rows)
    return rows


def _records(part):
    if part.codec == batches.GZIP:
        body = gzip.decompress(part.data[batches.HEADER_BYTES :])
        part = batches.Batch(part.data[: batches.HEADER_BYTES] + body)
        part.codec = 0
    return part.records()


def verify(wire, ledger):
    """Compares the log with a `LedgerProducer`. `wire` is a connection, or gives one for a partition."""
    verdict = Verdict()
    sender = ledger.sender.encode() + b":"
    for partition, acknowledged in ledger.acknowledged.items():
        places, last = {}, -1
        for offset, value in read_partition(wire(partition) if callable(wire) else wire, ledger.topic, partition, verdict):
            if not value.startswith(sender):
                continue
            number = int(value.split(b":")[1])
            if number in places:
                verdict.duplicates.append((partition, number, places[number], offset))
            elif number < last:
                verdict.out_of_order.append((partition, number, last))
            places.setdefault(number, offset)
            last = max(last, number)
        for number, offset in acknowledged.items():
            if number not in places:
                verdict.lost.append((partition, number, offset))
            elif offset >= 0 and places[number] != offset:
                verdict.moved.append((partition, number, offset, places[number]))
    return verdict
