"""What clients send and are answered."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, create_model
from pydantic.alias_generators import to_camel

from hoop_events.accounts import Limits
from hoop_events.base import Id, Moment
from hoop_platform.http.parse import Body, Query

Places = Annotated[tuple[Id, ...], Field(max_length=100)]
Limit = Annotated[int, Field(ge=1, le=1_000_000_000)]


class Page(Query):
    """Which part of a list: up to `limit` rows after the row that the last answer's cursor names."""

    limit: Annotated[int, Field(ge=1, le=500)] = 50
    cursor: Id | None = None


class PageAt(Page):
    """The same of one location, or of all."""

    location_id: Id | None = None


class View(BaseModel):
    """What a client is shown of a row."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, from_attributes=True)

    id: Id
    version: int
    date_added: Moment
    date_updated: Moment


class LocationView(View):
    name: str
    time_zone: str


class NewLocation(Body):
    name: str
    time_zone: str


class LocationPatch(Body):
    """A true patch: the defaults are never used, for a field that was not sent stays as it is."""

    name: str = ""
    time_zone: str = ""


class UserView(View):
    name: str
    email: str
    location_ids: Places
    time_zone: str | None


class NewUser(Body):
    name: str
    email: str
    location_ids: Places = ()
    time_zone: str | None = None


class UserPatch(Body):
    """As `LocationPatch`."""

    name: str = ""
    email: str = ""
    location_ids: Places = ()
    time_zone: str | None = None


class ContactView(View):
    location_id: Id
    name: str
    email: str
    phone: str
    time_zone: str | None


class NewContact(Body):
    location_id: Id
    name: str
    email: str = ""
    phone: str = ""
    time_zone: str | None = None


class ContactPatch(Body):
    """As `LocationPatch`. A contact keeps its location."""

    name: str = ""
    email: str = ""
    phone: str = ""
    time_zone: str | None = None


class KeyView(View):
    name: str
    scopes: tuple[str, ...]
    location_ids: Places
    limits: Limits
    active: bool
    expires_at: Moment | None


class NewKeyView(KeyView):
    """The answer that shows the whole key, once."""

    key: str


class AskedLimits(Body):
    per_second: Limit | None = None
    per_minute: Limit | None = None
    per_day: Limit | None = None


class NewKey(Body):
    """What is left out is taken from the key that asks; more than that key has is refused."""

    name: str = ""
    scopes: Annotated[tuple[str, ...], Field(min_length=1, max_length=50)]
    location_ids: Places = ()
    limits: AskedLimits = AskedLimits()
    expires_at: Moment | None = None


class Success(BaseModel):
    success: bool = True


class Paged(BaseModel):
    """What every list says beside its rows."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    next_cursor: Id | None
    """For the next page; null on the last one."""


def one(noun: str, view: type[BaseModel]) -> type[BaseModel]:
    """The envelope `{noun: {…}}`."""
    fields: dict[str, Any] = {noun: (view, ...)}
    return create_model(f"{view.__name__.removesuffix('View')}Reply", **fields)


def many(noun: str, view: type[BaseModel]) -> type[BaseModel]:
    """The envelope `{nouns: […], nextCursor}`."""
    fields: dict[str, Any] = {f"{noun}s": (list[view], ...)}  # type: ignore[valid-type] # made at run time
    return create_model(f"{view.__name__.removesuffix('View')}sReply", __base__=Paged, **fields)
