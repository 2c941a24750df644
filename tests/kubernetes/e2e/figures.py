"""Measures on a quiet machine, and prints a Markdown table: tests/kubernetes/run --figures

From `helm install` to the first acknowledged record; a roll of three brokers under 1,000 acks=all records a second; 1,000
Topics; the operator's memory and idle CPU; a broker's memory; the size of the image.
"""

import json
import os
import subprocess
import time

from harness.cluster import Cluster, Topic
from harness.kubectl import Namespace, Refused, is_ready, kubectl
from harness.load import Load
from harness.release import Release
from harness.waiting import eventually

IMAGE = os.environ["OTTLA_TEST_IMAGE"]
ROWS = []


def row(what, limit, measured):
    """A line of the table, printed at once too."""
    ROWS.append((what, limit, measured))
    print(f"{what}: {measured} (wanted: {limit})", flush=True)


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
    row("helm install to first acknowledged record", "15 s", f"{time.monotonic() - begun:.1f} s (helm itself {installed:.1f} s)")
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
    row("roll of three brokers under 1,000 msg/s", "10 s a broker", f"{took / 3:.1f} s a broker")
    row("failed sends, lost records meanwhile", "0", f"{verdict['failed']}, {verdict['lost']} of {verdict['acknowledged']}")
    row("longest gap between acknowledgements", "500 ms", f"{verdict['gap_ms']} ms (longest wait of a record {verdict['wait_ms']} ms)")


def topics(cluster):
    """A thousand."""
    items = [Topic(cluster, f"many-{number}") for number in range(1000)]
    cluster.namespace.apply([item.manifest(partitions=1, replicationFactor=3, deletionPolicy="Delete") for item in items])
    begun = time.monotonic()
    eventually(lambda: sum(map(is_ready, cluster.namespace.get("topics"))) >= 1000, 180, pause=0.5)
    row("1,000 Topics Ready after apply", "30 s", f"{time.monotonic() - begun:.1f} s")


def memory(release, cluster):
    """With the thousand topics there."""
    pod = release.operator_pods()[0]["metadata"]["name"]
    first = metrics(release.namespace, pod, 8080)
    row("operator memory with 1,000 Topics", "32 MB", f"{first['process_resident_memory_bytes'] / 1e6:.1f} MB")
    time.sleep(30)
    second = metrics(release.namespace, pod, 8080)
    used = second["process_cpu_seconds_total"] - first["process_cpu_seconds_total"]
    row("operator CPU, idle", "~0", f"{used / 30 * 100:.1f} % of a core")
    brokers = [metrics(cluster.namespace, name, 9644)["process_resident_memory_bytes"] / 1e6 for name in cluster.pods()]
    row("broker memory with 1,000 Topics of 3 replicas", "64 MB requested", f"{max(brokers):.1f} MB")


def applied(cluster):
    """From a spec's change to its being true."""
    topic = Topic(cluster, "orders")
    begun = time.monotonic()
    topic.change(config={"retention.ms": str(3_600_000 + int(begun))})
    eventually(lambda: is_ready(topic.get()) and cluster.describe("orders")["configs"].get("retention.ms") == str(3_600_000 + int(begun)),
               60, pause=0.05)
    row("from a Topic's changed setting to its being true", "", f"{time.monotonic() - begun:.1f} s")


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
        row("broker memory, idle", "64 MB requested", f"{max(brokers):.1f} MB")
        roll(cluster)
        topics(cluster)
        memory(release, cluster)
    finally:
        namespace.wipe()
    size = subprocess.run(["docker", "image", "inspect", "--format", "{{.Size}}", IMAGE], capture_output=True, text=True, check=False)
    if size.returncode == 0:
        row("image", "40 MB", f"{int(size.stdout) / 1e6:.1f} MB")
    print("\n| what | wanted | measured |\n|---|---|---|")
    for what, limit, measured in ROWS:
        print(f"| {what} | {limit} | {measured} |")
    print(json.dumps({what: measured for what, _, measured in ROWS}))


if __name__ == "__main__":
    main()
