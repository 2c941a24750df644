"""What the chart makes of values, without a Kubernetes."""

import itertools
import json
import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
CHART = ROOT / "charts" / "ottla"


def run(values, *args):
    """helm template; returns the finished process."""
    command = [os.environ["HELM"], "template", "ottla", str(CHART), "-n", "shop", "--kube-version", "1.30.0", "-f", "-", *args]
    return subprocess.run(command, input=json.dumps(values), capture_output=True, text=True, check=False)


def render(**values):
    """Objects by kind and name."""
    done = run(values)
    assert done.returncode == 0, done.stderr
    documents = [document for document in yaml.safe_load_all(done.stdout) if document]
    names = {(item["kind"], item["metadata"].get("namespace"), item["metadata"]["name"]) for item in documents}
    assert len(names) == len(documents), "no name twice"
    return {(item["kind"], item["metadata"]["name"]): item for item in documents}


def refused(**values):
    """What helm says to values that it must refuse."""
    done = run(values)
    assert done.returncode != 0
    return done.stderr


def operator_of(objects):
    """The operator's container."""
    return objects["Deployment", "ottla-operator"]["spec"]["template"]["spec"]["containers"][0]


def environment(container):
    """Variables with plain values."""
    return {item["name"]: item["value"] for item in container["env"] if "value" in item}


def pods(objects):
    """Every pod and pod template."""
    for (kind, name), item in objects.items():
        if kind == "Pod":
            yield name, item["spec"]
        elif kind in ("Deployment", "Job"):
            yield name, item["spec"]["template"]["spec"]


EVERYTHING = {
    "cluster": {"enabled": True, "name": "prod", "spec": {"replicas": 3}},
    "topics": {"orders": {"partitions": 6}, "audit": {"partitions": 1, "config": {"cleanup.policy": "compact"}}},
    "monitoring": {name: {"enabled": True} for name in ("podMonitor", "serviceMonitor", "rules", "dashboards")},
    "networkPolicy": {"enabled": True},
    "operator": {"readNodes": True, "replicas": 2, "watchNamespaces": ["a", "b"]},
}


def test_with_nothing_set_there_is_an_operator_for_its_own_namespace_without_rights_beyond_it():
    objects = render()
    assert environment(operator_of(objects))["OTTLA_OPERATOR_WATCH_NAMESPACES"] == "shop"
    assert not [name for kind, name in objects if kind.startswith("ClusterRole")]
    assert objects["Role", "ottla-operator"]["metadata"]["namespace"] == "shop"
    kinds = {kind for kind, _ in objects}
    assert not kinds & {"PodMonitor", "ServiceMonitor", "PrometheusRule", "NetworkPolicy", "Job", "ConfigMap"}


def test_the_image_is_the_brokers_too_unless_a_tag_is_set():
    version = yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"]
    container = operator_of(render())
    assert container["image"] == f"ottla:{version}" == environment(container)["OTTLA_OPERATOR_BROKER_IMAGE"]
    container = operator_of(render(image={"repository": "example/ottla", "tag": "x"}))
    assert container["image"] == "example/ottla:x" == environment(container)["OTTLA_OPERATOR_BROKER_IMAGE"]


def test_the_definitions_are_the_generated_ones_and_stay_at_uninstall():
    objects = render()
    for path in (ROOT / "crds").glob("*.yaml"):
        wanted = yaml.safe_load(path.read_text())
        found = objects["CustomResourceDefinition", wanted["metadata"]["name"]]
        assert found["metadata"].pop("annotations")["helm.sh/resource-policy"] == "keep"
        wanted["metadata"].pop("annotations", None)
        assert found == wanted
    assert not [name for kind, name in render(crds={"install": False}) if kind == "CustomResourceDefinition"]
    kept = render(crds={"keep": False})["CustomResourceDefinition", "clusters.ottla.dev"]
    assert "helm.sh/resource-policy" not in kept["metadata"].get("annotations", {})


def test_cluster_and_topics_are_applied_from_a_config_map_after_the_definitions():
    objects = render(**EVERYTHING)
    data = objects["ConfigMap", "ottla-resources"]["data"]
    items = [json.loads(text) for _, text in sorted(data.items())]
    assert [item["kind"] for item in items] == ["Cluster", "Topic", "Topic"]
    assert items[0]["spec"] == {"replicas": 3}
    assert {item["metadata"]["name"]: item["spec"] for item in items[1:]} == {
        "orders": {"clusterRef": {"name": "prod"}, "partitions": 6},
        "audit": {"clusterRef": {"name": "prod"}, "partitions": 1, "config": {"cleanup.policy": "compact"}},
    }
    job = objects["Job", "ottla-resources"]
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "post-install,post-upgrade,post-rollback"
    removal = objects["Job", "ottla-resources-removal"]
    assert removal["metadata"]["annotations"]["helm.sh/hook"] == "pre-delete", "while there is an operator that lets them go"
    commands = [item["spec"]["template"]["spec"]["containers"][0]["command"] for item in (job, removal)]
    assert [command[1] for command in commands] == ["apply", "remove"] and commands[0][2:] == commands[1][2:]


def test_topics_may_belong_to_a_cluster_made_elsewhere():
    data = render(topics={"orders": {"clusterRef": {"name": "other"}}})["ConfigMap", "ottla-resources"]["data"]
    assert list(data) == ["topic-orders.json"]
    assert json.loads(data["topic-orders.json"])["spec"]["clusterRef"] == {"name": "other"}


