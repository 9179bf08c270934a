"""A tenant for tests: an account with users, contacts and an API key, and the events that announce it."""

from dataclasses import dataclass, field

from hoop_events.accounts import (
    Account,
    AccountChanged,
    ApiKey,
    ApiKeyChanged,
    Contact,
    ContactChanged,
    ContactDetails,
    Limits,
    Location,
    LocationChanged,
    User,
    UserChanged,
)
from hoop_events.base import Event
from hoop_platform.auth import SCOPES, digest
from hoop_platform.ids import new_id

UNLIMITED = Limits(per_second=None, per_minute=None, per_day=None)


@dataclass(frozen=True, kw_only=True)
class Tenant:
    """An account with a location, two users, two contacts and an API key.

    Publish its `events` to make it known to every service except `accounts`.
    """

    account_id: str = field(default_factory=new_id)
    location_id: str = field(default_factory=new_id)
    user_ids: tuple[str, ...] = field(default_factory=lambda: (new_id(), new_id()))
    contact_ids: tuple[str, ...] = field(default_factory=lambda: (new_id(), new_id()))
    key_id: str = field(default_factory=new_id)
    time_zone: str = "America/New_York"
    scopes: tuple[str, ...] = SCOPES
    limits: Limits = UNLIMITED

    @property
    def api_key(self) -> str:
        return f"hoop_{self.key_id}_{self.key_id}"

    @property
    def events(self) -> tuple[Event, ...]:
        common = {"account_id": self.account_id}
        key = ApiKey(
            id=self.key_id,
            sequence=1,
            digest=digest(self.api_key),
            scopes=self.scopes,
            limits=self.limits,
        )
        location = Location(
            id=self.location_id, sequence=1, name="Main Street", time_zone=self.time_zone
        )
        account = Account(id=self.account_id, sequence=1, name="Test", plan="unlimited")
        return (
            AccountChanged(**common, state=account),
            LocationChanged(**common, state=location),
            *(UserChanged(**common, state=self._user(one)) for one in self.user_ids),
            *(ContactChanged(**common, state=self._contact(one)) for one in self.contact_ids),
            ApiKeyChanged(**common, state=key),
        )

    def _user(self, user_id: str) -> User:
        email = f"{user_id}@staff.example.com"
        locations = (self.location_id,)
        return User(id=user_id, sequence=1, name="Uma User", email=email, location_ids=locations)

    def _contact(self, contact_id: str) -> Contact:
        personal = ContactDetails(name="Carl Contact", email=f"{contact_id}@example.com")
        return Contact(id=contact_id, sequence=1, location_id=self.location_id, personal=personal)
