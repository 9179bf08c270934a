"""Opening hours read from the API's fields: `openHours`, `availabilities`, schedules."""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from hoop_scheduling.hours import Minutes, OpeningHours, OpeningPlan
from hoop_scheduling.zones import DAY, FIXED_UNITS, MINUTE, day_number

JsonObject = Mapping[str, Any]
"""An object of the API: a calendar, a schedule, a room or equipment, in camelCase."""

_DAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_DATED_ONLY, _WEEKLY_ONLY = 1, 0


def milliseconds(count: float, unit: str) -> int:
    """A duration given in `mins` or `hours`."""
    return round(count * FIXED_UNITS[unit])


def calendar_plan(calendar: JsonObject, zone: str) -> OpeningPlan:
    """The plan of `openHours` and `availabilities`, as `availabilityType` selects them.

    0: open hours only; 1: dates only; absent: the open hours, and on dates with an entry of their
    own that entry, which may be empty. Deleted entries are ignored.
    """
    kind = calendar.get("availabilityType")
    week = OpeningHours(zone, _week(calendar.get("openHours") or ()))
    dates = _dates(calendar.get("availabilities") or ())
    return OpeningPlan(
        hours=() if kind == _DATED_ONLY else (week,),
        dated=OpeningHours(zone, dates=dates) if dates and kind != _WEEKLY_ONLY else None,
    )


def schedule_hours(schedule: JsonObject) -> OpeningHours:
    """The hours of a schedule in its zone; rules of type `date` replace those of their weekday."""
    week: list[list[tuple[int, int]]] = [[] for _ in _DAYS]
    dates: dict[int, list[tuple[int, int]]] = {}
    for rule in schedule.get("rules") or ():
        spans = [(_clock(span["from"]), _clock(span["to"])) for span in rule["intervals"]]
        if rule["type"] == "date":
            dates.setdefault(_day(rule["date"]), []).extend(spans)
        else:
            week[_DAYS.index(rule["day"])].extend(spans)
    return OpeningHours(schedule["timezone"], tuple(tidy(day) for day in week), _tidy_dates(dates))


def tidy(spans: Iterable[tuple[int, int]]) -> Minutes:
    """The spans sorted, overlapping and adjoining ones merged, empty ones dropped."""
    merged: list[tuple[int, int]] = []
    for opens, closes in sorted(spans):
        if merged and opens <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], closes))
        elif opens < closes:
            merged.append((opens, closes))
    return tuple(merged)


def _week(open_hours: Iterable[JsonObject]) -> tuple[Minutes, ...]:
    week: list[list[tuple[int, int]]] = [[] for _ in _DAYS]
    for entry in open_hours:
        for day in entry["daysOfTheWeek"]:
            week[day].extend(_hours(entry))
    return tuple(tidy(day) for day in week)


def _dates(availabilities: Iterable[JsonObject]) -> tuple[tuple[int, Minutes], ...]:
    dates: dict[int, list[tuple[int, int]]] = {}
    for entry in availabilities:
        if not entry.get("deleted"):
            dates.setdefault(_day(entry["date"]), []).extend(_hours(entry))
    return _tidy_dates(dates)


def _hours(entry: JsonObject) -> list[tuple[int, int]]:
    """Openings in minutes of the day; minute 60 and hour 24 are valid: `23:60` is midnight."""
    return [
        (
            _minute(span["openHour"], span["openMinute"]),
            _minute(span["closeHour"], span["closeMinute"]),
        )
        for span in entry["hours"]
    ]


def _minute(hour: int, minute: int) -> int:
    return min(hour * 60 + minute, DAY // MINUTE)


def _clock(text: str) -> int:
    hour, minute = text.split(":")
    return _minute(int(hour), int(minute))


def _day(text: str) -> int:
    """The day number of the date; `2027-03-01T00:00:00.000Z` means that local date, despite its zone."""
    return day_number(date.fromisoformat(text[:10]))


def _tidy_dates(dates: Mapping[int, list[tuple[int, int]]]) -> tuple[tuple[int, Minutes], ...]:
    return tuple((day, tidy(spans)) for day, spans in sorted(dates.items()))
