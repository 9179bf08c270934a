"""The canonical text: the same occupied times are the same bytes in any order."""

from itertools import permutations

import orjson

from hoop_scheduling import canonical
from hoop_scheduling.canonical import HeldTime, OccupiedTime


def seat(session: str, start: int, end: int, *, host: str = "h") -> OccupiedTime:
    return OccupiedTime("a", session, "c", (host,), ("room",), start, end, before=0, after=5)


def test_the_order_of_seats_does_not_matter() -> None:
    seats = [seat("s", 0, 30), seat("s", 0, 60), seat("t", 90, 120)]
    texts = {canonical.text(canonical.occupied(order, [], at=0)) for order in permutations(seats)}
    assert len(texts) == 1
    lines = [orjson.loads(line) for line in texts.pop().splitlines()]
    assert sorted((x["resource"], x["session"], x["end"], x["seats"]) for x in lines) == [
        ("h", "s", 60, 2),
        ("h", "t", 120, 1),
        ("room", "s", 60, 2),
        ("room", "t", 120, 1),
    ]


def test_a_hold_counts_until_it_expires() -> None:
    """At the instant of its expiry neither the hold nor its seat is in the text."""
    held = [HeldTime("x", seat("s", 0, 30), expires_at=100)]
    assert len(list(canonical.occupied([], held, at=99))) == 3
    assert not list(canonical.occupied([], held, at=100))


def test_a_calendar_has_the_fields_that_the_engine_reads() -> None:
    """Names, colours, nulls and the order of keys do not matter."""
    one = {"name": "A", "slotDuration": 30, "teamMembers": [{"userId": "u", "isPrimary": None}]}
    other = {"teamMembers": [{"userId": "u"}], "slotDuration": 30, "preBuffer": None}
    lines = [canonical.calendar("a", "c", "UTC", settings) for settings in (one, other)]
    assert lines[0] == lines[1]
    assert canonical.calendar("a", "c", "Asia/Tokyo", one) != lines[0]
