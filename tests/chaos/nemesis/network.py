"""Faults of the network."""

from world.links import Rule, both_ways, table
from world.network import CLIENTS

from .faults import Fault, fault


class _Links(Fault):
    """Rules for links and, later, none."""

    def rules(self):
        """(words, the rules)."""
        raise NotImplementedError

    def begin(self):
        text, self.imposed = self.rules()
        self.world.network.impose(self.imposed)
        return text

    def end(self):
        self.world.network.heal(self.imposed)


@fault("cut")
class Cut(_Links):
    """One broker from all others; every other time from the clients as well."""

    def rules(self):
        one, *others = self.members()
        text = f"{self.name(one)} cut off from brokers"
        if self.dice.random() < 0.5:
            others.append(CLIENTS)
            text += " and clients"
        return text, table(both_ways([one], others))


@fault("cut-one-way")
class CutOneWay(_Links):
    """What one broker sends, or what is sent to it, is lost; to some of the others or all."""

    def rules(self):
        one, *others = self.members()
        others = others[: self.dice.randint(1, len(others))]
        if self.dice.random() < 0.5:
            return f"nothing from {self.name(one)} reaches {others}", table((one, other) for other in others)
        return f"nothing from {others} reaches {self.name(one)}", table((other, one) for other in others)


@fault("cut-controller")
class CutController(_Links):
    """The controller from some brokers: their links to each other and to clients stay.

    Brokers speak of everything through one port, so what is cut are the controller's links, with whatever else it does.
    """

    def rules(self):
        controller = self.world.cluster.controller() or self.members()[0]
        others = sorted(self.world.cluster.members - {controller})
        self.dice.shuffle(others)
        others = others[: self.dice.randint(1, len(others))]
        pairs = both_ways([controller], others)
        if self.dice.random() < 0.3:
            pairs = pairs[::2]
        return f"controller {controller} cut off from {others}, {len(pairs)} directions", table(pairs)


@fault("cut-clients")
class CutClients(_Links):
    """One broker from the clients, not from brokers."""

    def rules(self):
        one = self.members()[0]
        return f"clients cut off from {self.name(one)}", table(both_ways([one], [CLIENTS]))


@fault("halves")
class Halves(_Links):
    """Two sides that do not hear each other; or both hear one broker, which hears both."""

    def rules(self):
        numbers = self.members()
        if self.dice.random() < 0.5:
            middle, *rest = numbers
            half = (len(rest) + 1) // 2
            return f"{rest[:half]} | {rest[half:]}, {self.name(middle)} hears both", table(both_ways(rest[:half], rest[half:]))
        half = self.dice.randint(1, len(numbers) - 1)
        return f"{numbers[:half]} | {numbers[half:]}", table(both_ways(numbers[:half], numbers[half:]))


@fault("delay")
class Delay(_Links):
    """Packets take longer, and overtake each other."""

    def rules(self):
        numbers = self.members()
        some = numbers[: self.dice.randint(1, len(numbers))]
        rule = Rule(delay=self.dice.choice([0.02, 0.1, 0.3]), jitter=self.dice.choice([0.0, 0.05, 0.2]))
        return f"{rule.delay} s + up to {rule.jitter} s to and from {some}", table(both_ways(some, [*numbers, CLIENTS]), rule)


@fault("loss")
class Loss(_Links):
    """Packets are lost and doubled."""

    def rules(self):
        numbers = self.members()
        rule = Rule(drop=self.dice.choice([0.02, 0.1, 0.25]), duplicate=self.dice.choice([0.0, 0.1]))
        return f"{rule.drop:.0%} lost, {rule.duplicate:.0%} doubled", table(both_ways(numbers, [*numbers, CLIENTS]), rule)
