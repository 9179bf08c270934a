"""Commands on notes, which are the business of whoever works with the appointment and of nobody else."""

from dataclasses import replace
from datetime import datetime

from booking.store import notes as store
from booking.store.notes import Note
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
) -> Note:
    """Write a note; `user_id`: whose words these are."""
    await store.insert(
        db,
        account_id,
        note_id,
        appointment_id=appointment_id,
        user_id=user_id,
        created_by=actor,
        body=body,
        now=now,
    )
    return await _known(db, account_id, appointment_id, note_id)


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
) -> Note:
    """Write it anew, or say whose words it holds; `expected`: only if this is its version."""
    before = await _known(db, account_id, appointment_id, note_id)
    check_fresh(before.version, expected)
    after = replace(
        before,
        body=before.body if body is None else body,
        user_id=user_id or before.user_id,
    )
    if after == before:
        return before
    await store.save(db, account_id, replace(after, version=before.version + 1, date_updated=now))
    return await _known(db, account_id, appointment_id, note_id)


async def delete_note(
    db: Tx, account_id: str, note_id: str, *, appointment_id: str, now: datetime
) -> None:
    """Delete it; what was deleted before is deleted."""
    if not await store.delete(db, account_id, appointment_id, note_id, now=now):
        raise NotFound


async def _known(db: Tx, account_id: str, appointment_id: str, note_id: str) -> Note:
    found = await store.note(db, account_id, appointment_id, note_id)
    if found is None:
        raise NotFound
    return found
