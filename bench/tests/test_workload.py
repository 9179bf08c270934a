"""The workload of the read model's measures: the known counts of free slots, and valid events."""

import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from bench.load.workload import BUSY, DAYS, Workload, WorkloadCalendar, busy
from bench.measures.read_model_rebuild import history
from hoop_events.catalogue import EVENTS
from hoop_events.codec import decode, envelope

NOW = datetime(2026, 11, 21, tzinfo=UTC)


@pytest.mark.parametrize(("count", "free"), [(0, 352), (100, 301), (1000, 65)])
def test_the_counts_of_free_slots_are_the_agreed_ones(count: int, free: int) -> None:
    """Independent implementations agree on these counts, for 30 days of March 2027."""
    found = WorkloadCalendar([busy(count, 1)]).free(DAYS, NOW)
    assert sum(map(len, found.values())) == free


def test_every_record_is_an_event_of_the_contract() -> None:
    """Headers and body agree, the schemas hold, and a fifth of the appointments' events are cancellations."""
    workload = Workload([WorkloadCalendar([busy(BUSY, seed)]) for seed in range(20)])
    decoded = [
        decode(envelope(headers), value, EVENTS) for _, _, value, headers in history(workload, 2000)
    ]
    kinds = [event.type for event in decoded if event.topic == "appointments"]
    assert len(kinds) == 2000 - len(workload.calendars)
    assert 0.17 < kinds.count("AppointmentDeleted") / len(kinds) < 0.22


def test_one_appointment_is_cancelled_once_and_later() -> None:
    workload = Workload([WorkloadCalendar([busy(BUSY, seed)]) for seed in range(20)])
    alive, seen = set[str](), set[str]()
    for topic, key, value, headers in history(workload, 2000):
        if topic != "appointments":
            continue
        event = decode(envelope(headers), value, EVENTS)
        if event.type == "AppointmentCreated":
            alive.add(key)
        else:
            assert key in alive - seen
            seen.add(key)
    assert seen
