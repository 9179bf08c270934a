"""Commands on notes of appointments, which are never announced."""

from dataclasses import replace
from datetime import datetime

from booking.store import notes as store
from booking.store.notes import AppointmentNote
from hoop_platform.db.database import Tx
from hoop_platform.errors import NotFound, check_fresh


async def create_note(
    db: Tx,
    account_id: str,
    note_id: str,
    *,
    appointment_id: str,
    body: str,
    user_id: str | None,
    actor: str,
    now: datetime,
) -> AppointmentNote:
    """Create a note; `user_id` is the author, `actor` the API key."""
    await store.insert_note(
        db,
        account_id,
        note_id,
        appointment_id=appointment_id,
        user_id=user_id,
        created_by=actor,
        body=body,
        now=now,
    )
    return await _lock_note(db, account_id, appointment_id, note_id)


async def change_note(
    db: Tx,
    account_id: str,
    note_id: str,
    *,
    appointment_id: str,
    body: str | None,
    user_id: str | None,
    expected: int | None,
    now: datetime,
) -> AppointmentNote:
    """Change the text or the author; `expected` is the version of `If-Match`."""
    before = await _lock_note(db, account_id, appointment_id, note_id)
    check_fresh(before.version, expected)
    after = replace(
        before,
        body=before.body if body is None else body,
        user_id=user_id or before.user_id,
    )
    if after == before:
        return before
    await store.update_note(
        db, account_id, replace(after, version=before.version + 1, date_updated=now)
    )
    return await _lock_note(db, account_id, appointment_id, note_id)


async def delete_note(
    db: Tx, account_id: str, note_id: str, *, appointment_id: str, now: datetime
) -> None:
    """Delete the note, also one that is deleted already; `NotFound` if there never was one."""
    if not await store.delete_note(db, account_id, appointment_id, note_id, now=now):
        raise NotFound("noteId")


async def _lock_note(db: Tx, account_id: str, appointment_id: str, note_id: str) -> AppointmentNote:
    found = await store.lock_note(db, account_id, appointment_id, note_id)
    if found is None:
        raise NotFound("noteId")
    return found
