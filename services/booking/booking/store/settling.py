"""Writing a decision down, if what it stands on still holds."""

from dataclasses import replace
from datetime import datetime
from typing import Any

import asyncpg

from booking.domain.decisions import Decision, Entry, Seated
from hoop_events.base import Event
from hoop_events.booking import Appointment
from hoop_platform.db.database import Database, Tx
from hoop_platform.ids import hexed
from hoop_platform.outbox import announce
from hoop_platform.telemetry import span
from hoop_scheduling.zones import day_of, epoch_ms

_SETTLE = "SELECT settle($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)"


async def settle(db: Tx | Database, decision: Decision, *, now: datetime) -> Decision | None:
    """Write the decision and its events; None when what it stands on has changed meanwhile.

    Answered with the versions that everything it touched has then.
    """
    told = _told(decision)
    calendars, taken = decision.calendars, decision.taken
    versions = decision.basis.versions
    revisions = {s.id: s.revision for s in decision.basis.sessions if s.id in decision.sessions}
    events, bodies = _outbox(told.events, now)
    try:
        with span("settle", attributes={"hoop.appointment": decision.id}):
            written = await db.fetchval(
                _SETTLE,
                decision.account_id,
                calendars,
                [versions.get(c, 0) for c in calendars],
                decision.counts,
                taken,
                [versions.get(t, 0) for t in taken],
                list(revisions),
                list(revisions.values()),
                decision.id,
                decision.before.sequence if decision.before else 0,
                _row(told) if told.after else None,
                _session(told, told.after, told.entry) if told.after and told.entry else None,
                decision.closes,
                events,
                bodies,
            )
    except (asyncpg.ExclusionViolationError, asyncpg.UniqueViolationError):
        return None  # the backstop: somebody was there first
    return told if written else None


def _told(decision: Decision) -> Decision:
    """The decision with the versions after it, in what is kept and in what is announced."""
    touched = {*decision.taken, *(decision.calendars if decision.counts else ())}
    versions = {
        key: decision.basis.versions.get(key, 0) + (key in touched)
        for key in (*decision.calendars, *decision.taken)
    }
    events = tuple(
        event.model_copy(update={"state": event.state.model_copy(update={"versions": versions})})
        for event in decision.events
    )
    after = decision.after and decision.after.model_copy(update={"versions": versions})
    return replace(decision, events=events, after=after)


def _row(told: Decision) -> dict[str, Any]:
    after = told.after
    assert after is not None
    return {
        "calendar_id": hexed(after.calendar_id),
        "location_id": hexed(after.location_id),
        "session_id": hexed(after.session),
        "seat": told.seat,
        "capacity": told.basis.calendar.rules.capacity if told.seat else 0,
        "starts": after.start_time,
        "ends": after.end_time,
        "local_day": day_of(epoch_ms(after.start_time), after.time_zone),
        "sequence": after.sequence,
        **_whose(after),
    }


def _whose(after: Seated) -> dict[str, Any]:
    if isinstance(after, Appointment):
        return {
            "contact_id": hexed(after.contact_id),
            "version": after.version,
            "deleted_at": after.date_updated if after.deleted else None,
        }
    return {"version": 1, "held_until": after.expires_at}


def _session(told: Decision, after: Seated, entry: Entry) -> dict[str, Any] | None:
    """The session that it opens or has for itself; None when it sits in with others."""
    if not (entry.opens or entry.alone):
        return None
    rules = told.basis.calendar.rules
    units = {key: count for key, count in rules.equipment if key in after.resources}
    rooms = [r for r in after.resources if r not in units]
    return {
        "id": hexed(entry.session_id),
        "calendar_id": hexed(after.calendar_id),
        "hosts": [hexed(host) for host in after.hosts],
        "rooms": [hexed(room) for room in rooms],
        "equipment": [hexed(key) for key in units],
        "units": list(units.values()),
        "starts": after.start_time,
        "ends": entry.ends,
        "shared": (isinstance(after, Appointment) and after.shared) or rules.capacity > 1,
        "capacity": rules.capacity,
        "before": after.buffer_before,
        "after": after.buffer_after,
        "opens": entry.opens,
    }


def _outbox(events: tuple[Event, ...], now: datetime) -> tuple[list[dict[str, Any]], list[bytes]]:
    rows, bodies = [], []
    for number, event in enumerate(events, start=1):
        row = announce.row(event, now=now)
        del row["account_id"]
        bodies.append(row.pop("body"))
        rows.append({**row, "number": number, "event_id": hexed(row["event_id"])})
    return rows, bodies
