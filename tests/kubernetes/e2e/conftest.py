"""Fixtures: one release of the chart with a cluster of three brokers that most tests share, others on demand."""

import itertools
import os

import pytest

from harness.cluster import Cluster, Plain, Topic
from harness.kubectl import Namespace, kubectl
from harness.load import Load
from harness.nodes import Nodes
from harness.release import ROOT, Release

_COUNTER = itertools.count(1)
IMAGE = os.environ["OTTLA_TEST_IMAGE"]
# Small, so that many brokers fit on a laptop.
SPEC = {"storage": {"size": "1Gi"}, "resources": {"requests": {"cpu": "20m", "memory": "64Mi"}, "limits": {"memory": "512Mi"}}}


def pytest_addoption(parser):
    """--all."""
    parser.addoption("--all", action="store_true", help="also the scenarios that take long")


def pytest_configure(config):
    """Registers the marks."""
    config.addinivalue_line("markers", "long: takes long; runs with --all or when it is named")
    config.addinivalue_line("markers", "operator: needs the chart and the operator")
    config.addinivalue_line("markers", "nodes: stops nodes or the API server, so it needs the Kubernetes that the script starts")


def pytest_collection_modifyitems(config, items):
    """Leaves out what this run cannot or shall not do."""
    named = config.getoption("--all") or config.getoption("-k") or any("::" in arg for arg in config.args)
    for item in items:
        if item.get_closest_marker("long") and not named:
            item.add_marker(pytest.mark.skip(reason="takes long: --all"))
        if item.get_closest_marker("nodes") and not Nodes.available():
            item.add_marker(pytest.mark.skip(reason="needs a Kubernetes whose nodes can be stopped"))


@pytest.fixture(scope="session")
def image():
    """The image under test."""
    return IMAGE


@pytest.fixture(scope="session")
def namespace():
    """The namespace of the shared release."""
    item = Namespace("ottla-e2e")
    item.wipe()
    item.create()
    yield item
    item.wipe()


@pytest.fixture(scope="session")
def release(namespace):
    """The chart with a cluster `prod` of three brokers and a topic, looked after by an operator that may do no more than it must."""
    item = Release(namespace, IMAGE)
    item.values = {
        "cluster": {"enabled": True, "name": "prod", "spec": {**SPEC, "rack": {}}},
        "topics": {"orders": {"partitions": 6, "replicationFactor": 3}},
        "operator.readNodes": True,
    }
    item.install(**item.values)
    yield item


@pytest.fixture(scope="session")
def _shared(release):
    item = Cluster(release.namespace, "prod")
    item.wait_settled(3)
    return item


@pytest.fixture
def cluster(_shared):
    """The shared cluster of three brokers, whole and still when the test begins, whatever the test before left behind."""
    _shared.change(replicas=3)
    _shared.wait_settled(3)
    return _shared


@pytest.fixture(scope="session")
def _plain():
    namespace = Namespace("ottla-e2e-plain")
    namespace.wipe()
    namespace.create()
    manifests = (ROOT / "examples" / "without-operator.yaml").read_text()
    yield Plain(namespace, "plain").create(manifests.replace("ottla:0.1.0", IMAGE))
    namespace.wipe()


@pytest.fixture
def plain(_plain):
    """Three brokers without an operator, whole when the test begins."""
    _plain.wait_settled(3)
    return _plain


@pytest.fixture
def load(cluster):
    """Load on the shared cluster from beginning to end; at the end nothing may be lost and no send have failed."""
    with Load(cluster, IMAGE) as item:
        yield item


@pytest.fixture
def make_load():
    """Load with options, for a cluster."""
    return lambda target, **options: Load(target, IMAGE, **options)


@pytest.fixture
def topic(cluster, name):
    """A Topic resource that is not applied yet; gone after the test."""
    item = Topic(cluster, name)
    yield item
    item.delete(wait=False)


@pytest.fixture
def other_cluster(release, name):
    """A cluster of one's own in the shared namespace; gone after the test."""
    item = Cluster(release.namespace, name)
    item.spec = SPEC
    yield item
    item.namespace.delete("cluster", name)
    item.namespace.run("delete", "pvc", "-l", f"ottla.dev/cluster={name}", "--wait=false")


@pytest.fixture
def name():
    """A name nothing else uses."""
    return f"t{os.getpid()}-{next(_COUNTER)}"


@pytest.fixture
def nodes():
    """Nodes to stop; all run again after the test."""
    item = Nodes()
    yield item
    item.restore()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """What a failed test left behind is shown."""
    report = (yield).get_result()
    if report.when == "call" and report.failed:
        for args in (["get", "clusters,topics,pods,pvc", "-A", "-o", "wide"],
                     ["-n", "ottla-e2e", "logs", "-l", "app.kubernetes.io/component=operator", "--tail=40"],
                     ["-n", "ottla-e2e", "get", "clusters", "-o", "jsonpath={.items[*].status}"]):
            try:
                report.sections.append((f"kubectl {' '.join(args)}", kubectl(*args)[-8000:]))
            except LookupError:
                pass
