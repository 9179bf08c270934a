"""Percentiles, and ratios of paired bursts."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from bench.report.paired_ratios import Pair, percentile, score


@pytest.mark.parametrize(("share", "value"), [(0.5, 50), (0.99, 99), (1.0, 100), (0.0, 1)])
def test_a_percentile_is_one_of_the_values(share: float, value: float) -> None:
    """The smallest that so many do not exceed: never a mean of two."""
    assert percentile([*range(100, 0, -1)], share) == value


def test_disturbed_pairs_do_not_count() -> None:
    """A floor burst of more than 1.5 times the usual takes its pair with it, however good it looks."""
    found = score([Pair(20, 10), Pair(30, 10), Pair(22, 11), Pair(1, 16.6)])
    assert (found.kept, found.of) == (3, 4)
    assert (found.ours, found.floor, found.ratio) == (22, 10, 2)


def test_the_ratio_is_paired() -> None:
    """Each burst is compared with the floor of its pair, so that slow minutes do not matter."""
    assert score([Pair(10, 5), Pair(14, 7), Pair(9, 6)]).ratio == 2
