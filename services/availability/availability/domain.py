"""What events occupy, and what a calendar's rules are read from: plain values, no I/O.

Instants are epoch milliseconds, buffers minutes.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from itertools import groupby
from operator import itemgetter
from typing import Any, Literal

from hoop_events.base import State
from hoop_events.booking import Appointment, Hold
from hoop_events.calendars import BlockSlot
from hoop_events.effects import BusyWeek
from hoop_scheduling.rules import SlotRules
from hoop_scheduling.zones import day_of, epoch_ms

DAY = 86_400_000
WEEK = 7 * DAY
BLOCK_DAYS = 32
BLOCK = BLOCK_DAYS * DAY
"""Length of the blocks, counted from 1970, by which occupied times are stored and cached."""

_FIRST_DAY = date(1970, 1, 1).toordinal()

Kind = Literal["a", "h", "b", "x"]
"""Appointment, hold, block slot, external busy time."""

Piece = tuple[int, int, int]
"""(block, start, end)."""


@dataclass(frozen=True)
class SubjectOccupancy:
    """Everything that one subject occupies: each resource in each piece; none after its deletion."""

    kind: Kind
    subject: str
    week: int = 0
    resources: Sequence[str] = ()
    pieces: Sequence[Piece] = ()
    expires: int | None = None
    before: int = 0
    after: int = 0
    day: int | None = None
    calendar: str | None = None
    session: str | None = None


@dataclass(frozen=True)
class CalendarConfig:
    """What a calendar's rules are read from: its settings, schedules, rooms and equipment."""

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
        """Ids whose occupied times count: the hosts, the calendar, its rooms and equipment."""
        equipment = [unit for unit, _ in self.rules.equipment]
        found = [*self.rules.host_ids, self.id, *self.rules.rooms, *equipment]
        return tuple(dict.fromkeys(found))


def hosts_of(calendar_id: str, settings: Mapping[str, Any]) -> list[str]:
    """The ids of the members; a calendar without members is its own host, unless it needs one."""
    members = settings.get("teamMembers")
    found = [str(m["userId"]) for m in members] if isinstance(members, list) else []
    return found or ([] if settings.get("needsHost") else [calendar_id])


def versions_of(state: State) -> Mapping[str, int]:
    """The versions that the event announced, by id; none for a contract without versions."""
    found: Mapping[str, int] = getattr(state, "versions", {})
    return found


def block_of(instant: int) -> int:
    return instant // BLOCK


def split_into_blocks(start: int, end: int) -> list[Piece]:
    """The pieces of [start, end): one, unless it is longer than a week and crosses a border."""
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
    """The blocks that can matter to bookings of that length that start in [start, end).

    An occupied time belongs to the block of its start, which is at most a week before its end; no
    buffer is longer than a day.
    """
    return range(block_of(start - WEEK - DAY), block_of(end + max(length, DAY) + DAY) + 1)


def appointment_occupancy(state: Appointment) -> SubjectOccupancy:
    if not state.occupies:
        return SubjectOccupancy("a", state.id)
    return _seat_occupancy("a", state, None)


def hold_occupancy(state: Hold) -> SubjectOccupancy:
    return _seat_occupancy("h", state, epoch_ms(state.expires_at))


def _seat_occupancy(kind: Kind, state: Appointment | Hold, expires: int | None) -> SubjectOccupancy:
    start, end = epoch_ms(state.start_time), epoch_ms(state.end_time)
    return SubjectOccupancy(
        kind,
        state.id,
        resources=(*state.hosts, *state.resources),
        pieces=split_into_blocks(start, end),
        expires=expires,
        before=state.buffer_before,
        after=state.buffer_after,
        day=day_number(start, state.time_zone),
        calendar=state.calendar_id,
        session=state.session,
    )


def block_slot_occupancy(state: BlockSlot) -> SubjectOccupancy:
    pieces = split_into_blocks(epoch_ms(state.start_time), epoch_ms(state.end_time))
    return SubjectOccupancy("b", state.id, resources=(state.blocks,), pieces=pieces)


def busy_week_occupancy(state: BusyWeek) -> SubjectOccupancy:
    """A week of a connection blocks its user in all calendars; without a user, the calendar."""
    pieces: list[Piece] = []
    for interval in state.intervals:
        pieces += split_into_blocks(epoch_ms(interval.start), epoch_ms(interval.end))
    resource = state.user_id or state.calendar_id
    week = week_number(state.week)
    return SubjectOccupancy("x", state.connection_id, week, resources=(resource,), pieces=pieces)


def week_number(week: str) -> int:
    """`2027-W09` as 202709."""
    year, number = week.split("-W")
    return int(year) * 100 + int(number)


def week_name(number: int) -> str:
    return f"{number // 100:04}-W{number % 100:02}"


def day_number(instant: int, zone: str) -> int:
    """Days from 1970 to the local date of the instant in that zone."""
    return day_of(instant, zone).toordinal() - _FIRST_DAY


def date_of(day: int) -> date:
    return date.fromordinal(day + _FIRST_DAY)


def requested_hosts(rules: SlotRules, users: Sequence[str] | None) -> tuple[str, ...] | None:
    """The hosts among the users named by the client, None if it named none."""
    if users is None:
        return None
    known: Iterable[str] = set(rules.host_ids)
    return tuple(user for user in users if user in known)


def diff_lines(mine: bytes, theirs: bytes, *, limit: int = 20) -> list[str]:
    """The first lines, sorted, that occur more often in one of the two texts than in the other."""
    both = [(line, "- only here:  ") for line in mine.splitlines()]
    both += [(line, "+ only there: ") for line in theirs.splitlines()]
    return list(_unmatched(sorted(both)))[:limit]


def _unmatched(lines: Iterable[tuple[bytes, str]]) -> Iterator[str]:
    for line, found in groupby(lines, itemgetter(0)):
        sides = [side for _, side in found]
        here, there = (sum(1 for side in sides if side[0] == mark) for mark in "-+")
        if here != there:
            yield ("- only here:  " if here > there else "+ only there: ") + line.decode()
