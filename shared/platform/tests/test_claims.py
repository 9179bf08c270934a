"""Claims: what this process stores is worked on without a look, and a look costs the same whatever is due."""

import asyncio
import json
from datetime import datetime, timedelta

import pytest
from claiming import ACCOUNT, NOON, Performed, are_done, begun, count_done, desired
from noted import going, note, noted_on

from hoop_platform.db.database import Database
from hoop_platform.ids import new_id
from hoop_platform.reconcile import claims
from hoop_platform.reconcile.claims import Finish, Position, claim_due
from hoop_platform.reconcile.desired_state import Claimed
from hoop_platform.reconcile.outcome import Announcement, Done, Later, Outcome
from hoop_platform.reconcile.work import close_circuit, desire
from hoop_platform.reconcile.worker import Worker
from hoop_platform.telemetry import span, traceparent
from local.testing.polling import eventually


async def test_a_fresh_desired_state_is_worked_on_without_a_look(
    database: Database, looks: list[int]
) -> None:
    """The statement that stores it leases it; the attempt begins after the commit."""
    performed = Performed()
    async with going(Worker(database, {"meeting": performed})):
        await eventually(lambda: begun(looks))
        async with database.transaction() as db:
            await desire(db, desired("ada"), desired("bob"))
            await asyncio.sleep(0.05)
            assert performed.subjects == []
        await eventually(lambda: are_done(database, 2))
    assert sum(looks) == 0


async def desire_and_fail(database: Database) -> None:
    async with database.transaction() as db:
        await desire(db, desired("ada"), desired("bob"))
        raise KeyError


async def test_what_is_rolled_back_is_not_worked_on(database: Database, looks: list[int]) -> None:
    """Its capacity is free again."""
    performed = Performed()
    worker = Worker(database, {"meeting": performed}, concurrency=2)
    async with going(worker):
        await eventually(lambda: begun(looks))
        with pytest.raises(KeyError):
            await desire_and_fail(database)
        async with database.transaction() as db:
            await desire(db, desired("cem"), desired("dan"))
        await eventually(lambda: are_done(database, 2))
    assert sum(looks) == 0
    assert worker.reserve(5) == 2


async def test_what_finds_no_capacity_is_looked_for(database: Database, looks: list[int]) -> None:
    """Thirty desired states of as many users, two attempts at a time."""
    performed = Performed()
    async with going(Worker(database, {"meeting": performed}, concurrency=2)):
        await eventually(lambda: begun(looks))
        async with database.transaction() as db:
            await desire(db, *(desired(f"user {n}") for n in range(30)))
        await eventually(lambda: are_done(database, 30))
    assert len(performed.subjects) == len(set(performed.subjects)) == 30


async def test_one_provider_user_s_states_follow_each_other_without_a_look(
    database: Database, looks: list[int]
) -> None:
    """Each finish leases the next one, the soonest first."""
    performed = Performed()
    days = [4, 1, 3, 0, 2]
    states = [desired("ada", str(day), due_start=NOON + timedelta(days=day)) for day in days]
    async with going(Worker(database, {"meeting": performed})):
        await eventually(lambda: begun(looks))
        async with database.transaction() as db:
            await desire(db, *states)
        await eventually(lambda: are_done(database, 5))
    assert performed.subjects == ["4", "0", "1", "2", "3"]
    assert sum(looks) <= 1


async def test_a_newer_state_of_a_busy_user_follows_at_once(
    database: Database, looks: list[int]
) -> None:
    """It is stored while an attempt at the older one is made; no look is needed for it."""
    performed = Performed()
    performed.may_end.clear()
    async with going(Worker(database, {"meeting": performed}, concurrency=1)):
        await eventually(lambda: begun(looks))
        for sequence in (1, 2):
            async with database.transaction() as db:
                await desire(db, desired("ada", "subject", sequence=sequence))
        performed.may_end.set()
        await eventually(lambda: are_done(database, 1))
    assert performed.subjects == ["subject", "subject"]


