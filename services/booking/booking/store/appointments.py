"""Appointments as rows; writing a decision down, if what it stands on still holds."""

from typing import Any
from uuid import UUID

import asyncpg

from booking.domain.appointments import Decision, Entry
from booking.domain.placing import Basis
from hoop_events import Appointment, AppointmentEvent, Meeting
from hoop_events.booking import MeetingProvider
from shared import outbox
from shared.db import Connection, Database, Row
from shared.ids import unspell
from shared.slots import day_of, epoch_ms
from shared.telemetry import span


async def appointment(
    db: Connection | Database, account_id: str, appointment_id: str
) -> Appointment | None:
    """The appointment as last announced, unless it is unknown here or deleted."""
    state = await db.fetchval(
        """
        SELECT state FROM appointment WHERE account_id = $1 AND id = $2 AND deleted_at IS NULL
        """,
        account_id,
        appointment_id,
    )
    return Appointment.model_validate(state) if state else None


async def existed(db: Connection | Database, account_id: str, appointment_id: str) -> bool:
    """Say whether there has ever been such an appointment, deleted or not."""
    found: bool = await db.fetchval(
        "SELECT EXISTS (SELECT FROM appointment WHERE account_id = $1 AND id = $2)",
        account_id,
        appointment_id,
    )
    return found


async def lock_hosts(db: Connection, account_id: str, ids: list[str]) -> None:
    """Keep everybody else from taking or leaving these until this transaction ends."""
    await db.execute(
        """
        SELECT FROM resource WHERE account_id = $1 AND id = ANY ($2::uuid[])
         ORDER BY id FOR NO KEY UPDATE
        """,
        account_id,
        ids,
    )


async def settle(db: Connection | Database, decision: Decision) -> Appointment | None:
    """Write the decision and its event; None when what it stands on has changed meanwhile."""
    versions = _versions_after(decision)
    after = decision.after.model_copy(update={"versions": versions})
    event = decision.event.model_copy(update={"state": after})
    basis = decision.basis
    calendars = _calendars(decision)
    revisions = {s.id: s.revision for s in basis.sessions if s.id in _sessions(decision)}
    plan = _plan(decision, event)
    try:
        with span("settle", attributes={"hoop.appointment": after.id}):
            written = await db.fetchval(
                "SELECT settle($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
                event.account_id,
                calendars,
                [basis.versions[c] for c in calendars],
                _counts(basis),
                list(decision.hosts),
                [basis.versions.get(h, 0) for h in decision.hosts],
                list(revisions),
                list(revisions.values()),
                after.id,
                decision.before.sequence if decision.before else 0,
                plan,
            )
    except (asyncpg.ExclusionViolationError, asyncpg.UniqueViolationError):
        return None  # the backstop: somebody was there first
    return after if written else None


def _calendars(decision: Decision) -> list[str]:
    """Calendars that were looked at and are nobody's host: locked first, in one order."""
    return [c for c in [decision.basis.calendar.id] if c not in decision.hosts]


def _counts(basis: Basis) -> bool:
    """Each booking changes what the next one on this calendar may do."""
    rules = basis.calendar.rules
    return rules.per_day > 0 or rules.equal_distribution


def _versions_after(decision: Decision) -> dict[str, int]:
    basis = decision.basis
    touched = {*decision.hosts} | ({*_calendars(decision)} if _counts(basis) else set())
    return {
        r: basis.versions.get(r, 0) + (r in touched)
        for r in {*decision.hosts, *_calendars(decision)}
    }


def _sessions(decision: Decision) -> set[str]:
    before, entry = decision.before, decision.entry
    left = {before.session} if before and before.occupies else set()
    return left | ({entry.session_id} if entry and not entry.opens else set())


def _plan(decision: Decision, event: AppointmentEvent) -> dict[str, Any]:
    plan: dict[str, Any] = {
        "appointment": _row(decision, event.state),
        "event": _event(event),
    }
    if decision.closes:
        plan["close"] = hexed(decision.closes)
    if decision.entry:
        plan |= _entered(decision, decision.entry)
    return plan


def _entered(decision: Decision, entry: Entry) -> dict[str, Any]:
    after = decision.after
    if entry.opens:
        return {
            "open": {
                "id": hexed(entry.session_id),
                "calendar_id": hexed(after.calendar_id),
                "hosts": [hexed(host) for host in after.hosts],
                "starts": after.start_time,
                "ends": entry.ends,
                "shared": after.shared,
                "before": after.buffer_before,
                "after": after.buffer_after,
            }
        }
    if entry.stretches:
        return {"stretch": {"id": hexed(entry.session_id), "ends": entry.ends}}
    return {}


def _row(decision: Decision, after: Appointment) -> dict[str, Any]:
    return {
        "calendar_id": hexed(after.calendar_id),
        "location_id": hexed(after.location_id),
        "contact_id": hexed(after.contact_id),
        "session_id": hexed(after.session),
        "seat": decision.seat,
        "starts": after.start_time,
        "ends": after.end_time,
        "local_day": day_of(epoch_ms(after.start_time), after.time_zone),
        "version": after.version,
        "sequence": after.sequence,
        "state": after.model_dump(mode="json", by_alias=True),
        "deleted_at": after.date_updated if after.deleted else None,
    }


def _event(event: AppointmentEvent) -> dict[str, Any]:
    row = outbox.row(event, now=event.state.date_updated)
    del row["account_id"]
    return {**row, "event_id": hexed(row["event_id"]), "body": row["body"].decode()}


def hexed(spelled: str) -> str:
    """An id as Postgres spells it inside JSON."""
    return str(UUID(bytes=unspell(spelled)))


async def session_for_update(db: Connection, account_id: str, session_id: str) -> Row | None:
    """Lock an open session."""
    row: Row | None = await db.fetchrow(
        """
        SELECT * FROM session WHERE account_id = $1 AND id = $2 AND closed_at IS NULL
           FOR NO KEY UPDATE
        """,
        account_id,
        session_id,
    )
    return row


async def keep_meeting(
    db: Connection,
    account_id: str,
    session_id: str,
    provider: MeetingProvider,
    *,
    sequence: int,
    meeting: Meeting,
) -> None:
    """Remember the session's meeting for whoever joins."""
    await db.execute(
        """
        UPDATE session SET revision = revision + 1,
               meetings = meetings || jsonb_build_object($3::text, $4::jsonb)
         WHERE account_id = $1 AND id = $2
        """,
        account_id,
        session_id,
        provider,
        {"sequence": sequence, "meeting": meeting.model_dump(mode="json", by_alias=True)},
    )


async def seated(db: Connection, account_id: str, session_id: str) -> list[Appointment]:
    """Everybody in the session, their rows locked."""
    rows = await db.fetch(
        """
        SELECT state FROM appointment
         WHERE account_id = $1 AND session_id = $2 AND occupies ORDER BY id FOR NO KEY UPDATE
        """,
        account_id,
        session_id,
    )
    return [Appointment.model_validate(row["state"]) for row in rows]


async def resave(db: Connection, account_id: str, after: Appointment) -> None:
    """Save what is announced about an appointment whose place does not change."""
    await db.execute(
        "UPDATE appointment SET sequence = $3, state = $4 WHERE account_id = $1 AND id = $2",
        account_id,
        after.id,
        after.sequence,
        after.model_dump(mode="json", by_alias=True),
    )
