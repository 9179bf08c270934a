"""What events mean for the read model, and what is asked of it: plain values, no I/O.

Instants are epoch milliseconds, buffers minutes.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any, Literal

from hoop_events.booking import Appointment, Hold
from hoop_events.calendars import BlockSlot
from hoop_events.effects import BusyWeek
from hoop_scheduling.rules import SlotRules
from hoop_scheduling.zones import day_of, epoch_ms

DAY = 86_400_000
WEEK = 7 * DAY
BLOCK_DAYS = 32
BLOCK = BLOCK_DAYS * DAY
"""Times are kept and remembered by blocks of so long, counted from 1970."""

_FIRST_DAY = date(1970, 1, 1).toordinal()

Kind = Literal["a", "h", "b", "x"]
"""Appointment, hold, block slot, external busy time."""

Piece = tuple[int, int, int]
"""(block, start, end)."""


@dataclass(frozen=True)
class Occupancy:
    """All that one subject occupies: each resource in each piece; nothing when it is gone."""

    kind: Kind
    subject: str
    part: int = 0
    resources: Sequence[str] = ()
    pieces: Sequence[Piece] = ()
    expires: int | None = None
    before: int = 0
    after: int = 0
    day: int | None = None
    calendar: str | None = None
    session: str | None = None


@dataclass(frozen=True)
class Offer:
    """A calendar with what its rules are made of: its settings, and the documents that name it."""

    account_id: str
    id: str
    time_zone: str
    settings: Mapping[str, Any]
    schedules: Sequence[Mapping[str, Any]] = ()
    assets: Sequence[Mapping[str, Any]] = ()

    @cached_property
    def rules(self) -> SlotRules:
        return SlotRules.from_calendar(
            {**self.settings, "id": self.id}, self.time_zone, self.schedules, self.assets
        )

    @cached_property
    def resources(self) -> tuple[str, ...]:
        """Whose times count: its hosts, itself, its rooms and equipment."""
        equipment = [unit for unit, _ in self.rules.equipment]
        found = [*self.rules.host_ids, self.id, *self.rules.rooms, *equipment]
        return tuple(dict.fromkeys(found))


def hosts_of(calendar_id: str, settings: Mapping[str, Any]) -> list[str]:
    """Its members; a calendar without members is its own host."""
    members = settings.get("teamMembers")
    found = [str(m["userId"]) for m in members] if isinstance(members, list) else []
    return found or [calendar_id]


def block_of(instant: int) -> int:
    return instant // BLOCK


def cut(start: int, end: int) -> list[Piece]:
    """The pieces of [start, end): one, unless it is longer than anything but a block slot may be."""
    if start >= end:
        return []
    first, last = block_of(start), block_of(end - 1)
    if first == last or end - start <= WEEK:
        return [(first, start, end)]
    return [
        (block, max(start, block * BLOCK), min(end, (block + 1) * BLOCK))
        for block in range(first, last + 1)
    ]


def blocks_around(start: int, end: int, length: int = 0) -> range:
    """The blocks that hold whatever can matter to bookings of that length that start in [start, end).

    What stands in a block began there at most a week before its end, and no buffer is longer than
    a day.
    """
    return range(block_of(start - WEEK - DAY), block_of(end + max(length, DAY) + DAY) + 1)


def of_appointment(state: Appointment) -> Occupancy:
    if not state.occupies:
        return Occupancy("a", state.id)
    return _seat("a", state, None)


def of_hold(state: Hold) -> Occupancy:
    return _seat("h", state, epoch_ms(state.expires_at))


def _seat(kind: Kind, state: Appointment | Hold, expires: int | None) -> Occupancy:
    start, end = epoch_ms(state.start_time), epoch_ms(state.end_time)
    return Occupancy(
        kind,
        state.id,
        resources=(*state.hosts, *state.resources),
        pieces=cut(start, end),
        expires=expires,
        before=state.buffer_before,
        after=state.buffer_after,
        day=day_number(start, state.time_zone),
        calendar=state.calendar_id,
        session=state.session,
    )


def of_block_slot(state: BlockSlot) -> Occupancy:
    pieces = cut(epoch_ms(state.start_time), epoch_ms(state.end_time))
    return Occupancy("b", state.id, resources=(state.blocks,), pieces=pieces)


def of_week(state: BusyWeek) -> Occupancy:
    """A week of a connection blocks its user in all calendars; without a user, the calendar."""
    pieces: list[Piece] = []
    for interval in state.intervals:
        pieces += cut(epoch_ms(interval.start), epoch_ms(interval.end))
    resource = state.user_id or state.calendar_id
    part = week_number(state.week)
    return Occupancy("x", state.connection_id, part, resources=(resource,), pieces=pieces)


def week_number(week: str) -> int:
    """`2027-W09` as 202709."""
    year, number = week.split("-W")
    return int(year) * 100 + int(number)


def week_name(number: int) -> str:
    return f"{number // 100:04}-W{number % 100:02}"


def day_number(instant: int, zone: str) -> int:
    """Days from 1970 to the date that the clocks of that zone show."""
    return day_of(instant, zone).toordinal() - _FIRST_DAY


def date_of(day: int) -> date:
    return date.fromordinal(day + _FIRST_DAY)


def asked_hosts(rules: SlotRules, users: Sequence[str] | None) -> tuple[str, ...] | None:
    """The hosts that the client named, if it named any; strangers to the team are free for nothing."""
    if users is None:
        return None
    known: Iterable[str] = set(rules.host_ids)
    return tuple(user for user in users if user in known)
