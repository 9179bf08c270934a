"""The fair queue: which requests wait for each other, and which never do."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from booking.store import database
from booking.store.database import CONCURRENCY, BookingDatabase
from hoop_platform.ids import new_id

ACCOUNT, CALENDAR = new_id(), new_id()


class Visitors:
    """Requests for a calendar that begin their turn, and end it when their event is set."""

    def __init__(self, database: Any) -> None:
        self.database = database
        self.inside: list[str] = []
        self.leave: dict[str, asyncio.Event] = {}

    async def visit(self, name: str, *, account: str = ACCOUNT, calendar: str = CALENDAR) -> None:
        self.leave[name] = asyncio.Event()
        async with self.database.turn(account, calendar):
            self.inside.append(name)
            await self.leave[name].wait()
            self.inside.remove(name)


@pytest.fixture
async def visitors(new_database: Any) -> Visitors:
    opened = await new_database()
    return Visitors(BookingDatabase(opened.pool, opened.dsn))


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not true():
            await asyncio.sleep(0)


async def test_a_few_requests_at_a_time_first_in_first_out(visitors: Visitors) -> None:
    names = [f"visitor {n}" for n in range(5)]
    async with asyncio.TaskGroup() as tasks:
        for name in names:
            tasks.create_task(visitors.visit(name))
        for n, name in enumerate(names):
            expected = names[n : n + CONCURRENCY]
            await until(lambda expected=expected: visitors.inside == expected)
            visitors.leave[name].set()
    assert visitors.inside == []


async def test_requests_for_another_key_do_not_wait(visitors: Visitors) -> None:
    """Another calendar, or one of the same id in another account."""
    async with asyncio.TaskGroup() as tasks:
        for n in range(CONCURRENCY + 1):
            tasks.create_task(visitors.visit(f"here {n}"))
        tasks.create_task(visitors.visit("next door", calendar=new_id()))
        tasks.create_task(visitors.visit("abroad", account=new_id()))
        await until(lambda: {"next door", "abroad"} <= {*visitors.inside})
        assert len(visitors.inside) == CONCURRENCY + 2
        for name in [*visitors.leave]:
            visitors.leave[name].set()


async def test_a_request_that_waited_too_long_fails_and_leaves_the_queue(
    visitors: Visitors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "MAX_WAIT", 0.05)
    async with asyncio.TaskGroup() as tasks:
        for n in range(CONCURRENCY):
            tasks.create_task(visitors.visit(f"here {n}"))
        await until(lambda: len(visitors.inside) == CONCURRENCY)
        with pytest.raises(TimeoutError):
            await visitors.visit("impatient")
        for n in range(CONCURRENCY):
            visitors.leave[f"here {n}"].set()
    async with asyncio.timeout(1), visitors.database.turn(ACCOUNT, CALENDAR):
        assert visitors.inside == []


async def test_a_failed_request_ends_its_turn(visitors: Visitors) -> None:
    for _ in range(CONCURRENCY + 1):
        with pytest.raises(ValueError, match="no"):
            async with visitors.database.turn(ACCOUNT, CALENDAR):
                raise ValueError("no")
