"""How histories are read, and what is measured in them."""

from checker import History, measure
from checker.history import Writer, load_events


def test_the_batch_of_an_offset_is_the_last_that_begins_at_or_below_it():
    first, second = Writer(1, 7, 0, 0, 1), Writer(3, 7, 1, 0, 2)
    history = History([], {}, {0: [first, second]})
    assert [history.writer(0, offset) for offset in range(5)] == [None, first, first, second, second]
    assert history.writer(1, 3) is None


def test_the_epochs_of_a_producer_are_those_of_all_its_batches():
    writers = [Writer(0, 7, 0, 0, 1), Writer(1, -1, -1, -1, 1), Writer(2, 0, 3, 0, 1)]
    assert History([], {}, {0: writers, 1: [Writer(0, 7, 1, 0, 2)]}).epochs() == {7: {0, 1}, 0: {3}}


def test_gaps_go_to_the_fault_that_caused_them():
    events = [{"t": t, "client": "a", "op": "ack", "p": 0, "s": "a", "n": 0, "o": 0} for t in (1, 2, 9, 10, 13)]
    history = History(events, {})
    assert measure.longest_by_fault(history, [(2.1, "kill"), (10.5, "cut")]) == {"none": 1, "kill": 7, "cut": 3}
    assert measure.longest_by_client(history) == {"a": 7}
    assert measure.percentile([3, 1, 2], 0.5) == 2


def test_gaps_are_those_of_a_partition():
    events = [{"t": t, "client": client, "op": "ack", "p": p} for t, client, p in ((1, "a", 0), (2, "a", 1), (4, "b", 0), (5, "a", 1), (7, "a", 0))]
    history = History(events, {})
    assert measure.gaps(history) == [(1, 4, 0), (2, 5, 1), (4, 7, 0)]
    assert measure.longest_by_client(history) == {"a": 6, "b": 0}


def test_a_gap_that_is_mostly_before_a_fault_belongs_to_the_fault_before():
    events = [{"t": t, "client": "a", "op": "ack", "p": 0} for t in (1, 9)]
    history = History(events, {})
    assert measure.longest_by_fault(history, [(0.5, "kill"), (5.5, "cut")]) == {"kill": 8}
    assert measure.longest_by_fault(history, [(0.5, "kill"), (4.5, "cut")]) == {"cut": 8}
    assert measure.longest_by_fault(history, [(5.5, "cut")]) == {"cut": 8}
    assert measure.longest_by_fault(history, []) == {"none": 8}
    history.events[1]["t"] = 1.5
    assert measure.longest_by_fault(history, []) == {"none": 0.5}


def test_percentiles_are_of_values_that_are_there():
    assert [measure.percentile([4, 3, 2, 1], share) for share in (0, 0.5, 0.75, 1)] == [1, 3, 4, 4]
    assert measure.percentile([], 0.5) is None


def test_a_line_of_a_journal_that_was_cut_off_is_left_out(tmp_path):
    for name, text in (("a", '{"t": 2}\n{"t": 3}'), ("b", '{"t": 1}\n')):
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert load_events([tmp_path / "a", tmp_path / "b"]) == [{"t": 2}, {"t": 1}]


def test_events_of_all_journals_are_in_the_order_of_their_time():
    history = History([{"t": 2, "op": "a"}, {"t": 1, "op": "b"}, {"t": 3, "op": "c"}], {})
    assert [event["t"] for event in history.of("a", "b")] == [1, 2]
