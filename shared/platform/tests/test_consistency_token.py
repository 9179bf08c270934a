"""Read tokens: what is written is what is read, and nobody's rubbish gets further than a refusal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hoop_platform.consistency_token import decode, encode
from hoop_platform.errors import Malformed
from hoop_platform.ids import new_id, spell

IDS = st.binary(min_size=16, max_size=16).map(spell)
VERSIONS = st.dictionaries(IDS, st.integers(0, 2**63 - 1), max_size=60)


@given(VERSIONS)
def test_what_is_written_is_what_is_read(versions: dict[str, int]) -> None:
    token = encode(versions)
    assert decode(token) == versions
    assert len(token) <= 2048


def test_too_many_fit_as_some() -> None:
    """The versions of one change become visible together: some of them are enough."""
    versions = {new_id(): 2**63 - 1 for _ in range(200)}
    token = encode(versions)
    assert len(token) <= 2048
    assert decode(token).items() <= versions.items()


@given(st.text(max_size=80) | st.text("AQgh-_=", max_size=80))
def test_rubbish_is_refused_and_never_crashes(text: str) -> None:
    """Whatever is read would be written the same; everything else is malformed."""
    try:
        found = decode(text)
    except Malformed:
        return
    assert encode(found) == text


@pytest.mark.parametrize("damage", [lambda t: t[:-1], lambda t: t + "A", lambda t: "B" + t[1:]])
def test_a_damaged_token_is_refused(damage: object) -> None:
    token = encode({new_id(): 300, new_id(): 5})
    with pytest.raises(Malformed):
        decode(damage(token))  # type: ignore[operator] -- one of the lambdas above
