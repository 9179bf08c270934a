"""The arithmetic that every figure of the scorecard rests on."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from scorecard.stats import Pair, percentile, score
from scorecard.trail import trails


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
    """Each burst is compared with the floor beside it, so that slow minutes do not matter."""
    assert score([Pair(10, 5), Pair(14, 7), Pair(9, 6)]).ratio == 2


def _span(service: str, name: str, kind: str, *, at: tuple[int, int], **attributes: str) -> dict:
    named = {key.replace("_", "."): value for key, value in attributes.items()}
    return {
        "service": service,
        "name": name,
        "kind": kind,
        "trace_id": "t",
        "start": at[0] * 1_000_000,
        "end": at[1] * 1_000_000,
        "attributes": named,
    }


def test_a_trail_counts_from_the_first_commit_to_the_first_effect() -> None:
    """Booking announces again when the link is there: neither that nor what follows is the effect."""
    found = trails(
        [
            _span("booking", "settle", "internal", at=(90, 100), hoop_appointment="a"),
            _span("availability", "appointments process", "consumer", at=(104, 107)),
            _span("availability", "appointments process", "consumer", at=(304, 307)),
            _span("meetings", "POST zoom", "client", at=(120, 150))
            | {"attributes": {"http.request.method": "POST", "url.path": "/v2/users/me/meetings"}},
        ]
    )
    assert found["a"].after == {"availability": 7.0, "meetings": 20.0}
    assert found["a"].missing == ["sync-google", "notifications"]
