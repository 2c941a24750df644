"""What each packet between two hosts meets: a pure table of rules, and the dice it throws."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    """One direction between two hosts. `drop` and `duplicate` are probabilities, times are seconds."""

    drop: float = 0.0
    delay: float = 0.0
    jitter: float = 0.0
    duplicate: float = 0.0

    def fate(self, dice):
        """The delays with which copies of a packet arrive: none when it is lost."""
        if self.drop and dice.random() < self.drop:
            return []
        copies = 2 if self.duplicate and dice.random() < self.duplicate else 1
        return [self.delay + (dice.random() * self.jitter if self.jitter else 0.0) for _ in range(copies)]


CUT = Rule(drop=1.0)


def both_ways(one, other):
    """All directed pairs between two sets of hosts."""
    return [pair for a in one for b in other if a != b for pair in ((a, b), (b, a))]


def table(pairs, rule=CUT):
    """(source, target) -> the same rule for all."""
    return dict.fromkeys(pairs, rule)


def encode(rules):
    """The rules as what JSON can say."""
    return [[a, b, rule.drop, rule.delay, rule.jitter, rule.duplicate] for (a, b), rule in rules.items()]


def decode(rows):
    """The inverse of `encode`."""
    return {(row[0], row[1]): Rule(*row[2:]) for row in rows}
