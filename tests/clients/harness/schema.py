"""Kafka's wire messages, encoded and decoded from the JSON schemas inside the kafka-clients jar.

An independent codec on purpose: neither the broker's nor any client's library decides here what is right.
A message is a plain dict with the schema's field names; fields left out take the schema's defaults.
"""

import functools
import json
import os
import re
import struct
import uuid
import zipfile
from glob import glob

_FIXED = {
    "bool": "?",
    "int8": "b",
    "int16": "h",
    "uint16": "H",
    "int32": "i",
    "uint32": "I",
    "int64": "q",
    "float64": "d",
}
_INTEGERS = {"int8", "int16", "uint16", "int32", "uint32", "int64"}


def libs_dir():
    """The folder with Kafka's jars."""
    path = os.environ.get("OTTLA_KAFKA_LIBS")
    if not path:
        raise RuntimeError("OTTLA_KAFKA_LIBS is not set: run the tests through tests/run")
    return path


@functools.lru_cache(maxsize=None)
def _schemas():
    """All messages by name, and requests and responses by API key."""
    by_name, requests, responses = {}, {}, {}
    jar = glob(os.path.join(libs_dir(), "kafka-clients-*.jar"))[0]
    with zipfile.ZipFile(jar) as archive:
        for name in archive.namelist():
            if not (name.startswith("common/message/") and name.endswith(".json")):
                continue
            text = archive.read(name).decode()
            text = re.sub(r"^\s*//.*$", "", text, flags=re.M)
            schema = json.loads(text)
            by_name[schema["name"]] = schema
            if schema["type"] == "request":
                requests[schema["apiKey"]] = schema
            elif schema["type"] == "response":
                responses[schema["apiKey"]] = schema
    return by_name, requests, responses


def request_schema(key):
    """The schema of a request."""
    return _schemas()[1][key]


def response_schema(key):
    """The schema of a response."""
    return _schemas()[2][key]


def key_of(name):
    """The API key of `Fetch`, `Metadata` and so on."""
    return _schemas()[0][name + "Request"]["apiKey"]


def name_of(key):
    """The API name of a key."""
    return request_schema(key)["name"].removesuffix("Request")


def in_range(version, spec):
    """Whether a version lies in a schema range such as `3+`, `0-4` or `none`."""
    if spec is None or spec == "none":
        return False
    if spec.endswith("+"):
        return version >= int(spec[:-1])
    low, _, high = spec.partition("-")
    return int(low) <= version <= int(high or low)


def valid_versions(key):
    """The versions a schema defines, as (low, high)."""
    spec = request_schema(key)["validVersions"]
    low, _, high = spec.partition("-")
    return int(low), int(high or low)


def is_flexible(schema, version):
    """Whether a version uses compact lengths and tagged fields."""
    return in_range(version, schema.get("flexibleVersions", "none"))


class _Struct:
    def __init__(self, schema, version, flexible):
        self.common = {item["name"]: item["fields"] for item in schema.get("commonStructs", [])}
        self.version, self.flexible = version, flexible

    def fields_of(self, field, type_name):
        return field.get("fields") or self.common[type_name]

    def nullable(self, field):
        return in_range(self.version, field.get("nullableVersions"))

    def default(self, field):
        type_name, value = field["type"], field.get("default")
        if type_name.startswith("[]"):
            return None if value == "null" else []
        if value == "null":
            return None
        if type_name in _INTEGERS:
            return int(str(value), 0) if value not in (None, "") else 0
        if type_name == "bool":
            return str(value).lower() == "true"
        if type_name == "float64":
            return float(value or 0)
        if type_name == "string":
            return value or ""
        if type_name in ("bytes", "records"):
            return b""
        if type_name == "uuid":
            return uuid.UUID(int=0)
        return {}


def _uvarint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


