"""Commands on calendars, and announcing them."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from booking.domain.calendars import Calendar, hosts_of
from booking.store import calendars as store
from hoop_events import Calendar as CalendarState
from hoop_events import CalendarChanged, CalendarDeleted, Gone
from shared.db import Connection
from shared.errors import NotFound, invalid
from shared.outbox import announce
from shared.slots import Rules


async def create_calendar(
    db: Connection,
    account_id: str,
    calendar_id: str,
    *,
    location_id: str,
    time_zone: str,
    settings: dict[str, Any],
    now: datetime,
) -> Calendar:
    """Save and announce a new calendar."""
    calendar = Calendar(
        account_id=account_id,
        id=calendar_id,
        location_id=location_id,
        time_zone=time_zone,
        hosts=hosts_of(calendar_id, settings),
        settings=settings,
        version=1,
        sequence=1,
    )
    _checked(calendar)
    await store.insert_calendar(db, calendar)
    await announce(db, changed(calendar), now=now)
    return calendar


async def update_calendar(
    db: Connection, account_id: str, calendar_id: str, settings: dict[str, Any], *, now: datetime
) -> Calendar:
    """Change the settings that were sent; nothing sent, nothing announced."""
    before = await store.calendar(db, account_id, calendar_id, lock=True)
    if before is None:
        raise NotFound
    merged = {**before.settings, **settings}
    if merged == before.settings:
        return before
    after = replace(
        before,
        settings=merged,
        hosts=hosts_of(calendar_id, merged),
        version=before.version + 1,
        sequence=before.sequence + 1,
    )
    _checked(after)
    await store.save_calendar(db, after)
    await announce(db, changed(after), now=now)
    return after


async def delete_calendar(
    db: Connection, account_id: str, calendar_id: str, *, now: datetime
) -> None:
    """Delete the calendar, and say so."""
    before = await store.calendar(db, account_id, calendar_id, lock=True)
    if before is None:
        raise NotFound
    after = replace(before, sequence=before.sequence + 1)
    await store.delete_calendar(db, after)
    gone = Gone(id=calendar_id, sequence=after.sequence)
    await announce(db, CalendarDeleted(account_id=account_id, state=gone), now=now)


def _checked(calendar: Calendar) -> None:
    """The engine's word on the whole: what it cannot compute with is refused."""
    try:
        Rules.from_calendar({**calendar.settings, "id": calendar.id}, calendar.time_zone)
    except ValueError as error:
        raise invalid("", "rules", str(error)) from None


def changed(calendar: Calendar) -> CalendarChanged:
    """The calendar as an event."""
    return CalendarChanged(
        account_id=calendar.account_id,
        state=CalendarState(
            id=calendar.id,
            sequence=calendar.sequence,
            version=calendar.version,
            location_id=calendar.location_id,
            time_zone=calendar.time_zone,
            settings=calendar.settings,
        ),
    )
