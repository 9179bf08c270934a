"""Checks of schedules, resources, groups and block slots."""

from collections.abc import Collection, Iterable

from booking.domain.calendars import Calendar
from hoop_events.calendars import BlockSlot, Resource
from hoop_platform.errors import Conflict, Detail, NotFound, invalid
from hoop_scheduling.zones import epoch_ms, spans_at_most

MAX_CALENDARS = 100
RESOURCE_TYPES = ("rooms", "equipments")
MAX_BLOCK = 366
"""Local days."""
UNKNOWN_USER = "is no user of the account"


def check_immutable(name: str, before: str, sent: str | None) -> None:
    """Refuse another value for a field that cannot change; its present value may be sent."""
    if sent is not None and sent != before:
        raise invalid(name, "immutable", "cannot be changed")


def check_block(block: BlockSlot, zone: str) -> None:
    """Refuse a block slot that does not block exactly one target, or not for a valid time.

    Its days are counted in `zone`, its location's.
    """
    targets = (block.calendar_id, block.user_id, block.resource_id)
    if sum(target is not None for target in targets) != 1:
        raise invalid("calendarId", "one_target", "name one: a calendar, a user, or a resource")
    if block.start_time >= block.end_time:
        raise invalid("endTime", "end_time", "must be later than startTime")
    start, end = epoch_ms(block.start_time), epoch_ms(block.end_time)
    if not spans_at_most(MAX_BLOCK, start, end, zone):
        text = f"a block slot lasts a year at most, {MAX_BLOCK} local days"
        raise invalid("endTime", "too_long", text)


def check_resource(resource: Resource, calendars: Iterable[Calendar]) -> None:
    """Refuse units that cannot be counted, and equipment that is not of one service calendar."""
    if len(resource.calendar_ids) > MAX_CALENDARS:
        raise invalid("calendarIds", "too_many", f"{MAX_CALENDARS} at most")
    if resource.resource_type == "rooms":
        return
    if resource.quantity < 1 or not 0 <= resource.out_of_service <= resource.quantity:
        raise invalid("outOfService", "units", "lies between 0 and `quantity`, which is at least 1")
    if len(resource.calendar_ids) > 1:
        raise invalid("calendarIds", "one_calendar", "equipment belongs to one calendar")
    for calendar in calendars:
        if calendar.settings.get("calendarType") != "service_booking":
            raise invalid("calendarIds", "calendar_type", "equipment belongs to a service calendar")


def check_calendars(
    ids: Iterable[str], found: Iterable[Calendar], location_id: str, *, before: Collection[str]
) -> None:
    """Refuse calendars of another location; `NotFound` for ids that are not among the found ones.

    Those that were there `before` are not checked again.
    """
    by_id = {calendar.id: calendar for calendar in found}
    for n, calendar_id in enumerate(ids):
        if calendar_id in before:
            continue
        if calendar_id not in by_id:
            raise NotFound(f"calendarIds.{n}")
        check_location("calendarIds", by_id[calendar_id].location_id, location_id)


def check_location(path: str, location_id: str, expected: str) -> None:
    """Refuse a reference, named by `path`, to something in another location."""
    if location_id != expected:
        raise invalid(path, "other_location", "stands in another location")


def slug_taken(kind: str) -> Conflict:
    """The refusal of a slug that another calendar or group (`kind`) of the location has."""
    text = f"Another {kind} of the location has this slug."
    return Conflict(text, details=[Detail("slug", "slug_taken", text)])
