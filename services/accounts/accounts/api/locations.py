"""`/locations`: places of business and their time zones."""

from accounts.api import schemas
from accounts.api.collection import Collection
from accounts.store.locations import LOCATIONS
from hoop_platform.http.parse import Body


class LocationView(schemas.EntityView):
    name: str
    time_zone: str


class NewLocation(Body):
    name: str
    time_zone: str


class LocationPatch(Body):
    """The fields to change. The defaults are never used: a field that is not sent stays as it is."""

    name: str = ""
    time_zone: str = ""


ROUTES = Collection(
    LOCATIONS,
    "location",
    LocationView,
    NewLocation,
    LocationPatch,
    {"POST": {"name": "Downtown", "timeZone": "America/New_York"}, "PUT": {"name": "Uptown"}},
    schemas.PageQuery,
).routes
