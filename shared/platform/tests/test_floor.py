"""The floor of the outbox never passes a row that is yet to be committed, and rises without one."""

import json
from typing import Any

import asyncpg
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from noted import NOON, Noted, going, note, say

from hoop_platform.db.database import Database
from hoop_platform.ids import new_id
from hoop_platform.outbox.announce import announce
from hoop_platform.outbox.floor import Floor, Look
from hoop_platform.outbox.relay import Relay
from local.testing.polling import eventually

Type = type[Noted]
BATCH = 1


class Outbox(RuleBasedStateMachine):
    """Transactions that take ids and commit in any order, and a relay that looks from the floor on."""

    def __init__(self) -> None:
        super().__init__()
        self.floor = Floor()
        self.xids = self.ids = 0
        self.running: dict[int, list[int]] = {}
        self.committed: set[int] = set()

    def _next_xid(self) -> int:
        self.xids += 1
        return self.xids

    @rule()
    def begin(self) -> None:
        self.running[self._next_xid()] = []

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def insert(self, data: Any) -> None:
        self.ids += 1
        self.running[data.draw(st.sampled_from(sorted(self.running)))].append(self.ids)

    @precondition(lambda self: self.running)
    @rule(data=st.data(), commits=st.booleans())
    def end(self, data: Any, commits: bool) -> None:
        ids = self.running.pop(data.draw(st.sampled_from(sorted(self.running))))
        self.committed.update(ids if commits else [])

    @rule(changes=st.lists(st.sampled_from(["begin", "insert", "commit"]), max_size=4))
    def drain(self, changes: list[str]) -> None:
        """Look, let others work meanwhile, delete: as the relay does."""
        look = Look(last_id=self.ids, xmin=min(self.running, default=self.xids + 1))
        rows = sorted(i for i in self.committed if i >= self.floor.id)[:BATCH]
        for change in changes:
            self._do(change)
        self.committed -= set(rows)
        beyond = rows[-1] + 1 if len(rows) == BATCH else None
        self.floor.rise(look, xid=self._next_xid() if rows else None, lowest_left=beyond)

    def _do(self, change: str) -> None:
        if change == "begin":
            self.begin()
        elif self.running:
            newest = max(self.running)
            if change == "insert":
                self.ids += 1
                self.running[newest].append(self.ids)
            else:
                self.committed.update(self.running.pop(newest))

    @invariant()
    def no_row_is_below(self) -> None:
        waiting = self.committed.union(*self.running.values())
        assert all(i >= self.floor.id for i in waiting)


Outbox.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
test_no_order_of_commits_hides_a_row = Outbox.TestCase


def test_it_rises_when_everybody_is_finished() -> None:
    floor = Floor()
    floor.rise(Look(last_id=10, xmin=5), xid=6)
    floor.rise(Look(last_id=20, xmin=5), xid=8)
    assert floor.id == 0
    floor.rise(Look(last_id=30, xmin=6))
    assert floor.id == 11


def test_a_look_that_leaves_rows_does_not_pass_them() -> None:
    floor = Floor()
    floor.rise(Look(last_id=10, xmin=5), xid=6, lowest_left=3)
    floor.rise(Look(last_id=10, xmin=7), xid=7, lowest_left=5)
    assert floor.id == 5


def test_a_row_that_is_found_again_sinks_it() -> None:
    floor = Floor()
    floor.rise(Look(last_id=10, xmin=5), xid=6)
    floor.rise(Look(last_id=10, xmin=9))
    floor.sink(None)
    assert floor.id == 11
    floor.sink(4)
    assert floor.id == 4


