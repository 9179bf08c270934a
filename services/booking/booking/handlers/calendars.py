"""Commands on calendars."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from booking.domain.calendar_types import check_settings, edited_dates
from booking.domain.calendars import Calendar, edited, hosts_of, rules_of
from booking.domain.checks import UNKNOWN_USER, check_location
from booking.store import calendars as store
from booking.store.crud import groups
from booking.store.projections import list_deleted_users, lock_users
from hoop_events.base import Gone
from hoop_events.calendars import Calendar as CalendarState
from hoop_events.calendars import CalendarChanged, CalendarDeleted
from hoop_platform.db.database import Tx
from hoop_platform.errors import Detail, Invalid, NotFound, check_fresh, invalid
from hoop_platform.ids import is_id
from hoop_platform.outbox.announce import announce
from hoop_scheduling.rules import BrokenRule

Written = tuple[Calendar, dict[str, int]]
"""The calendar after a change, and the versions that the change has raised."""


async def create_calendar(
    db: Tx,
    account_id: str,
    calendar_id: str,
    *,
    location_id: str,
    time_zone: str,
    settings: dict[str, Any],
    now: datetime,
) -> Written:
    """Save and announce a new calendar."""
    check_settings({}, settings)
    await _lock_members(db, account_id, settings)
    await _check_group(db, account_id, settings, location_id)
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
    _check_rules(calendar)
    versions = await store.insert_calendar(db, calendar)
    await announce(db, calendar_changed(calendar, versions), now=now)
    return calendar, versions


async def update_calendar(
    db: Tx,
    account_id: str,
    calendar_id: str,
    settings: Mapping[str, Any],
    *,
    now: datetime,
    dates: Sequence[Mapping[str, Any]] = (),
    new_ids: Sequence[str] = (),
    expected: int | None = None,
) -> Written:
    """Change the sent settings; nothing is announced when nothing differs.

    `dates`: the `availabilities` to add, change or delete; `new_ids`: an id for each that is new.
    `expected`: the version of `If-Match`.
    """
    await _lock_members(db, account_id, settings)
    group_location = await _lock_group(db, account_id, settings.get("groupId"))
    before = await store.get_calendar(db, account_id, calendar_id, lock=True)
    if before is None:
        raise NotFound
    check_fresh(before.version, expected)
    if group_location is not None:
        check_location("groupId", group_location, before.location_id)
    after = edited(before.settings, settings)
    if dates:
        stored = before.settings.get("availabilities") or ()
        after["availabilities"] = edited_dates(stored, dates, new_ids)
    check_settings(before.settings, after)
    return await save_settings(db, before, after, now=now)


async def _lock_members(db: Tx, account_id: str, settings: Mapping[str, Any]) -> None:
    """Keep the sent members from being deleted meanwhile; refuse one who was a moment ago.

    Before any calendar is locked: the deletion of a user locks in this order as well.
    """
    members = [member["userId"] for member in settings.get("teamMembers") or ()]
    if not members:
        return
    await lock_users(db, account_id, members)
    deleted = await list_deleted_users(db, account_id, members)
    details = [
        Detail(f"teamMembers.{n}.userId", "unknown_user", UNKNOWN_USER)
        for n, member in enumerate(members)
        if member in deleted
    ]
    if details:
        raise Invalid(details=details)


async def _check_group(
    db: Tx, account_id: str, settings: Mapping[str, Any], location_id: str
) -> None:
    location = await _lock_group(db, account_id, settings.get("groupId"))
    if location is not None:
        check_location("groupId", location, location_id)


async def _lock_group(db: Tx, account_id: str, group_id: str | None) -> str | None:
    """The location of a group that is joined; locks the group, before any calendar, against deletion."""
    if not group_id:
        return None
    group = await groups.get(db, account_id, group_id, lock=True) if is_id(group_id) else None
    if group is None:
        raise NotFound("groupId")
    return group.location_id


async def save_settings(
    db: Tx, before: Calendar, settings: dict[str, Any], *, now: datetime
) -> Written:
    """Save and announce the settings of a calendar whose row is locked, if they differ."""
    if settings == before.settings:
        return before, {}
    after = replace(
        before,
        settings=settings,
        hosts=hosts_of(before.id, settings),
        version=before.version + 1,
        sequence=before.sequence + 1,
    )
    _check_rules(after)
    versions = await store.update_calendar(db, after)
    await announce(db, calendar_changed(after, versions), now=now)
    return after, versions


async def delete_calendar(
    db: Tx, account_id: str, calendar_id: str, *, now: datetime
) -> dict[str, int]:
    """Delete and announce the calendar; returns the raised versions."""
    before = await store.get_calendar(db, account_id, calendar_id, lock=True)
    if before is None:
        raise NotFound
    after = replace(before, sequence=before.sequence + 1)
    versions = await store.delete_calendar(db, after)
    gone = Gone(id=calendar_id, sequence=after.sequence, versions=versions)
    await announce(db, CalendarDeleted(account_id=account_id, state=gone), now=now)
    return versions


def _check_rules(calendar: Calendar) -> None:
    """Refuse settings from which the slot engine cannot make rules."""
    try:
        rules_of(calendar.id, calendar.time_zone, calendar.settings, calendar.applied)
    except BrokenRule as broken:
        raise invalid("", "rules", str(broken)) from None
    except ValueError:
        raise invalid("", "rules", "hours, dates or lengths contradict each other") from None


def calendar_changed(calendar: Calendar, versions: dict[str, int]) -> CalendarChanged:
    """The event that announces the calendar."""
    return CalendarChanged(
        account_id=calendar.account_id,
        state=CalendarState(
            id=calendar.id,
            sequence=calendar.sequence,
            version=calendar.version,
            location_id=calendar.location_id,
            time_zone=calendar.time_zone,
            settings=calendar.settings,
            versions=versions,
        ),
    )
