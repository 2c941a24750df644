"""The checker finds each anomaly in a history made by hand, and nothing in one that is right."""

import itertools

import pytest

from checker import ANOMALIES, History, check, measure
from checker.history import Writer


class Story:
    """A history told line by line; each line is a tenth of a second after the one before."""

    def __init__(self):
        self.events, self.log, self.times = [], {0: []}, itertools.count(1)

    def tell(self, client, op, **fields):
        self.events.append({"t": next(self.times) / 10, "client": client, "op": op, **fields})
        return self

    def open(self, sender="a.1", idempotent=True):
        return self.tell("a", "open", sender=sender, idempotent=idempotent)

    def sent(self, number, offset=None, sender="a.1", end="ack", stored=True):
        """A record that was sent and answered for; stored at the next offset unless told otherwise."""
        self.tell("a", "send", s=sender, n=number, p=0)
        place = len(self.log[0])
        if stored:
            self.log[0].append((place, f"{sender}:{number}"))
        fields = {"o": place if offset is None else offset} if end == "ack" else {"e": "why"}
        return self.tell("a", end, s=sender, n=number, p=0, **fields)

    def poll(self, *rows, client="r"):
        return self.tell(client, "poll", p=0, r=[list(row) for row in rows])

    def anomalies(self):
        return {finding.anomaly for finding in check(History(self.events, self.log))}


@pytest.fixture
def story():
    """Three records that were sent and acknowledged."""
    return Story().open().sent(0).sent(1).sent(2)


def reader(story):
    return story.tell("r", "assigned", p=[0])


def member(story, name="m1"):
    return story.tell(name, "member", group="g").tell(name, "assigned", group="g", p=[0])


def commit(story, offset, client="m1", outcome="committed"):
    story.tell(client, "commit", group="g", at={"0": offset})
    return story.tell(client, outcome, group="g", at={"0": offset})


ALL = [(0, "a.1:0"), (1, "a.1:1"), (2, "a.1:2")]


def test_a_right_history_has_no_findings(story):
    member(reader(story)).poll(*ALL).poll(*ALL, client="m1")
    commit(story, 3).tell("o", "offsets", group="g", since=99.0, at={"0": 3})
    assert not check(History(story.events, story.log))


def test_unknown_outcomes_may_be_stored_or_not(story):
    story.sent(3, end="unknown", stored=True).sent(4, end="unknown", stored=False)
    assert not story.anomalies()


def test_an_acknowledged_record_that_is_not_there_is_a_lost_write(story):
    story.sent(3, stored=False)
    assert story.anomalies() == {"lost write"}


def test_an_acknowledged_record_at_another_offset_is_a_lost_write(story):
    story.sent(3, offset=7)
    assert "lost write" in story.anomalies()


def test_an_acknowledgement_without_an_offset_is_enough(story):
    story.sent(3, offset=-1)
    assert not story.anomalies()


def test_a_record_that_failed_and_is_there_is_found(story):
    story.sent(3, end="fail")
    assert story.anomalies() == {"failed write is there"}


def test_a_record_nobody_sent_is_found(story):
    story.log[0].append((3, "b.1:0"))
    assert story.anomalies() == {"never sent"}


def test_a_duplicate_of_an_idempotent_producer_is_found(story):
    story.log[0].append((3, "a.1:2"))
    assert story.anomalies() == {"duplicate"}


def test_a_duplicate_is_shown_with_what_both_copies_say_of_their_producer(story):
    story.log[0].append((3, "a.1:2"))
    writers = [Writer(0, 7, 0, 0, 1), Writer(3, 7, 1, 0, 2)]
    (finding,) = check(History(story.events, story.log, {0: writers}))
    assert "producer 7 epoch 0 sequence 0 leader epoch 1; producer 7 epoch 1 sequence 0 leader epoch 2" in str(finding)


def test_a_duplicate_of_another_producer_is_allowed(story):
    story.open("b.1", idempotent=False).sent(0, sender="b.1")
    story.log[0].append((4, "b.1:0"))
    assert not story.anomalies()


def test_records_out_of_order_are_found():
    story = Story().open()
    for number in (0, 1):
        story.tell("a", "send", s="a.1", n=number, p=0)
    story.log[0] = [(0, "a.1:1"), (1, "a.1:0")]
    assert story.anomalies() == {"reordered"}


def test_a_later_send_at_a_lower_offset_is_found():
    story = Story().open(idempotent=False)
    story.log[0] = [(0, "a.1:1"), (1, "a.1:0")]
    for number, offset in ((0, 1), (1, 0)):
        story.tell("a", "send", s="a.1", n=number, p=0).tell("a", "ack", s="a.1", n=number, p=0, o=offset)
    assert story.anomalies() == {"non-monotonic send"}


