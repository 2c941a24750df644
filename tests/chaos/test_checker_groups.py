"""The checker finds what is wrong with a group in a history made by hand, and nothing in one that is close to it and right."""

import pytest

from checker import groups
from story import Story

ALL = [(number, f"a.1:{number}") for number in range(5)]


@pytest.fixture
def story():
    """Five records, and a group of one that read all of them."""
    story = Story().open()
    for number, _ in ALL:
        story.sent(number)
    return story.member().poll(*ALL, client="m1")


def test_a_committed_offset_that_goes_back_is_found(story):
    story.commit(3).offsets({"0": 2})
    assert story.anomalies() == {"commit went back"}


def test_a_committed_offset_that_is_gone_is_found(story):
    story.commit(3).offsets({})
    assert story.anomalies() == {"commit went back"}


def test_an_offset_below_one_that_was_only_seen_is_found(story):
    story.offsets({"0": 3}).offsets({"0": 2})
    assert story.anomalies() == {"commit went back"}


def test_a_refused_commit_is_no_excuse_for_going_back(story):
    story.commit(2, outcome="commit-refused").commit(3).offsets({"0": 2})
    assert story.anomalies() == {"commit went back"}


def test_a_commit_that_began_later_is_no_excuse_for_going_back(story):
    story.commit(3).offsets({"0": 2}).commit(2, outcome="commit-failed")
    assert story.anomalies() == {"commit went back"}


def test_an_accepted_commit_is_no_excuse_for_going_back_to_it_later(story):
    story.commit(2).commit(3).offsets({"0": 2})
    assert story.anomalies() == {"commit went back"}


def test_an_answer_that_went_back_is_no_new_floor(story):
    story.commit(3).offsets({"0": 2}).offsets({"0": 2})
    assert len(list(groups.commit_went_back(story.history()))) == 2


def test_an_offset_that_was_seen_is_no_excuse_for_going_back_to_it(story):
    story.offsets({"0": 2}).commit(3).offsets({"0": 2})
    assert story.anomalies() == {"commit went back"}


def test_an_accepted_commit_counts_even_if_nobody_saw_it_begin(story):
    story.ended(3).offsets({"0": 2})
    assert story.anomalies() == {"commit went back"}


def test_an_unknown_commit_of_another_partition_or_group_is_no_excuse(story):
    story.commit(2, outcome="commit-failed", p=1).commit(2, outcome="commit-failed", group="h", client="m9")
    story.commit(3).offsets({"0": 2})
    assert story.anomalies() == {"commit went back"}


def test_what_one_partition_or_group_committed_says_nothing_of_another(story):
    story.commit(3).commit(1, p=1).commit(1, group="h", client="m9")
    story.offsets({"0": 3, "1": 1}).offsets({"0": 1}, group="h")
    assert not story.anomalies()


def test_an_offset_asked_for_before_the_commit_was_answered_is_right(story):
    story.commit(3).offsets({}, since=0.05)
    assert not story.anomalies()


def test_the_same_offset_again_and_a_higher_one_are_right(story):
    story.commit(3).offsets({"0": 3}).offsets({"0": 3}).offsets({"0": 4}).offsets({"0": 4})
    assert not story.anomalies()


def test_an_answer_may_be_that_of_a_commit_on_its_way(story):
    story.offsets({"0": 3}).began(2)
    since = story.events[-1]["t"]
    story.ended(2).offsets({"0": 2}, since=since)
    assert not story.anomalies()


def test_an_answer_may_be_that_of_a_commit_that_ended_as_it_was_asked(story):
    story.offsets({"0": 3}).commit(2)
    story.offsets({"0": 2}, since=story.events[-1]["t"])
    assert not story.anomalies()


def test_a_commit_of_unknown_outcome_may_arrive_late(story):
    story.commit(2, outcome="commit-failed").commit(3).offsets({"0": 2})
    assert not story.anomalies()


def test_a_commit_that_was_never_answered_may_arrive_late(story):
    story.began(2).commit(3).offsets({"0": 2})
    assert not story.anomalies()


def test_a_partition_left_out_of_the_answer_to_a_commit_may_arrive_late(story):
    story.began(2).tell("m1", "committed", group="g", at={}).commit(3).offsets({"0": 2})
    assert not story.anomalies()


def late_commit(story):
    """3 was committed, then 1 arrived late; the next member begins there."""
    story.commit(1, outcome="commit-failed").commit(3).revoked()
    return story.member("m2").poll(*ALL[1:2], client="m2")


def test_a_member_may_go_on_from_a_commit_that_arrived_late(story):
    late_commit(story).commit(2, "m2").offsets({"0": 2})
    story.revoked("m2").assigned().poll(*ALL[2:], client="m1").commit(5).offsets({"0": 5})
    assert not story.anomalies()


