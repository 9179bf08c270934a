"""Free starts around a time that cannot be had: what is offered instead, and what comes next."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from booking.domain.calendars import Calendar
from hoop_scheduling.busy import Busy, Seats
from hoop_scheduling.listing import free_starts
from hoop_scheduling.zones import epoch_ms, utc_datetime

BEFORE = timedelta(days=1)
AFTER = timedelta(days=7)
"""So far around the lost time others are looked for."""
MOST_ALTERNATIVES = 5


@dataclass(frozen=True)
class Ahead:
    """A calendar, and what is taken on it in the window that was asked for."""

    calendar: Calendar
    busy: Mapping[str, Busy]
    seats: Mapping[tuple[str, int], Seats]
    day_counts: Mapping[date, int]

    def free(
        self, start: datetime, end: datetime, *, now: datetime, host: str | None
    ) -> list[datetime]:
        """The starts that could be booked within [start, end), with that host if one is named."""
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


def nearest(ahead: Ahead, lost: datetime, *, now: datetime, host: str | None) -> list[datetime]:
    """The free starts nearest to the one that is lost, in order."""
    free = ahead.free(lost - BEFORE, lost + AFTER, now=now, host=host)
    found = sorted(free, key=lambda start: abs(start - lost))
    return sorted(found[:MOST_ALTERNATIVES])


def next_free(ahead: Ahead, lost: datetime, *, now: datetime, host: str | None) -> datetime | None:
    """The first free start after the one that is lost."""
    free = ahead.free(lost, lost + AFTER, now=now, host=host)
    return next((start for start in free if start > lost), None)
