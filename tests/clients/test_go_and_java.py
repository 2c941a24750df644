"""franz-go, sarama and Kafka's Java client, each as a small program of its own."""

import pytest

from harness.tools import go_program, java_program


@pytest.mark.parametrize("program", ["franz", "saramaprobe"])
def test_go_round_trip_with_each_codec(bootstrap, make_topic, program):
    topic = make_topic(1)
    assert go_program(program, "roundtrip", "-bootstrap", bootstrap, "-topic", topic).endswith("OK\n")


@pytest.mark.parametrize("program", ["franz", "saramaprobe"])
def test_go_admin(bootstrap, name, program):
    assert go_program(program, "admin", "-bootstrap", bootstrap, "-topic", name).endswith("OK\n")


@pytest.mark.parametrize("command", ["roundtrip", "times", "rewind", "admin", "recreate"])
def test_java(bootstrap, name, command):
    assert java_program("ClientProbe", bootstrap, name, command).endswith("OK\n")
