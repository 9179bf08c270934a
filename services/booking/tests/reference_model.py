"""A reference model of bookings, holds and edits: what must be true after any number of them.

Three calendars, a slot every half hour, four on each Monday: slot 5 is the second of the second
Monday. The model shares no code with the service.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

from hoop_platform.ids import new_id

A_DAY = 4
"""Slots."""
OccurrenceResult = Literal["booked", "moved", "waiting", "skipped"]
State = Literal["booked", "held", "waiting", "cancelled"]


@dataclass
class Seat:
    """A seat. `pad`: the slots after it that its host and its room keep free."""

    id: str
    calendar: int
    slot: int
    host: str = ""
    resources: frozenset[str] = frozenset()
    state: State = "booked"
    pad: int = 0
    until: int = 0
    """The minute in which a hold expires."""
    master: str | None = None
    """The series that the seat is an occurrence of."""
    contact: int | None = None
    """Whose seat it is; None for a hold."""

    @property
    def sits(self) -> bool:
        return self.state in ("booked", "held")

    @property
    def assignment(self) -> tuple[int, str, frozenset[str]]:
        return self.slot, self.host, self.resources


def _next(slot: int, later: int) -> bool:
    return later == slot + 1 and later % A_DAY != 0


@dataclass
class Model:
    """The whole state. The third calendar shares a host with the first, the second a room."""

    ids: list[str] = field(default_factory=lambda: sorted(new_id() for _ in range(9)))
    seats: list[Seat] = field(default_factory=list)
    blocks: dict[str, tuple[str, int]] = field(default_factory=dict)
    units: int = 2
    spare_room: bool = True
    scheduled: int = 0
    """The first slot of the day in the schedule of the first calendar's host."""
    associated: bool = True
    opens: list[int] = field(default_factory=lambda: [0, 0, 0])
    active: list[bool] = field(default_factory=lambda: [True, True, True])
    capacity: int = 2
    pad: int = 0
    per_day: int = 0
    alone: bool = False
    """Whether only the second of the third calendar's hosts is a member."""
    option: str = "skip"
    now: int = 0

    @property
    def calendars(self) -> list[str]:
        return self.ids[:3]

    @property
    def equipment(self) -> str:
        return self.ids[8]

    def team(self, calendar: int) -> list[str]:
        ann, bob, eve = self.ids[3:6]
        return [[ann], [bob], [eve] if self.alone else [ann, eve]][calendar]

    def rooms(self, calendar: int) -> list[str]:
        first, spare = self.ids[6:8]
        return [[first], [first, spare] if self.spare_room else [first], []][calendar]

    def first_slot(self, calendar: int) -> int:
        scheduled = self.associated and calendar == 0
        return self.scheduled if scheduled else self.opens[calendar]

    def take(self, seat: Seat, prefer: str | None = None) -> bool:
        """Assign host and resources and add the seat; False when the request must be refused."""
        found = self.assign(seat.calendar, seat.slot, prefer)
        if found is None:
            return False
        session = self._at(found[0], seat.slot)
        if seat.contact is not None and any(s.contact == seat.contact for s in session):
            return False
        seat.host, seat.resources = found
        seat.pad = session[0].pad if session else self._pad(seat.calendar)
        self.seats.append(seat)
        return True

    def assign(
        self, calendar: int, slot: int, prefer: str | None = None
    ) -> tuple[str, frozenset[str]] | None:
        """The host and the resources; None when the request must be refused."""
        closed = slot % A_DAY < self.first_slot(calendar)
        if closed or not self.active[calendar] or self._day_full(calendar, slot):
            return None
        able = {}
        for host in self.team(calendar):
            resources = self._with(calendar, slot, host)
            if resources is not None:
                able[host] = resources
        host = prefer if prefer in able else next(iter(able), "")
        return (host, able[host]) if able else None

    def move(self, seat: Seat, to: Seat) -> bool:
        """Move the seat to `to`; False, and the seat stays, when that must be refused."""
        self.seats.remove(seat)
        if self.take(to, prefer=seat.host):
            return True
        self.seats.append(seat)
        return False

    def attends(self, seat: Seat) -> bool:
        """Whether the seat must be refused because its contact has one of the same session."""
        closed = seat.slot % A_DAY < self.first_slot(2)
        if seat.calendar != 2 or closed or not self.active[2]:
            return False
        found = self.assign(2, seat.slot)
        if found is not None:
            return any(s.contact == seat.contact for s in self._at(found[0], seat.slot))
        sessions = [self._at(host, seat.slot) for host in self.team(2)]
        classes = [there for there in sessions if there and there[0].calendar == 2]
        full = self.capacity > 1 and any(len(there) >= self.capacity for there in classes)
        return full and any(s.contact == seat.contact for there in classes for s in there)

    def series(
        self, master: str, calendar: int, slots: list[int], contact: int
    ) -> list[tuple[OccurrenceResult, Seat | None]] | None:
        """The outcome of each occurrence; None when none can be booked."""
        before = [*self.seats]
        outcomes: list[tuple[OccurrenceResult, Seat | None]] = []
        attended = set()
        for slot in slots:
            seat = Seat("", calendar, slot, master=master, contact=contact)
            if self.attends(seat):
                attended.add(slot)
            outcomes.append(("booked", seat) if self.take(seat) else ("skipped", None))
        for n, slot in enumerate(slots):
            if outcomes[n][1] is None and slot not in attended:
                seat = Seat("", calendar, slot, master=master, contact=contact)
                outcomes[n] = self._otherwise(seat)
        if len(self.team(calendar)) == 1 and {"booked", "moved"} & {how for how, _ in outcomes}:
            return outcomes
        self.seats = before
        return None

    def _otherwise(self, wanted: Seat) -> tuple[OccurrenceResult, Seat | None]:
        if self.option == "continue":
            host = self.team(wanted.calendar)[0]
            self.seats.append(replace(wanted, host=host, state="waiting"))
            return "waiting", self.seats[-1]
        slot = wanted.slot
        later = range(slot + 1, slot + A_DAY) if self.option == "book_next" else ()
        seats = (replace(wanted, slot=other) for other in later)
        moved = next((seat for seat in seats if self.take(seat)), None)
        return ("moved", moved) if moved else ("skipped", None)

    def move_series(self, master: str, to: int) -> dict[str, Seat] | None:
        """Move each booked occurrence to that slot of its day; None, and none moves, when one cannot."""
        before = [*self.seats]
        ours = [s for s in before if s.master == master and s.state == "booked"]
        ours.sort(key=lambda seat: (seat.slot, seat.id))
        moved = {}
        for seat in ours if to <= ours[0].slot % A_DAY else ours[::-1]:
            slot = seat.slot // A_DAY * A_DAY + to
            moved[seat.id] = replace(seat, slot=slot)
            if slot == seat.slot:
                moved[seat.id] = seat
            elif not self.move(seat, moved[seat.id]):
                self.seats = before
                return None
        return moved

    def wait(self, minutes: int) -> None:
        """Let time pass; holds expire."""
        self.now += minutes
        self.seats = [s for s in self.seats if s.state != "held" or s.until > self.now]

    def sitting(self) -> Iterator[Seat]:
        return (seat for seat in self.seats if seat.sits)

    def _pad(self, calendar: int) -> int:
        return self.pad if calendar == 1 else 0

    def _at(self, host: str, slot: int) -> list[Seat]:
        return [s for s in self.sitting() if (s.host, s.slot) == (host, slot)]

    def _day_full(self, calendar: int, slot: int) -> bool:
        day = slot // A_DAY
        booked = [s for s in self.sitting() if (s.calendar, s.slot // A_DAY) == (calendar, day)]
        return calendar == 0 and 0 < self.per_day <= len(booked)

    def _with(self, calendar: int, slot: int, host: str) -> frozenset[str] | None:
        pad = self._pad(calendar)
        if self._blocked(host, slot, pad) or self._blocked(self.calendars[calendar], slot, pad):
            return None
        if there := self._at(host, slot):
            joins = there[0].calendar == calendar == 2 and len(there) < self.capacity
            return there[0].resources if joins else None
        if any(self._meets(slot, pad, seat) for seat in self.sitting() if seat.host == host):
            return None
        return self._resources(calendar, slot, pad)

    def _resources(self, calendar: int, slot: int, pad: int) -> frozenset[str] | None:
        if calendar == 2:
            using = {s.host for s in self.sitting() if s.slot == slot and s.calendar == 2}
            free = self.units - self._blocked(self.equipment, slot, 0) - len(using)
            return frozenset({self.equipment}) if free > 0 else None
        taken = {r for s in self.sitting() if self._meets(slot, pad, s) for r in s.resources}
        rooms = [r for r in self.rooms(calendar) if r not in taken]
        open_rooms = [r for r in rooms if not self._blocked(r, slot, pad)]
        return frozenset(open_rooms[:1]) if open_rooms else None

    def _meets(self, slot: int, pad: int, seat: Seat) -> bool:
        after, before = pad and _next(slot, seat.slot), seat.pad and _next(seat.slot, slot)
        return bool(seat.slot == slot or after or before)

    def _blocked(self, target: str, slot: int, pad: int) -> bool:
        there = [other for blocked, other in self.blocks.values() if blocked == target]
        return slot in there or bool(pad and any(_next(slot, other) for other in there))
