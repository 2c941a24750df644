"""Which fault follows which, and which come together: pure, from a seed. Each fault has a seed for its own dice."""

import random
from dataclasses import dataclass

# kind -> (shortest, longest) seconds it holds; how often it is chosen.
KINDS = {
    "kill": ((1, 12), 3),
    "kill-two": ((1, 12), 2),
    "kill-all": ((0, 6), 2),
    "pause": ((1, 20), 3),
    "pause-long": ((40, 60), 0.3),
    "cut": ((3, 20), 3),
    "cut-one-way": ((3, 20), 3),
    "cut-controller": ((3, 20), 2),
    "cut-clients": ((3, 15), 1),
    "halves": ((3, 20), 2),
    "delay": ((5, 15), 1),
    "loss": ((5, 15), 1),
    "disk-full": ((3, 15), 2),
    "disk-slow": ((5, 20), 1),
    "disk-wiped": ((1, 10), 2),
    "clock": ((5, 20), 1),
    "restart": ((0, 3), 2),
    "rolling": ((0, 0), 1),
    "reassign": ((0, 5), 2),
    "scale": ((0, 5), 0.5),
    "stranger": ((5, 8), 0.5),
}

# What may happen to brokers while something is wrong around them. Faults that begin with a whole cluster are alone.
TO_BROKERS = ("kill", "kill-two", "kill-all", "pause", "clock", "restart", "reassign")
AROUND = ("cut", "cut-one-way", "cut-controller", "cut-clients", "halves", "delay", "loss", "disk-full", "disk-slow")


@dataclass(frozen=True)
class Step:
    """One fault: how long it holds, how long nothing happens afterwards, the seed of its own dice, and which other
    fault, if any, begins before it and ends after it."""

    kind: str
    hold: float
    rest: float
    wait: bool
    seed: int
    around: str | None = None


def plan(seed, kinds=None, length=1.0):
    """Steps without end. Kinds that are named are equally frequent; `length` stretches all times."""
    dice = random.Random(seed)
    names = list(kinds or KINDS)
    weights = [1.0] * len(names) if kinds else [KINDS[name][1] for name in names]
    while True:
        kind = dice.choices(names, weights)[0]
        low, high = KINDS[kind][0]
        yield Step(
            kind,
            hold=dice.uniform(low, high) * length,
            rest=dice.choice([0.0, 1.0, dice.uniform(1, 8)]) * length,
            wait=dice.random() < 0.5,
            seed=dice.getrandbits(32),
            around=_around(kind, names, dice),
        )


def _around(kind, names, dice):
    possible = [name for name in AROUND if name in names]
    chosen = dice.choice(possible) if possible else None
    return chosen if dice.random() < 0.35 and kind in TO_BROKERS else None
