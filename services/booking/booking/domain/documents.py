"""What schedules, resources, groups and block slots must be like, whoever asks for them."""

import re
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from itertools import pairwise

from booking.domain.calendars import Calendar
from hoop_events.calendars import BlockSlot, Interval, Resource, Schedule, ScheduleRule
from hoop_platform.errors import Conflict, Detail, NotFound, invalid
from hoop_scheduling.zones import is_zone

DAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
MOST_CALENDARS = 100
RESOURCE_TYPES = ("rooms", "equipments")
LONGEST_BLOCK = timedelta(days=366)

_CLOCK = re.compile(r"([01]?\d|2[0-3]):[0-5]\d|24:00")
_DATE = re.compile(r"(19[7-9]\d|2[01]\d\d)-\d{2}-\d{2}", re.ASCII)


def check_immutable(name: str, before: str, said: str | None) -> None:
    """Clients may say again what cannot change, but nothing else."""
    if said is not None and said != before:
        raise invalid(name, "immutable", "cannot be changed")


def check_schedule(schedule: Schedule) -> None:
    """A zone that exists, days that do, each said once, and intervals that open before they close."""
    if not is_zone(schedule.timezone):
        raise invalid("timezone", "unknown_zone", "is no zone of the IANA database")
    said: set[str | None] = set()
    for n, rule in enumerate(schedule.rules):
        if wrong := _wrong(rule):
            raise invalid(f"rules.{n}.{wrong}", "rules", "does not say when somebody is open")
        name = "day" if rule.type == "wday" else "date"
        if getattr(rule, name) in said:
            raise invalid(f"rules.{n}.{name}", "duplicate", "has a rule already")
        said.add(getattr(rule, name))
    if schedule.user_id is None and len(schedule.calendar_ids) > 1:
        raise invalid("calendarIds", "one_calendar", "a schedule without a user is of one calendar")


def _wrong(rule: ScheduleRule) -> str | None:
    if rule.type == "wday" and rule.day not in DAYS:
        return "day"
    if rule.type == "date" and not _is_date(rule.date or ""):
        return "date"
    if rule.day and rule.date:
        return "day" if rule.type == "date" else "date"
    return None if _opens_and_closes(rule.intervals) else "intervals"


def _is_date(text: str) -> bool:
    try:
        return bool(_DATE.fullmatch(text) and date.fromisoformat(text))
    except ValueError:
        return False


def _opens_and_closes(intervals: Sequence[Interval]) -> bool:
    """Each opens before it closes, and closes before the next one opens."""
    if not all(_CLOCK.fullmatch(one.from_) and _CLOCK.fullmatch(one.to) for one in intervals):
        return False
    spans = sorted((one.from_.zfill(5), one.to.zfill(5)) for one in intervals)
    return all(opens < closes for opens, closes in spans) and all(
        one[1] <= other[0] for one, other in pairwise(spans)
    )


def check_block(block: BlockSlot) -> None:
    """It blocks exactly one calendar, user or resource, for a time."""
    targets = (block.calendar_id, block.user_id, block.resource_id)
    if sum(target is not None for target in targets) != 1:
        raise invalid("calendarId", "one_target", "name one: a calendar, a user, or a resource")
    if block.start_time >= block.end_time:
        raise invalid("endTime", "end_time", "must be later than startTime")
    if block.end_time - block.start_time > LONGEST_BLOCK:
        raise invalid("endTime", "too_long", "a block slot lasts a year at most")


def check_resource(resource: Resource, calendars: Iterable[Calendar]) -> None:
    """Units that can be counted; a piece of equipment belongs to one service calendar at most."""
    if len(resource.calendar_ids) > MOST_CALENDARS:
        raise invalid("calendarIds", "too_many", f"{MOST_CALENDARS} at most")
    if resource.resource_type == "rooms":
        return
    if resource.quantity < 1 or not 0 <= resource.out_of_service <= resource.quantity:
        raise invalid("outOfService", "units", "lies between 0 and `quantity`, which is at least 1")
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
        check_location("calendarIds", there[calendar_id].location_id, location_id)


def check_location(path: str, location_id: str, wanted: str) -> None:
    """What belongs together stands in one location."""
    if location_id != wanted:
        raise invalid(path, "other_location", "stands in another location")


def slug_taken(kind: str) -> Conflict:
    """`kind`: what else of the location has it, a calendar or a group."""
    text = f"Another {kind} of the location has this slug."
    return Conflict(text, details=[Detail("slug", "slug_taken", text)])
