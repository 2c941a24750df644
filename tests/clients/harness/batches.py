"""Record batches v2, built and taken apart by hand, so that each field can be made wrong on purpose."""

import struct
import time

import crc32c

HEADER_BYTES = 61
GZIP, SNAPPY, LZ4, ZSTD = 1, 2, 3, 4


def varint(value):
    """A zig-zag varint."""
    value = (value << 1) ^ (value >> 63)
    out = bytearray()
    while value & ~0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def read_varint(data, at):
    """(value, next position)."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (value >> 1) ^ -(value & 1), at
        shift += 7


def _nullable(data):
    return varint(-1) if data is None else varint(len(data)) + data


def record(offset_delta, timestamp_delta, key, value, headers=()):
    """One record's bytes."""
    body = b"\x00" + varint(timestamp_delta) + varint(offset_delta) + _nullable(key) + _nullable(value)
    body += varint(len(headers))
    for name, content in headers:
        body += varint(len(name)) + name + _nullable(content)
    return varint(len(body)) + body


def batch(records, **options):
    """A whole batch.

    `records` are values, or (key, value), or (key, value, headers). Options: timestamps (list), codec and body
    (bytes already compressed), producer=(id, epoch, sequence), base_offset, leader_epoch, magic, attributes,
    crc (to be wrong), count, last_offset_delta, max_timestamp, base_timestamp, batch_length.
    """
    now = int(time.time() * 1000)
    stamps = options.get("timestamps") or [now] * len(records)
    base = options.get("base_timestamp", stamps[0] if stamps else now)
    rows = []
    for index, (item, stamp) in enumerate(zip(records, stamps)):
        key, value, *rest = item if isinstance(item, tuple) else (None, item)
        rows.append(record(index, stamp - base, key, value, rest[0] if rest else ()))
    body = options.get("body", b"".join(rows))
    producer_id, epoch, sequence = options.get("producer") or (-1, -1, -1)
    tail = struct.pack(
        ">hiqqqhii",
        options.get("attributes", options.get("codec", 0)),
        options.get("last_offset_delta", len(records) - 1),
        base,
        options.get("max_timestamp", max(stamps, default=now)),
        producer_id,
        epoch,
        sequence,
        options.get("count", len(records)),
    )
    crc = options.get("crc", crc32c.crc32c(tail + body))
    length = options.get("batch_length", 9 + len(tail) + len(body))
    head = struct.pack(
        ">qiibI",
        options.get("base_offset", 0),
        length,
        options.get("leader_epoch", -1),
        options.get("magic", 2),
        crc,
    )
    return head + tail + body


class Batch:
    """A batch as read: header fields, and the records where they are not compressed."""

    def __init__(self, data):
        (self.base_offset, self.length, self.leader_epoch, self.magic, self.crc) = struct.unpack(
            ">qiibI", data[:21]
        )
        (
            self.attributes,
            self.last_offset_delta,
            self.base_timestamp,
            self.max_timestamp,
            self.producer_id,
            self.producer_epoch,
            self.base_sequence,
            self.count,
        ) = struct.unpack(">hiqqqhii", data[21:HEADER_BYTES])
        self.data = data
        self.codec = self.attributes & 7
        self.is_log_append_time = bool(self.attributes & 8)
        self.last_offset = self.base_offset + self.last_offset_delta
        self.crc_is_right = crc32c.crc32c(data[21:]) == self.crc

    def records(self):
        """(offset, timestamp, key, value) of an uncompressed batch."""
        assert self.codec == 0
        at, out = HEADER_BYTES, []
        for _ in range(self.count):
            size, at = read_varint(self.data, at)
            end, at = at + size, at + 1
            stamp, at = read_varint(self.data, at)
            delta, at = read_varint(self.data, at)
            key, at = self._bytes(at)
            value, at = self._bytes(at)
            out.append((self.base_offset + delta, self.base_timestamp + stamp, key, value))
            at = end
        return out

    def _bytes(self, at):
        size, at = read_varint(self.data, at)
        return (None, at) if size < 0 else (self.data[at : at + size], at + size)


def parse(data):
    """The whole batches at the start of `data`; a batch cut off at the end is left out."""
    at, out = 0, []
    while at + HEADER_BYTES <= len(data):
        size = 12 + struct.unpack(">i", data[at + 8 : at + 12])[0]
        if at + size > len(data):
            break
        out.append(Batch(data[at : at + size]))
        at += size
    return out


def message_v1(value, offset=0):
    """A message set of the old format (magic 1), which Kafka refuses since 4.0."""
    import zlib

    body = struct.pack(">bbq", 1, 0, int(time.time() * 1000)) + struct.pack(">i", -1)
    body += struct.pack(">i", len(value)) + value
    crc = zlib.crc32(body) & 0xFFFFFFFF
    return struct.pack(">qiI", offset, len(body) + 4, crc) + body
