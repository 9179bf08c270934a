"""The slot engine is measured on answers that are known to be right, or not at all."""

import sys
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from scorecard.plan import Broken
from scorecard.slots import CASES, checked


def test_the_known_counts_are_ours():
    """Of every case, without a floor beside it."""
    for case in CASES[:4]:
        assert orjson.loads(checked(case, {})())


def test_another_count_is_broken():
    """One slot too many and there is no figure."""
    with pytest.raises(Broken, match="352 slots instead of 353"):
        checked(replace(CASES[0], slots=353), {})


def test_a_floor_that_says_something_else_is_broken():
    """Ours and the floor do the same work, or their times mean nothing."""
    with pytest.raises(Broken, match="other slots than lazy"):
        checked(CASES[0], {"lazy": lambda: b"{}"})
