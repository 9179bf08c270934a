"""Locations: the places of business of an account."""

from dataclasses import dataclass

from accounts.domain.entity import Entity
from accounts.domain.fields import NAME, ZONE
from hoop_events import accounts as events


@dataclass(frozen=True, kw_only=True)
class LocationEntity(Entity):
    """A place of business and its time zone."""

    rules = {"name": NAME, "time_zone": ZONE}
    state_type = events.Location
    changed_event = events.LocationChanged
    deleted_event = events.LocationDeleted

    name: str
    time_zone: str
    contact_duplicates_by: tuple[str, ...] = ("email", "phone")
    """The fields by which an upsert recognises a contact of the location, in this order; none: never."""

    @property
    def member_of(self) -> tuple[str, ...]:
        return (self.id,)
