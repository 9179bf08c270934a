"""The events of the booking service about calendars, groups, schedules, block slots and resources."""

from typing import ClassVar, Literal

from pydantic import Field, JsonValue

from hoop_events.base import Contract, Event, Gone, Id, Moment, Personal, State


class Calendar(State):
    """A calendar: `settings` is the body that the API returns, `timeZone` its location's zone."""

    id: Id
    version: int
    location_id: Id
    time_zone: str
    settings: dict[str, JsonValue]
    versions: dict[Id, int] = {}
    """Of the calendar and its hosts after this change: see `Appointment.versions`."""


class CalendarChanged(Event):
    topic: ClassVar = "calendars"
    key: ClassVar = "calendar"
    type: ClassVar = "CalendarChanged"
    source: ClassVar = "/booking"
    state: Calendar


class CalendarDeleted(Event):
    topic: ClassVar = "calendars"
    key: ClassVar = "calendar"
    type: ClassVar = "CalendarDeleted"
    source: ClassVar = "/booking"
    state: Gone


class Interval(Contract):
    """Wall-clock times of one day, `from` before `to`: `09:00` to `17:30`."""

    from_: str = Field(alias="from")
    to: str


class ScheduleRule(Contract):
    """Open intervals of each such weekday, or of one date, which replace those of its weekday."""

    type: Literal["wday", "date"]
    day: str | None = None
    """`sunday` … `saturday`; only in a rule of type `wday`."""
    date: str | None = None
    """`2027-03-01`; only in a rule of type `date`."""
    intervals: tuple[Interval, ...]


class Schedule(State):
    """Working hours in a zone of their own, which apply on the calendars in `calendar_ids`."""

    id: Id
    version: int
    location_id: Id
    user_id: Id | None
    """The user whose hours these are; None for the schedule of one event calendar."""
    name: str
    timezone: str
    rules: tuple[ScheduleRule, ...]
    calendar_ids: tuple[Id, ...]
    versions: dict[Id, int] = {}
    """Of the calendars whose hours this change may have changed: see `Appointment.versions`."""
    date_added: Moment
    date_updated: Moment


class ScheduleChanged(Event):
    topic: ClassVar = "schedules"
    key: ClassVar = "schedule"
    type: ClassVar = "ScheduleChanged"
    source: ClassVar = "/booking"
    state: Schedule


class ScheduleDeleted(Event):
    topic: ClassVar = "schedules"
    key: ClassVar = "schedule"
    type: ClassVar = "ScheduleDeleted"
    source: ClassVar = "/booking"
    state: Gone


class BlockSlot(State):
    """A time at which a calendar, a user or a resource takes no appointments."""

    id: Id
    version: int
    location_id: Id
    calendar_id: Id | None
    user_id: Id | None
    resource_id: Id | None = None
    """Exactly one of the three ids is given. A user is blocked in all calendars of the account."""
    start_time: Moment
    end_time: Moment
    versions: dict[Id, int] = {}
    """Of what it blocks, and blocked before this change: see `Appointment.versions`."""
    personal: Personal = Personal()
    date_added: Moment
    date_updated: Moment

    @property
    def blocks(self) -> str:
        """The id of the blocked calendar, user or resource."""
        found = self.calendar_id or self.user_id or self.resource_id
        assert found is not None
        return found


class BlockSlotChanged(Event):
    topic: ClassVar = "block-slots"
    key: ClassVar = "block slot"
    type: ClassVar = "BlockSlotChanged"
    source: ClassVar = "/booking"
    state: BlockSlot


class BlockSlotDeleted(Event):
    topic: ClassVar = "block-slots"
    key: ClassVar = "block slot"
    type: ClassVar = "BlockSlotDeleted"
    source: ClassVar = "/booking"
    state: Gone


class Resource(State):
    """A room, or `quantity` units of equipment, that appointments of its calendars need."""

    id: Id
    version: int
    location_id: Id
    resource_type: Literal["rooms", "equipments"]
    name: str
    description: str = ""
    is_active: bool = True
    """An inactive resource counts as deleted: its calendars no longer need it."""
    quantity: int = 1
    out_of_service: int = 0
    """Units of equipment; `quantity - outOfService` units may be in use at once."""
    capacity: int = 1
    """People that a room holds: a session in it has so many seats at most."""
    calendar_ids: tuple[Id, ...] = ()
    versions: dict[Id, int] = {}
    """Of the resource, and of the calendars that need it or needed it before: see
    `Appointment.versions`."""
    date_added: Moment
    date_updated: Moment


class ResourceChanged(Event):
    topic: ClassVar = "resources"
    key: ClassVar = "resource"
    type: ClassVar = "ResourceChanged"
    source: ClassVar = "/booking"
    state: Resource


class ResourceDeleted(Event):
    topic: ClassVar = "resources"
    key: ClassVar = "resource"
    type: ClassVar = "ResourceDeleted"
    source: ClassVar = "/booking"
    state: Gone


class CalendarGroup(State):
    """Calendars that are shown together; an inactive group deactivates its calendars."""

    id: Id
    version: int
    location_id: Id
    name: str
    description: str = ""
    slug: str
    is_active: bool = True
    date_added: Moment
    date_updated: Moment


class CalendarGroupChanged(Event):
    topic: ClassVar = "calendar-groups"
    key: ClassVar = "group"
    type: ClassVar = "CalendarGroupChanged"
    source: ClassVar = "/booking"
    state: CalendarGroup


class CalendarGroupDeleted(Event):
    topic: ClassVar = "calendar-groups"
    key: ClassVar = "group"
    type: ClassVar = "CalendarGroupDeleted"
    source: ClassVar = "/booking"
    state: Gone
