"""Adds, changes and removes the rows of any shelf, for a caller, and announces what became true."""

from collections.abc import Mapping
from datetime import datetime
from typing import TypeVar

from pydantic.alias_generators import to_camel

from accounts import store
from accounts.domain import Location, Row, check, patched
from accounts.store import Shelf
from hoop_events.base import Change
from hoop_platform.auth import Caller
from hoop_platform.db.database import Tx
from hoop_platform.errors import Conflict, LocationForbidden, NotFound
from hoop_platform.outbox.announce import announce

R = TypeVar("R", bound=Row)


async def add(db: Tx, shelf: Shelf[R], row: R, *, by: Caller, now: datetime) -> R:
    """Keep a new row.

    Raises `Invalid`, and `LocationForbidden` for a location that the caller cannot see.
    """
    check(row, row.rules)
    await _check_places(db, row, by)
    await shelf.save(db, row)
    await announce(db, row.changed(_change(by)), now=now)
    return row


async def change(
    db: Tx,
    shelf: Shelf[R],
    row_id: str,
    patch: Mapping[str, object],
    *,
    by: Caller,
    if_version: int | None = None,
    now: datetime,
) -> R:
    """Change the fields that `patch` names; where nothing differs, nothing is announced.

    Raises `NotFound`, `PreconditionFailed`, `Invalid`, `LocationForbidden`.
    """
    before = await shelf.lock(db, by.account_id, row_id)
    if before is None or not before.within(by.location_ids):
        raise NotFound
    row, fields = patched(before, patch, if_version=if_version, now=now)
    if not fields:
        return before
    check(row, row.rules)
    if row.places != before.places:
        await _check_places(db, row, by)
    await shelf.save(db, row)
    await announce(db, row.changed(_change(by, *fields)), now=now)
    return row


async def remove(db: Tx, shelf: Shelf[R], row_id: str, *, by: Caller, now: datetime) -> None:
    """Delete the row; again is fine. Raises `NotFound`, and `Conflict` for a location in use."""
    row = await shelf.lock(db, by.account_id, row_id)
    if row is None or not row.within(by.location_ids):
        if not await shelf.has_deleted(db, by.account_id, row_id):
            raise NotFound
        return
    if isinstance(row, Location) and await store.location_in_use(db, row.account_id, row.id):
        raise Conflict("The location still has users, contacts or API keys.")
    await shelf.delete(db, row, now=now)
    await announce(db, row.deleted(_change(by)), now=now)


async def _check_places(db: Tx, row: Row, by: Caller) -> None:
    """Refuse locations that are not the account's, or out of the caller's reach."""
    if not row.within(by.location_ids):
        raise LocationForbidden
    named = set(row.places) - {row.id}
    if named and named != await store.known_locations(db, row.account_id, named):
        raise LocationForbidden


def _change(by: Caller, *fields: str) -> Change:
    """What changed, in the words of the API, and whose key it was; none for `bootstrap`."""
    return Change(fields=tuple(map(to_camel, fields)), actor=by.key_id or None)
