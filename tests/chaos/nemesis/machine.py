"""Faults of disks and clocks."""

import time

from .faults import Fault, fault


@fault("disk-full")
class DiskFull(Fault):
    """No room on one broker's disk; every other time what the broker gives up is taken, too. Room again later."""

    def begin(self):
        self.number = self.members()[0]
        disk, times = self.world.cluster.brokers[self.number].disk, self.dice.choice([1, 4])
        for _ in range(times):
            disk.fill()
            time.sleep(0.5)
        return f"disk of {self.name(self.number)} full, filled {times} times"

    def end(self):
        self.world.cluster.brokers[self.number].disk.make_room()


@fault("disk-slow")
class DiskSlow(Fault):
    """Writes to one broker's disk are throttled."""

    @classmethod
    def refusal(cls, world):
        works = all(broker.disk.group.works for broker in world.cluster.brokers.values())
        return "" if works else "no control group that limits writes"

    def begin(self):
        self.number = self.members()[0]
        rate, writes = self.dice.choice([(20_000, 5), (100_000, 20), (0, 2)])
        self.world.cluster.brokers[self.number].disk.group.limit(rate, writes)
        return f"disk of {self.name(self.number)} with {rate or 'any'} B/s and {writes} writes/s"

    def end(self):
        self.world.cluster.brokers[self.number].disk.group.limit(0, 0)


@fault("disk-wiped")
class DiskWiped(Fault):
    """A broker is killed and comes back with an empty disk.

    Only from a whole cluster, and only once every partition has another leader: what the last in-sync replica alone
    had would be gone for good, and no system can promise otherwise.
    """

    wants_whole = True

    def begin(self):
        self.number = self.members()[0]
        text = f"disk of {self.name(self.number)} wiped"
        self.world.cluster.brokers[self.number].kill()
        end = time.monotonic() + 60
        while not self._others_lead() and time.monotonic() < end:
            time.sleep(0.2)
        if not self._others_lead():
            return f"kill -9 of {self.number}; no other leaders, so its disk was left alone"
        self.world.cluster.brokers[self.number].disk.wipe()
        return text

    def _others_lead(self):
        seen = self.world.cluster.metadata()
        return seen is not None and all(row["LeaderId"] not in (-1, self.number) for row in seen[2].values())

    def end(self):
        self.world.cluster.brokers[self.number].launch()


@fault("clock")
class ClockStep(Fault):
    """One broker's wall clock jumps, forward or back, and jumps back."""

    @classmethod
    def refusal(cls, world):
        return "" if all(broker.clock.works for broker in world.cluster.brokers.values()) else "no C compiler"

    def begin(self):
        self.number = self.members()[0]
        seconds = self.dice.choice([-86_400, -600, -5, 5, 600, 86_400])
        self.world.cluster.brokers[self.number].clock.set(seconds)
        return f"wall clock of {self.name(self.number)} by {seconds} s"

    def end(self):
        self.world.cluster.brokers[self.number].clock.set(0)
