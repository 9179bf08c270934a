"""A new appointment as its client wants it, before it has a place."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from booking.domain.calendars import Calendar
from booking.domain.patches import CONFIRMED, OCCUPYING, Newcomer, Patch
from booking.domain.placing import Basis
from hoop_events.base import Personal
from hoop_events.booking import Appointment


def blank_of(
    basis: Basis,
    newcomer: Newcomer,
    patch: Patch,
    *,
    start: datetime,
    end: datetime,
    now: datetime,
) -> Appointment:
    """The appointment as the client wants it, without a place yet."""
    calendar = basis.calendar
    status = status_of(calendar, patch)
    return Appointment(
        id=newcomer.id,
        sequence=0,
        version=0,
        calendar_id=calendar.id,
        location_id=calendar.location_id,
        contact_id=newcomer.contact_id,
        group_id=calendar.group_id,
        start_time=start,
        end_time=end,
        time_zone=calendar.time_zone,
        appointment_status=status,
        occupies=status in OCCUPYING,
        confirmed=status in CONFIRMED,
        session=newcomer.id,  # until it has entered one
        time_revision=1,
        hosts=(),
        personal=Personal(
            title=patch.title or _title(calendar.settings, basis.contact_name or ""),
            description=patch.description or "",
        ),
        series=newcomer.series,
        date_added=now,
        date_updated=now,
    )


def status_of(calendar: Calendar, patch: Patch) -> str:
    """What the client says, else what the calendar makes of it."""
    return patch.status or ("confirmed" if calendar.auto_confirms else "new")


def _title(settings: Mapping[str, Any], contact_name: str) -> str:
    template = str(settings.get("eventTitle") or "{{contact.name}}")
    return template.replace("{{contact.name}}", contact_name) or "Appointment"
