"""From what is taken to what is free: the engine asked in the words of the read model."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import lru_cache
from typing import Any

from shared.errors import CalendarInactive
from shared.slots import Busy, Rules, Seats, epoch_ms, free_starts, present


@dataclass(frozen=True)
class Offer:
    """A calendar as the read model knows it; `sequence` tells its versions apart."""

    account_id: str
    id: str
    time_zone: str
    hosts: tuple[str, ...]
    sequence: int
    settings: dict[str, Any] = field(compare=False)

    @property
    def rules(self) -> Rules:
        return _rules(self)


@lru_cache(maxsize=10_000)
def _rules(offer: Offer) -> Rules:
    return Rules.from_calendar({**offer.settings, "id": offer.id}, offer.time_zone)


@dataclass(frozen=True)
class Occupied:
    """A session's or an external event's time on one host. Milliseconds since the epoch."""

    resource: str
    start: int
    end: int
    before: int = 0
    after: int = 0
    calendar: str | None = None
    seats: int = 0


@dataclass(frozen=True)
class Question:
    """Which starts are free in [start, end)? Of anyone, or of these users only."""

    start: datetime
    end: datetime
    zone: str
    users: tuple[str, ...] | None = None


def free_slots(
    offer: Offer,
    occupied: Sequence[Occupied],
    day_counts: Mapping[date, int],
    question: Question,
    *,
    now: datetime,
) -> dict[str, list[str]]:
    """Free starts by local date in the asked zone: `{"2027-03-01": ["2027-03-01T09:00:00-05:00"]}`."""
    if not offer.rules.active:
        raise CalendarInactive
    starts = free_starts(
        offer.rules,
        busy=_busy(occupied),
        window=(epoch_ms(question.start), epoch_ms(question.end)),
        now=epoch_ms(now),
        seats=_seats(occupied, offer.id),
        day_counts=day_counts,
        hosts=_asked(offer.hosts, question.users),
    )
    return present(starts, question.zone)


def _asked(hosts: Collection[str], users: tuple[str, ...] | None) -> tuple[str, ...] | None:
    return None if users is None else tuple(user for user in users if user in hosts)


def _busy(occupied: Sequence[Occupied]) -> dict[str, Busy]:
    found: dict[str, list[tuple[int, int, int, int]]] = {}
    for one in occupied:
        row = (one.start, one.end, one.before, one.after)
        found.setdefault(one.resource, []).append(row)
    return {resource: Busy.of(rows) for resource, rows in found.items()}


def _seats(occupied: Sequence[Occupied], calendar_id: str) -> dict[tuple[str, int], Seats]:
    return {
        (one.resource, one.start): Seats(one.end, one.seats)
        for one in occupied
        if one.calendar == calendar_id
    }
