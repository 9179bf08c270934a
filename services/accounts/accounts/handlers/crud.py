"""Creates, updates and deletes entities of any repository for a caller, and announces the result."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from pydantic.alias_generators import to_camel

from accounts.domain.entity import Entity, EntityT, patched
from accounts.domain.fields import check_fields, normalized
from accounts.domain.locations import LocationEntity
from accounts.store import memberships
from accounts.store.repository import Repository
from hoop_events.base import Change
from hoop_platform.auth import Caller
from hoop_platform.db.database import Tx
from hoop_platform.errors import Conflict, LocationForbidden, NotFound
from hoop_platform.outbox.announce import announce


async def create(
    db: Tx, repository: Repository[EntityT], entity: EntityT, *, by: Caller, now: datetime
) -> EntityT:
    """Store a new entity.

    Raises `Invalid`, and `LocationForbidden` for a location that the caller cannot see.
    """
    entity = entity.completed(None)
    entity = replace(entity, **normalized(vars(entity), entity.rules))
    check_fields(entity, entity.rules)
    await _check_locations(db, entity, by)
    await repository.upsert(db, entity)
    await announce(db, entity.as_changed(_change(by)), now=now)
    return entity


async def update(
    db: Tx,
    repository: Repository[EntityT],
    entity_id: str,
    patch: Mapping[str, object],
    *,
    by: Caller,
    if_version: int | None = None,
    now: datetime,
) -> EntityT:
    """Set the fields that `patch` names; if none differs, nothing is stored or announced.

    Raises `NotFound`, `PreconditionFailed`, `Invalid`, `LocationForbidden`.
    """
    before = await repository.lock(db, by.account_id, entity_id)
    if before is None or not before.within(by.location_ids):
        raise NotFound
    patch = normalized(patch, before.rules)
    entity, fields = patched(before, patch, if_version=if_version, now=now)
    if not fields:
        return before
    check_fields(entity, entity.rules)
    if entity.member_of != before.member_of:
        await _check_locations(db, entity, by)
    await repository.upsert(db, entity)
    await announce(db, entity.as_changed(_change(by, *fields)), now=now)
    return entity


async def delete(
    db: Tx, repository: Repository[EntityT], entity_id: str, *, by: Caller, now: datetime
) -> None:
    """Delete the entity; a repetition changes nothing.

    Raises `NotFound`, and `Conflict` for a location in use.
    """
    entity = await repository.lock(db, by.account_id, entity_id)
    if entity is None or not entity.within(by.location_ids):
        if not await repository.is_deleted(db, by.account_id, entity_id):
            raise NotFound
        return
    if isinstance(entity, LocationEntity) and await memberships.is_location_in_use(
        db, entity.account_id, entity.id
    ):
        raise Conflict("The location still has users, contacts or API keys.")
    await repository.delete(db, entity, now=now)
    await announce(db, entity.as_deleted(_change(by)), now=now)


async def _check_locations(db: Tx, entity: Entity, by: Caller) -> None:
    """Refuse locations that the account does not have or the caller's key may not see."""
    if not entity.within(by.location_ids):
        raise LocationForbidden
    named = set(entity.member_of) - {entity.id}
    if named and named != await memberships.lock_locations(db, entity.account_id, named):
        raise LocationForbidden


def _change(by: Caller, *fields: str) -> Change:
    """The changed fields by their names in JSON, and the caller's key; none for `bootstrap`."""
    return Change(fields=tuple(map(to_camel, fields)), actor=by.key_id or None)
