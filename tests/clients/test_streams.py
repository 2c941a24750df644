"""Kafka Streams without transactions: repartition topics, changelogs, two instances that take over from each other."""

import pytest

from harness.tools import java_program


@pytest.mark.needs("JoinGroup", "DeleteRecords")
@pytest.mark.timeout(300)
def test_word_count_at_least_once(bootstrap, name):
    assert java_program("StreamsProbe", bootstrap, name, timeout=280).endswith("OK\n")
