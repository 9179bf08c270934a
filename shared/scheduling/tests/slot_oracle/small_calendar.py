"""A small calendar for tests: slots of an hour, on the hour, from nine to twelve."""

from datetime import date

from hoop_scheduling.engine import may_book
from hoop_scheduling.listing import free_starts
from hoop_scheduling.rules import SlotRules
from hoop_scheduling.zones import DAY, HOUR, day_number

TODAY = date(2027, 6, 1)
MIDNIGHT = day_number(TODAY) * DAY
NINE, TEN, ELEVEN, NOON = (MIDNIGHT + hour * HOUR for hour in (9, 10, 11, 12))
ALL_WEEK = [
    {
        "daysOfTheWeek": [0, 1, 2, 3, 4, 5, 6],
        "hours": [{"openHour": 9, "openMinute": 0, "closeHour": 12, "closeMinute": 0}],
    }
]


def calendar(*members, kind="round_robin", **fields):
    """The rules of the small calendar with these members and fields."""
    team = [{"userId": m} if isinstance(m, str) else m for m in members]
    fields_of_api = {"id": "cal", "calendarType": kind, "teamMembers": team, "openHours": ALL_WEEK}
    return SlotRules.from_calendar(
        fields_of_api | {"slotDuration": 60, "slotInterval": 60} | fields, "UTC"
    )


def may_book_at(rules, start, *, hours=1, now=MIDNIGHT, busy=None, **more):
    return may_book(rules, start, start + round(hours * HOUR), busy=busy or {}, now=now, **more)


def starts(rules, *, busy=None, now=MIDNIGHT, **more):
    """The offered starts, in hours of the day."""
    window = (MIDNIGHT, MIDNIGHT + DAY)
    found = free_starts(rules, busy=busy or {}, window=window, now=now, **more)
    return [(start - MIDNIGHT) / HOUR for start in found]
