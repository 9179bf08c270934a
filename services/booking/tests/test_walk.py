"""Any walk of bookings, holds, blocks and edits: a plain model says what must be refused, and why not."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from booking.domain.patches import Newcomer, Patch
from booking.handlers.appointments import book, book_held, change
from booking.handlers.blocks import create_block, delete_block
from booking.handlers.calendars import create_calendar
from booking.handlers.holds import HoldRequest, create_hold, release_hold
from booking.handlers.inspect import audit, dump
from booking.handlers.resources import change_resource, create_resource
from booking.handlers.schedules import change_schedule, create_schedule
from hoop_events import BlockSlot, Resource, Schedule
from shared.db import Database
from shared.errors import Refused
from shared.ids import new_id

NOW = datetime(2027, 2, 1, 12, 0, tzinfo=UTC)
MONDAY = datetime(2027, 3, 1, 9, 0, tzinfo=UTC)
HALF_HOUR = timedelta(minutes=30)
SLOTS = 6
ALL_DAY = [
    {
        "daysOfTheWeek": [1],
        "hours": [{"openHour": 9, "openMinute": 0, "closeHour": 12, "closeMinute": 0}],
    }
]


@dataclass
class Seated:
    """A seat of the model: who, where, when."""

    id: str
    calendar: int
    slot: int
    host: str
    resources: frozenset[str]
    held: bool


@dataclass
class Model:
    """What is true, as anybody would write it down: three calendars, slots of half an hour."""

    ids: list[str] = field(default_factory=lambda: sorted(new_id() for _ in range(9)))
    seats: list[Seated] = field(default_factory=list)
    blocks: dict[str, tuple[str, int]] = field(default_factory=dict)
    units: int = 2
    spare_room: bool = True
    opens: int = 0
    """The first slot of the first calendar, whose hours are its host's schedule."""

    @property
    def calendars(self) -> list[str]:
        return self.ids[:3]

    def hosts(self, calendar: int) -> list[str]:
        """The third calendar shares a host with the first."""
        ann, bob, eve = self.ids[3:6]
        return [[ann], [bob], [ann, eve]][calendar]

    def rooms(self, calendar: int) -> list[str]:
        first, spare = self.ids[6:8]
        return [[first], [first, spare] if self.spare_room else [first], []][calendar]

    @property
    def equipment(self) -> str:
        return self.ids[8]

    def place(
        self, calendar: int, slot: int, prefer: str | None = None
    ) -> tuple[str, frozenset[str]] | None:
        """The host and the resources, or None when it must be refused."""
        if calendar == 0 and slot < self.opens:
            return None
        able = {}
        for host in self.hosts(calendar):
            resources = self._with(calendar, slot, host)
            if resources is not None:
                able[host] = resources
        host = prefer if prefer in able else next(iter(able), None)
        return None if host is None else (host, able[host])

    def _with(self, calendar: int, slot: int, host: str) -> frozenset[str] | None:
        if self._blocked(host, slot) or self._blocked(self.calendars[calendar], slot):
            return None
        there = [s for s in self.seats if s.slot == slot and s.host == host]
        if there:
            joins = there[0].calendar == calendar == 2 and len(there) < 2
            return there[0].resources if joins else None
        return self._resources(calendar, slot)

    def _resources(self, calendar: int, slot: int) -> frozenset[str] | None:
        used = {s.host: s.resources for s in self.seats if s.slot == slot}
        taken = [r for resources in used.values() for r in resources]
        if calendar == 2:
            blocked = self._blocked(self.equipment, slot)
            full = taken.count(self.equipment) + blocked >= self.units
            return None if full else frozenset({self.equipment})
        free = [r for r in self.rooms(calendar) if r not in taken and not self._blocked(r, slot)]
        return frozenset(free[:1]) if free else None

    def _blocked(self, target: str, slot: int) -> bool:
        return (target, slot) in self.blocks.values()


