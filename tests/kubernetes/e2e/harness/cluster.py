"""Clusters and topics as the tests see them."""

import json

from .kubectl import condition, is_ready, pod_is_ready
from .waiting import eventually

SELECTOR = "app.kubernetes.io/name=ottla,app.kubernetes.io/component=broker,ottla.dev/cluster="


class Cluster:
    """A Cluster resource and its brokers."""

    def __init__(self, namespace, name):
        self.namespace = namespace
        self.name = name

    def create(self, **spec):
        """Makes the resource; returns at once."""
        self.namespace.apply({"apiVersion": "ottla.dev/v1", "kind": "Cluster",
                              "metadata": {"name": self.name, "namespace": self.namespace.name}, "spec": spec})
        return self

    def change(self, **spec):
        """Changes the spec; None takes a key away."""
        self.namespace.patch("cluster", self.name, {"spec": spec})

    @property
    def bootstrap(self):
        """Where clients connect first."""
        return f"{self.name}-bootstrap.{self.namespace.name}.svc:9092"

    def get(self):
        """The resource."""
        return self.namespace.get("cluster", self.name)

    def status(self):
        """What the operator says of it."""
        return self.get().get("status", {})

    def condition(self, kind):
        """(status, reason, message)."""
        return condition(self.get(), kind)

    def pods(self):
        """The brokers' pods, by name."""
        pods = self.namespace.get("pods", selector=SELECTOR + self.name)
        return {pod["metadata"]["name"]: pod for pod in pods}

    def uids(self):
        """Pod name to uid: another uid is another pod."""
        return {name: pod["metadata"]["uid"] for name, pod in self.pods().items()}

    def ready_pods(self):
        """Names of pods that are ready."""
        return sorted(name for name, pod in self.pods().items() if pod_is_ready(pod))

    def is_settled(self, brokers):
        """That many ready brokers, and the operator has nothing left to do."""
        item = self.get()
        progressing = condition(item, "Progressing")[0]
        return is_ready(item) and progressing == "False" and len(self.ready_pods()) == brokers == len(self.pods())

    def wait_settled(self, brokers=3, timeout=120):
        """Waits until the cluster is as its spec says."""
        try:
            eventually(lambda: self.is_settled(brokers), timeout)
        except AssertionError as error:
            status = json.dumps(self.status().get("conditions"), indent=1)
            raise AssertionError(f"cluster {self.name} is not settled: {status}") from error

    def ottla(self, *args, broker=0, **options):
        """The command line, in a broker's pod."""
        return self.namespace.run("exec", f"{self.name}-{broker}", "-c", "broker", "--", "/ottla", *args, **options)

    def describe(self, topic, broker=0):
        """Partitions of a topic, as the brokers say; None if there is none."""
        names = self.ottla("topic", "list", "--names", broker=broker).split()
        if topic not in names:
            return None
        described = json.loads(self.ottla("topic", "describe", topic, "-o", "json", broker=broker))
        return described[0] if isinstance(described, list) else described


class Plain(Cluster):
    """Brokers alone, as in examples/without-operator.yaml."""

    def create(self, manifests):  # pylint: disable=arguments-differ
        """Makes everything; returns at once."""
        self.namespace.apply(manifests)
        return self

    @property
    def bootstrap(self):
        """Where clients connect first."""
        return f"{self.name}-bootstrap:9092"

    def is_settled(self, brokers):
        """That many ready brokers: each is in sync with all it holds."""
        return len(self.ready_pods()) == brokers == len(self.pods())

    def status(self):
        """Nobody tells."""
        return {}


class Topic:
    """A Topic resource."""

    def __init__(self, cluster, name):
        self.cluster = cluster
        self.namespace = cluster.namespace
        self.name = name

    def manifest(self, **spec):
        """The resource."""
        return {"apiVersion": "ottla.dev/v1", "kind": "Topic",
                "metadata": {"name": self.name, "namespace": self.namespace.name},
                "spec": {"clusterRef": {"name": self.cluster.name}, **spec}}

    def create(self, **spec):
        """Makes the resource; returns at once."""
        self.namespace.apply(self.manifest(**spec))
        return self

    def change(self, **spec):
        """Changes the spec."""
        self.namespace.patch("topic", self.name, {"spec": spec})

    def get(self):
        """The resource."""
        return self.namespace.get("topic", self.name)

    def condition(self, kind="Ready"):
        """(status, reason, message)."""
        return condition(self.get(), kind)

    def wait_ready(self, timeout=60):
        """Waits until the topic is as its spec says; returns the resource."""
        eventually(lambda: is_ready(self.get()), timeout, what=f"topic {self.name} ready")
        return self.get()

    def wait_not_ready(self, timeout=60):
        """Waits until it says that it is not; returns (reason, message)."""
        def said():
            status, reason, message = self.condition()
            return (reason, message) if status == "False" else None
        return eventually(said, timeout, what=f"topic {self.name} not ready")

    def delete(self, wait=True):
        """Deletes the resource."""
        self.namespace.delete("topic", self.name, wait=wait)
