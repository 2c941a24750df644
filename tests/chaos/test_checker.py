"""The checker finds each anomaly in a history made by hand, and nothing in one that is right."""

from pathlib import Path

import pytest

from checker import ANOMALIES, History, check
from checker.history import Writer
from story import Story


@pytest.fixture
def story():
    """Three records that were sent and acknowledged."""
    return Story().open().sent(0).sent(1).sent(2)


ALL = [(0, "a.1:0"), (1, "a.1:1"), (2, "a.1:2")]


def test_a_right_history_has_no_findings(story):
    story.reader().poll(*ALL).member().poll(*ALL, client="m1").commit(3).offsets({"0": 3})
    assert not check(story.history())


def test_unknown_outcomes_may_be_stored_or_not(story):
    story.sent(3, end="unknown", stored=True).sent(4, end="unknown", stored=False)
    assert not story.anomalies()


def test_an_acknowledged_record_that_is_not_there_is_a_lost_write(story):
    story.sent(3, stored=False)
    assert story.anomalies() == {"lost write"}


def test_an_acknowledged_record_at_another_offset_is_a_lost_write(story):
    story.sent(3, offset=7)
    assert "lost write" in story.anomalies()


def test_an_acknowledged_record_at_another_offset_than_the_first_is_a_lost_write(story):
    story.sent(3, offset=0)
    assert story.anomalies() == {"lost write", "inconsistent offset", "non-monotonic send"}


def test_an_acknowledged_record_in_another_partition_is_a_lost_write(story):
    story.sent(3, stored=False).log[1].append((3, "a.1:3"))
    assert story.anomalies() == {"lost write", "never sent"}


def test_a_record_whose_place_was_that_of_a_copy_is_not_lost(story):
    story.open("b.1", idempotent=False).sent(0, offset=4, sender="b.1").log[0].append((4, "b.1:0"))
    assert not story.anomalies()


def test_an_acknowledgement_without_an_offset_is_enough(story):
    story.sent(3, offset=-1)
    assert not story.anomalies()


def test_acknowledgements_without_an_offset_are_not_of_one_offset(story):
    story.sent(3, offset=-1).sent(4, offset=-1)
    assert not story.anomalies()


def test_a_record_acknowledged_without_an_offset_may_be_lost(story):
    story.sent(3, offset=-1, stored=False)
    assert story.anomalies() == {"lost write"}


def test_a_record_that_failed_and_is_there_is_found(story):
    story.sent(3, end="fail")
    assert story.anomalies() == {"failed write is there"}


def test_a_record_that_failed_and_is_not_there_is_right(story):
    story.sent(3, end="fail", stored=False)
    assert not story.anomalies()


def test_a_record_that_failed_in_another_partition_may_be_there(story):
    story.send(3, p=0).sent(3, end="fail", stored=False, p=1).log[0].append((3, "a.1:3"))
    assert not story.anomalies()


def test_a_record_nobody_sent_is_found(story):
    story.log[0].append((3, "b.1:0"))
    assert story.anomalies() == {"never sent"}


def test_a_record_sent_to_another_partition_is_found(story):
    story.send(3, p=1).log[0].append((3, "a.1:3"))
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


def test_a_record_sent_to_two_partitions_is_no_duplicate(story):
    story.sent(0, p=1).sent(1, p=1)
    assert not story.anomalies()


def test_records_out_of_order_are_found():
    story = Story().open().send(0).send(1)
    story.log[0] = [(0, "a.1:1"), (1, "a.1:0")]
    assert story.anomalies() == {"reordered"}


def test_records_out_of_order_are_found_behind_those_of_another_producer():
    story = Story().open().open("b.1").send(0).send(1).send(0, "b.1")
    story.log[0] = [(0, "a.1:1"), (1, "b.1:0"), (2, "a.1:0")]
    assert story.anomalies() == {"reordered"}


def test_records_are_in_order_of_number_and_not_of_text():
    story = Story().open()
    for number in (8, 9, 10, 11):
        story.sent(number)
    assert not story.anomalies()


def test_records_of_a_producer_that_is_not_idempotent_may_change_places():
    story = Story().open(idempotent=False).send(0).send(1)
    story.log[0] = [(0, "a.1:1"), (1, "a.1:0")]
    assert not story.anomalies()


def test_idempotent_producers_may_interleave():
    story = Story().open().open("b.1").sent(4).sent(0, sender="b.1").sent(5).sent(1, sender="b.1").sent(6)
    assert not story.anomalies()


