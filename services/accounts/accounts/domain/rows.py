"""Accounts and what belongs to them, as plain values that know how they are announced."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, ClassVar, TypeVar

from accounts.domain.fields import ADDRESS, NAME, PHONE, ZONE, Rule
from hoop_events import accounts as events
from hoop_events.accounts import Limits
from hoop_events.base import Change, Event, Gone, State
from hoop_platform.errors import check_fresh


@dataclass(frozen=True, kw_only=True)
class Row:
    """What every row has. `version` counts changes by clients, `sequence` counts announcements."""

    rules: ClassVar[Mapping[str, Rule]] = {}
    told_as: ClassVar[type[State]]
    """What is announced of it: those of its attributes that the contract names."""
    when_changed: ClassVar[type[Event]]
    when_deleted: ClassVar[type[Event]]

    account_id: str
    id: str
    version: int = 1
    sequence: int = 1
    date_added: datetime
    date_updated: datetime

    @property
    def places(self) -> tuple[str, ...]:
        """The locations it belongs to; none: it belongs to the account as a whole."""
        return ()

    def within(self, reach: Iterable[str]) -> bool:
        """Whether a key confined to these locations may see it. No locations: it is not confined."""
        allowed = set(reach)
        return not allowed or (bool(self.places) and allowed.issuperset(self.places))

    def changed(self, change: Change) -> Event:
        """The announcement of its present state."""
        state = self.told_as.model_validate(self, from_attributes=True)
        return self.when_changed(account_id=self.account_id, state=state, change=change)

    def deleted(self, change: Change) -> Event:
        """The announcement that it is gone."""
        return self.when_deleted(account_id=self.account_id, state=self.gone, change=change)

    @property
    def gone(self) -> Gone:
        """What is left after deletion."""
        return Gone(id=self.id, sequence=self.sequence + 1)


@dataclass(frozen=True, kw_only=True)
class Account(Row):
    """A tenant. Its id is the account id of everything in it."""

    told_as = events.Account
    when_changed = events.AccountChanged

    name: str
    plan: str
    status: str = "active"


@dataclass(frozen=True, kw_only=True)
class Location(Row):
    """A place of business."""

    rules = {"name": NAME, "time_zone": ZONE}
    told_as = events.Location
    when_changed = events.LocationChanged
    when_deleted = events.LocationDeleted

    name: str
    time_zone: str

    @property
    def places(self) -> tuple[str, ...]:
        return (self.id,)


@dataclass(frozen=True, kw_only=True)
class User(Row):
    """A member of the staff."""

    rules = {"name": NAME, "email": ADDRESS, "time_zone": ZONE.or_none()}
    told_as = events.User
    when_changed = events.UserChanged
    when_deleted = events.UserDeleted

    name: str
    email: str
    location_ids: tuple[str, ...] = ()
    time_zone: str | None = None

    @property
    def places(self) -> tuple[str, ...]:
        return self.location_ids


@dataclass(frozen=True, kw_only=True)
class Contact(Row):
    """Somebody who books. An empty e-mail address or phone number means that there is none."""

    rules = {
        "name": NAME,
        "email": ADDRESS.or_empty(),
        "phone": PHONE.or_empty(),
        "time_zone": ZONE.or_none(),
    }
    told_as = events.Contact
    when_changed = events.ContactChanged
    when_deleted = events.ContactDeleted

    location_id: str
    name: str
    email: str = ""
    phone: str = ""
    time_zone: str | None = None

    @property
    def places(self) -> tuple[str, ...]:
        return (self.location_id,)

    @property
    def personal(self) -> events.ContactDetails:
        """What erasure takes away."""
        return events.ContactDetails(name=self.name, email=self.email, phone=self.phone)


@dataclass(frozen=True, kw_only=True)
class ApiKey(Row):
    """A key, without its secret. A limit of None does not limit; no locations: all of them."""

    rules = {"name": NAME.or_empty()}
    told_as = events.ApiKey
    when_changed = events.ApiKeyChanged

    name: str = ""
    digest: str
    scopes: tuple[str, ...]
    location_ids: tuple[str, ...] = ()
    per_second: int | None
    per_minute: int | None
    per_day: int | None
    active: bool = True
    expires_at: datetime | None = None

    @property
    def places(self) -> tuple[str, ...]:
        return self.location_ids

    @property
    def limits(self) -> Limits:
        """How much it may ask."""
        return Limits(per_second=self.per_second, per_minute=self.per_minute, per_day=self.per_day)


R = TypeVar("R", bound=Row)


def patched(
    row: R, patch: Mapping[str, object], *, if_version: int | None, now: datetime
) -> tuple[R, tuple[str, ...]]:
    """The row after a change, and the names of the fields that differ; itself when none does.

    Raises `PreconditionFailed` when the client has decided on another version than the present one.
    """
    check_fresh(row.version, if_version)
    fields = tuple(name for name, value in patch.items() if getattr(row, name) != value)
    if not fields:
        return row, ()
    new: dict[str, Any] = {name: patch[name] for name in fields}
    version, sequence = row.version + 1, row.sequence + 1
    return replace(row, version=version, sequence=sequence, date_updated=now, **new), fields
