"""The chart, as Helm installs it."""

import json
import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[4]
CHART = ROOT / "charts" / "ottla"


def helm(*args, timeout=180):
    """Runs helm and returns what it prints."""
    done = subprocess.run([os.environ.get("HELM", "helm"), *args], capture_output=True, text=True, timeout=timeout)
    assert done.returncode == 0, f"helm {' '.join(args)}: {done.stderr}"
    return done.stdout


class Release:
    """A release of the chart in a namespace of its own."""

    def __init__(self, namespace, image, name="ottla", chart=CHART):
        self.namespace = namespace
        self.name = name
        self.chart = chart
        repository, _, tag = image.rpartition(":")
        self.image = {"repository": repository, "tag": tag, "pullPolicy": "IfNotPresent"}

    def _run(self, verb, values, *args):
        values = {"image": self.image, **values}
        flags = [f"--set-json={key}={json.dumps(value)}" for key, value in values.items()]
        return helm(verb, self.name, str(self.chart), "-n", self.namespace.name, *flags, *args)

    def install(self, *args, **values):
        """helm install with values, given as keyword arguments."""
        return self._run("install", values, "--take-ownership", *args)

    def upgrade(self, *args, **values):
        """helm upgrade; values not given are the chart's."""
        return self._run("upgrade", values, *args)

    def test(self):
        """helm test."""
        return helm("test", self.name, "-n", self.namespace.name)

    def uninstall(self):
        """helm uninstall, and waits."""
        return helm("uninstall", self.name, "-n", self.namespace.name, "--wait")

    def operator_pods(self):
        """The operator's pods."""
        return self.namespace.get("pods", selector=f"app.kubernetes.io/component=operator,app.kubernetes.io/instance={self.name}")

    def scale_operator(self, replicas):
        """So many operators."""
        self.namespace.run("scale", f"deployment/{self.deployment}", f"--replicas={replicas}")

    @property
    def deployment(self):
        """Name of the operator's Deployment."""
        prefix = self.name if "ottla" in self.name else f"{self.name}-ottla"
        return f"{prefix}-operator"
