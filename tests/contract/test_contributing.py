"""CONTRIBUTING.md says in a few lines each how the things are added that are added most often."""

import re

import pytest

from local.paths import ROOT

MOST_LINES = 10


@pytest.mark.parametrize("thing", ["service", "event", "provider", "route", "setting"])
def test_how_a_thing_is_added_fits_in_ten_lines(thing: str) -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    [section] = re.findall(rf"^## Add an? {thing}\n(.*?)(?=^## )", text, re.MULTILINE | re.DOTALL)
    lines = [line for line in section.splitlines() if line]
    assert 0 < len(lines) <= MOST_LINES