async def test_a_postponed_state_is_begun_when_its_time_has_come(database: Database) -> None:
    """Before it no attempt is made, unless a newer state comes."""
    performed = Performed()
    async with going(Worker(database, {"meeting": performed})):
        async with database.transaction() as db:
            await desire(
                db,
                desired("ada", "later", wait=timedelta(hours=1)),
                desired("bob", "sooner", wait=timedelta(seconds=0.3)),
            )
        await eventually(lambda: are_done(database, 1))
        assert performed.subjects == ["sooner"]
        async with database.transaction() as db:
            await desire(db, desired("ada", "later", sequence=2))
        await eventually(lambda: are_done(database, 2))


async def mountain(database: Database, size: int, *, user: str = "'ada'") -> None:
    """So many desired states that are due, all sooner than noon, of one user."""
    await database.execute(
        f"""
        INSERT INTO work (account_id, kind, subject, provider, provider_user, due_start, desired,
                          desired_sequence)
        SELECT $1, 'meeting', 'm' || n, 'zoom', {user}, $2::timestamptz - n * interval '1 second',
               '{{}}', 1 FROM generate_series(1, $3::int) AS n
        """,
        ACCOUNT,
        NOON,
        size,
    )


async def test_a_mountain_of_one_user_slows_nobody_else(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its user is busy, and its states, the soonest, fill every window."""
    monkeypatch.setattr(claims, "WINDOW", 20)
    await mountain(database, 300)
    [_] = (await claim_due(database, ["meeting"], 1, Position())).claimed
    async with database.transaction() as db:
        await desire(db, *(desired(f"user {n}") for n in range(30)))
    position, found = Position(), set[str]()
    for _ in range(4):
        look = await claim_due(database, ["meeting"], 16, position)
        position = look.position
        found |= {claimed.desired_state.provider_user for claimed in look.claimed}
    assert found == {f"user {n}" for n in range(30)}


async def rows_read(database: Database) -> int:
    """The rows of `work` that one look reads."""
    counter = (
        "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = 'work'"
    )
    async with database.transaction() as db:
        before: int = await db.fetchval(counter)
        await db.fetch(
            "SELECT * FROM claim_due($1, 8, $2, $3, '20 s', NULL, '', '')",
            ["meeting"],
            claims.WINDOW,
            new_id(),
        )
        after: int = await db.fetchval(counter)
        await db.execute("UPDATE work SET lease_token = NULL, lease_until = NULL")
    return after - before


@pytest.mark.parametrize("user", ["'ada'", "'user ' || n", "'user ' || n % 10"])
async def test_a_look_reads_as_much_whatever_is_due(database: Database, user: str) -> None:
    """Ten times the backlog, of one user, of ten, or of as many as there are desired states."""
    await mountain(database, 1_500, user=user)
    await database.execute("ANALYZE work")
    few = await rows_read(database)
    await database.execute("DELETE FROM work")
    await mountain(database, 15_000, user=user)
    await database.execute("ANALYZE work")
    assert await rows_read(database) <= few * 1.1 + 10


async def test_a_look_passes_over_what_is_finished_while_an_old_snapshot_is_held(
    database: Database,
) -> None:
    """Finished rows stay in the index then; a look that knows where it was does not read them."""
    await mountain(database, 400, user="'user ' || n")
    reader = await database.pool.acquire()
    try:
        await reader.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        await reader.fetchval("SELECT count(*) FROM work")
        position = Position()
        while (look := await claim_due(database, ["meeting"], 50, position)).claimed:
            position = look.position
            ends = [Finish(claimed, Done()) for claimed in look.claimed]
            assert await claims.finish(database, ends, patient=False) == [None] * len(ends)
        await mountain_of_another_day(database)
        assert position.since is not None
        unknown = await pages_read(database, None)
        await database.execute("UPDATE work SET lease_token = NULL, lease_until = NULL")
        known = await pages_read(database, position.since)
    finally:
        await reader.execute("ROLLBACK")
        await database.pool.release(reader)
    assert known + 300 < unknown


async def mountain_of_another_day(database: Database) -> None:
    async with database.transaction() as db:
        states = [desired(f"late {n}", due_start=NOON + timedelta(days=1)) for n in range(5)]
        await desire(db, *states)


async def pages_read(database: Database, since: datetime | None) -> int:
    """The pages that one look reads, entries of finished rows included."""
    explained = await database.fetchval(
        "EXPLAIN (ANALYZE, BUFFERS, FORMAT json)"
        " SELECT * FROM claim_due('{meeting}', 8, 500, gen_random_uuid(), '20 s', $1, '', '')",
        since,
    )
    [plan] = json.loads(explained)
    pages: int = plan["Plan"]["Shared Hit Blocks"] + plan["Plan"]["Shared Read Blocks"]
    return pages


async def test_an_attempt_whose_row_is_locked_delays_no_other(database: Database) -> None:
    """Of eight that end together, one waits for the transaction that has locked its desired state."""
    performed = Performed()
    performed.may_end.clear()
    subjects = [new_id() for _ in range(8)]
    async with going(Worker(database, {"meeting": performed})):
        async with database.transaction() as db:
            await desire(db, *(desired(f"user {s}", s) for s in subjects))
        async with database.transaction() as db:
            await db.execute("SELECT FROM work WHERE subject = $1 FOR UPDATE", subjects[0])
            performed.may_end.set()
            await eventually(lambda: are_done(database, 7))
            await asyncio.sleep(0.1)
            assert await count_done(database) == 7
        await eventually(lambda: are_done(database, 8))


async def test_an_attempt_that_cannot_be_stored_spoils_no_other(database: Database) -> None:
    """Eight end together; the event of one is refused by the database."""
    end, subjects = asyncio.Event(), [new_id() for _ in range(8)]

    async def perform(claimed: Claimed) -> Outcome:
        await end.wait()
        state = claimed.desired_state
        if state.subject != subjects[0] or claimed.attempts > 1:
            return Done()
        broken = note(noted_on("notes"), "\0", 1)  # no text that Postgres can store
        return Done(announcement=Announcement({}, broken, NOON))

    async with going(Worker(database, {"meeting": perform})):
        async with database.transaction() as db:
            await desire(db, *(desired(f"user {s}", s) for s in subjects))
        end.set()
        await eventually(lambda: are_done(database, 8))


async def test_attempts_that_end_together_announce_each_in_its_own_trace(
    database: Database,
) -> None:
    """They are stored by one statement; each event continues the trace of its desired state."""
    end, topic = asyncio.Event(), noted_on("notes")

    async def perform(claimed: Claimed) -> Outcome:
        await end.wait()
        announced = note(topic, claimed.desired_state.account_id, 1)
        return Done(announcement=Announcement({}, announced, NOON))

    traces: dict[str, str] = {}
    async with going(Worker(database, {"meeting": perform})):
        for number in range(8):
            async with database.transaction() as db:
                with span("request"):
                    account_id = new_id()
                    traces[account_id] = str(traceparent()).split("-")[1]
                    await desire(db, desired(f"user {number}", account_id=account_id))
        end.set()
        await eventually(lambda: are_done(database, 8))
    rows = await database.fetch("SELECT account_id, traceparent FROM outbox")
    assert {row["account_id"]: row["traceparent"].split("-")[1] for row in rows} == traces


async def test_a_circuit_that_is_closed_makes_its_user_s_states_due(database: Database) -> None:
    """A worker of this process is told, and looks."""
    refused, performed = [Later("429", wait=timedelta(hours=1), opens_circuit=True)], Performed()

    async def perform(claimed: Claimed) -> Outcome:
        return refused.pop() if refused else await performed(claimed)

    async with going(Worker(database, {"meeting": perform})):
        async with database.transaction() as db:
            await desire(db, desired("ada"), desired("ada"))
        await eventually(lambda: is_open(database))
        async with database.transaction() as db:
            await close_circuit(db, "zoom", "ada")
        await eventually(lambda: are_done(database, 2), within=3)


async def is_open(database: Database) -> bool:
    return bool(await database.fetchval("SELECT EXISTS (SELECT FROM circuit)"))
