"""Asks now and then what groups have committed and who owns what, by hand, as an administrator would."""

import struct
import threading
import time

from harness.wire import Wire

CLASSIC, CONSUMER = ("rd", "java-classic"), ("java-consumer",)
TIMEOUT = 5


class Observing(threading.Thread):
    """Looks at all groups of the load once a second; what fails is not noted as seen."""

    def __init__(self, job):
        super().__init__(name="observer")
        self.job = job
        self.addresses = job.bootstrap.split(",")

    def run(self):
        turn = 0
        while not self.job.stopping.wait(1):
            turn += 1
            for group in CLASSIC + CONSUMER:
                try:
                    self._look(self.addresses[turn % len(self.addresses)], group)
                except (OSError, AssertionError, ValueError, LookupError) as error:
                    self.job.journal.note(self.name, "trouble", e=repr(error))

    def _look(self, address, group):
        with Wire(address, timeout=TIMEOUT) as wire:
            found = wire.call("FindCoordinator", {"CoordinatorKeys": [group]}, 6)["Coordinators"][0]
            assert found["ErrorCode"] == 0, found
        with Wire(f"{found['Host']}:{found['Port']}", timeout=TIMEOUT) as wire:
            self._offsets(wire, group)
            self._owners(wire, group)

    def _offsets(self, wire, group):
        since = time.time()
        body = {"Groups": [{"GroupId": group, "Topics": None}], "RequireStable": True}
        answer = wire.call("OffsetFetch", body, 8)["Groups"][0]
        assert answer["ErrorCode"] == 0, answer
        rows = [row for topic in answer["Topics"] for row in topic["Partitions"]]
        if all(row["ErrorCode"] == 0 for row in rows):
            at = {row["PartitionIndex"]: row["CommittedOffset"] for row in rows}
            self.job.journal.note(self.name, "offsets", group=group, since=since, at=at)

    def _owners(self, wire, group):
        if group in CONSUMER:
            answer = wire.call("ConsumerGroupDescribe", {"GroupIds": [group]}, 1)["Groups"][0]
            owners = {
                member["MemberId"]: [p for topic in member["Assignment"]["TopicPartitions"] for p in topic["Partitions"]]
                for member in answer["Members"]
            }
        else:
            answer = wire.call("DescribeGroups", {"Groups": [group]}, 5)["Groups"][0]
            owners = {member["MemberId"]: classic(member["MemberAssignment"]) for member in answer["Members"]}
        if answer["ErrorCode"] == 0:
            self.job.journal.note(self.name, "owners", group=group, owners=owners)


def classic(data):
    """The partitions in the assignment of a classic consumer."""
    if not data:
        return []
    found, at = [], 6
    for _ in range(struct.unpack_from(">i", data, 2)[0]):
        at += 2 + struct.unpack_from(">h", data, at)[0]
        count = struct.unpack_from(">i", data, at)[0]
        found += struct.unpack_from(f">{count}i", data, at + 4)
        at += 4 + 4 * count
    return found