def test_a_lower_commit_is_the_new_floor(story):
    late_commit(story).commit(2, "m2").offsets({"0": 0})
    assert story.anomalies() == {"commit went back"}


def test_after_a_lower_commit_what_had_been_before_is_no_floor_for_a_member_but_what_it_committed_is(story):
    late_commit(story).commit(2, "m2").revoked("m2").assigned().poll(*ALL, client="m1")
    assert story.anomalies() == {"began below the commit"}


def test_of_commits_on_their_way_together_either_may_be_the_later(story):
    story.began(2).began(4, "m2").ended(2).ended(4, "m2").offsets({"0": 2})
    assert "commit went back" not in story.anomalies()


def test_of_commits_one_after_the_other_the_later_counts(story):
    story.commit(2).began(4, "m2").ended(4, "m2").offsets({"0": 2})
    assert "commit went back" in story.anomalies()


def test_a_member_that_begins_below_the_commit_is_found(story):
    story.commit(3).revoked().member("m2").poll(*ALL[2:], client="m2")
    assert story.anomalies() == {"began below the commit"}


def test_a_member_that_begins_below_what_was_only_seen_is_found(story):
    story.offsets({"0": 3}).revoked().member("m2").poll(*ALL[2:], client="m2")
    assert story.anomalies() == {"began below the commit"}


def test_a_member_that_begins_below_the_commit_of_another_partition_is_found(story):
    for number in range(5, 8):
        story.sent(number, p=1)
    rows = list(story.log[1])
    story.assigned(p=1).poll(*rows, client="m1", p=1).commit(3, p=1).revoked(p=1)
    story.member("m2", p=1).poll(client="m2", p=1).poll(*rows[2:], client="m2", p=1)
    assert story.anomalies() == {"began below the commit"}


def test_a_member_is_not_held_to_what_another_had_to_begin_at(story):
    story.member("m2").poll(*ALL[:2], client="m2").commit(5).assigned().poll(ALL[2], client="m2")
    assert not story.anomalies()


def test_a_refused_commit_is_no_excuse_for_a_member(story):
    story.commit(2, outcome="commit-refused").commit(3).revoked().member("m2").poll(*ALL[2:], client="m2")
    assert story.anomalies() == {"began below the commit"}


def test_a_member_that_begins_at_the_commit_is_right(story):
    story.commit(3).revoked().member("m2").poll(*ALL[3:], client="m2")
    assert not story.anomalies()


def test_a_member_may_begin_at_a_commit_of_unknown_outcome(story):
    story.commit(2, outcome="commit-failed").commit(3).revoked().member("m2").poll(*ALL[2:], client="m2")
    assert not story.anomalies()


def test_a_member_is_held_only_to_its_own_partition_and_group(story):
    story.commit(3).revoked().sent(5, p=1).member("m2", p=1).poll((0, "a.1:5"), client="m2", p=1)
    story.member("n1", group="h").poll(*ALL, client="n1")
    story.member("n2", group="h", p=1).poll((0, "a.1:5"), client="n2", p=1)
    assert not story.anomalies()


def test_only_the_first_poll_of_an_assignment_is_held_to_the_commit(story):
    story.offsets({"0": 1}).revoked().assigned().poll(*ALL[1:2], client="m1").commit(5).poll(*ALL[2:], client="m1")
    assert not story.anomalies()


def test_a_poll_of_a_partition_that_was_revoked_is_not_held_to_the_commit(story):
    story.commit(3).revoked().assigned().revoked().poll(*ALL, client="m1")
    assert not story.anomalies()


def test_a_poll_of_another_partition_that_was_revoked_is_not_held_to_the_commit(story):
    story.sent(5, p=1).commit(1, p=1).assigned(p=1).revoked(p=1).poll((0, "a.1:5"), client="m1", p=1)
    assert not story.anomalies()


def test_a_commit_after_the_assignment_is_not_held_against_it(story):
    story.commit(3).revoked().member("m2").commit(5, "m2").poll(*ALL[3:], client="m2")
    assert not story.anomalies()


def test_an_answer_with_two_owners_is_found(story):
    story.owners(m1=[0], m2=[1, 0])
    assert story.anomalies() == {"two owners"}


def test_an_answer_with_one_owner_each_is_right(story):
    story.owners(m1=[0, 2], m2=[1])
    assert not story.anomalies()


def test_owners_may_change_between_answers(story):
    story.owners(m1=[0], m2=[1]).owners(m1=[1], m2=[0]).owners(m2=[0, 1])
    assert not story.anomalies()


def former_owner(story, p=0):
    """m2 has a partition from m1 and committed."""
    return story.member("m2", p=p).commit(3, "m2", p=p)


def commits_of_former_owners(story):
    return list(groups._commits_of_former_owners(story.history()))


