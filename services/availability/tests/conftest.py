"""Calendars and appointments as booking announces them, and a migrated database for each test."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest

from hoop_events.booking import Appointment
from hoop_events.calendars import Calendar
from hoop_platform.ids import new_id

ZONE = "America/New_York"
OPEN = [
    {
        "daysOfTheWeek": [1, 2, 3, 4, 5],
        "hours": [{"openHour": 9, "openMinute": 0, "closeHour": 12, "closeMinute": 0}],
    }
]


def _calendar(
    calendar_id: str, hosts: Sequence[str], *, sequence: int = 1, **settings: Any
) -> Calendar:
    return Calendar(
        id=calendar_id,
        sequence=sequence,
        version=sequence,
        location_id=new_id(),
        time_zone=ZONE,
        settings={
            "calendarType": "round_robin",
            "isActive": True,
            "openHours": OPEN,
            "slotDuration": 30,
            "slotInterval": 30,
            "teamMembers": [{"userId": host} for host in hosts],
            **settings,
        },
    )


def _appointment(
    appointment_id: str,
    calendar_id: str,
    host: str,
    *,
    session: str,
    start: datetime,
    minutes: int = 30,
    sequence: int = 1,
    **more: Any,
) -> Appointment:
    fields: dict[str, Any] = {
        "id": appointment_id,
        "sequence": sequence,
        "version": sequence,
        "calendar_id": calendar_id,
        "location_id": new_id(),
        "contact_id": new_id(),
        "start_time": start,
        "end_time": start + timedelta(minutes=minutes),
        "time_zone": ZONE,
        "appointment_status": "confirmed",
        "occupies": True,
        "confirmed": True,
        "session": session,
        "hosts": (host,),
        "date_added": start,
        "date_updated": start,
    }
    return Appointment(**(fields | more))


@pytest.fixture
def calendar() -> Callable[..., Calendar]:
    """Builds the state of a calendar that is open in the mornings of working days."""
    return _calendar


@pytest.fixture
def appointment() -> Callable[..., Appointment]:
    """Builds the state of an appointment that is confirmed and occupies its time."""
    return _appointment


@pytest.fixture
async def read_model(new_database: Any) -> Any:
    return await new_database("availability")
