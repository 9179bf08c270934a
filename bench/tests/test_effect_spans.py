"""Effect times out of exported spans."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from bench.measures.effect_spans import effect_times


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


def test_effect_times_count_from_the_first_commit_to_the_first_effect() -> None:
    """Booking announces the appointment again with its link; the effects of that do not count."""
    found = effect_times(
        [
            _span("booking", "commit", "internal", at=(90, 100), hoop_appointment="a"),
            _span("availability", "appointments process", "consumer", at=(104, 107)),
            _span("availability", "appointments process", "consumer", at=(304, 307)),
            _span("meetings", "POST zoom", "client", at=(120, 150))
            | {"attributes": {"http.request.method": "POST", "url.path": "/v2/users/me/meetings"}},
        ]
    )
    assert found["a"].after == {"availability": 7.0, "meetings": 20.0}
    assert found["a"].missing == ["sync-google", "notifications"]