def test_an_accepted_commit_of_a_former_owner_is_found(story):
    former_owner(story).commit(3)
    assert story.anomalies() == {"two owners"}
    assert len(commits_of_former_owners(story)) == 1


@pytest.mark.parametrize("partition", [0, 1])
def test_each_accepted_commit_of_a_former_owner_is_found(story, partition):
    former_owner(story.assigned(p=partition), p=partition).commit(3, p=partition).commit(4, p=partition)
    assert len(commits_of_former_owners(story)) == 2


def test_a_former_owner_that_got_another_partition_since_is_found(story):
    former_owner(story.assigned(p=1), p=1).assigned().commit(1, p=1)
    assert len(commits_of_former_owners(story)) == 1


def test_a_refused_commit_of_a_former_owner_is_right(story):
    former_owner(story).commit(3, outcome="commit-refused")
    assert not story.anomalies()


def test_a_commit_that_began_before_the_next_owners_may_be_accepted_after_it(story):
    story.began(3).revoked()
    former_owner(story).ended(3)
    assert not story.anomalies()


def test_a_partition_that_comes_back_may_be_committed_again(story):
    story.revoked()
    former_owner(story).revoked("m2").assigned().commit(5)
    assert not story.anomalies()


def test_an_owner_may_commit_many_times(story):
    story.commit(3).commit(4).commit(5)
    assert not story.anomalies()


def test_commits_of_other_partitions_and_groups_are_not_those_of_a_former_owner(story):
    story.assigned(p=1)
    former_owner(story).revoked("m2").commit(1, p=1)
    story.member("n1", group="h").commit(1, "n1", group="h")
    assert not commits_of_former_owners(story)


def test_the_same_partition_may_have_an_owner_in_each_group(story):
    story.commit(5).member("n1", group="h").poll(*ALL, client="n1")
    story.commit(5, "n1", group="h").commit(5).commit(5, "n1", group="h")
    assert not story.anomalies()


def both(story):
    """Two members have a partition each, and both have another one."""
    return story.assigned(p=1).member("m2").assigned("m2", p=2)


def test_two_owners_at_once_are_found_when_both_prove_that_they_are_members(story):
    both(story).commit(1, p=1).commit(1, "m2", p=2)
    assert story.anomalies() == {"two owners"}


def test_a_proof_before_the_partition_was_given_up_counts_afterwards(story):
    both(story).commit(1, "m2", p=2).revoked("m2").commit(1, p=1)
    assert story.anomalies() == {"two owners"}


def test_a_member_that_was_cut_off_may_believe_to_own(story):
    both(story).commit(1, "m2", p=2).commit(1, p=1, outcome="commit-refused").commit(2, p=1, outcome="commit-failed")
    story.tell("m1", "committed", group="g", at={}).tell("m1", "revoked", group="g", p=[0, 1], lost=True).commit(2, "m2", p=2)
    assert not story.anomalies()


def test_a_member_that_got_an_old_assignment_late_may_believe_to_own(story):
    both(story).commit(1, p=1).tell("m2", "revoked", group="g", p=[0, 2], lost=True).commit(2, p=1).commit(1, "m2", p=2)
    assert not story.anomalies()


def test_a_commit_that_began_before_the_other_had_the_partition_proves_nothing(story):
    story.assigned(p=1).began(1, p=1).member("m2").assigned("m2", p=2).ended(1, p=1).commit(1, "m2", p=2)
    assert not story.anomalies()


def test_a_commit_that_began_as_the_other_got_the_partition_proves_nothing(story):
    story.assigned(p=1).member("m2").began(1, p=1)
    story.events[-1]["t"] = story.events[-2]["t"]
    story.ended(1, p=1).assigned("m2", p=2).commit(1, "m2", p=2)
    assert not story.anomalies()


def test_a_commit_after_the_partition_was_given_up_proves_nothing(story):
    story.assigned(p=1).revoked().member("m2").commit(1, "m2").commit(1, p=1)
    assert not story.anomalies()


def test_a_commit_after_another_partition_was_given_up_proves_nothing(story):
    story.assigned(p=1).revoked(p=1).member("m2", p=1).commit(1, "m2", p=1).commit(1)
    assert not story.anomalies()


def test_a_revocation_of_what_was_never_assigned_is_nothing(story):
    story.revoked("m2").revoked(p=1)
    assert not story.anomalies()


def test_owners_of_different_partitions_are_not_owners_at_once(story):
    story.member("m2", p=1).commit(5).commit(1, "m2", p=1).commit(5)
    assert not story.anomalies()


def test_a_partition_that_goes_to_and_fro_has_one_owner(story):
    story.commit(1).revoked().member("m2").commit(2, "m2").revoked("m2").assigned().commit(3).revoked().assigned("m2").commit(4, "m2")
    assert not story.anomalies()
