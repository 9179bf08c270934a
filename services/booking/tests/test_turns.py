"""Turns at what many want: who waits for whom, and who never does."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from booking.handlers import turns
from booking.handlers.turns import AT_ONCE, turn
from hoop_platform.db.savepoint import SavepointTx
from hoop_platform.ids import new_id

ACCOUNT, CALENDAR = new_id(), new_id()


class Visitors:
    """Who comes to a calendar, is let in, and leaves when told to."""

    def __init__(self, database: Any) -> None:
        self.database = database
        self.inside: list[str] = []
        self.leave: dict[str, asyncio.Event] = {}

    async def visit(self, name: str, *, account: str = ACCOUNT, calendar: str = CALENDAR) -> None:
        self.leave[name] = asyncio.Event()
        async with turn(self.database, account, calendar):
            self.inside.append(name)
            await self.leave[name].wait()
            self.inside.remove(name)


@pytest.fixture
async def visitors(new_database: Any) -> Visitors:
    return Visitors(await new_database())


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not true():
            await asyncio.sleep(0)


async def test_a_few_at_a_time_in_the_order_in_which_they_came(visitors: Visitors) -> None:
    names = [f"visitor {n}" for n in range(5)]
    async with asyncio.TaskGroup() as tasks:
        for name in names:
            tasks.create_task(visitors.visit(name))
        for n, name in enumerate(names):
            expected = names[n : n + AT_ONCE]
            await until(lambda expected=expected: visitors.inside == expected)
            visitors.leave[name].set()
    assert visitors.inside == []


async def test_who_wants_something_else_does_not_wait(visitors: Visitors) -> None:
    """Another calendar, or one of the same id in another account."""
    async with asyncio.TaskGroup() as tasks:
        for n in range(AT_ONCE + 1):
            tasks.create_task(visitors.visit(f"here {n}"))
        tasks.create_task(visitors.visit("next door", calendar=new_id()))
        tasks.create_task(visitors.visit("abroad", account=new_id()))
        await until(lambda: {"next door", "abroad"} <= {*visitors.inside})
        assert len(visitors.inside) == AT_ONCE + 2
        for name in [*visitors.leave]:
            visitors.leave[name].set()


async def test_nobody_waits_inside_a_transaction(visitors: Visitors) -> None:
    """The one in front may be waiting for its locks."""
    async with asyncio.TaskGroup() as tasks:
        for n in range(AT_ONCE):
            tasks.create_task(visitors.visit(f"here {n}"))
        await until(lambda: len(visitors.inside) == AT_ONCE)
        async with (
            asyncio.timeout(1),
            visitors.database.transaction() as connection,
            turn(SavepointTx(connection), ACCOUNT, CALENDAR),
        ):
            assert len(visitors.inside) == AT_ONCE
        for name in [*visitors.leave]:
            visitors.leave[name].set()


async def test_who_waited_too_long_is_told_so_and_leaves_the_queue(
    visitors: Visitors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "LONGEST_WAIT", 0.05)
    async with asyncio.TaskGroup() as tasks:
        for n in range(AT_ONCE):
            tasks.create_task(visitors.visit(f"here {n}"))
        await until(lambda: len(visitors.inside) == AT_ONCE)
        with pytest.raises(TimeoutError):
            await visitors.visit("impatient")
        for n in range(AT_ONCE):
            visitors.leave[f"here {n}"].set()
    async with asyncio.timeout(1), turn(visitors.database, ACCOUNT, CALENDAR):
        assert visitors.inside == []


async def test_who_fails_gives_the_turn_back(visitors: Visitors) -> None:
    for _ in range(AT_ONCE + 1):
        with pytest.raises(ValueError, match="no"):
            async with turn(visitors.database, ACCOUNT, CALENDAR):
                raise ValueError("no")