class _Writer(_Struct):
    def struct(self, fields, value):
        unknown = set(value) - {field["name"] for field in fields}
        if unknown:
            raise KeyError(f"no such fields: {sorted(unknown)}")
        out, tagged = [], []
        for field in fields:
            if not in_range(self.version, field["versions"]):
                continue
            item = value.get(field["name"], self.default(field))
            if in_range(self.version, field.get("taggedVersions")):
                if field["name"] in value and item != self.default(field):
                    tagged.append((field["tag"], self.field(field, item)))
            else:
                out.append(self.field(field, item))
        if self.flexible:
            out.append(_uvarint(len(tagged)))
            for tag, data in sorted(tagged):
                out += [_uvarint(tag), _uvarint(len(data)), data]
        return b"".join(out)

    def field(self, field, value):
        return self.value(field, field["type"], value)

    def value(self, field, kind, value):
        if kind.startswith("[]"):
            return self.array(field, kind[2:], value)
        if kind in _FIXED:
            return struct.pack(">" + _FIXED[kind], value)
        if kind == "uuid":
            return value.bytes
        if kind == "string":
            return self.sized(value.encode() if value is not None else None, ">h")
        if kind in ("bytes", "records"):
            return self.sized(value, ">i")
        body = b"" if value is None else self.struct(self.fields_of(field, kind), value)
        if self.nullable(field):
            return b"\xff" if value is None else b"\x01" + body
        return body

    def sized(self, data, prefix):
        if self.flexible:
            return b"\x00" if data is None else _uvarint(len(data) + 1) + data
        return struct.pack(prefix, -1) if data is None else struct.pack(prefix, len(data)) + data

    def array(self, field, kind, items):
        if items is None:
            return b"\x00" if self.flexible else struct.pack(">i", -1)
        count = _uvarint(len(items) + 1) if self.flexible else struct.pack(">i", len(items))
        plain = {key: value for key, value in field.items() if key != "nullableVersions"}
        return count + b"".join(self.value(plain, kind, item) for item in items)


class _Reader(_Struct):
    def __init__(self, schema, version, flexible, data):
        super().__init__(schema, version, flexible)
        self.data, self.at = data, 0

    def take(self, count):
        if count < 0 or self.at + count > len(self.data):
            raise ValueError(f"message ends early: {count} bytes wanted at {self.at} of {len(self.data)}")
        self.at += count
        return self.data[self.at - count : self.at]

    def uvarint(self):
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    def struct(self, fields):
        out, tagged = {}, {}
        for field in fields:
            if not in_range(self.version, field["versions"]):
                continue
            if in_range(self.version, field.get("taggedVersions")):
                tagged[field["tag"]] = field
                out[field["name"]] = self.default(field)
            else:
                out[field["name"]] = self.value(field, field["type"])
        if self.flexible:
            for _ in range(self.uvarint()):
                tag, size = self.uvarint(), self.uvarint()
                end = self.at + size
                if tag in tagged:
                    out[tagged[tag]["name"]] = self.value(tagged[tag], tagged[tag]["type"])
                    if self.at != end:
                        raise ValueError(f"tagged field {tag} has a wrong size")
                else:
                    self.take(size)
        return out

    def value(self, field, kind):
        if kind.startswith("[]"):
            return self.array(field, kind[2:])
        if kind in _FIXED:
            form = ">" + _FIXED[kind]
            return struct.unpack(form, self.take(struct.calcsize(form)))[0]
        if kind == "uuid":
            return uuid.UUID(bytes=bytes(self.take(16)))
        if kind == "string":
            data = self.sized(">h")
            return None if data is None else data.decode()
        if kind in ("bytes", "records"):
            return self.sized(">i")
        if self.nullable(field) and struct.unpack(">b", self.take(1))[0] < 0:
            return None
        return self.struct(self.fields_of(field, kind))

    def sized(self, prefix):
        if self.flexible:
            size = self.uvarint() - 1
        else:
            size = struct.unpack(prefix, self.take(struct.calcsize(prefix)))[0]
        return None if size < 0 else bytes(self.take(size))

    def array(self, field, kind):
        count = self.uvarint() - 1 if self.flexible else struct.unpack(">i", self.take(4))[0]
        if count < 0:
            return None
        plain = {key: value for key, value in field.items() if key != "nullableVersions"}
        return [self.value(plain, kind) for _ in range(count)]


def encode_request(key, version, body, correlation_id, client_id="ottla-tests"):
    """Header and body of a request, without the length in front."""
    schema = request_schema(key)
    flexible = is_flexible(schema, version)
    name = client_id.encode()
    header = struct.pack(">hhih", key, version, correlation_id, len(name)) + name
    if flexible:
        header += b"\x00"
    return header + _Writer(schema, version, flexible).struct(schema["fields"], body)


def decode_response(key, version, data):
    """Correlation id and body of a response frame; bytes left over are an error."""
    schema = response_schema(key)
    flexible = is_flexible(schema, version)
    reader = _Reader(schema, version, flexible, data)
    correlation_id = struct.unpack(">i", reader.take(4))[0]
    if flexible and key != 18:
        for _ in range(reader.uvarint()):
            reader.uvarint()
            reader.take(reader.uvarint())
    body = reader.struct(schema["fields"])
    if reader.at != len(data):
        raise ValueError(f"{len(data) - reader.at} bytes left after {schema['name']} v{version}")
    return correlation_id, body
