"""Users: the members of the staff."""

from dataclasses import dataclass

from accounts.domain.entity import Entity
from accounts.domain.fields import ADDRESS, NAME, ZONE
from hoop_events import accounts as events


@dataclass(frozen=True, kw_only=True)
class UserEntity(Entity):
    """A member of the staff. `time_zone` None: the zone of the location applies."""

    rules = {"name": NAME, "email": ADDRESS, "time_zone": ZONE.or_none()}
    state_type = events.User
    changed_event = events.UserChanged
    deleted_event = events.UserDeleted

    name: str
    email: str
    location_ids: tuple[str, ...] = ()
    time_zone: str | None = None

    @property
    def member_of(self) -> tuple[str, ...]:
        return self.location_ids
