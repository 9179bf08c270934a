"""What all entities have in common: ids, versions, membership in locations, and their events."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any, ClassVar, Self, TypeVar

from accounts.domain.fields import FieldRule
from hoop_events.base import Change, Event, Gone, State
from hoop_platform.errors import check_fresh


@dataclass(frozen=True, kw_only=True)
class Entity:
    """One row of a table. `version` counts changes by clients, `sequence` counts announcements."""

    rules: ClassVar[Mapping[str, FieldRule]] = {}
    state_type: ClassVar[type[State]]
    """The state in its events: those attributes of the entity that the contract names."""
    changed_event: ClassVar[type[Event]]
    deleted_event: ClassVar[type[Event]]

    account_id: str
    id: str
    version: int = 1
    sequence: int = 1
    date_added: datetime
    date_updated: datetime

    @property
    def member_of(self) -> tuple[str, ...]:
        """The ids of its locations. Empty: the entity belongs to the account as a whole."""
        return ()

    def completed(self, before: Self | None) -> Self:  # noqa: ARG002 -- for entities that compare
        """The entity with the fields that follow from others; `before` is None for a new one.

        Raises `Invalid` if a request contradicts itself.
        """
        return self

    def within(self, location_ids: Iterable[str]) -> bool:
        """Whether an API key confined to `location_ids` may see the entity; an empty list confines nothing."""
        allowed = set(location_ids)
        return not allowed or (bool(self.member_of) and allowed.issuperset(self.member_of))

    def as_changed(self, change: Change) -> Event:
        """The event that announces the present state."""
        state = self.state_type.model_validate(self, from_attributes=True)
        return self.changed_event(account_id=self.account_id, state=state, change=change)

    def as_deleted(self, change: Change) -> Event:
        """The event that announces the deletion."""
        return self.deleted_event(account_id=self.account_id, state=self.gone, change=change)

    @property
    def gone(self) -> Gone:
        """The state after the deletion: the id and the next sequence."""
        return Gone(id=self.id, sequence=self.sequence + 1)


EntityT = TypeVar("EntityT", bound=Entity)


def patched(
    entity: EntityT, patch: Mapping[str, object], *, if_version: int | None, now: datetime
) -> tuple[EntityT, tuple[str, ...]]:
    """The entity after a change and the names of the fields that differ; `entity` itself if none differs.

    Raises `PreconditionFailed` if `if_version` is given and is not the present version, and `Invalid`.
    """
    check_fresh(entity.version, if_version)
    values: dict[str, Any] = dict(patch)
    after = replace(entity, **values).completed(entity)
    changed = tuple(
        each.name
        for each in fields(entity)
        if getattr(entity, each.name) != getattr(after, each.name)
    )
    if not changed:
        return entity, ()
    version, sequence = entity.version + 1, entity.sequence + 1
    return replace(after, version=version, sequence=sequence, date_updated=now), changed
