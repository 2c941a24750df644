"""Measures on a quiet machine, and prints a Markdown table and what is not reached: tests/kubernetes/run --figures

From `helm install` to the first acknowledged record; a roll of three brokers under 1,000 acks=all records a second; 1,000
Topics; the operator's memory and idle CPU; a broker's memory; the size of the image.
"""

import os
import subprocess
import sys
import time

from harness.cluster import Cluster, Topic
from harness.kubectl import Namespace, Refused, is_ready, kubectl
from harness.load import Load
from harness.release import Release
from harness.waiting import eventually

IMAGE = os.environ["OTTLA_TEST_IMAGE"]
ROWS = []
# Memory that the default cluster's brokers request, in megabytes.
REQUESTED = 64


def row(what, value, limit, unit, note=""):
    """A line of the table, printed at once too: what was measured, and the most it should be, if that is said."""
    wanted = "" if limit is None else f"{limit:g} {unit}".strip()
    reached = "" if limit is None else "yes" if value <= limit else "NO"
    ROWS.append((what, wanted, f"{round(value, 1):g} {unit}".strip() + note, reached))
    print(": ".join(filter(None, [what, ROWS[-1][2], reached and f"wanted {wanted}, reached: {reached}"])), flush=True)


def metrics(namespace, pod, port):
    """Series of a pod without labels."""
    text = kubectl("get", "--raw", f"/api/v1/namespaces/{namespace.name}/pods/{pod}:{port}/proxy/metrics")
    lines = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in lines}


def install(release, cluster):
    """To the first acknowledged record, sent by a client that keeps trying from the beginning."""
    begun = time.monotonic()
    release.install(**{"cluster": {"enabled": True, "name": cluster.name, "spec": {}},
                       "topics": {"orders": {"partitions": 6, "replicationFactor": 3}}})
    installed = time.monotonic() - begun

    def acknowledged():
        try:
            return cluster.ottla("produce", "orders", "first", timeout=20) is not None and Topic(cluster, "orders").get()
        except (Refused, subprocess.TimeoutExpired):
            return None

    eventually(acknowledged, 120, pause=0.1)
    row("helm install to first acknowledged record", time.monotonic() - begun, 15, "s", f" (helm itself {installed:.1f} s)")
    cluster.wait_settled(3)


def roll(cluster):
    """All three brokers, under 1,000 records a second."""
    with Load(cluster, IMAGE, rate=1000) as load:
        before, begun = cluster.uids(), time.monotonic()
        cluster.change(podTemplate={"annotations": {"ottla-test/figures": "1"}})
        eventually(lambda: all(uid != before[name] for name, uid in cluster.uids().items()), 180)
        cluster.wait_settled(3)
        took = time.monotonic() - begun
        load.more()
    verdict = load.verdict
    of = f" of {verdict['acknowledged']}"
    row("roll of three brokers under 1,000 records a second", took / 3, 10, "s a broker")
    row("failed sends meanwhile", verdict["failed"], 0, "", of)
    row("lost records meanwhile", verdict["lost"], 0, "", of)
    row("longest gap between acknowledgements", verdict["gap_ms"], 500, "ms", f" (longest wait of a record {verdict['wait_ms']} ms)")


def topics(cluster):
    """A thousand."""
    items = [Topic(cluster, f"many-{number}") for number in range(1000)]
    cluster.namespace.apply([item.manifest(partitions=1, replicationFactor=3, deletionPolicy="Delete") for item in items])
    begun = time.monotonic()
    eventually(lambda: sum(map(is_ready, cluster.namespace.get("topics"))) >= 1000, 180, pause=0.5)
    row("1,000 Topics Ready after apply", time.monotonic() - begun, 30, "s")


def memory(release, cluster):
    """With the thousand topics there."""
    pod = release.operator_pods()[0]["metadata"]["name"]
    first = metrics(release.namespace, pod, 8080)
    row("operator memory with 1,000 Topics", first["process_resident_memory_bytes"] / 1e6, 32, "MB")
    time.sleep(30)
    second = metrics(release.namespace, pod, 8080)
    used = second["process_cpu_seconds_total"] - first["process_cpu_seconds_total"]
    row("operator CPU, idle", used / 30 * 100, 1, "% of a core")
    brokers = [metrics(cluster.namespace, name, 9644)["process_resident_memory_bytes"] / 1e6 for name in cluster.pods()]
    row("broker memory with 1,000 Topics of 3 replicas", max(brokers), REQUESTED, "MB")


def applied(cluster):
    """From a spec's change to its being true."""
    topic = Topic(cluster, "orders")
    begun = time.monotonic()
    wanted = str(3_600_000 + int(begun))
    topic.change(config={"retention.ms": wanted})
    eventually(lambda: is_ready(topic.get()) and cluster.describe("orders")["configs"].get("retention.ms") == wanted, 60, pause=0.05)
    row("from a Topic's changed setting to its being true", time.monotonic() - begun, None, "s")
    begun = time.monotonic()
    cluster.change(config={"log.retention.ms": wanted})
    eventually(lambda: cluster.status()["observedGeneration"] == cluster.get()["metadata"]["generation"]
               and cluster.condition("ConfigurationApplied")[0] == "True"
               and wanted in cluster.ottla("config", "get", "broker/0", "log.retention.ms"), 60, pause=0.05)
    row("from a Cluster's changed setting to its being true", time.monotonic() - begun, None, "s")


def main():
    """All of it, in a namespace of its own."""
    namespace = Namespace("ottla-figures")
    namespace.wipe()
    namespace.create()
    try:
        release, cluster = Release(namespace, IMAGE), Cluster(namespace, "prod")
        install(release, cluster)
        applied(cluster)
        brokers = [metrics(namespace, name, 9644)["process_resident_memory_bytes"] / 1e6 for name in cluster.pods()]
        row("broker memory, idle", max(brokers), REQUESTED, "MB")
        roll(cluster)
        topics(cluster)
        memory(release, cluster)
    finally:
        namespace.wipe()
    size = subprocess.run(["docker", "image", "inspect", "--format", "{{.Size}}", IMAGE], capture_output=True, text=True, check=False)
    if size.returncode == 0:
        row("image", int(size.stdout) / 1e6, 40, "MB")
    print("\n| what | wanted | measured | reached |\n|---|---|---|---|")
    for cells in ROWS:
        print(f"| {' | '.join(cells)} |")
    return 1 if any(reached == "NO" for *_, reached in ROWS) else 0


if __name__ == "__main__":
    sys.exit(main())
