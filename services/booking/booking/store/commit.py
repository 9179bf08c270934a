"""Committing a decision, if what it is based on has not changed."""

from dataclasses import replace
from datetime import datetime
from typing import Any

import asyncpg

from booking.domain.decisions import Decision, Occupant, SessionEntry
from hoop_events.base import Event
from hoop_events.booking import Appointment, Hold
from hoop_platform.db.database import Database, Tx
from hoop_platform.ids import hexed
from hoop_platform.outbox import announce
from hoop_platform.telemetry import span
from hoop_scheduling.zones import day_of, epoch_ms

_COMMIT = """
SELECT commit_decision($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
"""


async def commit_decision(
    db: Tx | Database, decision: Decision, *, now: datetime
) -> Decision | None:
    """Write a decision and its events; None, and nothing is written, when its snapshot is outdated.

    The returned decision carries the versions after the commit, in its state and in its events.
    """
    stamped = _with_versions(decision)
    calendars, taken = decision.calendars, decision.taken
    versions = decision.snapshot.versions
    revisions = {s.id: s.revision for s in decision.snapshot.sessions if s.id in decision.sessions}
    events, bodies = _outbox_rows(stamped.events, now)
    try:
        with span("commit", attributes={"hoop.appointment": decision.id}):
            committed = await db.fetchval(
                _COMMIT,
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
                _appointment_row(stamped, stamped.after) if stamped.after else None,
                _session_row(stamped, stamped.after, stamped.entry)
                if stamped.after and stamped.entry
                else None,
                decision.closes,
                events,
                bodies,
            )
    except (asyncpg.ExclusionViolationError, asyncpg.UniqueViolationError):
        return None  # the backstop: another transaction took the time first
    return stamped if committed else None


def _with_versions(decision: Decision) -> Decision:
    """The decision with the versions after the commit, in its state and in its events."""
    raised = {*decision.taken, *(decision.calendars if decision.counts else ())}
    versions = {
        key: decision.snapshot.versions.get(key, 0) + (key in raised)
        for key in (*decision.calendars, *decision.taken)
    }
    events = tuple(
        event.model_copy(update={"state": event.state.model_copy(update={"versions": versions})})
        for event in decision.events
    )
    after = decision.after and decision.after.model_copy(update={"versions": versions})
    return replace(decision, events=events, after=after)


def _appointment_row(decision: Decision, after: Occupant) -> dict[str, Any]:
    return {
        "calendar_id": hexed(after.calendar_id),
        "location_id": hexed(after.location_id),
        "session_id": hexed(after.session),
        "seat": decision.seat,
        "capacity": decision.snapshot.calendar.rules.capacity if decision.seat else 0,
        "starts": after.start_time,
        "ends": after.end_time,
        "local_day": day_of(epoch_ms(after.start_time), after.time_zone),
        "sequence": after.sequence,
        **_contact_or_hold(after),
    }


def _contact_or_hold(after: Occupant) -> dict[str, Any]:
    match after:
        case Appointment():
            return {
                "contact_id": hexed(after.contact_id),
                "version": after.version,
                "deleted_at": after.date_updated if after.deleted else None,
            }
        case Hold():
            return {"version": 1, "held_until": after.expires_at}


def _session_row(decision: Decision, after: Occupant, entry: SessionEntry) -> dict[str, Any] | None:
    """The session that the occupant opens or has alone; None in a session with others."""
    if not (entry.opens or entry.alone):
        return None
    rules = decision.snapshot.calendar.rules
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


def _outbox_rows(
    events: tuple[Event, ...], now: datetime
) -> tuple[list[dict[str, Any]], list[bytes]]:
    rows, bodies = [], []
    for number, event in enumerate(events, start=1):
        row = announce.row(event, now=now)
        del row["account_id"]
        bodies.append(row.pop("body"))
        rows.append({**row, "number": number, "event_id": hexed(row["event_id"])})
    return rows, bodies
