"""`/contacts`: the people who book, each at one location."""

from functools import partial
from typing import Annotated, Any

from pydantic import BaseModel, Field

from accounts.api.collection import (
    EXAMPLE_LOCATION_ID,
    WRITE,
    Collection,
    as_json,
    filtered_location,
    list_page,
)
from accounts.api.schemas import EntityView, LocationPageQuery
from accounts.domain.contact_search import exactly, terms_of
from accounts.domain.contacts import ContactEntity
from accounts.domain.fields import MAX_TAGS
from accounts.handlers import contacts as handlers
from accounts.store.contacts import CONTACTS
from hoop_events.base import Id
from hoop_platform.errors import LocationForbidden
from hoop_platform.http.parse import Body
from hoop_platform.http.route import Call, Route
from hoop_platform.ids import new_id

Tags = Annotated[tuple[str, ...], Field(max_length=MAX_TAGS)]
SearchText = Annotated[str, Field(max_length=200)]


class ContactView(EntityView):
    location_id: Id
    name: str
    first_name: str
    last_name: str
    email: str
    phone: str
    time_zone: str | None
    tags: tuple[str, ...]


class NewContact(Body):
    location_id: Id
    name: str = ""
    """The whole name, which mails use. Absent: `firstName` and `lastName`."""
    first_name: str = ""
    """Absent: the first word of `name`."""
    last_name: str = ""
    """Absent: `name` without its first word."""
    email: str = ""
    phone: str = ""
    time_zone: str | None = None
    tags: Tags = ()
    """Each of 1 to 50 characters; a tag that is sent twice is stored once."""


class ContactPatch(Body):
    """The fields to change; a contact keeps its location.

    The defaults are never used: a field that is not sent stays as it is. Another `name` changes
    `firstName` and `lastName`, and the other way round.
    """

    name: str = ""
    first_name: str = ""
    last_name: str = ""
    email: str = ""
    phone: str = ""
    time_zone: str | None = None
    tags: Tags = ()
    """All tags: they replace the present ones."""


class ContactQuery(LocationPageQuery):
    """As `LocationPageQuery`; only contacts that match all filters."""

    query: SearchText | None = None
    """Each word, whatever its case and accents, begins a word of the name, the e-mail address or the phone number."""
    email: SearchText | None = None
    """The whole e-mail address, whatever its case."""
    phone: SearchText | None = None
    """The whole phone number, whatever its separators."""

    @property
    def filters(self) -> bool:
        return bool(self.query or self.email or self.phone)


class UpsertContactResponse(BaseModel):
    new: bool
    """Whether the contact was created; else the fields that were sent were changed."""
    contact: ContactView


class ContactCollection(Collection[ContactEntity]):
    """Contacts over HTTP: also searched, and created unless they exist."""

    async def list(self, call: Call[None, ContactQuery]) -> dict[str, Any]:  # type: ignore[override] # its query
        """One page of the contacts that the caller may see and that match the filters, oldest first."""
        query = call.query
        location_id = await filtered_location(call)
        load = partial(CONTACTS.search, terms=_terms(query)) if query.filters else CONTACTS.list
        return await list_page(call, load, self.noun, self.view, location_id=location_id)

    async def upsert(self, call: Call[NewContact]) -> dict[str, Any]:
        """Change the contact of the location that this is, or create it."""
        sent = call.body.model_dump(exclude_unset=True)
        location_id = sent.pop("location_id")
        async with call.runtime.db.transaction() as db:
            contact, new = await handlers.upsert_contact(
                db, location_id, sent, contact_id=new_id(), by=call.caller, now=call.now
            )
        return {"new": new, "contact": as_json(contact, ContactView)}

    @property
    def upsert_route(self) -> Route:
        return Route(
            "POST",
            "/contacts/upsert",
            self.upsert,
            scope=WRITE,
            body=NewContact,
            reply=UpsertContactResponse,
            summary="Upsert contact",
            description="Changes the contact of the location with this e-mail address, else with"
            " this phone number; if there is none, creates it. `contactDuplicatesBy` of the location"
            " says which of the two count, and in which order. A field that is not sent stays.",
            examples={"A contact": _EXAMPLES["POST"]},
            refusals=(LocationForbidden,),
        )


def _terms(query: ContactQuery) -> list[Any]:
    """What a contact must match; none if a filter cannot match any."""
    terms = [*terms_of(query.query)] if query.query else []
    if query.query and not terms:
        return []
    if query.email:
        terms.append(exactly("email", query.email))
    if query.phone:
        terms.append(exactly("phone", query.phone))
    return terms


_EXAMPLES = {
    "POST": {
        "locationId": EXAMPLE_LOCATION_ID,
        "firstName": "Carla",
        "lastName": "Gomez",
        "email": "carla@example.com",
        "tags": ["regular"],
    },
    "PUT": {"phone": "+12125550123"},
}
_COLLECTION = ContactCollection(
    CONTACTS, "contact", ContactView, NewContact, ContactPatch, _EXAMPLES, ContactQuery
)
ROUTES = (*_COLLECTION.routes, _COLLECTION.upsert_route)