def test_roles_are_in_each_watched_namespace_or_cluster_wide():
    items = yaml.safe_load_all(run({"operator": {"watchNamespaces": ["a", "b"]}}).stdout)
    places = sorted(item["metadata"]["namespace"] for item in items if item and item["kind"] == "RoleBinding")
    assert places == ["a", "b", "shop"]
    objects = render(operator={"clusterWide": True})
    assert ("ClusterRole", "shop-ottla-operator") in objects and ("Role", "ottla-operator") not in objects
    assert environment(operator_of(objects))["OTTLA_OPERATOR_WATCH_NAMESPACES"] == ""
    assert not [kind for kind, _ in render(rbac={"create": False}) if "Role" in kind]


def test_rights_are_those_that_the_operator_documents():
    documented = (ROOT / "docs" / "kubernetes.md").read_text()
    section = documented.split("### Rights")[1].split("###")[0]
    rules = render()["Role", "ottla-operator"]["rules"]
    for rule in rules:
        for resource in rule["resources"]:
            row = next(line for line in section.splitlines() if resource in line and line.startswith("|"))
            verbs = {verb.strip() for verb in row.split("|")[3].split(",")}
            assert set(rule["verbs"]) == verbs, resource


@pytest.mark.parametrize("cluster,scope,create", list(itertools.product([False, True], ["own", "some", "all"], [False, True])))
def test_every_pod_runs_under_the_restricted_profile(cluster, scope, create):
    operator = {"own": {}, "some": {"watchNamespaces": ["a"]}, "all": {"clusterWide": True, "readNodes": True}}[scope]
    objects = render(cluster={"enabled": cluster}, operator=operator, serviceAccount={"create": create})
    names = [name for name, _ in pods(objects)]
    assert len(names) == (4 if cluster else 1)
    for _, spec in pods(objects):
        security = spec["securityContext"]
        assert security["runAsNonRoot"] and security["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in spec["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}


def test_monitors_select_the_pods_that_there_are():
    objects = render(**EVERYTHING)
    monitor = objects["PodMonitor", "ottla-brokers"]["spec"]
    assert monitor["namespaceSelector"] == {"matchNames": ["a", "b"]}
    assert monitor["selector"]["matchLabels"] == {"app.kubernetes.io/name": "ottla", "app.kubernetes.io/component": "broker"}
    service = objects["ServiceMonitor", "ottla-operator"]["spec"]["selector"]["matchLabels"]
    labels = objects["Service", "ottla-operator"]["metadata"]["labels"]
    assert service.items() <= labels.items()
    pod = objects["Deployment", "ottla-operator"]["spec"]["template"]["metadata"]["labels"]
    assert objects["Service", "ottla-operator"]["spec"]["selector"].items() <= pod.items()


def test_alerts_are_those_of_the_file_without_the_disabled():
    rules = yaml.safe_load((CHART / "files" / "rules.yaml").read_text())["groups"]
    every = [rule["alert"] for group in rules for rule in group["rules"]]
    assert len(every) == len(set(every))
    found = render(monitoring={"rules": {"enabled": True}})["PrometheusRule", "ottla"]["spec"]["groups"]
    assert found == rules
    fewer = render(monitoring={"rules": {"enabled": True, "disabled": every[:3]}})["PrometheusRule", "ottla"]["spec"]["groups"]
    assert [rule["alert"] for group in fewer for rule in group["rules"]] == every[3:]


def test_every_alert_is_in_the_failure_handbook():
    handbook = (ROOT / "docs" / "guide.md").read_text()
    rules = yaml.safe_load((CHART / "files" / "rules.yaml").read_text())["groups"]
    for group in rules:
        for rule in group["rules"]:
            assert f"`{rule['alert']}`" in handbook, rule["alert"]


def test_every_metric_in_alerts_and_dashboards_is_documented():
    documented = (ROOT / "docs" / "metrics.md").read_text() + (ROOT / "docs" / "kubernetes.md").read_text()
    text = "".join(path.read_text() for path in [CHART / "files" / "rules.yaml", *(CHART / "files" / "dashboards").glob("*.json")])
    for metric in sorted(set(re.findall(r"\b(?:ottla|process)_[a-z_]+", text))):
        assert f"`{re.sub('_bucket$', '', metric)}`" in documented, metric


@pytest.mark.parametrize("values,word", [
    ({"cluster": {"enable": True}}, "enable"),
    ({"operator": {"replicas": -1}}, "replicas"),
    ({"image": {"pullPolicy": "Sometimes"}}, "pullPolicy"),
    ({"topics": {"Orders": {}}}, "Orders"),
    ({"topics": {"orders": {"config": {"retention.ms": 1}}}}, "retention.ms"),
    ({"monitoring": {"podMonitor": {"interval": "often"}}}, "interval"),
    ({"cluster": {"name": "Prod"}}, "name"),
])
def test_values_that_are_none_are_refused_by_name(values, word):
    assert word in refused(**values)


def test_the_test_pod_sends_to_the_releases_cluster():
    pod = render(cluster={"enabled": True})["Pod", "ottla-test"]
    assert pod["metadata"]["annotations"]["helm.sh/hook"] == "test"
    assert "--bootstrap=ottla-bootstrap.shop.svc:9092" in pod["spec"]["containers"][0]["args"]
