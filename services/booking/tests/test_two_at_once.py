"""Two requests for one seat at once, in two processes: one is done, the other sees what it left."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from booking.domain.appointments import convert_hold
from booking.domain.commands import AppointmentPatch, NewAppointment
from booking.domain.holds import release
from booking.handlers.appointments import book_held, change_appointment
from booking.handlers.calendars import delete_calendar
from booking.handlers.holds import release_expired, release_hold
from booking.store.commit import commit_decision
from booking.store.snapshot import SnapshotRequest, get_snapshot
from hoop_events.booking import Appointment, Hold
from hoop_platform.db.database import Database
from hoop_platform.errors import NotFound, Refused

NOW = datetime(2027, 2, 1, 12, tzinfo=UTC)
LATER = datetime(2027, 3, 1, 15, tzinfo=UTC)
ROUNDS = 24
STEP = 0.0002  # seconds by which the second request is later, more in each round


@dataclass
class Rivals:
    """Two processes of booking, as far as the database knows: two pools, without a queue in common."""

    office: Any
    one: Database
    other: Database

    async def book(self, db: Database, hold: str) -> Any:
        new = NewAppointment(hold, self.office.tenant.contact_ids[0])
        return await book_held(
            db,
            self.office.tenant.account_id,
            new,
            AppointmentPatch(),
            location_id=self.office.tenant.location_id,
            now=NOW,
        )

    async def release(self, db: Database, hold: str) -> Any:
        return await release_hold(db, self.office.tenant.account_id, hold, now=NOW)

    async def expire(self, db: Database, _: str) -> Any:
        return await release_expired(db, now=NOW + timedelta(minutes=10))

    async def delete_calendar(self, db: Database, calendar: str) -> Any:
        async with db.transaction() as tx:
            return await delete_calendar(tx, self.office.tenant.account_id, calendar, now=NOW)

    async def change(self, db: Database, appointment: str, patch: AppointmentPatch) -> Appointment:
        account = self.office.tenant.account_id
        return await change_appointment(db, account, appointment, patch, now=NOW)


@pytest.fixture
async def rivals(office: Any) -> AsyncIterator[Rivals]:
    dsn = office.runtime.db.dsn
    one, other = [await Database.open(dsn, name=f"process {n}", pool_size=2) for n in range(2)]
    yield Rivals(office, one, other)
    for database in (one, other):
        await database.close()


def slot(n: int) -> int:
    """The n-th half hour of the week's days, in minutes after the first."""
    return 30 * (n % 16) + 24 * 60 * (n // 16)


Request = Callable[[Database], Awaitable[Any]]


async def together(rivals: Rivals, first: Request, second: Request, late: float) -> list[Any]:
    """Both results; a refusal is a result."""

    async def outcome(request: Request, database: Database, after: float) -> Any:
        await asyncio.sleep(after)
        try:
            return await request(database)
        except (Refused, NotFound) as refused:
            return refused

    return list(
        await asyncio.gather(
            outcome(first, rivals.one, 0), outcome(second, rivals.other, max(0.0, late))
        )
    )


async def announced(office: Any, subject: str) -> list[tuple[str, str | None]]:
    """What was announced of the seat, in order: types and reasons."""
    return [(kind, body["change"]["reason"]) for kind, body in await office.announced(subject)]


async def test_a_decision_on_a_hold_that_was_booked_meanwhile_is_outdated(office: Any) -> None:
    """Hold and appointment have the same id, and both begin with sequence 1."""
    calendar = await office.calendar()
    hold = await office.hold(calendar)
    db, account = office.runtime.db, office.tenant.account_id
    old = await get_snapshot(db, SnapshotRequest(account, NOW, appointment=hold.id, held=True))
    await office.book_held(hold.id)
    async with asyncio.timeout(30):  # what is still in the outbox would refuse the second as well
        while await db.fetchval("SELECT EXISTS (SELECT FROM outbox)"):
            await asyncio.sleep(0.01)
    new = await get_snapshot(db, SnapshotRequest(account, NOW, calendar, hold.start_time))
    assert old.snapshot is not None
    assert new.snapshot is not None
    assert isinstance(old.before, Hold)
    snapshot = replace(old.snapshot, versions=new.snapshot.versions)
    contact = NewAppointment(hold.id, office.tenant.contact_ids[1])
    again = convert_hold(old.before, snapshot, contact, AppointmentPatch(), now=NOW)
    assert not await commit_decision(db, again, now=NOW)
    released = release(old.before, snapshot, reason="released")
    assert not await commit_decision(db, released, now=NOW)
    assert await office.violations() == []


async def test_one_hold_is_booked_once(rivals: Rivals) -> None:
    """However the two requests interleave, one has the appointment and the other is refused."""
    office = rivals.office
    calendar = await office.calendar()
    for n in range(ROUNDS):
        hold = await office.hold(calendar, slot(n))
        found = await together(
            rivals,
            lambda db, hold=hold: rivals.book(db, hold.id),
            lambda db, hold=hold: rivals.book(db, hold.id),
            n * STEP,
        )
        assert sorted(type(one).__name__ for one in found) == ["Appointment", "SlotUnavailable"]
        kinds = [kind for kind, _ in await announced(office, hold.id)]
        assert sorted(kinds) == ["AppointmentCreated", "HoldChanged", "HoldDeleted"]
    assert await office.violations() == []


@pytest.mark.parametrize("rival", ["release", "expire"])
async def test_a_hold_is_booked_or_let_go(rivals: Rivals, rival: str) -> None:
    """Never both: what was booked stays booked, what was let go is refused."""
    office = rivals.office
    calendar = await office.calendar()
    for n in range(ROUNDS):
        hold = await office.hold(calendar, slot(n), lasts=10)
        booked, _ = await together(
            rivals,
            lambda db, hold=hold: rivals.book(db, hold.id),
            lambda db, hold=hold: getattr(rivals, rival)(db, hold.id),
            n * STEP,
        )
        said = await announced(office, hold.id)
        gone = [reason for kind, reason in said if kind == "HoldDeleted"]
        if isinstance(booked, Appointment):
            assert gone == ["booked"]
            read = await office.request("GET", f"/calendars/events/appointments/{hold.id}")
            assert read.body["appointment"]["appointmentStatus"] == "confirmed"
        else:
            assert gone == ["expired" if rival == "expire" else "released"]
            assert [kind for kind, _ in said if kind == "AppointmentCreated"] == []
    assert await office.violations() == []


async def test_a_hold_is_released_once(rivals: Rivals) -> None:
    """Two releases announce one."""
    office = rivals.office
    calendar = await office.calendar()
    for n in range(ROUNDS):
        hold = await office.hold(calendar)
        await together(
            rivals,
            lambda db, hold=hold: rivals.release(db, hold.id),
            lambda db, hold=hold: rivals.release(db, hold.id),
            n * STEP,
        )
        assert await announced(office, hold.id) == [
            ("HoldChanged", None),
            ("HoldDeleted", "released"),
        ]
    assert await office.violations() == []


async def test_moved_or_cancelled_both_are_announced_in_order(rivals: Rivals) -> None:
    """An appointment that is moved and cancelled at once is cancelled, wherever it was last."""
    office = rivals.office
    calendar = await office.calendar()
    for n in range(ROUNDS):
        response = await office.book(calendar)
        appointment = response.body["id"]
        moved, cancelled = await together(
            rivals,
            lambda db, key=appointment: rivals.change(
                db, key, AppointmentPatch(start=LATER, end=LATER + timedelta(minutes=30))
            ),
            lambda db, key=appointment: rivals.change(
                db, key, AppointmentPatch(status="cancelled")
            ),
            n * STEP,
        )
        assert isinstance(cancelled, Appointment)
        kinds = [kind for kind, _ in await announced(office, appointment)]
        expected = ["AppointmentCreated", "AppointmentRescheduled", "AppointmentDeleted"]
        assert kinds == expected if isinstance(moved, Appointment) else [*expected[::2]]
    assert await office.violations() == []


async def test_a_hold_is_booked_while_its_calendar_is_deleted(rivals: Rivals) -> None:
    """Booked before, or refused after; the seat is never lost between."""
    office = rivals.office
    for n in range(ROUNDS):
        calendar = await office.calendar()
        hold = await office.hold(calendar, slot(n))
        booked, _ = await together(
            rivals,
            lambda db, hold=hold: rivals.book(db, hold.id),
            lambda db, calendar=calendar: rivals.delete_calendar(db, calendar),
            n * STEP,
        )
        created = [k for k, _ in await announced(office, hold.id) if k == "AppointmentCreated"]
        assert len(created) == isinstance(booked, Appointment)
        if created:
            cancel = AppointmentPatch(delete=True)
            with pytest.raises(NotFound):  # as its calendar
                await rivals.change(rivals.one, hold.id, cancel)
            await office.runtime.db.execute(
                "UPDATE calendar SET deleted_at = NULL WHERE id = $1", calendar
            )
            await rivals.change(rivals.one, hold.id, cancel)
    assert await office.violations() == []
