"""What goes wrong around a worker costs it neither a place nor an outcome, and it goes on."""

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from datetime import date, timedelta
from typing import Any, get_args

import asyncpg
import pytest
from claiming import ACCOUNT, NOON, Performed, are_done, begun, desired
from noted import going

from hoop_platform.db.database import Database
from hoop_platform.db.savepoint import SavepointTx
from hoop_platform.ids import new_id
from hoop_platform.providers import errors
from hoop_platform.reconcile import claims
from hoop_platform.reconcile.claims import Position, claim_due
from hoop_platform.reconcile.desired_state import Claimed, DesiredState
from hoop_platform.reconcile.effects import outcome_of
from hoop_platform.reconcile.observed_state import ExternalObject, ObservedState
from hoop_platform.reconcile.outcome import Done, Later, Outcome
from hoop_platform.reconcile.plan import GiveUp, LostCalls, next_step
from hoop_platform.reconcile.work import desire
from hoop_platform.reconcile.worker import POLL_SECONDS, Worker
from local.testing.polling import eventually

DAY = timedelta(days=1)
PROMPT = 4.0
"""Seconds, less than `POLL_SECONDS`: no poll may have to find it."""
assert PROMPT < POLL_SECONDS


async def desire_one(database: Database, *states: Any) -> None:
    async with database.transaction() as db:
        await desire(db, *states)


async def cancelled(work: Coroutine[Any, Any, None]) -> None:
    """Cancel it in the middle, as a consumer does that loses its partition."""
    with suppress(TimeoutError):
        async with asyncio.timeout(0.2):
            await work


async def desire_impatiently(database: Database, state: DesiredState) -> None:
    async with database.transaction() as db:
        await db.execute("SET LOCAL lock_timeout = '50ms'")
        await desire(db, state)


@pytest.mark.parametrize("fault", ["cannot be stored", "is locked", "is cancelled"])
async def test_a_statement_that_fails_releases_its_capacity(
    database: Database, looks: Sequence[int], fault: str
) -> None:
    """A state with a NUL, one whose row stays locked, a handler that is cancelled."""
    worker = Worker(database, {"meeting": Performed()}, concurrency=2)
    async with going(worker):
        await eventually(lambda: begun(looks))
        await desire_one(database, desired("ada", "s"))
        await eventually(lambda: are_done(database, 1))
        async with database.transaction() as other:
            await other.execute("SELECT FROM work FOR UPDATE")
            newer = desired("ada", "s", sequence=2)
            nul = desired("bob", desired={"title": "a\0b"})
            for _ in range(3):
                if fault == "is cancelled":
                    await cancelled(desire_one(database, newer))
                else:
                    with pytest.raises(asyncpg.PostgresError):
                        await desire_impatiently(
                            database, nul if fault == "cannot be stored" else newer
                        )
        assert worker.free == 2


async def test_capacity_that_was_not_leased_is_free_before_the_commit(
    database: Database, looks: Sequence[int]
) -> None:
    """Eight states of one user: one place is kept, the others are for whoever else is due."""
    worker = Worker(database, {"meeting": Performed()})
    async with going(worker):
        await eventually(lambda: begun(looks))
        async with database.transaction() as db:
            await desire(db, *(desired("ada", f"a{n}") for n in range(8)))
            assert worker.free == 7


async def test_what_a_savepoint_takes_back_is_not_worked_on(
    database: Database, looks: Sequence[int]
) -> None:
    performed = Performed()
    worker = Worker(database, {"meeting": performed})
    async with going(worker):
        await eventually(lambda: begun(looks))
        async with database.transaction() as db:
            with pytest.raises(KeyError):
                await _desire_and_fail(SavepointTx(db))
            await desire(db, desired("bob", "kept"))
        await eventually(lambda: are_done(database, 1))
        assert worker.free == 8
    assert performed.subjects == ["kept"]


async def _desire_and_fail(inner: SavepointTx) -> None:
    async with inner.transaction() as db:
        await desire(db, desired("ada"))
        raise KeyError


async def test_a_worker_that_stops_waits_for_every_transaction(
    database: Database, looks: Sequence[int]
) -> None:
    """What they lease is worked on; no commit fails because the worker has ended."""
    performed, stop = Performed(), asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(Worker(database, {"meeting": performed}).run(stop))
        await eventually(lambda: begun(looks))
        async with database.transaction() as first:
            await desire(first, desired("ada", "1"))
            async with database.transaction() as second:
                await desire(second, desired("bob", "2"))
                stop.set()
                await asyncio.sleep(0.1)
            await asyncio.sleep(0.1)
            assert not running.done()
    assert sorted(performed.subjects) == ["1", "2"]


