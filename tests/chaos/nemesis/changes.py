"""Changes on purpose: moves, more and fewer brokers; and a broker that belongs elsewhere."""

from .faults import Fault, fault

STRANGER = 9


@fault("reassign")
class Reassign(Fault):
    """Partitions get other replicas, in another order; with three brokers it is their order that changes."""

    def begin(self):
        seen = self.world.cluster.metadata()
        if seen is None:
            return "nothing: nobody answers"
        members, topics = sorted(self.world.cluster.members), {}
        for (topic, index), row in seen[2].items():
            if topic == self.world.topic and self.dice.random() < 0.5:
                replicas = self.dice.sample(members, len(row["ReplicaNodes"]))
                topics.setdefault(topic, []).append({"PartitionIndex": index, "Replicas": replicas})
        body = {"TimeoutMs": 5000, "Topics": [{"Name": name, "Partitions": rows} for name, rows in topics.items()]}
        answer = self.world.cluster.ask("AlterPartitionReassignments", body, 0, timeout=10) if topics else None
        return f"{sum(map(len, topics.values()))} partitions to other replicas: {_told(answer)}"


def _told(answer):
    return "no answer" if answer is None else f"error {answer['ErrorCode']}"


@fault("scale")
class Scale(Fault):
    """Two more brokers join, get their share, give it back and leave."""

    wants_whole = True

    @classmethod
    def refusal(cls, world):
        return "" if world.spare else "no brokers to spare: all hosts belong to the cluster"

    def begin(self):
        cluster, new = self.world.cluster, list(self.world.spare)
        for number in new:
            cluster.brokers[number].launch()
            cluster.members.add(number)
        missing = cluster.wait_whole(120)
        if not missing:
            self.world.ottla("cluster", "rebalance", "--execute")
        self.grown = f"{len(cluster.members)} brokers{', ' + missing if missing else ''}"
        return f"scaled to {self.grown}"

    def end(self):
        cluster = self.world.cluster
        missing = cluster.wait_whole(180)
        if missing:
            raise AssertionError(f"more brokers are not whole: {missing}")
        self.world.ottla("cluster", "drain", *map(str, self.world.spare), "--execute")
        for number in self.world.spare:
            self.world.stop(number)
            cluster.members.discard(number)
            self.world.unregister(number)
            cluster.brokers[number].disk.wipe()
        missing = cluster.wait_whole(180)
        if missing:
            raise AssertionError(f"fewer brokers are not whole: {missing}")


@fault("stranger")
class Stranger(Fault):
    """A broker whose disk is of another cluster, with the id of one of ours, is pointed at this one."""

    def begin(self):
        stranger = self.world.stranger()
        number = self.members()[0]
        stranger.settings.update({"node.id": number, "controller.quorum.bootstrap.servers": self.world.cluster.bootstrap})
        stranger.launch()
        self.broker = stranger
        return f"a broker of another cluster with id {number}"

    def end(self):
        ended = not self.broker.is_running
        self.world.note(f"the stranger {'ended by itself' if ended else 'was still there'}: {self.broker.output(1)}")
        self.broker.kill()
