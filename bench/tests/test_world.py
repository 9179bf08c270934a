"""The workload in the read model's words: it must be the one that others have counted, and valid events."""

import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from scorecard.rebuild import history
from scorecard.world import BUSY, DAYS, Kept, World, busy

from hoop_events.catalogue import EVENTS
from hoop_events.codec import decode, envelope

NOW = datetime(2026, 11, 21, tzinfo=UTC)


@pytest.mark.parametrize(("count", "free"), [(0, 352), (100, 301), (1000, 65)])
def test_free_slots_are_as_many_as_others_have_counted(count: int, free: int) -> None:
    """Independent implementations agree on these counts, for 30 days of March 2027."""
    found = Kept([busy(count, 1)]).free(DAYS, NOW)
    assert sum(map(len, found.values())) == free


def test_everything_told_is_an_event_of_the_contract() -> None:
    """Headers and body agree, nothing breaks a schema, and a fifth of the appointments' are cancellations."""
    world = World([Kept([busy(BUSY, seed)]) for seed in range(20)])
    told = [
        decode(envelope(headers), value, EVENTS) for _, _, value, headers in history(world, 2000)
    ]
    kinds = [event.type for event in told if event.topic == "appointments"]
    assert len(kinds) == 2000 - len(world.calendars)
    assert 0.17 < kinds.count("AppointmentDeleted") / len(kinds) < 0.22


def test_one_appointment_is_cancelled_once_and_later() -> None:
    world = World([Kept([busy(BUSY, seed)]) for seed in range(20)])
    alive, seen = set[str](), set[str]()
    for topic, key, value, headers in history(world, 2000):
        if topic != "appointments":
            continue
        event = decode(envelope(headers), value, EVENTS)
        if event.type == "AppointmentCreated":
            alive.add(key)
        else:
            assert key in alive - seen
            seen.add(key)
    assert seen
