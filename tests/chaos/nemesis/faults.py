"""Faults of processes: kill -9, SIGSTOP, SIGTERM. And what all faults have in common."""

import signal

FAULTS = {}


def fault(kind):
    """Registers a class as the fault of this kind."""

    def register(cls):
        cls.kind = kind
        FAULTS[kind] = cls
        return cls

    return register


class Fault:
    """One fault. `begin` does it and says in words what was done; `end` takes back what is still to be taken back."""

    kind = ""
    wants_whole = False

    def __init__(self, world, dice):
        self.world, self.dice = world, dice

    @classmethod
    def refusal(cls, world):
        """Why it cannot be done here; empty when it can."""
        return ""

    def begin(self):
        """Does it."""
        raise NotImplementedError

    def end(self):
        """Takes it back."""

    def members(self):
        """Members in an order that the dice chose; the controller comes first every other time."""
        numbers = sorted(self.world.cluster.members)
        self.dice.shuffle(numbers)
        controller = self.world.cluster.controller()
        if self.dice.random() < 0.5 and controller in numbers:
            numbers.remove(controller)
            numbers.insert(0, controller)
        return numbers

    def name(self, number):
        """A broker in words."""
        return f"{number} (controller)" if number == self.world.cluster.controller() else str(number)


class _Kill(Fault):
    """kill -9 and, later, a start."""

    def victims(self):
        raise NotImplementedError

    def begin(self):
        self.killed = self.victims()
        text = ", ".join(self.name(number) for number in self.killed)
        for number in self.killed:
            self.world.cluster.brokers[number].kill()
        return f"kill -9 of {text}"

    def end(self):
        for number in self.killed:
            self.world.cluster.brokers[number].launch()


@fault("kill")
class KillOne(_Kill):
    """One broker."""

    def victims(self):
        return self.members()[:1]


@fault("kill-two")
class KillTwo(_Kill):
    """Two brokers, of three the majority."""

    def victims(self):
        return self.members()[:2]


@fault("kill-all")
class KillAll(_Kill):
    """All brokers."""

    def victims(self):
        return self.members()


@fault("pause")
class Pause(Fault):
    """SIGSTOP and, later, SIGCONT."""

    def begin(self):
        self.number = self.members()[0]
        text = f"SIGSTOP of {self.name(self.number)}"
        broker = self.world.cluster.brokers[self.number]
        broker.signal(signal.SIGSTOP)
        broker.is_stopped = True
        return text

    def end(self):
        broker = self.world.cluster.brokers[self.number]
        broker.signal(signal.SIGCONT)
        broker.is_stopped = False


@fault("pause-long")
class PauseLong(Pause):
    """The same for most of a minute."""


@fault("restart")
class Restart(Fault):
    """SIGTERM: the broker asks for the permit, hands its leaders over and leaves."""

    def begin(self):
        self.number = self.members()[0]
        text = f"SIGTERM to {self.name(self.number)}"
        seconds = self.world.stop(self.number)
        return f"{text}, gone after {seconds:.1f} s"

    def end(self):
        self.world.cluster.brokers[self.number].launch()


@fault("rolling")
class Rolling(Fault):
    """SIGTERM and a start of each in turn, the next when the one before is in sync again."""

    wants_whole = True

    def begin(self):
        times = []
        for number in sorted(self.world.cluster.members):
            times.append(f"{self.world.stop(number):.1f} s")
            self.world.cluster.brokers[number].launch()
            self.world.cluster.wait_whole(120)
        return f"SIGTERM to each in turn, gone after {', '.join(times)}"
