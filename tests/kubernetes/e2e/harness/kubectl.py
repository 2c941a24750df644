"""kubectl as functions, for one namespace."""

import json
import subprocess
import time


class Refused(LookupError):
    """kubectl failed; its words are the message."""


def kubectl(*args, stdin=None, timeout=60):
    """Runs kubectl and returns what it prints."""
    if isinstance(stdin, (dict, list)):
        items = stdin if isinstance(stdin, list) else [stdin]
        stdin = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    done = subprocess.run(["kubectl", *args], input=stdin, capture_output=True, text=True, timeout=timeout)
    if done.returncode:
        raise Refused(done.stderr.strip() or done.stdout.strip())
    return done.stdout


class Namespace:
    """Objects of one namespace."""

    def __init__(self, name):
        self.name = name

    def run(self, *args, **options):
        """kubectl in this namespace."""
        return kubectl("-n", self.name, *args, **options)

    def create(self):
        """Makes the namespace with the strictest pod security."""
        kubectl("apply", "-f", "-", stdin={
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": self.name, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}})

    def wipe(self):
        """Deletes the namespace, after a while without asking anybody: brokers without an operator wait for each other, and
        what a killed operator has held nobody lets go."""
        try:
            self.destroy(20)
        except Refused:
            self.run("delete", "pods", "--all", "--force", "--grace-period=0", timeout=120)
            held = [item for item in self.find_all("topics") if item["metadata"].get("finalizers")]
            for item in held:
                item["metadata"]["finalizers"] = []
            if held:
                self.run("replace", "-f", "-", stdin=held, timeout=240)
            self.destroy()

    def destroy(self, timeout=180):
        """Deletes the namespace and waits until it is gone."""
        kubectl("delete", "namespace", self.name, "--ignore-not-found", f"--timeout={timeout}s", timeout=timeout + 10)

    def get(self, kind, name=None, selector=None):
        """An object, or a list of them."""
        args = ["get", kind, "-o", "json"]
        args += [name] if name else []
        args += ["-l", selector] if selector else []
        answer = json.loads(self.run(*args))
        return answer if name else answer["items"]

    def find(self, kind, name):
        """An object, or None."""
        return json.loads(self.run("get", kind, name, "--ignore-not-found", "-o", "json") or "null")

    def find_all(self, kind):
        """Objects of a kind that may not be defined here."""
        try:
            return self.get(kind)
        except Refused:
            return []

    def apply(self, objects, *args):
        """kubectl apply; a string is YAML."""
        return self.run("apply", "-f", "-", *args, stdin=objects, timeout=180)

    def patch(self, kind, name, change, *args):
        """A merge patch."""
        return self.run("patch", kind, name, "--type=merge", "-p", json.dumps(change), *args)

    def delete(self, kind, *names, wait=True, timeout=120):
        """Deletes objects."""
        self.run("delete", kind, *names, "--ignore-not-found", f"--wait={str(wait).lower()}", f"--timeout={timeout}s",
                 timeout=timeout + 10)

    def delete_all(self, kind, selector):
        """Deletes resources of ours in one request: `kubectl delete` deletes five a second."""
        self.run("delete", "--raw", f"/apis/ottla.dev/v1/namespaces/{self.name}/{kind}?labelSelector={selector}")

    def events(self, kind, name):
        """Reasons and messages of an object's events."""
        selector = f"involvedObject.kind={kind},involvedObject.name={name}"
        items = json.loads(self.run("get", "events", "--field-selector", selector, "-o", "json"))["items"]
        return [(item.get("reason"), item.get("message") or item.get("note")) for item in items]


def condition(item, kind):
    """(status, reason, message) of a condition; statuses of an earlier generation count as Unknown."""
    generation = item["metadata"].get("generation")
    for entry in item.get("status", {}).get("conditions", []):
        if entry["type"] == kind:
            is_old = entry.get("observedGeneration", generation) != generation
            return ("Unknown" if is_old else entry["status"]), entry.get("reason"), entry.get("message", "")
    return "Unknown", None, ""


def is_ready(item):
    """True if it says so about its present generation."""
    return condition(item, "Ready")[0] == "True"


def pod_is_ready(pod):
    """True if the pod is ready and not on its way out."""
    return condition(pod, "Ready")[0] == "True" and "deletionTimestamp" not in pod["metadata"]


def seconds(since):
    """Seconds since a time.monotonic()."""
    return time.monotonic() - since
