"""`/users`: the members of the staff and the locations they work at."""

from accounts.api.collection import EXAMPLE_LOCATION_ID, Collection
from accounts.api.schemas import EntityView, LocationIds
from accounts.store.users import USERS
from hoop_platform.http.parse import Body


class UserView(EntityView):
    name: str
    email: str
    location_ids: LocationIds
    time_zone: str | None


class NewUser(Body):
    name: str
    email: str
    location_ids: LocationIds = ()
    time_zone: str | None = None


class UserPatch(Body):
    """The fields to change. The defaults are never used: a field that is not sent stays as it is."""

    name: str = ""
    email: str = ""
    location_ids: LocationIds = ()
    time_zone: str | None = None


ROUTES = Collection(
    USERS,
    "user",
    UserView,
    NewUser,
    UserPatch,
    {
        "POST": {"name": "Ada", "email": "ada@example.com", "locationIds": [EXAMPLE_LOCATION_ID]},
        "PUT": {"timeZone": "Europe/London"},
    },
).routes
