"""The plan of a run, and the rules of links."""

import itertools
import random

from nemesis import KINDS, plan
from nemesis.plan import AROUND, TO_BROKERS
from world import links


def test_one_seed_is_one_plan():
    first, second = (list(itertools.islice(plan(7), 50)) for _ in range(2))
    assert first == second
    assert first != list(itertools.islice(plan(8), 50))


def test_every_kind_comes_up_and_holds_as_long_as_it_may():
    steps = list(itertools.islice(plan(1), 2000))
    assert {step.kind for step in steps} == set(KINDS)
    assert all(KINDS[step.kind][0][0] <= step.hold <= KINDS[step.kind][0][1] for step in steps)


def test_only_the_kinds_that_were_asked_for_come_up():
    assert {step.kind for step in itertools.islice(plan(1, ["kill", "cut"]), 50)} == {"kill", "cut"}


def test_faults_come_together_only_where_one_is_around_the_other():
    steps = [step for step in itertools.islice(plan(1), 500) if step.around]
    assert steps
    assert all(step.kind in TO_BROKERS and step.around in AROUND for step in steps)
    assert not any(step.around for step in itertools.islice(plan(1, ["kill"]), 50))


def test_a_cut_loses_everything_and_no_rule_nothing():
    dice = random.Random(1)
    assert links.CUT.fate(dice) == []
    assert links.Rule().fate(dice) == [0.0]


def test_rules_delay_and_double():
    dice = random.Random(1)
    delays = links.Rule(delay=0.1, jitter=0.2, duplicate=1.0).fate(dice)
    assert len(delays) == 2
    assert all(0.1 <= delay <= 0.3 for delay in delays)


def test_pairs_are_directed_and_never_a_host_with_itself():
    assert set(links.both_ways([1], [1, 2])) == {(1, 2), (2, 1)}


def test_rules_survive_the_way_to_the_switch():
    rules = links.table([(1, 2), (2, 1)], links.Rule(drop=0.5, delay=0.1))
    assert links.decode(links.encode(rules)) == rules
