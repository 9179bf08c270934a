"""Reads opening hours as clients write them: `openHours`, `availabilities`, schedules."""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from hoop_scheduling.hours import Hours, Minutes, Plan
from hoop_scheduling.zones import DAY, ELAPSING, MINUTE, day_number

Document = Mapping[str, Any]

_DAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_DATED_ONLY, _WEEKLY_ONLY = 1, 0


def milliseconds(count: float, unit: str) -> int:
    """A duration given in `mins` or `hours`."""
    return round(count * ELAPSING[unit])


def calendar_plan(calendar: Document, zone: str) -> Plan:
    """`openHours` and `availabilities`, as far as `availabilityType` lets each of them count.

    0: open hours only; 1: dates only; absent: the open hours, and on the dates that have an
    entry of their own that entry, which may be empty. Deleted entries count for nothing.
    """
    kind = calendar.get("availabilityType")
    week = Hours(zone, _week(calendar.get("openHours") or ()))
    dates = _dates(calendar.get("availabilities") or ())
    return Plan(
        hours=() if kind == _DATED_ONLY else (week,),
        dated=Hours(zone, dates=dates) if dates and kind != _WEEKLY_ONLY else None,
    )


def schedule_hours(schedule: Document) -> Hours:
    """A user's schedule in its own zone; rules of type `date` replace those of their weekday."""
    week: list[list[tuple[int, int]]] = [[] for _ in _DAYS]
    dates: dict[int, list[tuple[int, int]]] = {}
    for rule in schedule.get("rules") or ():
        spans = [(_clock(span["from"]), _clock(span["to"])) for span in rule["intervals"]]
        if rule["type"] == "date":
            dates.setdefault(_day(rule["date"]), []).extend(spans)
        else:
            week[_DAYS.index(rule["day"])].extend(spans)
    return Hours(schedule["timezone"], tuple(tidy(day) for day in week), _tidied(dates))


def tidy(spans: Iterable[tuple[int, int]]) -> Minutes:
    """Sorted, overlapping and adjoining spans joined, those that never open dropped."""
    merged: list[tuple[int, int]] = []
    for opens, closes in sorted(spans):
        if merged and opens <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], closes))
        elif opens < closes:
            merged.append((opens, closes))
    return tuple(merged)


def _week(open_hours: Iterable[Document]) -> tuple[Minutes, ...]:
    week: list[list[tuple[int, int]]] = [[] for _ in _DAYS]
    for entry in open_hours:
        for day in entry["daysOfTheWeek"]:
            week[day].extend(_hours(entry))
    return tuple(tidy(day) for day in week)


def _dates(availabilities: Iterable[Document]) -> tuple[tuple[int, Minutes], ...]:
    dates: dict[int, list[tuple[int, int]]] = {}
    for entry in availabilities:
        if not entry.get("deleted"):
            dates.setdefault(_day(entry["date"]), []).extend(_hours(entry))
    return _tidied(dates)


def _hours(entry: Document) -> list[tuple[int, int]]:
    """Minute 60 and hour 24 are accepted: `23:60` is midnight."""
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
    """`2027-03-01T00:00:00.000Z` in an availability means the local date, whatever it says."""
    return day_number(date.fromisoformat(text[:10]))


def _tidied(dates: Mapping[int, list[tuple[int, int]]]) -> tuple[tuple[int, Minutes], ...]:
    return tuple((day, tidy(spans)) for day, spans in sorted(dates.items()))
