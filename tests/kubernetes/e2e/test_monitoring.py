"""Prometheus scrapes what the chart's monitors name; every alert and every dashboard query can be evaluated and finds data."""

import contextlib
import json
import re
import shutil
import socket
import subprocess
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

from harness.kubectl import Refused, kubectl
from harness.release import CHART
from harness.waiting import eventually

pytestmark = pytest.mark.operator

SCRAPE = """
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [%(rules)s]
scrape_configs:
%(jobs)s
"""
# Series that are there only in a condition that a healthy cluster is not in, or only after it once happened: those are
# looked at in trouble.
RARE = re.compile(r"ottla_operator_roll_waiting|ottla_request_errors|failed_produce")
# Alerts that this trouble begins to raise.
TROUBLE = {"OttlaRollWaits", "OttlaProduceFails", "OttlaPartitionsUnderReplicated", "OttlaBrokersFenced"}


def free_port():
    """A port nobody listens on."""
    with socket.socket() as item:
        item.bind(("127.0.0.1", 0))
        return item.getsockname()[1]


def forward(namespace, pod, port):
    """kubectl port-forward; returns the process and the local port."""
    local = free_port()
    command = ["kubectl", "-n", namespace, "port-forward", f"pod/{pod}", f"{local}:{port}"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def listens():
        with socket.create_connection(("127.0.0.1", local), 1):
            return True

    eventually(listens, 20)
    return process, local


def targets(cluster, release):
    """What the monitors select, as static targets with the labels that the monitors' relabelings set."""
    pods = [(pod, 9644, {"cluster": cluster.name, "broker": pod["metadata"]["labels"]["apps.kubernetes.io/pod-index"]})
            for pod in cluster.pods().values()]
    pods += [(pod, 8080, {}) for pod in release.operator_pods()]
    for pod, port, labels in pods:
        names = {port["name"]: port["containerPort"] for port in pod["spec"]["containers"][0]["ports"]}
        assert names["http"] == port, "the monitors' port has this name"
        yield pod["metadata"]["name"], port, {**labels, "namespace": cluster.namespace.name, "pod": pod["metadata"]["name"]}


@pytest.fixture
def prometheus(cluster, release, load, tmp_path):
    """A Prometheus that has scraped brokers and operator for some seconds, under load."""
    if not shutil.which("prometheus"):
        pytest.skip("there is no prometheus here (package prometheus)")
    processes, jobs = [], []
    try:
        for name, port, labels in targets(cluster, release):
            process, local = forward(cluster.namespace.name, name, port)
            processes.append(process)
            jobs.append(f"- {{job_name: {name}, honor_labels: true, static_configs: "
                        f"[{{targets: ['127.0.0.1:{local}'], labels: {json.dumps(labels)}}}]}}")
        config = tmp_path / "prometheus.yml"
        config.write_text(SCRAPE % {"rules": CHART / "files" / "rules.yaml", "jobs": "\n".join(jobs)})
        port = free_port()
        command = ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={tmp_path / 'data'}",
                   f"--web.listen-address=127.0.0.1:{port}"]
        with (tmp_path / "log").open("w") as log:
            processes.append(subprocess.Popen(command, stdout=log, stderr=log))

        def query(expression):
            url = f"http://127.0.0.1:{port}/api/v1/query?" + urllib.parse.urlencode({"query": expression})
            with urllib.request.urlopen(url, timeout=10) as answer:
                return json.load(answer)["data"]["result"]

        query.url = f"http://127.0.0.1:{port}"
        eventually(lambda: len(query("up == 1")) == len(jobs), 30)
        eventually(lambda: query("count_over_time(up[20s]) > 12"), 40)
        yield query
    finally:
        for process in processes:
            process.terminate()
            process.wait(10)


def expressions():
    """Queries of all dashboards, with the variables filled in."""
    for path in sorted((CHART / "files" / "dashboards").glob("*.json")):
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel.get("targets", []):
                yield panel["title"], target["expr"]


def rules(prometheus):
    """All alerts, as Prometheus has them."""
    with urllib.request.urlopen(prometheus.url + "/api/v1/rules", timeout=10) as answer:
        return [rule for group in json.load(answer)["data"]["groups"] for rule in group["rules"]]


def empty(prometheus, cluster, is_looked_at):
    """Alerts' series and dashboards' queries without data, of those to be looked at."""
    series = {metric for rule in rules(prometheus) for metric in re.findall(r"\b(?:ottla|process)_[a-z_]+", rule["query"])}
    filled = [expression.replace("$namespace", cluster.namespace.name).replace("$cluster", cluster.name)
              .replace("$__rate_interval", "10s") for _, expression in expressions()]
    return [query for query in [*sorted(series), *filled] if is_looked_at(query) and not prometheus(query)]


def refusal(cluster, topic):
    """What a producer hears whose record is too large for the topic; from a pod that is there."""
    _, _, broker = cluster.ready_pods()[0].rpartition("-")
    try:
        return cluster.ottla("produce", topic, "x" * 1000, broker=broker)
    except Refused as refused:
        return str(refused)


@contextlib.contextmanager
def trouble(cluster, name):
    """A roll that waits for a broker whose image does not exist, and a producer whose records are refused."""
    good = cluster.status()["image"]
    cluster.ottla("topic", "create", name, "--replication-factor", "3", "-c", "max.message.bytes=100")
    cluster.change(image="does-not-exist:0")
    try:
        yield
    finally:
        cluster.change(image=good)
        cluster.wait_settled(3)
        cluster.ottla("topic", "delete", name, "--yes")


def test_alerts_are_evaluated_and_every_dashboard_query_returns_data(prometheus, cluster, name):
    all_rules = rules(prometheus)
    assert len(all_rules) == Path(CHART / "files" / "rules.yaml").read_text().count("- alert:")
    assert [rule["name"] for rule in all_rules if rule["health"] != "ok"] == []
    assert [rule["name"] for rule in all_rules if rule["state"] == "firing"] == []
    # Each alert's own series are there: it would not fire only because nobody tells.
    assert empty(prometheus, cluster, lambda query: not RARE.search(query)) == []
    with trouble(cluster, name):
        def seen():
            assert "MESSAGE_TOO_LARGE" in refusal(cluster, name)
            raised = {rule["name"] for rule in rules(prometheus) if rule["state"] != "inactive"}
            assert not empty(prometheus, cluster, RARE.search) and raised >= TROUBLE, (TROUBLE - raised, empty(prometheus, cluster, RARE.search))
            return True

        eventually(seen, 90, pause=1, what="trouble is seen")


def test_the_monitors_themselves_name_the_port_and_the_labels(release, cluster):
    assert kubectl("-n", cluster.namespace.name, "get", "pods", "-l",
                   "app.kubernetes.io/name=ottla,app.kubernetes.io/component=broker", "-o", "name").count("pod/") >= 3
