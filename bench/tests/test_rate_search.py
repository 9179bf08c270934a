"""The search for the highest rate: what it finds, how often it asks, and what confirms it."""

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[2]))

from bench.load.rate_search import CLOSE, Holds, confirmed_rate, highest_rate
from bench.measures.sustained_rate import Burst


def _up_to(limit: int, asked: list[int]) -> Holds:
    async def holds(rate: int) -> bool:
        asked.append(rate)
        return rate <= limit

    return holds


@given(limit=st.integers(0, 600), first=st.sampled_from([1, 8, 50]))
async def test_the_rate_found_holds_and_one_close_above_does_not(limit: int, first: int) -> None:
    """Each rate is asked for once, and sixteen questions are enough."""
    asked: list[int] = []
    found = await highest_rate(_up_to(limit, asked), first=first, most=512)
    assert found <= min(limit, 512)
    assert found + max(1, int(found * CLOSE)) >= min(limit, 512)
    assert len(asked) == len(set(asked)) <= 16


@pytest.mark.parametrize(("limit", "expected"), [(40, 40), (37, 36), (20, 0)])
async def test_a_rate_that_does_not_hold_for_long_is_lowered(limit: int, expected: int) -> None:
    """By a tenth each time, three times here."""
    assert await confirmed_rate(_up_to(limit, []), 40, tries=3) == expected


@pytest.mark.parametrize(
    ("burst", "holds"),
    [
        (Burst(20, 60, refused=False, mail_p99=2000, owed=5), True),
        (Burst(20, 60, refused=False, mail_p99=2001, owed=1), False),
        (Burst(20, 60, refused=False, mail_p99=10, owed=5.1), False),
        (Burst(20, 60, refused=True), False),
    ],
)
def test_a_rate_holds_if_mails_are_in_time_and_nothing_is_owed(burst: Burst, holds: bool) -> None:
    """And every booking was answered 200."""
    assert burst.holds is holds
