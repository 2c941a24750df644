"""A client in the cluster that sends with acks=all all the time, and proves at the end that nothing was lost."""

import itertools
import json
import os
import subprocess
import time

from .kubectl import Refused
from .waiting import eventually

_COUNTER = itertools.count(1)


class Load:
    """A pod that runs `ottla soak` on a topic made for it."""

    def __init__(self, cluster, image, rate=200, partitions=6, replication_factor=3, node=None):
        self.cluster = cluster
        self.namespace = cluster.namespace
        self.name = f"load-{os.getpid()}-{next(_COUNTER)}"
        self.topic = self.name
        self.verdict = None
        args = ["soak", self.topic, f"--bootstrap={cluster.bootstrap}", f"--rate={rate}", "--output=json",
                f"--partitions={partitions}", f"--replication-factor={replication_factor}"]
        self.manifest = {
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": self.name, "namespace": self.namespace.name, "labels": {"ottla-test": "load"}},
            "spec": {
                "restartPolicy": "Never", "terminationGracePeriodSeconds": 180, "automountServiceAccountToken": False,
                "enableServiceLinks": False,
                "securityContext": {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
                "nodeSelector": {"kubernetes.io/hostname": node} if node else None,
                "containers": [{
                    "name": "load", "image": image, "imagePullPolicy": "IfNotPresent", "command": ["/ottla"], "args": args,
                    "securityContext": {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                                        "capabilities": {"drop": ["ALL"]}}}]}}

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, *_):
        try:
            if kind is None:
                self.finish()
        finally:
            self.namespace.delete("pod", self.name, wait=False)
            try:
                self.cluster.ottla("topic", "delete", self.topic, "--yes")
            except Refused:
                pass  # The cluster may be gone by now.

    def start(self):
        """Returns when records flow."""
        self.namespace.apply(self.manifest)
        eventually(lambda: self.figures()["acknowledged"] > 100, 60, what="load")
        return self

    def lines(self, *args):
        """Figures printed so far, oldest first."""
        text = self.namespace.run("logs", self.name, *args, timeout=240)
        return [json.loads(line) for line in text.splitlines() if line.startswith('{"')]

    def figures(self):
        """What it printed last."""
        figures = [line for line in self.lines("--tail=30") if "acknowledged" in line]
        return figures[-1]

    def more(self, records=200, timeout=60):
        """Waits for further acknowledgements: the cluster takes records now."""
        before = self.figures()["acknowledged"]
        eventually(lambda: self.figures()["acknowledged"] >= before + records, timeout, what="more records")

    def end(self):
        """Ends it; returns the last figures, with what reading back found."""
        follow = ["kubectl", "-n", self.namespace.name, "logs", "--follow", self.name]
        with subprocess.Popen(follow, stdout=subprocess.PIPE, text=True) as logs:
            first = logs.stdout.readline()  # From here on the log is followed up to its end.
            self.namespace.delete("pod", self.name, wait=False)
            rest, _ = logs.communicate(timeout=240)
        return [json.loads(line) for line in [first, *rest.splitlines()] if line.startswith('{"')]

    def finish(self):
        """Ends it; no send has failed and no acknowledged record is missing, doubled or out of order."""
        begun = time.monotonic()
        lines = self.end()
        self.verdict = next((line for line in reversed(lines) if "verdict" in line), None)
        assert self.verdict, f"no verdict after {time.monotonic() - begun:.0f} s: {lines[-3:]}"
        print(f"load: {json.dumps(self.verdict)}")
        failures = [line for line in lines if "failed_send" in line]
        assert self.verdict["verdict"] == "ok", (self.verdict, failures[:5])
        return self.verdict
