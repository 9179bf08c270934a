"""How many SQL statements each step costs: counted, BEGIN and COMMIT included."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from noted import Listener, Noted, going, headers, note, noted_on, record, say, subscriptions

from hoop_platform.clock import Clock
from hoop_platform.db.database import Database
from hoop_platform.ids import new_id
from hoop_platform.kafka.batch import BatchHandler
from hoop_platform.outbox import lease
from hoop_platform.outbox.announce import OUTBOX
from hoop_platform.outbox.relay import Relay
from local.testing.polling import eventually

NOTED = noted_on("notes")
Statements = list[str]


@pytest.fixture
async def counted(database: Database) -> AsyncIterator[tuple[Database, Statements]]:
    """The database with one connection, and the statements that were sent on it."""
    found = await Database.open(database.dsn, name="counted", pool_size=1)
    sent: Statements = []
    found.subscribe(asyncio.Event(), OUTBOX)
    await _use_all_types(found)
    async with found.pool.acquire() as connection:
        connection.add_query_logger(lambda query: sent.append(" ".join(query.query.split())))
    yield found, sent
    await found.close()


async def _use_all_types(database: Database) -> None:
    """The client asks for the types that it meets on a new connection."""
    await say(database, note(NOTED, new_id(), 1))
    await batches(database).handle([record(note(NOTED, new_id(), 1), 0)])
    await database.fetch("SELECT * FROM delete_outbox('{0}', $1, 0)", new_id())
    await database.execute("TRUNCATE outbox, consumer_offset")


def kinds(sent: Statements) -> list[str]:
    """The statements by their first word, functions by their name."""
    words = [s.replace("SELECT * FROM ", "SELECT ").split("(")[0].rstrip(";") for s in sent]
    return [word.removeprefix("SELECT ").split()[0] for word in words]


def batches(database: Database) -> BatchHandler:
    return BatchHandler(database, subscriptions(NOTED, Listener()), Clock())


@pytest.mark.parametrize("size", [1, 100])
async def test_a_batch_enters_and_leaves_with_one_statement_each(
    counted: tuple[Database, Statements], size: int
) -> None:
    database, sent = counted
    await batches(database).handle([record(note(NOTED, new_id(), 1), n) for n in range(size)])
    handled = ["INSERT"] * size
    assert kinds(sent) == ["BEGIN", "enter_batch", *handled, "leave_batch", "COMMIT"]


async def test_a_batch_that_was_handled_only_enters(counted: tuple[Database, Statements]) -> None:
    database, sent = counted
    old = [record(note(NOTED, new_id(), 1), n) for n in range(3)]
    await batches(database).handle(old)
    sent.clear()
    await batches(database).handle(old)
    assert kinds(sent) == ["BEGIN", "enter_batch", "COMMIT"]


async def test_a_batch_without_a_handler_is_one_statement(
    counted: tuple[Database, Statements],
) -> None:
    database, sent = counted
    event = note(NOTED, new_id(), 1)
    foreign = record(event, 0, headers=(*headers(event), ("ce_type", b"Noted.v9")))
    await batches(database).handle([foreign, record(event, 1, value=None)])
    assert kinds(sent) == ["leave_batch"]
    assert await database.fetchval("SELECT next_offset FROM consumer_offset") == 2


async def test_any_number_of_events_is_announced_with_one_statement(
    counted: tuple[Database, Statements],
) -> None:
    database, sent = counted
    await say(database, *(note(NOTED, "0" * 26, n) for n in (1, 2, 3)))
    assert kinds(sent) == ["BEGIN", "INSERT", "COMMIT"]
    rows = await database.fetch("SELECT sequence FROM outbox ORDER BY id")
    assert [row["sequence"] for row in rows] == [1, 2, 3]


async def test_a_relay_at_rest_looks_when_it_is_notified_and_then_once(
    counted: tuple[Database, Statements], kafka_bootstrap: str, noted: type[Noted]
) -> None:
    """A look and a deletion publish an event; a commit without events costs the relay nothing."""
    database, sent = counted
    relay = Relay(database, bootstrap=kafka_bootstrap)
    async with going(relay):
        await eventually(lambda: _rests(relay), within=20)
        await say(database, note(noted, new_id(), 1))
        await eventually(lambda: _deleted(sent), within=20)
        sent.clear()
        async with database.transaction() as db:
            await db.execute("INSERT INTO heard (subject) VALUES ('nothing to announce')")
        await say(database, *(note(noted, new_id(), 1) for _ in range(50)))
        await eventually(lambda: _deleted(sent), within=20)
        assert [kind for kind in kinds(sent) if "_outbox" in kind] == [
            "list_outbox",
            "delete_outbox",
        ]


async def _rests(relay: Relay) -> bool:
    """Whether it leads, LISTENs, and has nothing to do before its lease is to be renewed."""
    left = relay.lease.due_at - asyncio.get_running_loop().time()
    return bool(relay.lease.epoch) and relay.lease.listens and left > lease.LEASE_SECONDS / 2


async def _deleted(sent: Statements) -> bool:
    return any("delete_outbox" in statement for statement in sent)


async def test_a_relay_at_rest_renews_its_lease_and_nothing_else(
    counted: tuple[Database, Statements],
    kafka_bootstrap: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One statement each two thirds of the lease: its renewal is also the look at the whole outbox."""
    monkeypatch.setattr(lease, "LEASE_SECONDS", 3.0)
    database, sent = counted
    relay = Relay(database, bootstrap=kafka_bootstrap)
    async with going(relay):
        await eventually(lambda: _rests(relay), within=20)
        sent.clear()
        await eventually(lambda: _renewed(sent, 2))
        assert set(kinds(sent)) == {"lead_outbox"}


async def _renewed(sent: Statements, times: int) -> bool:
    return len(sent) >= times
