"""Nodes, and the API server: taken away and given back. Only where the script started this Kubernetes."""

import os
import signal
import subprocess
from pathlib import Path

from .kubectl import kubectl


class Nodes:
    """What the script can do to its nodes."""

    def __init__(self):
        self._script = os.environ.get("OTTLA_TEST_KUBE")
        self._stopped = set()
        self._cordoned = set()
        self._frozen = None

    @staticmethod
    def available():
        """Whether nodes can be stopped here."""
        return bool(os.environ.get("OTTLA_TEST_KUBE"))

    def _run(self, *args):
        subprocess.run([self._script, *args], check=True, timeout=120, stdout=subprocess.DEVNULL)

    def stop(self, node):
        """The node dies with everything on it."""
        self._stopped.add(node)
        self._run("node-stop", node.removeprefix("node"))

    def start(self, node):
        """The node is back."""
        self._run("node-start", node.removeprefix("node"))
        self._stopped.discard(node)

    def drain(self, node, timeout=120):
        """kubectl drain."""
        self._cordoned.add(node)
        return kubectl("drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--pod-selector=!ottla-test",
                       f"--timeout={timeout}s", timeout=timeout + 10)

    def uncordon(self, node):
        """Pods may come again."""
        kubectl("uncordon", node)
        self._cordoned.discard(node)

    def freeze_api_server(self):
        """Connections hang from here on."""
        self._frozen = int(Path(os.environ.get("KUBE_DIR", "/tmp/kube"), "apiserver.pid").read_text())
        os.kill(self._frozen, signal.SIGSTOP)

    def thaw_api_server(self):
        """And go on."""
        if self._frozen:
            os.kill(self._frozen, signal.SIGCONT)
        self._frozen = None

    def restore(self):
        """Everything as it was."""
        self.thaw_api_server()
        for node in list(self._stopped):
            self.start(node)
        for node in list(self._cordoned):
            self.uncordon(node)
