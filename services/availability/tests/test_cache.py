"""The cache: views without a statement, and never an outdated one."""

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import asyncpg
import pytest

from availability import handlers
from availability.jobs import notify_listener
from availability.jobs.notify_listener import NotifyListener
from availability.store.cache import ViewCache
from hoop_events.booking import AppointmentCreated, AppointmentDeleted
from hoop_events.calendars import CalendarChanged
from hoop_platform import timing
from hoop_platform.db.database import Database
from hoop_platform.ids import new_id
from hoop_scheduling.listing import free_starts
from hoop_scheduling.zones import epoch_ms
from local.testing.polling import eventually

MONDAY = datetime(2027, 3, 1, 14, 0, tzinfo=UTC)  # 09:00 in New York
WINDOW = (epoch_ms(MONDAY), epoch_ms(MONDAY + timedelta(days=30)))
NOW = epoch_ms(datetime(2027, 2, 25, tzinfo=UTC))


async def apply(database, handler, event):
    async with database.transaction() as db:
        await handler(db, event, MONDAY)


class Replica:
    """A replica's cache and listener, on a pool of its own."""

    def __init__(self, database, *, intervals=10_000):
        settings = SimpleNamespace(cache_intervals=intervals)
        self.cache = ViewCache.of(database, intervals=intervals)
        self.listener = NotifyListener(SimpleNamespace(db=database, settings=settings))

    async def starts(self, account_id, calendar_id):
        view = await self.cache.view(account_id, calendar_id, *WINDOW, now=NOW)
        return set(
            free_starts(view.rules, busy=view.busy, window=WINDOW, now=NOW, seats=view.seats)
        )


@asynccontextmanager
async def replica(dsn, **more):
    """A replica that listens until the end of the block."""
    database, stop = await Database.open(dsn, name="replica"), asyncio.Event()
    found = Replica(database, **more)
    task = asyncio.get_running_loop().create_task(found.listener.run(stop))
    try:
        await eventually(lambda: _is(found.cache.listening))
        yield found
    finally:
        stop.set()
        await task
        await database.close()


async def _is(value):
    return value


@pytest.fixture
async def office(read_model, calendar, appointment):
    """An account with a calendar; `book` writes appointments as another replica would."""
    account_id, host = new_id(), new_id()
    configured = calendar(new_id(), [host])
    await apply(
        read_model,
        handlers.on_calendar_changed,
        CalendarChanged(account_id=account_id, state=configured),
    )

    async def book(number, *, occupies=True, subject=None):
        state = appointment(
            subject or new_id(),
            configured.id,
            host,
            session=new_id(),
            start=MONDAY + timedelta(minutes=30 * number),
            occupies=occupies,
        )
        kind = AppointmentCreated if occupies else AppointmentDeleted
        await apply(
            read_model, handlers.on_appointment_changed, kind(account_id=account_id, state=state)
        )
        return state

    return SimpleNamespace(
        account_id=account_id, calendar=configured, book=book, dsn=read_model.dsn
    )


async def test_a_cached_view_needs_no_statement_and_others_one(office):
    """One statement fetches everything of a calendar; requests for cached blocks need none."""
    async with replica(office.dsn) as one:
        for _ in range(3):
            await one.starts(office.account_id, office.calendar.id)
        assert one.cache.statements == 1
        await office.book(0)
        await eventually(lambda: _is(not one.cache.weight))
        await one.starts(office.account_id, office.calendar.id)
        assert one.cache.statements == 2


async def test_changes_by_another_replica_invalidate_all_caches(office):
    """Two replicas that cached a view both drop it, one notification later."""
    async with replica(office.dsn) as one, replica(office.dsn) as other:
        for number in range(5):
            start = epoch_ms(MONDAY + timedelta(minutes=30 * number))
            assert start in await one.starts(office.account_id, office.calendar.id)
            assert start in await other.starts(office.account_id, office.calendar.id)
            await office.book(number)

            async def gone(start=start):
                seen = [await r.starts(office.account_id, office.calendar.id) for r in (one, other)]
                return all(start not in starts for starts in seen)

            await eventually(gone, within=2)


