"""Creates a contact unless its location has it already, by the location's own rule."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from accounts.domain.contact_search import SearchTerm, exactly
from accounts.domain.contacts import ContactEntity
from accounts.domain.fields import check_fields
from accounts.domain.locations import LocationEntity
from accounts.handlers import crud
from accounts.store.contacts import CONTACTS
from accounts.store.locations import LOCATIONS
from hoop_platform.auth import Caller
from hoop_platform.db.database import Tx
from hoop_platform.errors import LocationForbidden


async def upsert_contact(
    db: Tx,
    location_id: str,
    sent: Mapping[str, Any],
    *,
    contact_id: str,
    by: Caller,
    now: datetime,
) -> tuple[ContactEntity, bool]:
    """The contact of the location with the fields that were sent, and whether it is new.

    The oldest contact with the first of the identities that any has is changed; `contact_id` is for a
    new one. Raises `Invalid`, and `LocationForbidden` for a location that the caller cannot see.
    """
    location = await LOCATIONS.get(db, by.account_id, location_id)
    if location is None or not location.within(by.location_ids):
        raise LocationForbidden
    new = ContactEntity(
        account_id=by.account_id,
        id=contact_id,
        location_id=location_id,
        date_added=now,
        date_updated=now,
        **sent,
    )
    identities = _identities(new, location)
    # Two upserts of one person at once: the later one finds the contact of the earlier one.
    await CONTACTS.lock_identities(db, location_id, identities)
    for identity in identities:
        found = await CONTACTS.lock_first(db, by.account_id, location_id, identity)
        if found is not None:
            return await crud.update(db, CONTACTS, found.id, sent, by=by, now=now), False
    return await crud.create(db, CONTACTS, new, by=by, now=now), True


def _identities(contact: ContactEntity, location: LocationEntity) -> Sequence[SearchTerm]:
    """By what the contact is recognised, in the order of the location's setting."""
    values = {"email": contact.email, "phone": contact.phone}
    check_fields(contact, {name: contact.rules[name] for name in values})
    by = dict.fromkeys(location.contact_duplicates_by)
    return [
        exactly("phone" if name == "phone" else "email", values[name])
        for name in by
        if values[name]
    ]
