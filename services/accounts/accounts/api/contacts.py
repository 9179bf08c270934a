"""`/contacts`: the people who book, each at one location."""

from accounts.api.collection import EXAMPLE_LOCATION_ID, Collection
from accounts.api.schemas import EntityView
from accounts.store.contacts import CONTACTS
from hoop_events.base import Id
from hoop_platform.http.parse import Body


class ContactView(EntityView):
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
    """The fields to change; a contact keeps its location.

    The defaults are never used: a field that is not sent stays as it is.
    """

    name: str = ""
    email: str = ""
    phone: str = ""
    time_zone: str | None = None


ROUTES = Collection(
    CONTACTS,
    "contact",
    ContactView,
    NewContact,
    ContactPatch,
    {
        "POST": {"locationId": EXAMPLE_LOCATION_ID, "name": "Carl", "email": "carl@example.com"},
        "PUT": {"phone": "+12125550123"},
    },
).routes
