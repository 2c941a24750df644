"""kcat, as in README."""

import json

from harness.tools import kcat


def test_a_line_in_is_a_line_out(bootstrap, topic):
    kcat(bootstrap, "-P", "-t", topic, stdin="good morning\ngood night\n")
    assert kcat(bootstrap, "-C", "-t", topic, "-o", "beginning", "-e", "-q") == "good morning\ngood night\n"


def test_keys_headers_and_partitions(bootstrap, make_topic):
    topic = make_topic(2)
    kcat(bootstrap, "-P", "-t", topic, "-p", "1", "-K", ":", "-H", "a=b", stdin="key:value\n")
    form = "%k|%s|%h|%p|%o\n"
    assert kcat(bootstrap, "-C", "-t", topic, "-o", "beginning", "-e", "-q", "-f", form) == "key|value|a=b|1|0\n"


def test_each_codec(bootstrap, topic):
    for codec in ("gzip", "snappy", "lz4", "zstd"):
        kcat(bootstrap, "-P", "-t", topic, "-z", codec, stdin=f"{codec} {'x' * 2000}\n")
    lines = kcat(bootstrap, "-C", "-t", topic, "-o", "beginning", "-e", "-q").splitlines()
    assert [line.split()[0] for line in lines] == ["gzip", "snappy", "lz4", "zstd"]


def test_offsets_from_the_end_and_by_time(bootstrap, topic):
    kcat(bootstrap, "-P", "-t", topic, stdin="".join(f"{n}\n" for n in range(10)))
    assert kcat(bootstrap, "-C", "-t", topic, "-o", "-3", "-e", "-q") == "7\n8\n9\n"
    assert kcat(bootstrap, "-C", "-t", topic, "-o", "s@0", "-e", "-q").splitlines()[0] == "0"
    assert kcat(bootstrap, "-Q", "-t", f"{topic}:0:-1").strip().endswith("offset 10")


def test_metadata_as_json(bootstrap, topic):
    metadata = json.loads(kcat(bootstrap, "-L", "-J", "-t", topic))
    assert metadata["topics"][0]["topic"] == topic
    assert metadata["topics"][0]["partitions"][0]["leader"] == 1


def test_a_topic_comes_into_being_by_producing(bootstrap, name):
    kcat(bootstrap, "-P", "-t", name, stdin="first\n")
    assert kcat(bootstrap, "-C", "-t", name, "-o", "beginning", "-e", "-q") == "first\n"
