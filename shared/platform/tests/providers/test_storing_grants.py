"""What a provider has just granted is stored, also when Postgres fails for a moment: it cannot be had again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from hoop_platform.db import database as pool
from hoop_platform.db.database import CONTENTION, Database
from hoop_platform.ids import new_id

LOCK_SECONDS = 0.2
"""How long the statements of these tests wait for a lock."""


@pytest.fixture
async def impatient(world, monkeypatch) -> AsyncIterator[Database]:
    """A pool of the world's database whose statements soon fail at a locked row."""
    monkeypatch.setitem(pool._SERVER_SETTINGS, "lock_timeout", f"{LOCK_SECONDS}s")
    database = await Database.open(world.database.dsn, name="impatient")
    yield database
    await database.close()


@asynccontextmanager
async def locked_credential(world) -> AsyncIterator[None]:
    async with world.database.transaction() as db:
        await db.execute("SELECT FROM credential FOR UPDATE")
        yield


async def lock_is_awaited(world) -> None:
    """A statement waits for the locked row."""
    waiting = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    async with asyncio.timeout(5):
        while not await world.database.fetchval(waiting):
            await asyncio.sleep(0.01)


async def cut_sessions_that_wait(world) -> None:
    """As a restart of Postgres does."""
    await world.database.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )


async def fail_a_statement(world, *, session_is_cut: bool) -> None:
    """Keep the credential locked until a statement has failed at it."""
    async with locked_credential(world):
        await lock_is_awaited(world)
        if session_is_cut:
            await cut_sessions_that_wait(world)
        await asyncio.sleep(1.5 * LOCK_SECONDS)


async def hold_responses(world, seconds: float) -> None:
    """The provider rotates the token at once, and responds later."""
    spec = {"match": {"path": "/oauth/token"}, "do": f"hang-after-commit:{seconds}", "times": 1}
    async with world.http.post(f"{world.sim.url}/_sim/faults", json=spec) as response:
        assert response.status == 200


async def refresh_has_begun(world) -> None:
    async with asyncio.timeout(5):
        while not world.refreshes():
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("session_is_cut", [False, True])
async def test_a_rotated_token_outlives_a_failed_statement(world, impatient, session_is_cut):
    """The provider has voided the old one; without the new one the owner would have to reconnect."""
    connection = await world.connect(new_id())
    await hold_responses(world, 0.3)
    later = world.later(hours=2).at(database=impatient)

    async with asyncio.TaskGroup() as tasks:
        refreshing = tasks.create_task(later.token(connection))
        await refresh_has_begun(world)
        await fail_a_statement(world, session_is_cut=session_is_cut)

    assert await world.later(hours=2).token(connection) == refreshing.result()
    assert world.refreshes() == 1
    assert await world.later(hours=4).token(connection) != refreshing.result()
    assert await world.shown(connection.id) == ("active", None)


async def test_storing_a_rotated_token_ends_with_the_lease(world, impatient):
    """Then another process may refresh, and the caller hears why there is no token."""
    connection = await world.connect(new_id())
    await hold_responses(world, 0.2)
    quick = replace(world.provider, timeout=0.4)
    later = world.later(hours=2).at(database=impatient, provider=quick)
    began = asyncio.get_running_loop().time()
    refreshing = asyncio.ensure_future(later.token(connection))  # noqa: TID251 -- to fail meanwhile
    await refresh_has_begun(world)

    async with locked_credential(world):
        with pytest.raises(CONTENTION):
            await refreshing

    assert 3 * quick.timeout < asyncio.get_running_loop().time() - began < 3


async def test_a_new_grant_outlives_a_failed_statement(world, impatient):
    """Its code is used up, and the provider has voided the tokens of the authorization before."""
    user = new_id()
    await world.connect(user)
    callback = await world.consent(await world.begin(user))

    async with asyncio.TaskGroup() as tasks:
        finishing = tasks.create_task(world.at(database=impatient).finish(callback))
        await fail_a_statement(world, session_is_cut=False)

    assert await world.shown(finishing.result().connection.id) == ("active", None)
    assert await world.later(hours=2).token(finishing.result().connection)
