"""Fixtures: one broker for the whole run, others on demand, names that are new each time."""

import itertools
import os

import pytest

from harness import brokers
from harness.tools import KafkaTools
from harness.waiting import eventually
from harness.wire import create_topic as create
from harness.wire import list_offset

_COUNTER = itertools.count(1)


def pytest_configure(config):
    """Registers the marks."""
    config.addinivalue_line("markers", "ottla_only(reason): about something Apache Kafka does otherwise")
    config.addinivalue_line("markers", "needs(*apis): runs only where the broker advertises these APIs")
    config.addinivalue_line("markers", "root: needs root (mounts)")


@pytest.fixture(scope="session")
def broker():
    """The broker that most tests share, with short checks so that retention can be watched."""
    settings = {
        "log.retention.check.interval.ms": 500,
        "num.partitions": 3,
        "group.initial.rebalance.delay.ms": 0,
        "group.consumer.heartbeat.interval.ms": 1000,
        "group.consumer.min.heartbeat.interval.ms": 1000,
    }
    with brokers.flavour()(settings) as item:
        yield item


@pytest.fixture
def start_broker(request):
    """Starts brokers of one's own: `start_broker({...settings})`; all are gone after the test."""
    started = []

    def start(settings=None, launch_only=False, **options):
        item = brokers.flavour()(settings, **options)
        started.append(item)
        return item.launch() if launch_only else item.start()

    yield start
    for item in started:
        item.destroy()


@pytest.fixture
def bootstrap(broker):
    """host:port of the shared broker."""
    return broker.bootstrap


@pytest.fixture
def wire(broker):
    """A connection by hand to the shared broker."""
    with broker.wire() as connection:
        yield connection


@pytest.fixture
def tools(broker):
    """Kafka's tools against the shared broker."""
    return KafkaTools(broker.bootstrap)


@pytest.fixture
def name():
    """A name nothing else uses."""
    return f"t{os.getpid()}-{next(_COUNTER)}"


@pytest.fixture
def topic(wire, name):
    """A new topic of one partition."""
    answer = create(wire, name)
    assert answer["ErrorCode"] == 0, answer
    wait_for_leader(wire, name)
    return name


def wait_for_leader(wire, topic, timeout=10.0):
    """Waits until every partition of a topic has a leader that answers for it."""

    def has_leaders():
        answer = wire.call("Metadata", Topics=[{"Name": topic}], AllowAutoTopicCreation=False)["Topics"][0]
        indexes = [item["PartitionIndex"] for item in answer["Partitions"]]
        answers = [list_offset(wire, topic, -1, index)["ErrorCode"] for index in indexes]
        return answer["ErrorCode"] == 0 and answers and not any(answers)

    eventually(has_leaders, timeout)


@pytest.fixture
def make_topic(wire, name):
    """Creates a new topic with partitions and settings; returns its name."""
    numbers = itertools.count(1)

    def make(partitions=1, configs=None):
        new = f"{name}-{next(numbers)}"
        answer = create(wire, new, partitions, configs)
        assert answer["ErrorCode"] == 0, answer
        wait_for_leader(wire, new)
        return new

    return make


@pytest.fixture(autouse=True)
def _conditions(request):
    """Skips what the broker of this run is not about."""
    if request.node.get_closest_marker("ottla_only") and brokers.flavour().flavour != "ottla":
        pytest.skip("not about Apache Kafka")
    if request.node.get_closest_marker("root") and os.geteuid() != 0:
        pytest.skip("needs root")
    mark = request.node.get_closest_marker("needs")
    if mark:
        from harness.schema import key_of

        with request.getfixturevalue("broker").wire() as connection:
            missing = [api for api in mark.args if key_of(api) not in connection.advertised()]
        if missing:
            pytest.skip(f"not advertised: {', '.join(missing)}")