async def test_nothing_is_cached_while_not_listening(office, read_model):
    """The connection is cut again and again while bookings go on: never an outdated view."""
    async with replica(office.dsn) as one:
        for number in range(5):
            start = epoch_ms(MONDAY + timedelta(minutes=30 * number))
            assert start in await one.starts(office.account_id, office.calendar.id)
            await read_model.execute(
                """
                SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                 WHERE datname = current_database() AND query LIKE 'LISTEN%' OR query = 'SELECT'
                """
            )
            await office.book(number)

            async def gone(start=start):
                return start not in await one.starts(office.account_id, office.calendar.id)

            await eventually(gone, within=2)
            await eventually(lambda: _is(one.cache.listening))


async def test_a_database_that_takes_no_connections_ends_no_service(
    office, read_model, monkeypatch
):
    """An error that is no usual outage: views are read from Postgres, until LISTEN works again."""
    monkeypatch.setattr(timing, "UNEXPECTED_PAUSE_SECONDS", 0.1)
    monkeypatch.setattr(notify_listener, "CHECK_SECONDS", 0.05)
    server, _, name = read_model.dsn.rpartition("/")
    admin = await asyncpg.connect(f"{server}/postgres")
    async with replica(office.dsn) as one:
        assert await one.starts(office.account_id, office.calendar.id)  # on a connection that stays
        await admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        await read_model.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND query LIKE 'LISTEN%' OR query = 'SELECT'"
        )
        await eventually(lambda: _is(not one.cache.listening))
        await asyncio.sleep(0.5)
        await admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
        await eventually(lambda: _is(one.cache.listening))
    await admin.close()


async def test_blocks_invalidated_while_fetched_are_not_cached(office):
    """The running request may get the old view, but the next one does not."""
    async with replica(office.dsn) as one:
        cache = one.cache
        request = asyncio.get_running_loop().create_task(
            one.starts(office.account_id, office.calendar.id)
        )
        await asyncio.sleep(0)
        cache.invalidate([office.calendar.settings["teamMembers"][0]["userId"]])
        await request
        await one.starts(office.account_id, office.calendar.id)
        assert cache.statements == 2


async def test_the_cache_is_bounded(office, read_model, calendar):
    """More calendars than may be cached: the oldest are dropped, and views stay right."""
    async with replica(office.dsn, intervals=20) as one:
        for _ in range(10):
            state = calendar(new_id(), [new_id()])
            event = CalendarChanged(account_id=office.account_id, state=state)
            await apply(read_model, handlers.on_calendar_changed, event)
            assert await one.starts(office.account_id, state.id)
            assert one.cache.weight <= 20


async def test_another_account_sees_no_cached_view(office):
    """The id of the account is compared for cached calendars as well."""
    async with replica(office.dsn) as one:
        assert await one.starts(office.account_id, office.calendar.id)
        assert await one.cache.view(new_id(), office.calendar.id, *WINDOW, now=NOW) is None


async def test_an_idle_cache_is_dropped_and_its_connection_not_checked(office, monkeypatch):
    """The next request reads the read model, and the cache is used again."""
    monkeypatch.setattr(notify_listener, "IDLE_SECONDS", 0.2)
    monkeypatch.setattr(notify_listener, "CHECK_SECONDS", 0.05)
    start = epoch_ms(MONDAY)
    async with replica(office.dsn) as one:
        assert start in await one.starts(office.account_id, office.calendar.id)
        await eventually(lambda: _is(not one.cache.listening))
        await office.book(0)
        assert start not in await one.starts(office.account_id, office.calendar.id)
        await eventually(lambda: _is(one.cache.listening))
