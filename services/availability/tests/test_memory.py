"""Memory: answers without a query, and never with anything that is no longer so."""

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from availability import handlers
from availability.jobs.listening import Listening
from availability.store import Memory
from hoop_events.booking import AppointmentCreated, AppointmentDeleted
from hoop_events.calendars import CalendarChanged
from hoop_platform.db.database import Database
from hoop_platform.ids import new_id
from hoop_scheduling.listing import free_starts
from hoop_scheduling.zones import epoch_ms
from local.testing.polling import eventually

MONDAY = datetime(2027, 3, 1, 14, 0, tzinfo=UTC)  # 09:00 in New York
WINDOW = (epoch_ms(MONDAY), epoch_ms(MONDAY + timedelta(days=30)))
NOW = epoch_ms(datetime(2027, 2, 25, tzinfo=UTC))


async def tell(database, handler, event):
    async with database.transaction() as db:
        await handler(db, event)


class Replica:
    """A replica's memory, with what it is asked, on a pool of its own."""

    def __init__(self, database, *, intervals=10_000):
        settings = SimpleNamespace(memory_intervals=intervals)
        self.memory = Memory.of(database, intervals=intervals)
        self.listening = Listening(SimpleNamespace(db=database, settings=settings))

    async def starts(self, account_id, calendar_id):
        view = await self.memory.view(account_id, calendar_id, *WINDOW, now=NOW)
        return set(
            free_starts(view.rules, busy=view.busy, window=WINDOW, now=NOW, seats=view.seats)
        )


@asynccontextmanager
async def replica(dsn, **more):
    """One that listens, until the end of the block."""
    database, stop = await Database.open(dsn, name="replica"), asyncio.Event()
    found = Replica(database, **more)
    task = asyncio.get_running_loop().create_task(found.listening.run(stop))
    try:
        await eventually(lambda: _is(found.memory.listening))
        yield found
    finally:
        stop.set()
        await task
        await database.close()


async def _is(value):
    return value


@pytest.fixture
async def office(read_model, calendar, appointment):
    """An account with a calendar; books a start and takes it back, as another replica would write it."""
    account_id, host = new_id(), new_id()
    offer = calendar(new_id(), [host])
    await tell(
        read_model, handlers.calendar_changed, CalendarChanged(account_id=account_id, state=offer)
    )

    async def book(number, *, occupies=True, subject=None):
        state = appointment(
            subject or new_id(),
            offer.id,
            host,
            session=new_id(),
            start=MONDAY + timedelta(minutes=30 * number),
            occupies=occupies,
        )
        kind = AppointmentCreated if occupies else AppointmentDeleted
        await tell(read_model, handlers.appointment_told, kind(account_id=account_id, state=state))
        return state

    return SimpleNamespace(account_id=account_id, offer=offer, book=book, dsn=read_model.dsn)


async def test_warm_no_statement_cold_one(office):
    """One statement finds everything there is to know of a calendar; then none, for any window known."""
    async with replica(office.dsn) as one:
        for _ in range(3):
            await one.starts(office.account_id, office.offer.id)
        assert one.memory.statements == 1
        await office.book(0)
        await eventually(lambda: _is(not one.memory.weight))
        await one.starts(office.account_id, office.offer.id)
        assert one.memory.statements == 2


async def test_what_another_replica_wrote_is_seen_by_all(office):
    """Two replicas that have it by heart both forget it, one notification later."""
    async with replica(office.dsn) as one, replica(office.dsn) as other:
        for number in range(5):
            start = epoch_ms(MONDAY + timedelta(minutes=30 * number))
            assert start in await one.starts(office.account_id, office.offer.id)
            assert start in await other.starts(office.account_id, office.offer.id)
            await office.book(number)

            async def gone(start=start):
                seen = [await r.starts(office.account_id, office.offer.id) for r in (one, other)]
                return all(start not in starts for starts in seen)

            await eventually(gone, within=2)


async def test_nothing_is_kept_while_nobody_listens(office, read_model):
    """The connection is cut again and again while bookings go on: never an answer that is too old."""
    async with replica(office.dsn) as one:
        for number in range(5):
            start = epoch_ms(MONDAY + timedelta(minutes=30 * number))
            assert start in await one.starts(office.account_id, office.offer.id)
            await read_model.execute(
                """
                SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                 WHERE datname = current_database() AND query LIKE 'LISTEN%' OR query = 'SELECT'
                """
            )
            await office.book(number)

            async def gone(start=start):
                return start not in await one.starts(office.account_id, office.offer.id)

            await eventually(gone, within=2)
            await eventually(lambda: _is(one.memory.listening))


async def test_what_was_told_while_it_was_fetched_is_not_kept(office):
    """The answer may be the old one, but the next is not."""
    async with replica(office.dsn) as one:
        memory = one.memory
        asking = asyncio.get_running_loop().create_task(
            one.starts(office.account_id, office.offer.id)
        )
        await asyncio.sleep(0)
        memory.forget([office.offer.settings["teamMembers"][0]["userId"]])
        await asking
        await one.starts(office.account_id, office.offer.id)
        assert memory.statements == 2


async def test_memory_has_a_bound(office, read_model, calendar):
    """More calendars than it may keep: the oldest go, and answers stay right."""
    async with replica(office.dsn, intervals=20) as one:
        for _ in range(10):
            offer = calendar(new_id(), [new_id()])
            event = CalendarChanged(account_id=office.account_id, state=offer)
            await tell(read_model, handlers.calendar_changed, event)
            assert await one.starts(office.account_id, offer.id)
            assert one.memory.weight <= 20


async def test_another_account_sees_nothing_of_it(office):
    """Not even when it is known by heart."""
    async with replica(office.dsn) as one:
        assert await one.starts(office.account_id, office.offer.id)
        assert await one.memory.view(new_id(), office.offer.id, *WINDOW, now=NOW) is None