def test_two_values_at_one_offset_are_found(story):
    reader(story).poll(ALL[0], (1, "a.1:7"), ALL[2])
    assert story.anomalies() == {"inconsistent offset"}


def test_two_acknowledgements_for_one_offset_are_found(story):
    story.sent(3, offset=2, stored=False)
    assert {"lost write", "inconsistent offset"} <= story.anomalies()


def test_a_poll_that_goes_back_is_found(story):
    reader(story).poll(*ALL).poll(ALL[1])
    assert story.anomalies() == {"non-monotonic poll"}


def test_going_back_with_a_new_assignment_is_allowed(story):
    reader(story).poll(*ALL).tell("r", "assigned", p=[0]).poll(ALL[1])
    assert not story.anomalies()


def test_a_skipped_record_is_found_between_polls_and_within_one(story):
    reader(story).poll(ALL[0]).poll(ALL[2]).tell("r", "assigned", p=[0]).poll(*ALL)
    assert story.anomalies() == {"skipped poll"}


def test_an_offset_that_no_record_has_may_be_skipped(story):
    story.log[0] = [ALL[0], (1, "a.1:1"), (5, "a.1:2")]
    story.events[-1]["o"] = 5
    reader(story).poll(*story.log[0])
    assert not story.anomalies()


def test_a_record_that_was_read_and_is_gone_is_found(story):
    reader(story).poll(*ALL, (3, "a.1:3"))
    assert story.anomalies() == {"read and gone"}


def test_a_tail_that_a_reader_never_saw_is_found(story):
    reader(story).poll(*ALL[:2])
    assert story.anomalies() == {"unseen"}


def test_what_one_member_saw_counts_for_its_group(story):
    member(member(story), "m2").poll(*ALL[:2], client="m1").poll(ALL[2], client="m2")
    assert not story.anomalies()
    story.events.pop()
    assert story.anomalies() == {"unseen"}


def test_a_committed_offset_that_goes_back_is_found(story):
    member(story).poll(*ALL, client="m1")
    commit(story, 3).tell("o", "offsets", group="g", since=99.0, at={"0": 2})
    assert story.anomalies() == {"commit went back"}


def test_a_committed_offset_that_is_gone_is_found(story):
    member(story).poll(*ALL, client="m1")
    commit(story, 3).tell("o", "offsets", group="g", since=99.0, at={})
    assert story.anomalies() == {"commit went back"}


def test_an_offset_seen_before_the_commit_was_answered_is_right(story):
    member(story).poll(*ALL, client="m1")
    commit(story, 3).tell("o", "offsets", group="g", since=0.05, at={})
    assert not story.anomalies()


def test_a_commit_of_unknown_outcome_may_arrive_late(story):
    member(story).poll(*ALL, client="m1")
    commit(story, 2, outcome="commit-failed")
    commit(story, 3).tell("o", "offsets", group="g", since=99.0, at={"0": 2})
    assert not story.anomalies()


def test_a_member_that_begins_below_the_commit_is_found(story):
    member(story).poll(*ALL, client="m1")
    commit(story, 3)
    member(story, "m2").poll(ALL[2], client="m2")
    assert story.anomalies() == {"began below the commit"}


def test_an_answer_with_two_owners_is_found(story):
    story.tell("o", "owners", group="g", owners={"m1": [0], "m2": [1, 0]})
    assert story.anomalies() == {"two owners"}


def test_an_accepted_commit_of_a_former_owner_is_found(story):
    member(story).poll(*ALL, client="m1")
    commit(member(story, "m2"), 3, "m2")
    commit(story, 3, "m1")
    assert story.anomalies() == {"two owners"}


def test_a_refused_commit_of_a_former_owner_is_right(story):
    member(story).poll(*ALL, client="m1")
    commit(member(story, "m2"), 3, "m2")
    commit(story, 3, "m1", "commit-refused")
    assert not story.anomalies()


def test_each_anomaly_is_found_by_a_test_here():
    text = open(__file__, encoding="utf-8").read()
    assert not [name for name in ANOMALIES if f'"{name}"' not in text]


def test_gaps_go_to_the_fault_that_caused_them():
    events = [{"t": t, "client": "a", "op": "ack", "p": 0, "s": "a", "n": 0, "o": 0} for t in (1, 2, 9, 10, 13)]
    history = History(events, {})
    assert measure.longest_by_fault(history, [(2.1, "kill"), (10.5, "cut")]) == {"none": 1, "kill": 7, "cut": 3}
    assert measure.longest_by_client(history) == {"a": 7}
    assert measure.percentile([3, 1, 2], 0.5) == 2
