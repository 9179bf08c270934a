"""`/locations`: places of business and their time zones."""

from typing import Annotated

from pydantic import Field

from accounts.api import schemas
from accounts.api.collection import Collection
from accounts.domain.contact_search import Identity
from accounts.store.locations import LOCATIONS
from hoop_platform.http.parse import Body

DuplicatesBy = Annotated[
    tuple[Identity, ...],
    Field(
        max_length=2,
        description="By which fields `POST /contacts/upsert` recognises a contact of the location,"
        " in this order; empty: each upsert creates one.",
    ),
]


class LocationView(schemas.EntityView):
    name: str
    time_zone: str
    contact_duplicates_by: DuplicatesBy


class NewLocation(Body):
    name: str
    time_zone: str
    contact_duplicates_by: DuplicatesBy = ("email", "phone")


class LocationPatch(Body):
    """The fields to change. The defaults are never used: a field that is not sent stays as it is."""

    name: str = ""
    time_zone: str = ""
    contact_duplicates_by: DuplicatesBy = ()


ROUTES = Collection(
    LOCATIONS,
    "location",
    LocationView,
    NewLocation,
    LocationPatch,
    {"POST": {"name": "Downtown", "timeZone": "America/New_York"}, "PUT": {"name": "Uptown"}},
    schemas.PageQuery,
).routes
