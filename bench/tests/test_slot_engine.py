"""The slot engine is measured only on listings that are known to be right."""

import sys
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from bench.measures.slot_engine import CASES, checked
from bench.report.findings import Broken


def test_ours_has_the_agreed_counts():
    """In the first cases, without floors."""
    for case in CASES[:4]:
        assert orjson.loads(checked(case, {})())


def test_another_count_is_broken():
    """A listing with another number of slots is no figure."""
    with pytest.raises(Broken, match="352 slots instead of 353"):
        checked(replace(CASES[0], slots=353), {})


def test_a_floor_with_other_slots_is_broken():
    """Ours and the floor must do the same work."""
    with pytest.raises(Broken, match="other slots than lazy"):
        checked(CASES[0], {"lazy": lambda: b"{}"})