@pytest.mark.parametrize(
    "outcome",
    [
        Later("responded \0"),
        Later("responded \ud800"),
        Later("a moment", wait=timedelta(microseconds=50)),
        Done(objects=[ExternalObject(1, "live", data={"url": "a\0b"})]),
        Later("", objects=[ExternalObject(1, "live", data={"url": "a\0b"})]),
    ],
    ids=["nul", "surrogate", "microseconds", "objects", "objects of a failure"],
)
async def test_an_outcome_that_cannot_be_stored_ends_no_worker(
    database: Database, outcome: Outcome
) -> None:
    """What a provider says is input; the state is tried again, and others are worked on."""

    async def perform(claimed: Claimed) -> Outcome:
        return outcome if claimed.desired_state.subject == "bad" else Done()

    async with going(Worker(database, {"meeting": perform})):
        await desire_one(database, desired("ada", "bad"))
        await eventually(lambda: _is_tried_again(database))
        await desire_one(database, desired("bob", "good"))
        await eventually(lambda: are_done(database, 1))


async def _is_tried_again(database: Database) -> bool:
    found = await database.fetchval(
        "SELECT last_error IS NOT NULL FROM work WHERE subject = 'bad' AND status <> 'done'"
    )
    return bool(found)


async def test_an_outcome_is_kept_for_longer_than_its_lease(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While Postgres fails over: what the provider has answered is stored when it is back."""
    monkeypatch.setattr(claims, "LEASE", timedelta(seconds=0.5))
    finish, away = claims.finish, True

    async def unless_away(*arguments: Any, **more: Any) -> Any:
        if away:
            raise ConnectionRefusedError
        return await finish(*arguments, **more)

    async def perform(_: Claimed) -> Outcome:
        return Done()

    monkeypatch.setattr(claims, "finish", unless_away)
    await desire_one(database, desired("ada"))
    async with asyncio.TaskGroup() as tasks:
        storing = tasks.create_task(Worker(database, {"meeting": perform}).once())
        await asyncio.sleep(1.2)
        assert not storing.done()
        away = False
    assert await are_done(database, 1)


@pytest.mark.parametrize("sooner", ["another", "the same"])
async def test_what_is_sooner_and_comes_during_an_attempt_is_next(
    database: Database, looks: Sequence[int], sooner: str
) -> None:
    """Another appointment of a busy host, or the same one moved to an earlier time."""
    performed = Performed()
    performed.may_end.clear()
    async with going(Worker(database, {"meeting": performed})):
        await eventually(lambda: begun(looks))
        await desire_one(database, desired("ada", "late", due_start=NOON + DAY))
        subject = "late" if sooner == "the same" else "soon"
        await desire_one(database, desired("ada", subject, due_start=NOON, sequence=2))
        await asyncio.sleep(0.2)
        performed.may_end.set()
        number = 1 if sooner == "the same" else 2
        await eventually(lambda: are_done(database, number), within=PROMPT)


async def test_a_wait_that_is_over_is_seen_behind_a_later_start(
    database: Database, looks: Sequence[int]
) -> None:
    """A look begins where the last one did, at the state of a busy user, and passes nothing over."""
    await database.execute(
        """
        INSERT INTO work (account_id, kind, subject, provider, provider_user, due_start, desired,
                          desired_sequence, lease_token, lease_until)
        VALUES ($1, 'meeting', 'far', 'zoom', 'ada', '9999-01-01', '{}', 1, $2,
                clock_timestamp() + interval '1 minute')
        """,
        ACCOUNT,
        new_id(),
    )
    async with going(Worker(database, {"meeting": Performed()})):
        await eventually(lambda: begun(looks))
        await desire_one(database, desired("bob", wait=timedelta(seconds=1)))
        await eventually(lambda: are_done(database, 1), within=PROMPT)


async def test_a_row_that_is_locked_for_a_moment_does_not_end_the_chain(
    database: Database, looks: Sequence[int]
) -> None:
    performed = Performed()
    performed.may_end.clear()
    async with going(Worker(database, {"meeting": performed})):
        await eventually(lambda: begun(looks))
        states = [desired("ada", str(n), due_start=NOON + n * DAY) for n in range(6)]
        await desire_one(database, *states)
        async with database.transaction() as db:
            await db.execute("SELECT FROM work WHERE subject = '1' FOR UPDATE")
            performed.may_end.set()
            await asyncio.sleep(0.2)
        await eventually(lambda: are_done(database, 6), within=PROMPT)


async def test_waits_that_end_together_are_all_looked_at(database: Database) -> None:
    """Behind 5,000 postponed states of a user whose provider is slow, another user is not kept waiting."""
    await database.execute(
        """
        INSERT INTO work (account_id, kind, subject, provider, provider_user, due_start, desired,
                          desired_sequence, status, next_attempt_at)
        SELECT $1, 'meeting', 's' || n, 'zoom', CASE WHEN n = 5000 THEN 'bob' ELSE 'ada' END, $2, '{}', 1,
               'waiting', clock_timestamp() - interval '1 second' + n * interval '1 microsecond'
          FROM generate_series(1, 5000) AS n
        """,
        ACCOUNT,
        NOON,
    )
    bob_begun, ada_may_end = asyncio.Event(), asyncio.Event()

    async def perform(claimed: Claimed) -> Outcome:
        if claimed.desired_state.provider_user == "bob":
            bob_begun.set()
        else:
            await ada_may_end.wait()
        return Done()

    async with going(Worker(database, {"meeting": perform})):
        async with asyncio.timeout(PROMPT):
            await bob_begun.wait()
        await database.execute("UPDATE work SET status = 'done' WHERE provider_user = 'ada'")
        ada_may_end.set()


async def test_a_newer_state_waits_although_an_older_attempt_was_under_way(
    database: Database, looks: Sequence[int]
) -> None:
    performed = Performed()
    performed.may_end.clear()
    async with going(Worker(database, {"meeting": performed})):
        await eventually(lambda: begun(looks))
        await desire_one(database, desired("ada", "s"))
        await desire_one(database, desired("ada", "s", sequence=2, wait=timedelta(hours=1)))
        performed.may_end.set()
        await eventually(lambda: _has_status(database, "waiting"))
    assert performed.subjects == ["s"]


async def _has_status(database: Database, status: str) -> bool:
    found = await database.fetchrow("SELECT status, lease_token FROM work")
    return found is not None and found["status"] == status and found["lease_token"] is None


async def test_a_call_is_allowed_only_with_its_own_intent(database: Database) -> None:
    """While an attempt begins, another transaction gives the subject an object, as when a connection ends."""
    await desire_one(database, desired("ada", "s"))
    [claimed] = (await claim_due(database, ["meeting"], 1, Position())).claimed
    mine = ExternalObject(1, "intended", external_id="mine")
    async with asyncio.TaskGroup() as tasks, database.transaction() as db:
        await db.execute("UPDATE work SET revision = revision + 1, status = 'due'")
        await db.execute(
            """
            INSERT INTO external (account_id, kind, subject, generation, external_id, state)
            VALUES ($1, 'meeting', 's', 1, 'adopted', 'live')
            """,
            ACCOUNT,
        )
        beginning = tasks.create_task(
            claims.begin_call(
                database, claimed, mine, connection_id=None, day=date(2027, 3, 1), allowance=None
            )
        )
        await asyncio.sleep(0.2)
    assert beginning.result() == "lease_lost"
    assert await database.fetchval("SELECT external_id FROM external") == "adopted"


@pytest.mark.parametrize("state", ["intended", "to_delete"])
async def test_no_call_is_allowed_for_an_object_that_is_somebody_elses_by_now(
    database: Database, state: Any
) -> None:
    """The statement has to store what it is about: a guard whose rows nobody counts is none."""
    await desire_one(database, desired("ada", "s"))
    [claimed] = (await claim_due(database, ["meeting"], 1, Position())).claimed
    await database.execute(
        """
        INSERT INTO external (account_id, kind, subject, generation, external_id, state)
        VALUES ($1, 'meeting', 's', 1, 'theirs', 'abandoned')
        """,
        ACCOUNT,
    )
    wanted = ExternalObject(1, state, external_id="mine")
    allowed = await claims.begin_call(
        database, claimed, wanted, connection_id=None, day=date(2027, 3, 1), allowance=None
    )
    assert allowed == "lease_lost"


@pytest.mark.parametrize(
    "error",
    [errors.CallPostponed("not now", timedelta(minutes=1)), errors.QuotaExhausted("used up")],
)
def test_an_effect_that_is_postponed_is_tried_later(error: errors.ProviderError) -> None:
    assert isinstance(outcome_of(error), Later)


@pytest.mark.parametrize("lost_calls", get_args(LostCalls))
def test_a_lost_create_of_what_nobody_wants_any_more_is_not_repeated(lost_calls: LostCalls) -> None:
    """It is looked up, or deleted by its id; where neither can be done, it is given up."""
    lost = ExternalObject(1, "intended", age=timedelta(minutes=5))
    step = next_step(None, ObservedState(None, [lost]), lost_calls=lost_calls)
    assert (
        type(step).__name__
        == {
            "found": "LookUp",
            "repeated": "Delete",
            "uncertain": GiveUp.__name__,
        }[lost_calls]
    )