def documents(model: Model) -> Iterator[tuple[Any, Any]]:
    """The commands that make the world of the model."""
    said = {"sequence": 1, "version": 1, "date_added": NOW, "date_updated": NOW}
    said |= {"location_id": model.ids[0], "name": "Thing"}
    first, second, third = model.calendars
    for room, calendars in zip(model.ids[6:8], ((first, second), (second,)), strict=True):
        yield (
            create_resource,
            Resource(id=room, resource_type="rooms", calendar_ids=calendars, **said),
        )
    yield (
        create_resource,
        Resource(
            id=model.equipment,
            resource_type="equipments",
            quantity=3,
            out_of_service=1,
            calendar_ids=(third,),
            **said,
        ),
    )
    yield (
        create_schedule,
        Schedule.model_validate(
            {
                **said,
                "id": model.ids[8],
                "user_id": model.hosts(0)[0],
                "timezone": "UTC",
                "rules": hours(0),
                "calendar_ids": (first,),
            }
        ),
    )


def hours(opens: int) -> list[dict[str, Any]]:
    since = (MONDAY + opens * HALF_HOUR).strftime("%H:%M")
    return [{"type": "wday", "day": "monday", "intervals": [{"from": since, "to": "12:00"}]}]


@dataclass
class World:
    """The service under test, walked step by step beside the model."""

    db: Database
    model: Model
    account: str = field(default_factory=new_id)

    async def build(self) -> None:
        model = self.model
        for n, calendar in enumerate(model.calendars):
            body = {
                "calendarType": "service_booking",
                "openHours": ALL_DAY,
                "teamMembers": [{"userId": host} for host in model.hosts(n)],
                "appoinmentPerSlot": 2 if n == 2 else 1,
            }
            async with self.db.transaction() as db:
                await create_calendar(
                    db,
                    self.account,
                    calendar,
                    location_id=model.ids[0],
                    time_zone="UTC",
                    settings=body,
                    now=NOW,
                )
        for command, document in documents(model):
            await self.run(command, document)

    async def run(self, command: Any, *args: Any) -> Any:
        async with self.db.transaction() as db:
            return await command(db, self.account, *args, now=NOW)

    async def step(self, kind: str, n: int, slot: int) -> None:
        await getattr(self, f"_{kind}")(n, slot)

    async def _book(self, n: int, slot: int) -> None:
        calendar, new = n % 3, new_id()
        patch = Patch(calendar_id=self.model.calendars[calendar], start=MONDAY + slot * HALF_HOUR)
        await self._enter(
            Seated(new, calendar, slot, "", frozenset(), held=False),
            book(self.db, self.account, self._newcomer(new), patch, **self._where()),
        )

    async def _hold(self, n: int, slot: int) -> None:
        calendar, new = n % 3, new_id()
        start = MONDAY + slot * HALF_HOUR
        wanted = HoldRequest(self.model.calendars[calendar], start, NOW + HALF_HOUR)
        await self._enter(
            Seated(new, calendar, slot, "", frozenset(), held=True),
            create_hold(self.db, self.account, new, wanted, now=NOW),
        )

    async def _enter(self, seat: Seated, deed: Any, prefer: str | None = None) -> None:
        """The deed succeeds exactly when the model has a place, and it is that place."""
        expected = self.model.place(seat.calendar, seat.slot, prefer)
        try:
            done = await deed
            found = (done.hosts[0], frozenset(done.resources))
        except Refused:
            found = None
        assert found == expected, seat
        if expected is None:
            return
        seat.host, seat.resources = expected
        self.model.seats.append(seat)

    async def _move(self, n: int, slot: int) -> None:
        seat = self._pick(n, held=False)
        if seat is None or seat.slot == slot:
            return
        self.model.seats.remove(seat)
        moved = Seated(seat.id, seat.calendar, slot, "", frozenset(), held=False)
        patch = Patch(start=MONDAY + slot * HALF_HOUR)
        deed = change(self.db, self.account, seat.id, patch, now=NOW)
        await self._enter(moved, deed, prefer=seat.host)
        if moved not in self.model.seats:
            self.model.seats.append(seat)

    async def _cancel(self, n: int, _: int) -> None:
        if seat := self._pick(n, held=False):
            await change(self.db, self.account, seat.id, Patch(status="cancelled"), now=NOW)
            self.model.seats.remove(seat)

    async def _release(self, n: int, _: int) -> None:
        if seat := self._pick(n, held=True):
            await release_hold(self.db, self.account, seat.id, now=NOW)
            self.model.seats.remove(seat)

    async def _convert(self, n: int, _: int) -> None:
        if seat := self._pick(n, held=True):
            newcomer = self._newcomer(seat.id)
            done = await book_held(self.db, self.account, newcomer, Patch(), **self._where())
            assert (done.hosts[0], frozenset(done.resources)) == (seat.host, seat.resources)
            seat.held = False

    async def _block(self, n: int, slot: int) -> None:
        targets = [*self.model.calendars, *self.model.ids[3:9]]
        target, start = targets[n % 9], MONDAY + slot * HALF_HOUR
        who = ("calendar_id", "user_id", "resource_id")[n % 9 // 3]
        new = BlockSlot.model_validate(
            {
                "id": new_id(),
                "sequence": 1,
                "version": 1,
                "location_id": self.model.ids[0],
                "calendar_id": None,
                "user_id": None,
                who: target,
                "start_time": start,
                "end_time": start + HALF_HOUR,
                "date_added": NOW,
                "date_updated": NOW,
            }
        )
        if (target, slot) not in self.model.blocks.values():
            await self.run(create_block, new)
            self.model.blocks[new.id] = (target, slot)

    async def _unblock(self, n: int, _: int) -> None:
        if self.model.blocks:
            block = sorted(self.model.blocks)[n % len(self.model.blocks)]
            await self.run(delete_block, block)
            del self.model.blocks[block]

    async def _units(self, n: int, _: int) -> None:
        self.model.units = n % 3
        await self.run(change_resource, self.model.equipment, {"out_of_service": 3 - n % 3})

    async def _rooms(self, n: int, _: int) -> None:
        self.model.spare_room = bool(n % 2)
        await self.run(change_resource, self.model.ids[7], {"is_active": bool(n % 2)})

    async def _hours(self, _: int, slot: int) -> None:
        self.model.opens = slot
        await self.run(change_schedule, self.model.ids[8], {"rules": hours(slot)})

    def _pick(self, n: int, *, held: bool) -> Seated | None:
        found = [seat for seat in self.model.seats if seat.held is held]
        return found[n % len(found)] if found else None

    def _newcomer(self, appointment: str) -> Newcomer:
        return Newcomer(appointment, self.model.ids[0], "Carl Contact")

    def _where(self) -> dict[str, Any]:
        return {"location_id": self.model.ids[0], "now": NOW}

    async def check(self) -> None:
        """Nothing breaks a rule, and what is dumped as occupied is what the model has."""
        assert await audit(self.db) == []
        lines = map(orjson.loads, (await dump(self.db, at=NOW)).splitlines())
        told = {
            (line["resource"], line["start"], line["session"], line["seats"])
            for line in lines
            if line["kind"] == "occupied" and line["account"] == self.account
        }
        assert {(r, start, seats) for r, start, _, seats in told} == self._expected()

    def _expected(self) -> set[tuple[str, int, int]]:
        sessions: dict[tuple[str, int], list[Seated]] = {}
        for seat in self.model.seats:
            sessions.setdefault((seat.host, seat.slot), []).append(seat)
        return {
            (thing, int((MONDAY + slot * HALF_HOUR).timestamp() * 1000), len(seats))
            for (host, slot), seats in sessions.items()
            for thing in (host, *seats[0].resources)
        }


DEEDS = (
    ["book"] * 4
    + ["hold"] * 3
    + ["move", "move", "cancel", "release", "convert", "block", "unblock", "units"]
    + ["rooms", "hours"]
)
STEPS = st.tuples(st.sampled_from(DEEDS), st.integers(0, 35), st.integers(0, SLOTS - 1))


@settings(
    max_examples=20,
    phases=(
        Phase.explicit,
        Phase.reuse,
        Phase.generate,
    ),  # a step is a transaction: shrinking takes minutes
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=st.lists(STEPS, min_size=10, max_size=40))
async def test_every_walk_ends_where_the_model_says(new_database: Any, steps: Any) -> None:
    """Accepted is what has a place, with that host and those resources; nothing else is."""
    world = World(await new_database("booking"), Model())
    await world.build()
    for kind, n, slot in steps:
        await world.step(kind, n, slot)
    await world.check()
