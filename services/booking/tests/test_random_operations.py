"""Random operations (bookings, holds, series, blocks, edits) lead where a reference model says they must."""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from reference_model import A_DAY, Model, Seat

from booking.domain.commands import AppointmentPatch, NewAppointment
from booking.handlers.appointments import NO_PRECONDITIONS, book, book_held, change_appointment
from booking.handlers.block_slots import create_block_slot, delete_block_slot
from booking.handlers.calendars import create_calendar, update_calendar
from booking.handlers.holds import HoldRequest, create_hold, release_expired, release_hold
from booking.handlers.inspect import audit, dump
from booking.handlers.resources import change_resource, create_resource
from booking.handlers.schedules import associate, change_schedule, create_schedule, dissociate
from booking.handlers.series import book_series, change_series, delete_series
from booking.store.projections import upsert_contact
from hoop_events.calendars import BlockSlot, Resource, Schedule
from hoop_platform.db.database import Database
from hoop_platform.errors import NotFound, Refused
from hoop_platform.ids import new_id

NOW = datetime(2027, 2, 1, 12, 0, tzinfo=UTC)
MONDAY = datetime(2027, 3, 1, 9, 0, tzinfo=UTC)
HALF_HOUR = timedelta(minutes=30)
WEEKLY = "FREQ=WEEKLY;COUNT=2"
OPTIONS = ("skip", "continue", "book_next")


