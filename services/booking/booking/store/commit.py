"""Committing a decision, if what it is based on has not changed."""

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

import asyncpg
import orjson

from booking.domain.decisions import Decision, Occupant, SessionEntry
from booking.store.database import BookingDatabase
from hoop_events.base import Event
from hoop_events.booking import Appointment, Hold
from hoop_platform import ids
from hoop_platform.db.database import TRANSIENT, Database, Tx, notify_after_commit
from hoop_platform.outbox import announce
from hoop_platform.telemetry import span
from hoop_scheduling.zones import day_of, epoch_ms

_ONE = "SELECT commit_decision($1::text::json)"
_ONE_SOON = "SELECT commit_soon($1::text::json)"
_SEVERAL = "SELECT commit_decisions($1::text::json)"

_hexed = lru_cache(65_536)(ids.hexed)
"""A document names the account, the calendar and its host several times, and so does the next one."""


async def commit_decision(db: Tx | Database, decision: Decision, *, now: datetime) -> bool:
    """Write a decision and its events; False, and nothing is written, when its snapshot is outdated.

    New appointments that arrive at the same time share a round trip and a commit.
    """
    with span("commit", attributes={"hoop.appointment": decision.events[0].subject}):
        document = orjson.dumps(_document(decision, now))
        written = None
        if isinstance(db, BookingDatabase) and _is_independent(decision):
            written = await _commit_together(db, document)
        if written is None:
            written = await _commit_alone(db, document)
    if written:
        notify_after_commit(db, announce.OUTBOX)
    return written


async def _commit_alone(db: Tx | Database, document: bytes) -> bool:
    try:
        return bool(await db.fetchval(_ONE, document.decode()))
    except (asyncpg.ExclusionViolationError, asyncpg.UniqueViolationError):
        return False  # the backstop: another transaction took the time first


def _is_independent(decision: Decision) -> bool:
    """Whether it can be committed together with others: it changes nothing that exists."""
    opens = decision.entry is None or decision.entry.opens
    return decision.before is None and opens and not decision.locks.counts


async def _commit_together(db: BookingDatabase, document: bytes) -> bool | None:
    """None when it has to be committed alone: it would have waited for a lock, or one of all failed."""
    try:
        return await db.together(_commit_all, document)
    except asyncpg.LockNotAvailableError:
        return None
    except TRANSIENT:
        raise
    except asyncpg.exceptions.PostgresError:
        return None


async def _commit_all(db: Tx | Database, documents: Sequence[bytes]) -> Sequence[bool | None]:
    """One result for each; no other than its own waits for the locks that one needs."""
    if len(documents) == 1:
        return [await db.fetchval(_ONE_SOON, documents[0].decode())]
    array = b"[" + b",".join(documents) + b"]"
    found: Sequence[bool | None] = await db.fetchval(_SEVERAL, array.decode())
    return found


def _document(decision: Decision, now: datetime) -> dict[str, Any]:
    """The argument of the function `commit_decision`, which describes it."""
    before, after, locks = decision.before, decision.after, decision.locks
    versions = decision.snapshot.versions
    left_or_entered = {
        *([before.session] if before is not None and before.occupies else ()),
        *([decision.entry.session_id] if decision.entry else ()),
    }
    sessions = [one for one in decision.snapshot.sessions.values() if one.id in left_or_entered]
    return {
        "account": _hexed(decision.snapshot.calendar.account_id),
        "id": _hexed(decision.events[0].subject),
        "sequence": before.sequence if before else None,
        "held": isinstance(before, Hold),
        "closes": decision.closes and _hexed(decision.closes),
        "calendars": [_hexed(one) for one in locks.calendars],
        "calendar_versions": [versions.get(one, 0) for one in locks.calendars],
        "counts": locks.counts,
        "taken": [_hexed(one) for one in locks.taken],
        "taken_versions": [versions.get(one, 0) for one in locks.taken],
        "sessions": [_hexed(one.id) for one in sessions],
        "revisions": [one.revision for one in sessions],
        "after": _appointment_row(decision, after) if after else None,
        "session": _session_row(decision, after, decision.entry)
        if after and decision.entry
        else None,
        "events": [outbox_row(event, now) for event in decision.events],
    }


def _appointment_row(decision: Decision, after: Occupant) -> dict[str, Any]:
    row = {
        "calendar_id": _hexed(after.calendar_id),
        "location_id": _hexed(after.location_id),
        "session_id": _hexed(after.session),
        "seat": decision.seat,
        "capacity": decision.snapshot.calendar.rules.capacity if decision.seat else 0,
        "starts": after.start_time,
        "ends": after.end_time,
        "local_day": day_of(epoch_ms(after.start_time), after.time_zone),
        "sequence": after.sequence,
    }
    match after:
        case Appointment():
            row["contact_id"] = _hexed(after.contact_id)
            row["unique_contact"] = row["contact_id"] if decision.takes_contact_once else None
            row["stays"] = decision.stays
            row["version"] = after.version
            row["deleted_at"] = after.date_updated if after.deleted else None
        case Hold():
            row["version"] = 1
            row["held_until"] = after.expires_at
    return row


def _session_row(decision: Decision, after: Occupant, entry: SessionEntry) -> dict[str, Any] | None:
    """The session that the occupant opens or has alone; None in a session with others."""
    if not (entry.opens or entry.alone):
        return None
    rules = decision.snapshot.calendar.rules
    units = {key: count for key, count in rules.equipment if key in after.resources}
    return {
        "id": _hexed(entry.session_id),
        "calendar_id": _hexed(after.calendar_id),
        "hosts": [_hexed(host) for host in after.hosts],
        "rooms": [_hexed(room) for room in after.resources if room not in units],
        "equipment": [_hexed(key) for key in units],
        "units": list(units.values()),
        "starts": after.start_time,
        "ends": entry.ends,
        "shared": (isinstance(after, Appointment) and after.shared) or rules.capacity > 1,
        "capacity": rules.capacity,
        "before": after.buffer_before,
        "after": after.buffer_after,
        "opens": entry.opens,
    }


def outbox_row(event: Event, now: datetime) -> dict[str, Any]:
    """A row of the outbox; its body stays as it is, byte by byte."""
    row = announce.row(event, now=now)
    del row["account_id"]
    return {**row, "event_id": ids.hexed(row["event_id"]), "body": orjson.Fragment(row["body"])}