async def test_a_row_that_is_committed_late_is_published(
    database: Database, kafka_bootstrap: str, noted: Type
) -> None:
    """Its id is far below those that were published meanwhile; the floor has waited below it."""
    relay = Relay(database, bootstrap=kafka_bootstrap)
    async with going(relay):
        async with database.transaction() as db:
            await announce(db, note(noted, new_id(), 1), now=NOON)
            late = await db.fetchval("SELECT max(id) FROM outbox")
            for _ in range(10):
                await _publish(database, noted, but=late)
            assert relay._floor.id <= late
        await eventually(lambda: _none_but(database, 0), within=5)
        for _ in range(5):
            await _publish(database, noted, but=0)
        assert relay._floor.id > late


async def _publish(database: Database, noted: Type, *, but: int) -> None:
    await say(database, note(noted, new_id(), 1))
    await eventually(lambda: _none_but(database, but), within=20)


async def _none_but(database: Database, late: int) -> bool:
    return bool(await database.fetchval("SELECT count(*) = 0 FROM outbox WHERE id <> $1", late))


async def test_a_transaction_has_a_number_before_it_has_an_id(database: Database) -> None:
    """The floor depends on it: else an id could be taken by a transaction that no snapshot knows."""
    default = "SELECT column_default FROM information_schema.columns WHERE table_name = 'outbox'"
    assert "pg_current_xact_id() IS NOT NULL" in await database.fetchval(
        f"{default} AND column_name = 'id'"
    )


@pytest.fixture
async def snapshot(database: Database) -> Any:
    """A transaction of another session that holds an old snapshot, as pg_dump does."""
    session = await asyncpg.connect(database.dsn)
    await session.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM outbox")
    yield session
    await session.close()


async def pages_read(database: Database, call: str) -> int:
    """How many pages a call reads, once it has been made before."""
    async with database.transaction() as db:
        await db.fetch(call)
        plan = await db.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT json) {call}")
    top = json.loads(plan)[0]["Plan"]
    return int(top["Shared Hit Blocks"] + top["Shared Read Blocks"])


_DEAD_ROWS = """
    INSERT INTO outbox (event_id, topic, type, source, subject, sequence, account_id, dataschema,
                        time, body)
    SELECT gen_random_uuid(), 'x', 'x', '/x', i, i, gen_random_uuid(), '', now(), 'x'
      FROM generate_series($1::int, $2::int) AS i
"""


async def _delete_many(database: Database, first: int, last: int) -> int:
    await database.execute(_DEAD_ROWS, first, last)
    await database.execute("DELETE FROM outbox")
    await database.execute("VACUUM (ANALYZE) outbox")
    return int(await database.fetchval("SELECT last_value FROM outbox_id_seq"))


async def test_under_an_old_snapshot_a_look_from_the_floor_reads_no_dead_row(
    database: Database, snapshot: Any
) -> None:
    """Vacuum cannot remove them. From the beginning, a look walks over all; from the floor, over none."""
    few = await _delete_many(database, 1, 500)
    at_few = await pages_read(database, f"SELECT * FROM list_outbox({few + 1}, 500, '{{}}')")
    many = await _delete_many(database, 501, 20_000)
    at_many = await pages_read(database, f"SELECT * FROM list_outbox({many + 1}, 500, '{{}}')")
    from_the_beginning = await pages_read(database, "SELECT * FROM list_outbox(0, 500, '{}')")
    assert at_many <= at_few + 3  # the index is deeper
    assert from_the_beginning > 50 * at_many


_LEAVE = """
    DO $$ BEGIN
        FOR i IN {}..{} LOOP PERFORM leave_batch('t', 0, i, '{{}}', '{{}}'); COMMIT; END LOOP;
    END $$
"""


async def test_under_an_old_snapshot_a_batch_reads_no_old_offset(
    database: Database, snapshot: Any
) -> None:
    call = "SELECT * FROM enter_batch('t', 0, ARRAY['a'])"
    await database.execute(_LEAVE.format(1, 200))
    at_few = await pages_read(database, call)
    await database.execute(_LEAVE.format(201, 5000))
    assert await pages_read(database, call) <= at_few + 3
    assert await database.fetchval("SELECT count(*) FROM consumer_offset") == 1