def test_the_order_of_one_partition_says_nothing_of_another():
    story = Story().open().sent(1).sent(0, p=1).sent(3).sent(2, p=1)
    assert not story.anomalies()


def test_a_later_send_at_a_lower_offset_is_found():
    story = Story().open(idempotent=False).send(0).ack(0, 1).send(1).ack(1, 0)
    story.log[0] = [(0, "a.1:1"), (1, "a.1:0")]
    assert story.anomalies() == {"non-monotonic send"}


def test_a_later_send_of_another_producer_at_a_lower_offset_is_found():
    story = Story().open().open("b.1").send(0).ack(0, 1).send(0, "b.1").ack(0, 0, "b.1")
    story.log[0] = [(0, "b.1:0"), (1, "a.1:0")]
    assert story.anomalies() == {"non-monotonic send"}


def test_a_later_send_at_the_same_offset_is_found(story):
    story.sent(3, offset=2)
    assert "non-monotonic send" in story.anomalies()


def test_a_send_is_held_to_what_was_acknowledged_before_it_and_not_before_another(story):
    story.open("b.1").send(3).send(0, "b.1").ack(0, 5, "b.1").send(4).ack(3, 3).ack(4, 6)
    assert "non-monotonic send" not in story.anomalies()


def test_a_send_is_held_to_its_own_partition_when_it_goes_to_two(story):
    story.open("b.1").send(0, "b.1", p=1).ack(0, 5, "b.1", p=1).send(9, p=1).send(9).ack(9, 3, p=1)
    assert "non-monotonic send" in story.anomalies()


def test_a_later_send_is_held_to_the_highest_and_not_to_the_last():
    story = Story().open().open("b.1").send(0).send(0, "b.1").ack(0, 2).ack(0, 0, "b.1").send(1).ack(1, 1)
    assert "non-monotonic send" in story.anomalies()


@pytest.mark.parametrize("order", [("a.1", "b.1"), ("b.1", "a.1")])
def test_sends_that_overlap_may_be_stored_in_either_order(order):
    story = Story().open().open("b.1").send(0).send(0, "b.1")
    story.log[0] = [(offset, f"{sender}:0") for offset, sender in enumerate(order)]
    story.ack(0, order.index("a.1")).ack(0, order.index("b.1"), "b.1")
    assert not story.anomalies()


def test_offsets_of_one_partition_say_nothing_of_another(story):
    story.sent(0, sender="b.1", p=1).sent(3).sent(1, sender="b.1", p=1)
    assert not story.anomalies()


def test_two_values_at_one_offset_are_found(story):
    story.reader().poll(ALL[0], (1, "a.1:7"), ALL[2])
    assert story.anomalies() == {"inconsistent offset"}


def test_two_values_at_one_offset_in_two_polls_are_found(story):
    story.reader("r1").poll(*ALL, client="r1").reader("r2").poll(*ALL, client="r2")
    story.events[-1]["r"][2][1] = "a.1:7"
    assert story.anomalies() == {"inconsistent offset"}


def test_another_value_at_an_offset_than_in_the_log_is_found(story):
    story.sent(3, offset=-1).reader().poll(*ALL, (3, "a.1:4"))
    assert story.anomalies() == {"inconsistent offset"}


def test_two_values_at_one_offset_of_two_partitions_are_allowed(story):
    story.open("b.1").sent(0, sender="b.1", p=1).reader().poll(*ALL).reader("r2", p=1).poll((0, "b.1:0"), client="r2", p=1)
    assert "inconsistent offset" not in story.anomalies()


def test_two_acknowledgements_for_one_offset_are_found(story):
    story.sent(3, offset=2, stored=False)
    assert {"lost write", "inconsistent offset"} <= story.anomalies()


def test_a_poll_that_goes_back_is_found(story):
    story.reader().poll(*ALL).poll(ALL[1])
    assert story.anomalies() == {"non-monotonic poll"}


def test_the_same_offset_twice_is_found_between_polls_and_within_one(story):
    story.reader().poll(*ALL).poll(ALL[2])
    assert story.anomalies() == {"non-monotonic poll"}
    del story.events[-2:]
    story.poll(*ALL, ALL[2])
    assert story.anomalies() == {"non-monotonic poll"}


def test_a_poll_that_goes_back_within_itself_is_found(story):
    story.reader().poll(ALL[0], ALL[2], ALL[1])
    assert "non-monotonic poll" in story.anomalies()


