"""Contacts: the people who book."""

from dataclasses import dataclass, replace
from typing import Self, TypeVar

from accounts.domain.entity import Entity
from accounts.domain.fields import ADDRESS, NAME, PHONE, TAGS, ZONE
from hoop_events import accounts as events
from hoop_platform.errors import invalid

ContactT = TypeVar("ContactT", bound="ContactEntity")


@dataclass(frozen=True, kw_only=True)
class ContactEntity(Entity):
    """A person who books, at one location. An empty e-mail address or phone number means: none.

    `name` is the whole name, which mails use; `first_name` and `last_name` are its parts.
    """

    rules = {
        "name": NAME,
        "first_name": NAME.or_empty(),
        "last_name": NAME.or_empty(),
        "email": ADDRESS.or_empty(),
        "phone": PHONE.or_empty(),
        "time_zone": ZONE.or_none(),
        "tags": TAGS,
    }
    state_type = events.Contact
    changed_event = events.ContactChanged
    deleted_event = events.ContactDeleted

    location_id: str
    name: str = ""
    first_name: str = ""
    last_name: str = ""
    email: str = ""
    phone: str = ""
    time_zone: str | None = None
    tags: tuple[str, ...] = ()

    @property
    def member_of(self) -> tuple[str, ...]:
        return (self.location_id,)

    @property
    def personal(self) -> events.ContactDetails:
        """The personal data, which an erasure empties."""
        return events.ContactDetails(
            name=self.name,
            email=self.email,
            phone=self.phone,
            first_name=self.first_name,
            last_name=self.last_name,
            tags=self.tags,
        )

    def completed(self, before: Self | None) -> Self:
        """The contact with whole name and parts in agreement, and each tag once.

        What a request changes decides: a new whole name is divided into parts, new parts are joined to
        the whole name. Raises `Invalid` if both are new and differ.
        """
        tagged = replace(self, tags=tuple(dict.fromkeys(self.tags)))
        named = self.name != (before.name if before else "")
        parts = (before.first_name, before.last_name) if before else ("", "")
        if (self.first_name, self.last_name) == parts:
            return _divided(tagged) if named else tagged
        whole = f"{self.first_name} {self.last_name}".strip()
        if named and self.name != whole:
            text = "must be firstName and lastName with a space between them, or be left out"
            raise invalid("name", "contradiction", text)
        return replace(tagged, name=whole)


def _divided(contact: ContactT) -> ContactT:
    """The contact with parts from the whole name: its first word, and the rest."""
    first, _, last = contact.name.strip().partition(" ")
    return replace(contact, first_name=first, last_name=last.strip())
