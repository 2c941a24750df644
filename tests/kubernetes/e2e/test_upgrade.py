"""The chart, upgraded from its previous version on a running cluster, and uninstalled."""

import json
import tarfile
import time

import pytest
import yaml

from harness.cluster import Cluster, Topic
from harness.kubectl import Namespace, kubectl
from harness.load import Load
from harness.release import ROOT, Release
from harness.waiting import eventually

pytestmark = [pytest.mark.operator, pytest.mark.long]

# The chart as it was released last. The one in the tree has a higher version.
PREVIOUS = ROOT / "tests" / "kubernetes" / "e2e" / "charts" / "ottla-0.1.0.tgz"
VALUES = {"cluster": {"enabled": True, "spec": {"resources": {"requests": {"cpu": "20m", "memory": "64Mi"}}}},
          "topics": {"orders": {"partitions": 3, "replicationFactor": 3, "deletionPolicy": "Delete"}}}


# Fields that the definitions of the previous chart shall not have had yet.
NEW = {"clusters.ottla.dev": "networkPolicy", "topics.ottla.dev": "configPolicy"}


def definition(name):
    """A definition as Kubernetes has it."""
    return json.loads(kubectl("get", "crd", name, "-o", "json"))


def fields(found):
    """The fields of a definition's spec, with all that is said of them."""
    return found["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]


@pytest.fixture
def previous(tmp_path):
    """The previous chart, with definitions that lack a field each."""
    with tarfile.open(PREVIOUS) as archive:
        archive.extractall(tmp_path, filter="data")
    for path in (tmp_path / "ottla" / "files" / "crds").glob("*.yaml"):
        older = yaml.safe_load(path.read_text())
        del fields(older)[NEW[older["metadata"]["name"]]]
        path.write_text(yaml.safe_dump(older))
    yield tmp_path / "ottla"
    kubectl("apply", "--server-side", "--force-conflicts", "-f", str(ROOT / "crds"))


@pytest.fixture
def old(cluster, name, image, previous):
    """A release of the previous chart with a cluster that is up, and the cluster."""
    namespace = Namespace(name)
    namespace.create()
    release = Release(namespace, image, name="mine", chart=previous)
    release.install(**VALUES)
    mine = Cluster(namespace, "mine")
    mine.wait_settled(3)
    Topic(mine, "orders").wait_ready()
    yield release, mine
    namespace.wipe()


def test_an_upgrade_from_the_previous_chart_restarts_no_broker_and_uninstalling_takes_seconds(old, image):
    release, mine = old
    with Load(mine, image) as load:
        before, operators = mine.uids(), {pod["metadata"]["uid"] for pod in release.operator_pods()}
        assert not any(field in fields(definition(kind)) for kind, field in NEW.items())
        release.chart = ROOT / "charts" / "ottla"
        release.upgrade("--wait", **VALUES)
        for path in (ROOT / "crds").glob("*.yaml"):
            wanted = yaml.safe_load(path.read_text())
            found = definition(wanted["metadata"]["name"])
            assert fields(found) == fields(wanted), "the definitions are upgraded with the chart"
        Topic(mine, "orders").change(configPolicy="Exact")
        eventually(lambda: Topic(mine, "orders").get()["spec"].get("configPolicy") == "Exact", what="a new field is taken")
        eventually(lambda: operators.isdisjoint(pod["metadata"]["uid"] for pod in release.operator_pods()), what="the operator is the new one")
        mine.wait_settled(3)
        Topic(mine, "orders").wait_ready()
        load.more()
        assert mine.uids() == before
    begun = time.monotonic()
    release.uninstall()
    took = time.monotonic() - begun
    print(f"uninstalled in {took:.1f} s")
    assert not mine.pods(), "brokers that all go do not wait for one another"
    assert not release.namespace.get("topics"), "no Topic is held"
    assert len(release.namespace.get("pvc")) == 3, "the records stay"


def test_a_release_whose_operator_is_gone_for_good_is_uninstalled(cluster, name, image):
    namespace = Namespace(name)
    namespace.create()
    try:
        release = Release(namespace, image, name="mine")
        values = {**VALUES, "cluster": {"enabled": True, "spec": {"replicas": 1, "storage": {"ephemeral": True}}},
                  "topics": {"orders": {"partitions": 1, "deletionPolicy": "Delete"}}}
        release.install(**values)
        Topic(Cluster(namespace, "mine"), "orders").wait_ready(120)
        release.scale_operator(0)
        namespace.run("delete", "pods", "-l", "app.kubernetes.io/component=operator", "--force", "--grace-period=0")
        release.uninstall()
        assert not namespace.get("topics"), "nobody holds it"
        namespace.destroy(60)
    finally:
        namespace.wipe()
