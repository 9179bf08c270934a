"""Free starts near a time that is taken: alternatives for a client, and the next time for a series."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from booking.domain.calendars import Calendar
from hoop_scheduling.busy import Busy, Seats
from hoop_scheduling.listing import free_starts
from hoop_scheduling.zones import epoch_ms, utc_datetime

SEARCH_BEFORE = timedelta(days=1)
SEARCH_AFTER = timedelta(days=7)
"""How far around the taken time alternatives are searched for."""
MAX_ALTERNATIVES = 5


@dataclass(frozen=True)
class CalendarWindow:
    """A calendar and what is taken on it within a window of time."""

    calendar: Calendar
    busy: Mapping[str, Busy]
    seats: Mapping[tuple[str, int], Seats]
    day_counts: Mapping[date, int]

    def free(
        self, start: datetime, end: datetime, *, now: datetime, host: str | None
    ) -> list[datetime]:
        """The bookable starts within [start, end), of one host if `host` is given."""
        found = free_starts(
            self.calendar.rules,
            busy=self.busy,
            window=(epoch_ms(start), epoch_ms(end)),
            now=epoch_ms(now),
            seats=self.seats,
            day_counts=self.day_counts,
            hosts=None if host is None else (host,),
        )
        return [utc_datetime(start) for start in found]


def nearest(
    window: CalendarWindow, taken: datetime, *, now: datetime, host: str | None
) -> list[datetime]:
    """The free starts nearest to the taken one, in order of time; `MAX_ALTERNATIVES` at most."""
    free = window.free(taken - SEARCH_BEFORE, taken + SEARCH_AFTER, now=now, host=host)
    found = sorted(free, key=lambda start: abs(start - taken))
    return sorted(found[:MAX_ALTERNATIVES])


def free_after(
    window: CalendarWindow, taken: datetime, *, now: datetime, host: str | None
) -> list[datetime]:
    """The free starts after the taken one within `SEARCH_AFTER`, in order."""
    free = window.free(taken, taken + SEARCH_AFTER, now=now, host=host)
    return [start for start in free if start > taken]
