"""The members of each session, and what the desired meeting is derived from."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Self
from uuid import UUID

from hoop_platform.db.database import Database, Row, Tx
from hoop_platform.ids import from_uuid, hexed
from meetings.domain.sessions import HostAccount, MeetingKey, SessionMember


@dataclass(frozen=True)
class LockedSession:
    """A session at one provider, locked: its members, its desired meeting so far, its hosts' accounts."""

    key: MeetingKey
    members: Sequence[SessionMember]
    previous: dict[str, Any] | None
    accounts: Sequence[HostAccount]

    @classmethod
    def of_row(cls, account_id: str, row: Row) -> Self:
        return cls(
            MeetingKey.from_subject(account_id, row["subject"]),
            [_member_of_json(stored) for stored in row["members"]],
            row["previous"],
            [_host_account(stored) for stored in row["accounts"]],
        )

    def account_of(self, host: str) -> HostAccount | None:
        return next((account for account in self.accounts if account.host == host), None)


async def get_member(
    db: Tx | Database, account_id: str, appointment_id: str
) -> SessionMember | None:
    row = await db.fetchrow(
        "SELECT * FROM session_member WHERE account_id = $1 AND appointment_id = $2",
        account_id,
        appointment_id,
    )
    if row is None:
        return None
    return SessionMember(**{column.name: row[column.name] for column in fields(SessionMember)})


async def upsert_member(db: Tx, member: SessionMember) -> list[LockedSession]:
    """Store a member unless it is old; its former and its present session, locked."""
    stored = {**vars(member), "subject": member.key.subject if member.key else None}
    ids = {name: hexed(stored[name]) for name in _IDS}
    rows = await db.fetch("SELECT * FROM upsert_member($1)", {**stored, **ids})
    return [LockedSession.of_row(member.account_id, row) for row in rows]


async def lock_session(db: Tx, key: MeetingKey) -> LockedSession:
    """Lock a session until the end of the transaction against anybody else who derives its meeting."""
    row = await db.fetchrow("SELECT * FROM lock_session($1, $2)", key.account_id, key.subject)
    assert row is not None
    return LockedSession.of_row(key.account_id, row)


async def delete_member(db: Tx, appointment_id: str) -> None:
    """Delete all that is stored of an appointment. A tombstone carries its id, but no account."""
    await db.execute("DELETE FROM session_member WHERE appointment_id = $1", appointment_id)


async def list_outdated(
    db: Database,
    account_id: str,
    provider: str,
    host: str,
    *,
    account_version: str | None,
    now: datetime,
) -> list[MeetingKey]:
    """Up to 100 sessions of a host, not over yet, desired under another version of his account."""
    rows = await db.fetch(
        """
        SELECT subject FROM work
         WHERE account_id = $1 AND kind = 'meeting' AND provider = $2 AND desired ->> 'host' = $3
           AND desired ? 'phase' -- as the index says
           AND due_start > $4::timestamptz - interval '32 days' -- the longest appointment and a day
           AND (desired ->> 'end')::timestamptz > $4
           AND desired ->> 'connection' IS DISTINCT FROM $5
         ORDER BY due_start LIMIT 100
        """,
        account_id,
        provider,
        hexed(host),
        now,
        account_version,
    )
    return [MeetingKey.from_subject(account_id, row["subject"]) for row in rows]


_IDS = ("account_id", "appointment_id", "location_id", "session", "host")


def _member_of_json(stored: dict[str, Any]) -> SessionMember:
    ids = {name: _id(stored[name]) for name in _IDS}
    times = {name: datetime.fromisoformat(stored[name]) for name in ("starts_at", "ends_at")}
    known = {column.name: stored[column.name] for column in fields(SessionMember)}
    return SessionMember(**{**known, **ids, **times})


def _host_account(stored: dict[str, Any]) -> HostAccount:
    return HostAccount(
        host=_id(stored["host"]),
        connection_id=_id(stored["connection_id"]),
        active=stored["status"] == "active",
        external_id=stored["external_id"],
        sequence=stored["sequence"],
    )


def _id(text: str) -> str:
    return from_uuid(UUID(text))
