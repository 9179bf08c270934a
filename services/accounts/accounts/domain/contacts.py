"""Contacts: the people who book."""

from dataclasses import dataclass

from accounts.domain.entity import Entity
from accounts.domain.fields import ADDRESS, NAME, PHONE, ZONE
from hoop_events import accounts as events


@dataclass(frozen=True, kw_only=True)
class ContactEntity(Entity):
    """A person who books, at one location. An empty e-mail address or phone number means: none."""

    rules = {
        "name": NAME,
        "email": ADDRESS.or_empty(),
        "phone": PHONE.or_empty(),
        "time_zone": ZONE.or_none(),
    }
    state_type = events.Contact
    changed_event = events.ContactChanged
    deleted_event = events.ContactDeleted

    location_id: str
    name: str
    email: str = ""
    phone: str = ""
    time_zone: str | None = None

    @property
    def member_of(self) -> tuple[str, ...]:
        return (self.location_id,)

    @property
    def personal(self) -> events.ContactDetails:
        """The personal data, which an erasure empties."""
        return events.ContactDetails(name=self.name, email=self.email, phone=self.phone)