def test_readers_may_interleave(story):
    story.reader().reader("r2").poll(*ALL[:2]).poll(ALL[0], client="r2").poll(ALL[2]).poll(*ALL[1:], client="r2")
    assert not story.anomalies()


def test_partitions_may_interleave(story):
    story.sent(3, p=1).sent(4, p=1).tell("r", "assigned", p=[0, 1])
    story.poll(*ALL[:2]).poll((0, "a.1:3"), p=1).poll(ALL[2]).poll((1, "a.1:4"), p=1)
    assert not story.anomalies()


def test_an_empty_poll_changes_nothing(story):
    story.reader().poll(*ALL).poll().poll(ALL[2])
    assert story.anomalies() == {"non-monotonic poll"}


def test_going_back_with_a_new_assignment_is_allowed(story):
    story.reader().poll(*ALL).tell("r", "assigned", p=[0]).poll(ALL[1])
    assert not story.anomalies()


def test_going_back_with_a_new_assignment_of_another_partition_is_found(story):
    story.reader().poll(*ALL).reader(p=1).poll(ALL[1])
    assert story.anomalies() == {"non-monotonic poll"}


def test_a_new_assignment_may_skip(story):
    story.reader("r2").poll(*ALL, client="r2").member().member("m2").poll(*ALL[:2], client="m2")
    story.poll(ALL[0], client="m1").revoked().assigned().poll(ALL[2], client="m1")
    assert not story.anomalies()


def test_what_comes_after_a_revocation_is_not_held_to_what_came_before(story):
    story.member().poll(*ALL, client="m1").revoked().poll(ALL[1], client="m1")
    assert not story.anomalies()


def test_a_skipped_record_is_found_between_polls_and_within_one(story):
    story.reader().poll(*ALL).reader()
    story.poll(ALL[0]).poll(ALL[2])
    assert story.anomalies() == {"skipped poll"}
    del story.events[-2:]
    assert not story.anomalies()
    story.poll(ALL[0], ALL[2])
    assert story.anomalies() == {"skipped poll"}


def test_an_offset_that_no_record_has_may_be_skipped(story):
    story.log[0] = [ALL[0], (1, "a.1:1"), (5, "a.1:2")]
    story.events[-1]["o"] = 5
    story.reader().poll(*story.log[0])
    assert not story.anomalies()


def test_an_offset_that_only_another_partition_has_may_be_skipped(story):
    story.log[0] = [ALL[0], (1, "a.1:1"), (3, "a.1:2")]
    story.events[-1]["o"] = 3
    for number in range(3, 6):
        story.sent(number, p=1)
    story.reader("r0").poll(*story.log[0], client="r0")
    assert "skipped poll" not in story.anomalies()


def test_a_record_that_was_read_and_is_gone_is_found(story):
    story.reader().poll(*ALL, (3, "a.1:3"))
    assert story.anomalies() == {"read and gone"}


def test_a_record_that_was_read_and_is_only_in_another_partition_is_gone(story):
    story.sent(3, p=1).reader().poll(*ALL).member(p=1).poll((0, "a.1:3"), (1, "a.1:4"), client="m1", p=1)
    assert "read and gone" in story.anomalies()


def test_a_tail_that_a_reader_never_saw_is_found(story):
    story.reader().poll(*ALL[:2])
    assert story.anomalies() == {"unseen"}


def test_a_partition_that_a_reader_never_saw_is_found(story):
    story.sent(3, p=1).sent(4, p=1).sent(5, p=1).reader().reader(p=1).poll(*ALL)
    assert story.anomalies() == {"unseen"}


def test_an_empty_partition_need_not_be_seen(story):
    story.log[1] = []
    story.reader().poll(*ALL)
    assert not story.anomalies()


def test_what_one_reader_saw_does_not_count_for_another(story):
    story.reader().poll(*ALL).reader("r2").poll(*ALL[:2], client="r2")
    assert story.anomalies() == {"unseen"}


def test_what_one_group_saw_does_not_count_for_another(story):
    story.member().poll(*ALL, client="m1").member("n1", group="h").poll(*ALL[:2], client="n1")
    assert story.anomalies() == {"unseen"}


def test_what_one_member_saw_counts_for_its_group(story):
    story.member().member("m2").poll(*ALL[:2], client="m1").poll(ALL[2], client="m2")
    assert not story.anomalies()
    story.events.pop()
    assert story.anomalies() == {"unseen"}


def test_each_anomaly_is_found_by_a_test_here():
    text = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_checker*.py"))
    assert not [name for name in ANOMALIES if f'"{name}"' not in text]
