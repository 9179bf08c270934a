"""Several relays of one outbox: whoever commits a row, it is published soon, and by one of them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from noted import Noted, going, note, say

from hoop_platform.db.database import Database
from hoop_platform.ids import new_id
from hoop_platform.outbox import lease
from hoop_platform.outbox.relay import Relay
from local.testing.polling import eventually

Type = type[Noted]
SOON = 3.0
"""Seconds; a sleeping leader looks by itself three times as late."""


async def _empty(database: Database) -> bool:
    return bool(await database.fetchval("SELECT count(*) = 0 FROM outbox"))


async def _sleeps(relay: Relay) -> bool:
    left = relay.lease.due_at - asyncio.get_running_loop().time()
    return bool(relay.lease.epoch and relay.lease.listens and left > SOON)


async def _stands_by(relay: Relay) -> bool:
    return not relay.lease.epoch and relay.lease.due_at > 0


@pytest.fixture
async def other(database: Database) -> AsyncIterator[Database]:
    """The database as another process has it."""
    found = await Database.open(database.dsn, name="other")
    yield found
    await found.close()


@asynccontextmanager
async def two(
    database: Database, other: Database, bootstrap: str
) -> AsyncIterator[tuple[Relay, Relay]]:
    """A leader that sleeps, and a relay that stands by."""
    leader, standby = (Relay(d, bootstrap=bootstrap) for d in (database, other))
    async with going(leader):
        await eventually(lambda: _sleeps(leader), within=20)
        async with going(standby):
            await eventually(lambda: _stands_by(standby), within=20)
            yield leader, standby


async def test_a_sleeping_leader_is_notified_of_a_row_of_another_process(
    database: Database, other: Database, kafka_bootstrap: str, noted: Type
) -> None:
    async with two(database, other, kafka_bootstrap) as (leader, standby):
        for sequence in (1, 2, 3):
            await eventually(lambda: _sleeps(leader), within=20)
            await say(other, note(noted, new_id(), sequence))
            await eventually(lambda: _empty(database), within=SOON)
        assert leader.lease.epoch
        assert not standby.lease.epoch


async def test_a_sleeping_leader_is_notified_by_a_command(
    database: Database, other: Database, kafka_bootstrap: str, noted: Type
) -> None:
    """It has no relay that could stand by."""
    leader = Relay(database, bootstrap=kafka_bootstrap)
    async with going(leader):
        await eventually(lambda: _sleeps(leader), within=20)
        await say(other, note(noted, new_id(), 1))
        await eventually(lambda: _empty(database), within=SOON)


async def test_a_leader_whose_session_was_cut_listens_again(
    database: Database, other: Database, kafka_bootstrap: str, noted: Type
) -> None:
    """Meanwhile the row of the other process is published by whoever leads by then."""
    async with two(database, other, kafka_bootstrap):
        await database.execute("SELECT pg_terminate_backend(listener) FROM relay_lease")
        await say(other, note(noted, new_id(), 1))
        await eventually(lambda: _empty(database), within=SOON)


async def test_a_leader_that_was_killed_is_succeeded_at_the_next_row(
    database: Database, other: Database, kafka_bootstrap: str, noted: Type
) -> None:
    """Its lease goes on, but its session has ended."""
    dead, standby = (Relay(d, bootstrap=kafka_bootstrap) for d in (database, other))
    task = asyncio.get_running_loop().create_task(dead.run(asyncio.Event()))
    await eventually(lambda: _sleeps(dead), within=20)
    async with going(standby):
        await eventually(lambda: _stands_by(standby), within=20)
        task.cancel()
        await asyncio.wait([task])
        assert await database.fetchval("SELECT until > clock_timestamp() FROM relay_lease")
        await say(other, note(noted, new_id(), 1))
        await eventually(lambda: _empty(database), within=SOON)
        assert standby.lease.epoch


async def test_a_leader_that_forgets_a_row_is_succeeded(database: Database) -> None:
    """It has neither renewed its lease nor published the row for long: frozen, or cut off."""
    one, other = new_id(), new_id()
    lead = "SELECT epoch FROM lead_outbox($1, 60, pg_backend_pid(), '5 s', false)"
    assert await database.fetchval(lead, one) == 1
    await database.execute(_WAITING)
    assert await database.fetchval(lead, other) is None
    await database.execute("UPDATE relay_lease SET renewed_at = renewed_at - interval '6 s'")
    assert await database.fetchval(lead, other) == 2


_WAITING = """
    INSERT INTO outbox (event_id, topic, type, source, subject, sequence, account_id, dataschema,
                        time, body, created_at)
    SELECT gen_random_uuid(), 'x', 'x', '/x', 'x', 1, gen_random_uuid(), '', now(), '',
           now() - interval '6 s'
"""


async def test_where_nothing_is_heard_the_leader_polls(
    database: Database,
    other: Database,
    kafka_bootstrap: str,
    noted: Type,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Behind a transaction pooler LISTEN succeeds and nothing arrives; here, on another channel."""
    monkeypatch.setattr(lease, "CHANNEL", "elsewhere")
    leader, standby = (Relay(d, bootstrap=kafka_bootstrap) for d in (database, other))
    async with going(leader):
        await eventually(lambda: _leads(leader), within=20)
        async with going(standby):
            await eventually(lambda: _stands_by(standby), within=20)
            for _ in range(3):
                await say(other, note(noted, new_id(), 1))
                await eventually(lambda: _empty(database), within=SOON)
        assert not leader.lease.listens


async def _leads(relay: Relay) -> bool:
    return bool(relay.lease.epoch)
