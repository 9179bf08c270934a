"""Requests that arrive together share a round trip, and nothing else."""

import asyncio
from collections import Counter
from collections.abc import Coroutine, Sequence
from typing import Any

import pytest

from booking.store.database import BATCH_SIZE, BATCHES, BookingDatabase
from hoop_platform.db.database import DatabaseGone


class Statement:
    """A statement that doubles numbers, once it may; and what went together."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.may = asyncio.Event()

    async def run(self, _: Any, items: Sequence[int]) -> Sequence[int]:
        self.batches.append([*items])
        await self.may.wait()
        if 13 in items:
            raise ValueError("13")
        return [2 * item for item in items]


def start(work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    """A task of its own, which a test cancels or awaits."""
    return asyncio.get_running_loop().create_task(work)


@pytest.fixture
async def database(new_database: Any) -> BookingDatabase:
    opened = await new_database()
    return BookingDatabase(opened.pool, opened.dsn)


async def until(true: Any) -> None:
    async with asyncio.timeout(5):
        while not true():
            await asyncio.sleep(0)


async def test_what_arrives_together_goes_together(database: BookingDatabase) -> None:
    """Each has its own result; what arrives while batches are on their way goes with the next."""
    statement = Statement()
    statement.may.set()
    found = await asyncio.gather(*(database.together(statement.run, n) for n in range(10)))
    assert found == [2 * n for n in range(10)]
    assert sorted(n for batch in statement.batches for n in batch) == [*range(10)]
    assert len(statement.batches) == 1

    assert await database.together(statement.run, 21) == 42
    assert statement.batches[-1] == [21]


async def test_a_batch_has_a_size(database: BookingDatabase) -> None:
    statement = Statement()
    statement.may.set()
    many = 5 * BATCH_SIZE
    found = await asyncio.gather(*(database.together(statement.run, n) for n in range(100, many)))
    assert found == [2 * n for n in range(100, many)]
    assert max(map(len, statement.batches)) <= BATCH_SIZE


async def test_an_error_is_that_of_its_batch(database: BookingDatabase) -> None:
    """The next batch is not affected."""
    statement = Statement()
    tasks = [start(database.together(statement.run, n)) for n in (1, 13)]
    await until(lambda: statement.batches)
    later = start(database.together(statement.run, 3))
    statement.may.set()
    found = await asyncio.gather(*tasks, later, return_exceptions=True)
    assert [type(one) for one in found[:2]] == [ValueError, ValueError]
    assert found[2] == 6


async def test_a_cancelled_request_leaves_the_others_an_answer(database: BookingDatabase) -> None:
    """Who leads a batch and goes away has broken the connection; the next batch has another leader."""
    statement = Statement()
    leader, other = [start(database.together(statement.run, n)) for n in (1, 2)]
    await until(lambda: statement.batches)
    full = [start(database.together(statement.run, n)) for n in range(3, 2 + BATCHES)]
    await until(lambda: len(statement.batches) == BATCHES)
    waiting = [start(database.together(statement.run, n)) for n in (7, 8, 9)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    leader.cancel()
    found = await asyncio.gather(leader, other, return_exceptions=True)
    assert [type(one) for one in found] == [asyncio.CancelledError, DatabaseGone]
    await until(lambda: len(statement.batches) == BATCHES + 1)
    waiting.append(start(database.together(statement.run, 10)))
    await asyncio.sleep(0)
    waiting[1].cancel()  # it leads
    statement.may.set()
    found = await asyncio.gather(*waiting, *full, return_exceptions=True)
    assert isinstance(found[2], DatabaseGone)
    assert found[3] == 20
    for n in range(20):
        assert await database.together(statement.run, n + 20) == 2 * n + 40


async def test_nobody_waits_for_the_lock_of_another(office: Any) -> None:
    """One host is locked elsewhere: its booking waits, and those that arrived with it do not."""
    members = [{"userId": user} for user in office.tenant.user_ids]
    locked, free = [await office.calendar(teamMembers=[one]) for one in members]
    async with office.runtime.db.transaction() as db:
        await db.execute("SELECT FROM bookable WHERE id = $1 FOR UPDATE", office.tenant.user_ids[0])
        waiting = start(office.book(locked))
        others = await asyncio.gather(*(office.book(free, 30 * n) for n in range(4)))
        assert Counter(one.status for one in others) == {200: 4}
        assert not waiting.done()
    assert (await waiting).status == 200
    assert await office.violations() == []


async def test_one_refusal_fails_no_other(office: Any) -> None:
    """Calendars with a host in common and calendars with another: the time is taken once on each host."""
    members = [{"userId": user} for user in office.tenant.user_ids]
    calendars = [await office.calendar(teamMembers=[members[n % 2]]) for n in range(8)]
    for n in range(10):
        found = await asyncio.gather(*(office.book(one, 30 * n) for one in calendars))
        assert Counter(one.status for one in found) == {200: 2, 400: 6}
    assert await office.violations() == []
