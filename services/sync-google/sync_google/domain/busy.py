"""Which foreign events block time, and the busy intervals of each ISO week."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

Interval = tuple[datetime, datetime]
"""Start and end, half-open, in UTC."""

WEEK = timedelta(days=7)


@dataclass(frozen=True)
class Window:
    """The time range that is listed: whole ISO weeks, so that no week is known in part only."""

    start: datetime
    end: datetime

    @classmethod
    def around(cls, now: datetime, *, horizon: timedelta) -> "Window":
        """The weeks from yesterday's to the one in which the horizon ends."""
        return cls(monday(now - timedelta(days=1)), monday(now + horizon) + WEEK)

    def overlaps(self, interval: Interval) -> bool:
        return interval[0] < self.end and interval[1] > self.start


@dataclass(frozen=True)
class ListedEvent:
    """An event in Google's list of a calendar. `during` is None when it is cancelled."""

    id: str
    etag: str | None
    cancelled: bool
    blocks: bool
    during: Interval | None
    series: str | None
    """The id of the series of which the event is or was an instance."""
    marked_by: str | None
    """The connection that created the event, by the mark that we write into our events."""
    fields: Mapping[str, Any]


def monday(moment: datetime) -> datetime:
    """Midnight (UTC) at the beginning of the ISO week that contains `moment`."""
    day = moment.astimezone(UTC).date()
    return datetime.combine(day - timedelta(days=day.weekday()), time(), UTC)


def week_name(moment: datetime) -> str:
    """The ISO 8601 week that contains `moment`, as `2027-W09`."""
    year, week, _ = moment.astimezone(UTC).isocalendar()
    return f"{year:04}-W{week:02}"


def merged(intervals: Iterable[Interval]) -> list[Interval]:
    """The union of the intervals, sorted; overlapping and touching intervals become one."""
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
    """The merged intervals of each week of the window; an interval across weeks is split."""
    weeks: dict[str, list[Interval]] = {}
    for start, end in merged(intervals):
        for piece in _split_by_week(max(start, window.start), min(end, window.end)):
            weeks.setdefault(week_name(piece[0]), []).append(piece)
    return weeks


def _split_by_week(start: datetime, end: datetime) -> Iterator[Interval]:
    while start < end:
        border = min(end, monday(start) + WEEK)
        yield start, border
        start = border


def weeks_of(window: Window) -> list[str]:
    """The names of the weeks of the window, in order."""
    count = (window.end - window.start) // WEEK
    return [week_name(window.start + WEEK * number) for number in range(count)]


def whole_days(first: date, after_last: date, zone: ZoneInfo) -> Interval:
    """The interval of an all-day event: days in the zone of its Google calendar, the end exclusive."""
    start = datetime.combine(first, time(), zone).astimezone(UTC)
    return start, datetime.combine(after_last, time(), zone).astimezone(UTC)


def blocked_user(named: str | None, members: Iterable[str]) -> str | None:
    """The user whom a connection blocks: the named one, else the only member; None: the calendar."""
    listed = list(members)
    return named or (listed[0] if len(listed) == 1 else None)
