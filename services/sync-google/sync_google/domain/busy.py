"""Which foreign events block time, and what they add up to, week by week."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

Interval = tuple[datetime, datetime]
"""Half-open, in UTC."""

WEEK = timedelta(days=7)


@dataclass(frozen=True)
class Window:
    """The time that is looked at: whole ISO weeks, so that a week is known whole or not at all."""

    start: datetime
    end: datetime

    @classmethod
    def around(cls, now: datetime, *, horizon: timedelta) -> "Window":
        """From yesterday's week to the week of the horizon."""
        return cls(monday(now - timedelta(days=1)), monday(now + horizon) + WEEK)

    def overlaps(self, interval: Interval) -> bool:
        return interval[0] < self.end and interval[1] > self.start


@dataclass(frozen=True)
class Item:
    """An event of a list, as far as it matters here. `during` is None when it takes no time."""

    id: str
    etag: str | None
    cancelled: bool
    blocks: bool
    during: Interval | None
    series: str | None
    """The id of the series it is an instance of, or was."""
    marked_by: str | None
    """The connection that made it, by our own mark."""
    fields: Mapping[str, Any]


def monday(moment: datetime) -> datetime:
    """Midnight, UTC, at the begin of the moment's ISO week."""
    day = moment.astimezone(UTC).date()
    return datetime.combine(day - timedelta(days=day.weekday()), time(), UTC)


def week_name(moment: datetime) -> str:
    """`2027-W09`, as ISO 8601 counts."""
    year, week, _ = moment.astimezone(UTC).isocalendar()
    return f"{year:04}-W{week:02}"


def merged(intervals: Iterable[Interval]) -> list[Interval]:
    """The same time without overlaps; what touches becomes one."""
    result: list[Interval] = []
    for start, end in sorted(intervals):
        if start >= end:
            continue
        if result and start <= result[-1][1]:
            result[-1] = (result[-1][0], max(result[-1][1], end))
        else:
            result.append((start, end))
    return result


def by_week(intervals: Iterable[Interval], window: Window) -> dict[str, list[Interval]]:
    """The merged time of each week of the window; an interval across a border is cut there."""
    weeks: dict[str, list[Interval]] = {}
    for start, end in merged(intervals):
        for piece in _cut(max(start, window.start), min(end, window.end)):
            weeks.setdefault(week_name(piece[0]), []).append(piece)
    return weeks


def _cut(start: datetime, end: datetime) -> Iterator[Interval]:
    while start < end:
        border = min(end, monday(start) + WEEK)
        yield start, border
        start = border


def weeks_of(window: Window) -> list[str]:
    """The names of the window's weeks, in order."""
    count = (window.end - window.start) // WEEK
    return [week_name(window.start + WEEK * number) for number in range(count)]


def whole_days(first: date, after_last: date, zone: ZoneInfo) -> Interval:
    """All-day events are days of the calendar's own zone; the end is exclusive."""
    start = datetime.combine(first, time(), zone).astimezone(UTC)
    return start, datetime.combine(after_last, time(), zone).astimezone(UTC)


def blocked_user(named: str | None, members: Iterable[str]) -> str | None:
    """Whom a connection blocks: the named user, else the only member; None: the calendar itself."""
    alone = list(members)
    return named or (alone[0] if len(alone) == 1 else None)
