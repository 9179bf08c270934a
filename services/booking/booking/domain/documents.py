"""What schedules, resources, groups and block slots must be like, whoever asks for them."""

import re
from collections.abc import Iterable

from booking.domain.calendars import Calendar
from hoop_events import BlockSlot, Resource, Schedule, ScheduleRule
from shared.errors import Invalid, NotFound, invalid
from shared.slots import is_zone

DAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
MOST_CALENDARS = 100

_CLOCK = re.compile(r"([01]?\d|2[0-3]):[0-5]\d|24:00")
_DATE = re.compile(r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])")


def check_schedule(schedule: Schedule) -> None:
    """A zone that exists, days that do, and intervals that open before they close."""
    if not is_zone(schedule.timezone):
        raise invalid("timezone", "unknown_zone", "is no zone of the IANA database")
    for n, rule in enumerate(schedule.rules):
        if wrong := _wrong(rule):
            raise invalid(f"rules.{n}.{wrong}", "rules", "does not say when somebody is open")
    if schedule.user_id is None and len(schedule.calendar_ids) > 1:
        raise invalid("calendarIds", "one_calendar", "a schedule without a user is of one calendar")


def _wrong(rule: ScheduleRule) -> str | None:
    if rule.type == "wday" and rule.day not in DAYS:
        return "day"
    if rule.type == "date" and not _DATE.fullmatch(rule.date or ""):
        return "date"
    for interval in rule.intervals:
        opens, closes = interval.from_, interval.to
        if not (_CLOCK.fullmatch(opens) and _CLOCK.fullmatch(closes)):
            return "intervals"
        if opens.zfill(5) >= closes.zfill(5):
            return "intervals"
    return None


def check_block(block: BlockSlot) -> None:
    """It blocks exactly one calendar, user or resource, for a time."""
    targets = (block.calendar_id, block.user_id, block.resource_id)
    if sum(target is not None for target in targets) != 1:
        raise invalid("calendarId", "one_target", "name one: a calendar, a user, or a resource")
    if block.start_time >= block.end_time:
        raise invalid("endTime", "end_time", "must be later than startTime")


def check_resource(resource: Resource, calendars: Iterable[Calendar]) -> None:
    """Units that can be counted; a piece of equipment belongs to one service calendar at most."""
    if resource.quantity < 1 or not 0 <= resource.out_of_service <= resource.quantity:
        raise invalid("outOfService", "units", "lies between 0 and `quantity`, which is at least 1")
    if len(resource.calendar_ids) > MOST_CALENDARS:
        raise invalid("calendarIds", "too_many", f"{MOST_CALENDARS} at most")
    if resource.resource_type == "rooms":
        return
    if len(resource.calendar_ids) > 1:
        raise invalid("calendarIds", "one_calendar", "equipment belongs to one calendar")
    for calendar in calendars:
        if calendar.settings.get("calendarType") != "service_booking":
            raise invalid("calendarIds", "calendar_type", "equipment belongs to a service calendar")


def check_calendars(wanted: Iterable[str], found: Iterable[Calendar], location_id: str) -> None:
    """What is associated stands in the same location; what is unknown is as unknown as ever."""
    there = {calendar.id: calendar for calendar in found}
    for calendar_id in wanted:
        if calendar_id not in there:
            raise NotFound
        if there[calendar_id].location_id != location_id:
            raise invalid(
                "calendarIds", "other_location", "the calendar stands in another location"
            )


def slug_taken() -> Invalid:
    return invalid("slug", "slug_taken", "another group of the location has it")
