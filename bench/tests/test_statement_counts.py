"""Counted statements: medians, the rest that is subtracted, and the list of the most frequent ones."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from bench.measures.statement_counts import (
    Statement,
    Window,
    frequent,
    per_booking,
    per_second,
    window,
)
from bench.systems.settled import lag

READ, WRITE, LOOK = Statement("booking", 1), Statement("booking", 2), Statement("meetings", 1)
REST = [Window(10.0, {LOOK: 20}), Window(30.0, {LOOK: 60})]


def test_a_window_has_what_was_run_between_two_readings() -> None:
    """Statements that are new count from zero; those that were not run are left out."""
    found = window(2.0, {READ: 5, LOOK: 7}, {READ: 8, LOOK: 7, WRITE: 1})
    assert found == Window(2.0, {READ: 3, WRITE: 1})


def test_rest_is_weighted_by_its_seconds() -> None:
    """A short rest with a periodic statement in it must not count as much as a long one."""
    assert per_second([Window(1.0, {LOOK: 9}), Window(9.0, {LOOK: 1})], ["meetings"]) == 1.0


def test_a_booking_is_the_median_window_less_as_long_a_rest() -> None:
    """One disturbed window changes nothing; a longer window has more rest in it."""
    windows = [
        Window(4.0, {READ: 3, LOOK: 10}),
        Window(8.0, {READ: 3, LOOK: 18}),
        Window(4.0, {READ: 90, LOOK: 400}),
    ]
    assert per_booking(windows, REST, ["booking"]) == 3
    assert per_booking(windows, REST, ["meetings"]) == 2
    assert per_booking(windows, REST, ["booking", "meetings"]) == 5


def test_the_most_frequent_statement_of_a_booking_comes_first() -> None:
    """Each with its calls in a booking, and in a second of rest."""
    windows = [Window(4.0, {READ: 1, WRITE: 6, LOOK: 9}), Window(4.0, {READ: 1, WRITE: 4, LOOK: 7})]
    assert frequent(windows, REST) == [(WRITE, 5.0, 0.0), (READ, 1.0, 0.0), (LOOK, 0.0, 2.0)]


@pytest.mark.parametrize(
    ("offsets", "expected"),
    [({("a", 0): 5, ("a", 1): 2}, 0), ({("a", 0): 3, ("a", 1): 2}, 2), ({("a", 0): 5}, 2)],
)
def test_lag_counts_partitions_that_were_never_read(
    offsets: dict[tuple[str, int], int], expected: int
) -> None:
    """Of a topic that the service consumes; other topics are not its business."""
    ends = {("a", 0): 5, ("a", 1): 2, ("b", 0): 9}
    assert lag(ends, {"meetings": offsets}) == expected
