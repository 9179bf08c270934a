"""A cursor comes back as it was given out, or is refused; never anything else."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hoop_platform.errors import Invalid
from hoop_platform.http.cursor import decode, encode

VALUES = st.lists(st.integers(-(2**53), 2**53) | st.text(max_size=26), max_size=3)


@given(values=VALUES)
def test_what_was_encoded_is_decoded(values: list[str | int]) -> None:
    """Whatever the values; and the text needs no escaping in a URL."""
    text = encode(values)
    assert re.fullmatch(r"[A-Za-z0-9_-]+", text)
    assert decode(text) == values
    assert decode(text, *map(type, values)) == values


@given(values=VALUES, position=st.integers(0, 100), to=st.sampled_from("aZ09-_=+ \u2603"))
def test_a_changed_character_is_noticed(values: list[str | int], position: int, to: str) -> None:
    text = encode(values)
    position %= len(text)
    changed = text[:position] + to + text[position + 1 :]
    if changed != text:
        with pytest.raises(Invalid):
            decode(changed)


@given(text=st.text(max_size=400))
def test_nonsense_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        decode(text)


@pytest.mark.parametrize("text", ["", "A", "bnVsbA", "x" * 5000, encode([1])[:-1]])
def test_what_was_cut_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        decode(text)


def test_the_cursor_of_another_list_is_refused() -> None:
    """One that tells other things than this list is sorted by."""
    assert decode(encode([1, "a"]), int, str) == [1, "a"]
    for other in ([1], ["a", 1], [1, "a", 2], []):
        with pytest.raises(Invalid):
            decode(encode(other), int, str)