def start_of(slot: int) -> datetime:
    return MONDAY + timedelta(weeks=slot // A_DAY) + slot % A_DAY * HALF_HOUR


def open_hours(first: int) -> list[dict[str, Any]]:
    since = start_of(first)
    hours = {"openHour": since.hour, "openMinute": since.minute, "closeHour": 11, "closeMinute": 0}
    return [{"daysOfTheWeek": [1], "hours": [hours]}]


def rules(first: int) -> list[dict[str, Any]]:
    since = start_of(first).strftime("%H:%M")
    return [{"type": "wday", "day": "monday", "intervals": [{"from": since, "to": "11:00"}]}]


def members(hosts: list[str]) -> list[dict[str, str]]:
    return [{"userId": host} for host in hosts]


def aggregates(model: Model) -> Iterator[tuple[Any, Any]]:
    """The commands that create the resources and the schedule of the model."""
    fields = {"sequence": 1, "version": 1, "date_added": NOW, "date_updated": NOW}
    fields |= {"location_id": model.ids[0], "name": "Thing"}
    first, second, third = model.calendars
    things = [
        {"id": model.ids[6], "resource_type": "rooms", "calendar_ids": (first, second)},
        {"id": model.ids[7], "resource_type": "rooms", "calendar_ids": (second,)},
        {"id": model.equipment, "resource_type": "equipments", "calendar_ids": (third,)},
    ]
    for thing in things:
        units = {"quantity": 3, "out_of_service": 1} if thing["id"] == model.equipment else {}
        yield create_resource, Resource.model_validate({**fields, **thing, **units})
    hours = {"user_id": model.team(0)[0], "timezone": "UTC", "rules": rules(0)}
    schedule = {**fields, **hours, "id": model.ids[8], "calendar_ids": (first,)}
    yield create_schedule, Schedule.model_validate(schedule)


@dataclass
class BookingWorld:
    """The service under test, beside the model."""

    db: Database
    model: Model = field(default_factory=Model)
    account: str = field(default_factory=new_id)

    @property
    def now(self) -> datetime:
        return NOW + timedelta(minutes=self.model.now)

    @property
    def contacts(self) -> list[str]:
        return self.model.ids[:2]

    async def build(self) -> None:
        location = self.model.ids[0]
        async with self.db.transaction() as db:
            for contact in self.contacts:
                await upsert_contact(db, self.account, contact, location_id=location, name="Carl")
        for n, calendar in enumerate(self.model.calendars):
            body = {
                "calendarType": "service_booking",
                "openHours": open_hours(0),
                "teamMembers": members(self.model.team(n)),
                "appoinmentPerSlot": self.model.capacity if n == 2 else 1,
            }
            where = {"location_id": self.model.ids[0], "time_zone": "UTC"}
            async with self.db.transaction() as db:
                await create_calendar(
                    db, self.account, calendar, settings=body, now=self.now, **where
                )
        for command, aggregate in aggregates(self.model):
            await self.run(command, aggregate)

    async def run(self, command: Any, *args: Any) -> Any:
        async with self.db.transaction() as db:
            return await command(db, self.account, *args, now=self.now)

    async def step(self, kind: str, n: int, slot: int) -> None:
        await getattr(self, f"_{kind}")(n, slot)

    async def _book(self, n: int, slot: int) -> None:
        new, calendar = new_id(), n % 3
        patch = AppointmentPatch(calendar_id=self.model.calendars[calendar], start=start_of(slot))
        seat = Seat(new, calendar, slot, contact=n % 2)
        by = self._new_appointment(new, n % 2)
        command = book(self.db, self.account, by, patch, **self._where())
        await self._same(seat if self.model.take(seat) else None, command)

    async def _hold(self, n: int, slot: int) -> None:
        new, calendar = new_id(), n % 3
        until = self.now + timedelta(minutes=15)
        wanted = HoldRequest(self.model.calendars[calendar], start_of(slot), until)
        seat = Seat(new, calendar, slot, state="held", until=self.model.now + 15)
        command = create_hold(self.db, self.account, new, wanted, now=self.now)
        await self._same(seat if self.model.take(seat) else None, command)

    async def _same(self, expected: Seat | None, command: Awaitable[Any]) -> None:
        """The command succeeds exactly when the model expects it to, with the same assignment."""
        try:
            done = await command
        except Refused:
            assert expected is None
            return
        assert expected is not None, done
        found = (done.start_time, done.hosts, frozenset(done.resources))
        assert found == (start_of(expected.slot), (expected.host,), expected.resources)

    async def _move(self, n: int, slot: int) -> None:
        """To another time, and sometimes to another calendar; a cancelled one cannot move."""
        seat = self._pick(n, "booked", "waiting", "cancelled")
        if seat is None:
            return
        calendar = seat.calendar if n % 2 else n // 2 % 3
        to = replace(seat, calendar=calendar, slot=slot, state="booked")
        if (seat.calendar, seat.slot) == (calendar, slot):
            return
        patch = AppointmentPatch(calendar_id=self.model.calendars[calendar], start=start_of(slot))
        moved = seat.state != "cancelled" and self.model.move(seat, to)
        await self._same(to if moved else None, self._change(seat, patch))

    async def _confirm(self, n: int, _: int) -> None:
        """A cancelled or unconfirmed appointment takes its time, if the time is free."""
        if seat := self._pick(n, "waiting", "cancelled"):
            to = replace(seat, state="booked")
            confirmed = self.model.move(seat, to)
            await self._same(
                to if confirmed else None, self._change(seat, AppointmentPatch(status="confirmed"))
            )

    async def _cancel(self, n: int, _: int) -> None:
        if seat := self._pick(n, "booked", "waiting"):
            await self._change(seat, AppointmentPatch(status="cancelled"))
            seat.state = "cancelled"

    async def _delete(self, n: int, _: int) -> None:
        if seat := self._pick(n, "booked", "waiting", "cancelled"):
            await self._change(seat, AppointmentPatch(delete=True))
            self.model.seats.remove(seat)
            with pytest.raises(NotFound):
                await self._change(seat, AppointmentPatch(title="Again"))

    async def _release(self, n: int, _: int) -> None:
        if seat := self._pick(n, "held"):
            await release_hold(self.db, self.account, seat.id, now=self.now)
            self.model.seats.remove(seat)

    async def _convert(self, n: int, _: int) -> None:
        """A hold becomes an appointment, unless its calendar is inactive, or the contact sits there."""
        if seat := self._pick(n, "held"):
            new, contact = self._new_appointment(seat.id, n % 2), n % 2
            there = [s for s in self.model.sitting() if (s.host, s.slot) == (seat.host, seat.slot)]
            active = self.model.active[seat.calendar]
            free = active and all(s.contact != contact for s in there)
            command = book_held(self.db, self.account, new, AppointmentPatch(), **self._where())
            await self._same(seat if free else None, command)
            if free:
                seat.state, seat.contact = "booked", contact

    async def _series(self, n: int, slot: int) -> None:
        master, slots = new_id(), [slot, slot + A_DAY]
        on = self.model.calendars[n % 3]
        patch = AppointmentPatch(calendar_id=on, start=start_of(slot), rrule=WEEKLY)
        expected = self.model.series(master, n % 3, slots, n % 2)
        by = self._new_appointment(master, n % 2)
        try:
            outcomes = await book_series(self.db, self.account, by, patch, **self._where())
        except Refused:
            assert expected is None
            return
        assert expected is not None
        assert [(one.start, one.outcome) for one in outcomes] == [
            (start_of(slot), outcome) for slot, (outcome, _) in zip(slots, expected, strict=True)
        ]
        for one, (_, seat) in zip(outcomes, expected, strict=True):
            assert (one.state is None) == (seat is None)
            if one.state and seat:
                seat.id = one.state.id
                found = (one.state.start_time, one.state.hosts, frozenset(one.state.resources))
                assert found == (start_of(seat.slot), (seat.host,), seat.resources)

    async def _move_series(self, n: int, slot: int) -> None:
        """All that are booked to another time of their day, or none."""
        master = self._pick_series(n)
        ours = sorted((s for s in self.model.seats if s.master == master), key=lambda s: s.slot)
        booked = [s for s in ours if s.state == "booked"]
        if master is None or not booked or any(s.state == "waiting" for s in ours):
            return
        first = booked[0].slot // A_DAY * A_DAY
        patch = AppointmentPatch(start=start_of(first + slot % A_DAY))
        expected = self.model.move_series(master, slot % A_DAY)
        try:
            outcomes = await change_series(
                self.db, self.account, master, patch, preconditions=NO_PRECONDITIONS, now=self.now
            )
        except Refused:
            assert expected is None
            return
        assert expected is not None
        assert {s.id: (s.start_time, s.hosts[0], frozenset(s.resources)) for s in outcomes} == {
            key: (start_of(seat.slot), seat.host, seat.resources) for key, seat in expected.items()
        }

    async def _end_series(self, n: int, _: int) -> None:
        if master := self._pick_series(n):
            patch = AppointmentPatch(delete=True)
            await delete_series(
                self.db, self.account, master, patch, preconditions=NO_PRECONDITIONS, now=self.now
            )
            self.model.seats = [s for s in self.model.seats if s.master != master]

    async def _block(self, n: int, slot: int) -> None:
        targets = [*self.model.calendars, *self.model.ids[3:9]]
        target, who = targets[n % 9], ("calendar_id", "user_id", "resource_id")[n % 9 // 3]
        if (target, slot) in self.model.blocks.values():
            return
        fields = {"id": new_id(), "sequence": 1, "version": 1, "location_id": self.model.ids[0]}
        fields |= {"calendar_id": None, "user_id": None, who: target, "start_time": start_of(slot)}
        fields |= {"end_time": start_of(slot) + HALF_HOUR, "date_added": NOW, "date_updated": NOW}
        created = await self.run(create_block_slot, BlockSlot.model_validate(fields))
        self.model.blocks[created.id] = (target, slot)

    async def _unblock(self, n: int, _: int) -> None:
        if self.model.blocks:
            block = sorted(self.model.blocks)[n % len(self.model.blocks)]
            await self.run(delete_block_slot, block)
            del self.model.blocks[block]

    async def _resource(self, n: int, slot: int) -> None:
        """More or fewer units of the equipment; or the spare room is switched on or off."""
        if n % 2:
            self.model.units = slot % 3
            changed = {"out_of_service": 3 - self.model.units}
            await self.run(change_resource, self.model.equipment, changed)
        else:
            self.model.spare_room = not self.model.spare_room
            changed = {"is_active": self.model.spare_room}
            await self.run(change_resource, self.model.ids[7], changed)

    async def _schedule(self, n: int, slot: int) -> None:
        """Other hours; or the association with the first calendar ends, or begins again."""
        if n % 2:
            self.model.scheduled = slot % A_DAY
            changed = {"rules": rules(self.model.scheduled)}
            await self.run(change_schedule, self.model.ids[8], changed)
        else:
            self.model.associated = not self.model.associated
            command = associate if self.model.associated else dissociate
            await self.run(command, self.model.ids[8], self.model.calendars[0])

    async def _calendar(self, n: int, slot: int) -> None:
        """Other settings, each of a calendar on which the model knows what they mean."""
        model, on = self.model, n % 3
        if n % 7 == 0:
            model.active[on] = not model.active[on]
            await self._set(on, isActive=model.active[on])
        elif n % 7 == 1:
            model.opens[on] = slot % A_DAY
            await self._set(on, openHours=open_hours(model.opens[on]))
        elif n % 7 == 2:
            model.capacity = 1 + slot % 3
            await self._set(2, appoinmentPerSlot=model.capacity)
        elif n % 7 == 3:
            model.pad = slot % 2
            await self._set(1, slotBuffer=30 * model.pad)
        elif n % 7 == 4:
            model.per_day = slot % 3
            await self._set(0, appoinmentPerDay=model.per_day)
        elif n % 7 == 5:
            model.alone = not model.alone
            await self._set(2, teamMembers=members(model.team(2)))
        else:
            model.option = OPTIONS[slot % 3]
            for calendar in range(3):
                await self._set(calendar, recurring={"bookingOption": model.option})

    async def _set(self, calendar: int, **fields: Any) -> None:
        await self.run(update_calendar, self.model.calendars[calendar], fields)

    async def _wait(self, n: int, _: int) -> None:
        """Holds expire; the job that releases them runs now, or not yet."""
        self.model.wait(8)
        if n % 2:
            await release_expired(self.db, now=self.now)

    async def _change(self, seat: Seat, patch: AppointmentPatch) -> Any:
        return await change_appointment(self.db, self.account, seat.id, patch, now=self.now)

    def _pick(self, n: int, *states: str) -> Seat | None:
        found = [seat for seat in self.model.seats if seat.state in states]
        return found[n % len(found)] if found else None

    def _pick_series(self, n: int) -> str | None:
        found = sorted({seat.master for seat in self.model.seats if seat.master})
        return found[n % len(found)] if found else None

    def _new_appointment(self, appointment: str, contact: int) -> NewAppointment:
        return NewAppointment(appointment, self.contacts[contact])

    def _where(self) -> dict[str, Any]:
        return {"location_id": self.model.ids[0], "now": self.now}

    async def check(self) -> None:
        """All invariants hold; what is taken and what was announced are as in the model."""
        assert await audit(self.db) == []
        lines = map(orjson.loads, (await dump(self.db, at=self.now)).splitlines())
        assert {
            (line["resource"], line["start"], line["seats"])
            for line in lines
            if line["kind"] == "occupied" and line["account"] == self.account
        } == self._taken()
        assert await self._announced() == {
            seat.id: (seat.state == "booked", start_of(seat.slot), seat.host)
            for seat in self.model.seats
            if seat.state != "held"
        }

    def _taken(self) -> set[tuple[str, int, int]]:
        sessions: dict[tuple[str, int], list[Seat]] = {}
        for seat in self.model.sitting():
            sessions.setdefault((seat.host, seat.slot), []).append(seat)
        return {
            (thing, int(start_of(slot).timestamp() * 1000), len(seats))
            for (host, slot), seats in sessions.items()
            for thing in (host, *seats[0].resources)
        }

    async def _announced(self) -> dict[str, tuple[bool, datetime, str]]:
        """The last state of each appointment that is not deleted; the sequences have no gaps."""
        rows = await self.db.fetch(
            "SELECT subject, sequence, body FROM outbox WHERE topic = 'appointments'"
            " ORDER BY subject, sequence"
        )
        last: dict[str, tuple[int, Any]] = {}
        for row in rows:
            assert row["sequence"] == last.get(row["subject"], (0,))[0] + 1
            last[row["subject"]] = row["sequence"], orjson.loads(row["body"])["state"]
        return {
            key: (state["occupies"], datetime.fromisoformat(state["startTime"]), state["hosts"][0])
            for key, (_, state) in last.items()
            if not state["deleted"]
        }


OPERATIONS = (
    ["book"] * 5
    + ["hold"] * 3
    + ["move"] * 3
    + ["series", "convert", "confirm", "cancel", "block", "calendar"] * 2
    + ["delete", "release", "unblock", "resource", "schedule", "wait", "move_series", "end_series"]
)
STEPS = st.tuples(st.sampled_from(OPERATIONS), st.integers(0, 41), st.integers(0, 2 * A_DAY - 1))


@pytest.fixture
async def one_database(new_database: Any) -> Callable[[], Awaitable[Database]]:
    """A function that empties and returns the one database of all examples."""
    database: Database = await new_database("booking")
    tables = await database.fetchval(
        "SELECT string_agg(tablename, ', ') FROM pg_tables"
        " WHERE schemaname = 'public' AND tablename <> 'schema_migrations'"
    )

    async def emptied() -> Database:
        await database.execute(f"TRUNCATE {tables}")
        return database

    return emptied


@pytest.mark.timeout(600)
@settings(
    max_examples=200,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # shrinking takes minutes
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@example(
    steps=[("book", 2, 0), ("book", 5, 0), ("cancel", 0, 0), ("confirm", 0, 0), ("book", 2, 0)]
)
@example(
    steps=[("book", 2, 0), ("book", 2, 0), ("cancel", 0, 0), ("book", 2, 0), ("confirm", 0, 0)]
)
@example(steps=[("book", 2, 0), ("hold", 2, 0), ("convert", 0, 0), ("convert", 1, 0)])
@given(steps=st.lists(STEPS, min_size=50, max_size=50))
async def test_random_operations_lead_where_the_model_says(one_database: Any, steps: Any) -> None:
    """A request is accepted exactly when the model can assign it, with the same host and resources."""
    world = BookingWorld(await one_database())
    await world.build()
    for number, (kind, n, slot) in enumerate(steps, start=1):
        await world.step(kind, n, slot)
        if number % 25 == 0:
            await world.check()
    await world.check()
