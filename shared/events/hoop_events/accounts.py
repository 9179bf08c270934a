"""The events of the accounts service: accounts, locations, users, contacts and API keys."""

from typing import ClassVar, Literal

from hoop_events.base import Contract, Event, Gone, Id, Moment, State


class Account(State):
    """A tenant. Every other aggregate belongs to exactly one account."""

    id: Id
    name: str
    plan: str = "starter"
    status: Literal["active", "read_only"] = "active"


class Location(State):
    """A place of business, with its time zone."""

    id: Id
    name: str
    time_zone: str


class User(State):
    """A member of the staff, who hosts appointments."""

    id: Id
    name: str
    email: str
    location_ids: tuple[Id, ...] = ()
    time_zone: str | None = None


class ContactDetails(Contract):
    """Name, e-mail address, telephone number and tags of a person; empty after erasure."""

    name: str = ""
    """The whole name."""
    email: str = ""
    phone: str = ""
    first_name: str = ""
    """The first part of `name`."""
    last_name: str = ""
    """The rest of `name`."""
    tags: tuple[str, ...] = ()
    """What the account marks the contact with, each once."""


class Contact(State):
    """A person who books appointments."""

    id: Id
    location_id: Id
    time_zone: str | None = None
    personal: ContactDetails = ContactDetails()


class Limits(Contract):
    """Request limits of a key; the limit per day is shared by all keys of the account."""

    per_second: int | None = 10
    per_minute: int | None = 100
    per_day: int | None = 10_000


class ApiKey(State):
    """An API key, of which only a digest is stored. `None` in `limits` means no limit."""

    id: Id
    digest: str
    """SHA-256 of the whole key, in hex."""
    location_ids: tuple[Id, ...] = ()
    """The locations that the key may access; empty means every location of the account."""
    scopes: tuple[str, ...]
    limits: Limits = Limits()
    active: bool = True
    expires_at: Moment | None = None


class AccountsEvent(Event):
    source: ClassVar = "/accounts"


class AccountChanged(AccountsEvent):
    topic: ClassVar = "accounts"
    key: ClassVar = "account"
    global_table: ClassVar = True
    type: ClassVar = "AccountChanged"
    state: Account


class LocationChanged(AccountsEvent):
    topic: ClassVar = "locations"
    key: ClassVar = "location"
    global_table: ClassVar = True
    type: ClassVar = "LocationChanged"
    state: Location


class LocationDeleted(AccountsEvent):
    topic: ClassVar = "locations"
    key: ClassVar = "location"
    global_table: ClassVar = True
    type: ClassVar = "LocationDeleted"
    state: Gone


class UserChanged(AccountsEvent):
    topic: ClassVar = "users"
    key: ClassVar = "user"
    type: ClassVar = "UserChanged"
    state: User


class UserDeleted(AccountsEvent):
    topic: ClassVar = "users"
    key: ClassVar = "user"
    type: ClassVar = "UserDeleted"
    state: Gone


class ContactChanged(AccountsEvent):
    topic: ClassVar = "contacts"
    key: ClassVar = "contact"
    type: ClassVar = "ContactChanged"
    state: Contact


class ContactDeleted(AccountsEvent):
    topic: ClassVar = "contacts"
    key: ClassVar = "contact"
    type: ClassVar = "ContactDeleted"
    state: Gone


class ApiKeyChanged(AccountsEvent):
    topic: ClassVar = "api-keys"
    key: ClassVar = "API key"
    global_table: ClassVar = True
    type: ClassVar = "ApiKeyChanged"
    state: ApiKey


class ApiKeyDeleted(AccountsEvent):
    topic: ClassVar = "api-keys"
    key: ClassVar = "API key"
    global_table: ClassVar = True
    type: ClassVar = "ApiKeyDeleted"
    state: Gone
