"""Desired states and workers: the newest state wins, one worker per provider user, soonest first, nothing forgotten."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from noted import going

from hoop_platform import failpoints
from hoop_platform.db.database import Database, LeaseLost, Row, Tx
from hoop_platform.ids import new_id
from hoop_platform.reconcile import claims, work
from hoop_platform.reconcile import worker as working
from hoop_platform.reconcile.claims import LONGEST_WAIT, Position, claim_due
from hoop_platform.reconcile.desired_state import Claimed, DesiredState
from hoop_platform.reconcile.outcome import Done, Failed, Later, Outcome
from hoop_platform.reconcile.work import close_circuit, desire
from hoop_platform.reconcile.worker import Worker
from local.testing.polling import eventually

NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)
ACCOUNT = new_id()
Deed = Callable[[Claimed], Awaitable[Outcome]]


def desired(subject: str, sequence: int = 1, **other: Any) -> DesiredState:
    said: dict[str, Any] = {
        "account_id": ACCOUNT,
        "kind": "meeting",
        "subject": subject,
        "provider": "zoom",
        "provider_user": subject,
        "due_start": NOON,
        "desired": {"sequence": sequence},
        "sequence": sequence,
    }
    return DesiredState(**{**said, **other})


async def wanted(database: Database, *desired_states: DesiredState) -> list[bool]:
    async with database.transaction() as db:
        return await desire(db, *desired_states)


async def row(database: Database, subject: str) -> Row:
    found = await database.fetchrow("SELECT * FROM work WHERE subject = $1", subject)
    assert found is not None
    return found


class Deeds:
    """A provider: writes down what it was asked, and answers as told."""

    def __init__(self, answer: Outcome | Exception | None = None) -> None:
        self.done: list[tuple[str, int]] = []
        self.answer: Outcome | Exception = answer or Done()
        self.at_work: set[str] = set()
        self.most_at_once = 0
        self.takes = 0.0

    async def __call__(self, mine: Claimed) -> Outcome:
        assert mine.desired_state.provider_user not in self.at_work, (
            "two at a time for one provider_user"
        )
        self.at_work.add(mine.desired_state.provider_user)
        self.most_at_once = max(self.most_at_once, len(self.at_work))
        await asyncio.sleep(self.takes)
        self.at_work.discard(mine.desired_state.provider_user)
        self.done.append((mine.desired_state.subject, mine.desired_state.sequence))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def worker(database: Database, deeds: Any, kind: str = "meeting", concurrency: int = 8) -> Worker:
    return Worker(database, {kind: deeds}, concurrency=concurrency)


async def claim(database: Database) -> Claimed:
    """Lease the most urgent desired state."""
    [claimed] = (await claim_due(database, ["meeting"], 1, Position())).claimed
    return claimed


async def _all_done(database: Database) -> bool:
    return bool(await database.fetchval("SELECT bool_and(status = 'done') FROM work"))


async def now_due(database: Database) -> None:
    """Let all waiting be over."""
    await database.execute(
        "UPDATE work SET next_attempt_at = clock_timestamp(), lease_until = NULL"
    )


async def test_the_newest_desired_state_wins(database: Database) -> None:
    """What is not newer changes nothing, nor does a state of another account."""
    subject, deeds = new_id(), Deeds()
    foreign = desired(subject, 9, account_id=new_id())
    news = await wanted(
        database,
        desired(subject, 2),
        desired(subject, 1),
        desired(subject, 2),
        desired(subject, 3),
        foreign,
    )
    assert news == [True, False, False, True, False]
    assert await worker(database, deeds).once()
    assert deeds.done == [(subject, 3)]
    assert not await worker(database, deeds).once()


async def test_a_state_that_changed_while_it_was_worked_on_is_worked_on_again(
    database: Database,
) -> None:
    subject, seen = new_id(), []

    async def perform(mine: Claimed) -> Outcome:
        seen.append(mine.desired_state.sequence)
        if mine.desired_state.sequence == 1:
            await wanted(database, desired(subject, 2))
        return Done()

    await wanted(database, desired(subject, 1))
    one = worker(database, perform)
    assert [await one.once(), await one.once(), await one.once()] == [True, True, False]
    assert seen == [1, 2]
    assert (await row(database, subject))["desired_sequence"] == 2


async def test_the_soonest_appointment_comes_first(database: Database) -> None:
    days = [3, 1, 4, 0, 5, 2]
    subjects = {day: new_id() for day in days}
    for day in days:
        await wanted(database, desired(subjects[day], due_start=NOON + timedelta(days=day)))
    deeds = Deeds()
    while await worker(database, deeds).once():
        pass
    assert [subject for subject, _ in deeds.done] == [subjects[day] for day in sorted(days)]


async def test_one_at_a_time_for_a_provider_user_whoever_works(database: Database) -> None:
    """Three replicas work on two kinds: a provider user never sees two of them at once."""
    deeds = Deeds()
    deeds.takes = 0.005
    users = ["ada", "bob", "cem"]
    for n in range(45):
        kind = "meeting" if n % 2 else "sync"
        await wanted(database, desired(new_id(), provider_user=users[n % 3], kind=kind))
    workers = [Worker(database, {"meeting": deeds, "sync": deeds}) for _ in range(3)]
    async with going(*workers):
        await eventually(lambda: _all_done(database), within=30)
    assert len(deeds.done) == 45
    assert deeds.most_at_once <= 3


async def test_many_workers_handle_each_state_once(database: Database) -> None:
    """Two workers with a concurrency of eight, two hundred states of a hundred provider users."""
    deeds = Deeds()
    deeds.takes = 0.002
    await wanted(database, *(desired(new_id(), provider_user=str(n % 100)) for n in range(200)))
    async with going(worker(database, deeds), worker(database, deeds)):
        await eventually(lambda: _all_done(database), within=30)
    assert len(deeds.done) == len(set(deeds.done)) == 200
    assert deeds.most_at_once > 1


async def test_a_lease_that_ran_out_is_taken_over_and_its_late_outcome_ignored(
    database: Database,
) -> None:
    """Who was too late changes nothing: neither the state nor the record."""
    subject = new_id()
    await wanted(database, desired(subject))
    late = await claim(database)
    assert not await worker(database, Deeds()).once()
    await database.execute("UPDATE work SET lease_until = clock_timestamp()")
    await database.execute("UPDATE work SET next_attempt_at = clock_timestamp()")
    assert await worker(database, Deeds(Failed("no"))).once()
    before = await row(database, subject)
    with pytest.raises(LeaseLost):
        await worker(database, Deeds())._complete(
            late, Done(record=_record_in(subject)), chain=(), since=None
        )
    assert await row(database, subject) == before
    assert await database.fetchval("SELECT count(*) FROM heard") == 0


def _record_in(subject: str) -> Callable[[Tx], Awaitable[None]]:
    async def record(db: Tx) -> None:
        await db.execute("INSERT INTO heard (subject) VALUES ($1)", subject)

    return record


async def test_the_outcome_and_its_record_are_written_together(database: Database) -> None:
    subject = new_id()
    await wanted(database, desired(subject))
    assert await worker(database, Deeds(Done(record=_record_in(subject)))).once()
    assert (await row(database, subject))["status"] == "done"
    assert await database.fetchval("SELECT count(*) FROM heard") == 1


async def test_a_crash_before_the_record_is_repeated_after_the_lease(database: Database) -> None:
    """It was performed, and nobody knows: it is performed again, once the lease is over."""
    subject = new_id()
    deeds = Deeds(Done(record=_record_in(subject)))
    await wanted(database, desired(subject))
    mine = await claim(database)
    await deeds(mine)  # the process dies here
    assert not await worker(database, deeds).once()
    await now_due(database)
    assert await worker(database, deeds).once()
    assert deeds.done == [(subject, 1), (subject, 1)]
    assert await database.fetchval("SELECT count(*) FROM heard") == 1


async def test_an_open_circuit_stops_one_provider_user_alone(database: Database) -> None:
    """The provider said: not this user, for an hour. Reconnecting closes the circuit at once."""
    ada, deeds = [new_id(), new_id()], Deeds(Later("429", opens_circuit=True))
    deeds.answer = Later("429", wait=timedelta(hours=1), opens_circuit=True)
    await wanted(database, *(desired(s, provider_user="ada") for s in ada))
    assert await worker(database, deeds).once()
    deeds.answer = Done()
    assert not await worker(database, deeds).once()
    await wanted(database, desired(new_id(), provider_user="bob"))
    assert await worker(database, deeds).once()
    async with database.transaction() as db:
        await close_circuit(db, "zoom", "ada")
    assert [await worker(database, deeds).once() for _ in range(3)] == [True, True, False]


async def test_a_provider_s_own_word_counts(database: Database) -> None:
    subject = new_id()
    await wanted(database, desired(subject))
    assert await worker(database, Deeds(Later("quota", wait=timedelta(hours=7)))).once()
    said = await row(database, subject)
    assert (said["status"], said["last_error"]) == ("waiting", "quota")
    wait = await database.fetchval("SELECT next_attempt_at - clock_timestamp() FROM work")
    assert timedelta(hours=6.9) < wait <= timedelta(hours=7)
    assert await database.fetchval("SELECT count(*) FROM circuit") == 0


@pytest.mark.parametrize("wait", [0.1, 0.9])
async def test_what_is_postponed_comes_in_time(
    database: Database, monkeypatch: pytest.MonkeyPatch, wait: float
) -> None:
    """Short or long: a worker that is not woken by it foresees it."""
    monkeypatch.setattr(working, "POLL_SECONDS", 0.5)
    monkeypatch.setattr(work, "FORESEEN", timedelta(seconds=0.5))
    deeds = Deeds()
    async with going(worker(database, deeds)):
        await eventually(lambda: _true(bool(database.workers)))
        await wanted(database, desired(new_id(), wait=timedelta(seconds=wait)))
        due_at = await database.fetchval("SELECT next_attempt_at FROM work")
        await eventually(lambda: _true(bool(deeds.done)))
        late = await database.fetchval("SELECT clock_timestamp() - $1::timestamptz", due_at)
    assert late >= timedelta()


async def _true(it_is: bool) -> bool:
    return it_is


async def test_waits_grow_from_half_a_second_to_a_quarter_of_an_hour(database: Database) -> None:
    subject, waits = new_id(), []
    await wanted(database, desired(subject))
    for _ in range(14):
        assert await worker(database, Deeds(Later("down"))).once()
        waits.append(
            await database.fetchval("SELECT next_attempt_at - clock_timestamp() FROM work")
        )
        await now_due(database)
    assert timedelta(seconds=0.3) < waits[0] <= timedelta(seconds=0.5)
    assert all(longer > wait for wait, longer in pairwise(waits[:10]))
    assert LONGEST_WAIT - timedelta(seconds=5) < waits[-1] <= LONGEST_WAIT


async def test_a_newer_desired_state_begins_anew(database: Database) -> None:
    """After a failure for good, and after long waits: it is due at once, with its tries before it."""
    subject = new_id()
    await wanted(database, desired(subject))
    assert await worker(database, Deeds(Failed("never"))).once()
    assert (await row(database, subject))["status"] == "failed"
    assert not await worker(database, Deeds()).once()
    await wanted(database, desired(subject, 2))
    assert await worker(database, Deeds()).once()
    said = await row(database, subject)
    assert (said["status"], said["attempts"], said["last_error"]) == ("done", 0, None)


@pytest.mark.parametrize("error", [RuntimeError("a bug"), ConnectionResetError("gone")])
async def test_a_job_that_crashes_is_tried_again_and_says_why(
    database: Database, error: Exception
) -> None:
    subject = new_id()
    await wanted(database, desired(subject))
    assert await worker(database, Deeds(error)).once()
    said = await row(database, subject)
    assert (said["status"], said["attempts"]) == ("waiting", 1)
    assert str(error) in said["last_error"]


async def test_a_record_that_crashes_affects_no_other_state(database: Database) -> None:
    async def crash(_: Tx) -> None:
        raise KeyError("bug")

    subject = new_id()
    await wanted(database, desired(subject))
    assert await worker(database, Deeds(Done(record=crash))).once()
    said = await row(database, subject)
    assert (said["status"], "bug" in said["last_error"]) == ("waiting", True)


async def test_a_job_that_never_ends_is_cut_before_its_lease_is_over(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "LEASE", timedelta(seconds=0.3))
    monkeypatch.setattr(working, "LONGEST_WORK", timedelta(seconds=0.5))
    subject, deeds = new_id(), Deeds()
    deeds.takes = 3600
    await wanted(database, desired(subject))
    assert await worker(database, deeds).once()
    assert (await row(database, subject))["status"] == "waiting"


async def test_a_worker_whose_calls_may_take_longer(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its leases are renewed for as long as it says."""
    monkeypatch.setattr(claims, "LEASE", timedelta(seconds=0.3))
    monkeypatch.setattr(working, "LONGEST_WORK", timedelta(seconds=0.1))
    subject, deeds = new_id(), Deeds()
    deeds.takes = 1
    await wanted(database, desired(subject))
    patient = working.Worker(database, {"meeting": deeds}, longest_work=timedelta(seconds=5))
    assert await patient.once()
    assert (await row(database, subject))["status"] == "done"


async def test_who_works_longer_keeps_the_lease(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three times as long as a lease; nobody else gets the state meanwhile."""
    monkeypatch.setattr(claims, "LEASE", timedelta(seconds=0.6))
    subject, slow, other = new_id(), Deeds(), Deeds()
    slow.takes = 1.8
    await wanted(database, desired(subject))
    async with going(worker(database, slow)), going(worker(database, other)):
        await eventually(lambda: _all_done(database))
    assert len(slow.done) + len(other.done) == 1


async def test_who_cannot_renew_is_cut_before_the_lease_is_over(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Postgres does not answer the renewals: the work ends, for somebody else may begin it soon."""
    monkeypatch.setattr(claims, "LEASE", timedelta(seconds=0.6))
    subject, deeds = new_id(), Deeds()
    deeds.takes = 3600
    await wanted(database, desired(subject))
    claiming = worker(database, deeds)

    async def away(*_: object) -> None:
        raise ConnectionResetError

    monkeypatch.setattr(database, "fetchval", away)
    begun = asyncio.get_running_loop().time()
    assert await claiming.once()
    assert asyncio.get_running_loop().time() - begun < 0.6 + 0.3
    monkeypatch.undo()
    assert (await row(database, subject))["status"] == "waiting"


async def test_the_outcome_waits_for_postgres(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection is cut while the outcome is written: it is written again, not performed again."""
    subject, cuts = new_id(), 3

    async def record(db: Tx) -> None:
        nonlocal cuts
        await db.execute("INSERT INTO heard (subject) VALUES ($1)", subject)
        cuts -= 1
        if cuts >= 0:
            await database.execute("SELECT pg_terminate_backend($1)", db.get_server_pid())
            await db.execute("SELECT 1")

    deeds = Deeds(Done(record=record))
    await wanted(database, desired(subject))
    assert await worker(database, deeds).once()
    assert (await row(database, subject))["status"] == "done"
    assert deeds.done == [(subject, 1)]
    assert await database.fetchval("SELECT count(*) FROM heard") == 1


async def test_a_stop_lets_the_work_finish_and_claims_nothing_new(database: Database) -> None:
    deeds = Deeds()
    deeds.takes = 0.3
    await wanted(database, *(desired(new_id()) for _ in range(6)))
    async with going(worker(database, deeds, concurrency=2)):
        await eventually(lambda: _somebody_works(deeds))
    assert len(deeds.done) == 2
    assert await database.fetchval("SELECT count(*) FROM work WHERE status = 'done'") == 2


async def _somebody_works(deeds: Deeds) -> bool:
    return len(deeds.at_work) == 2


async def test_a_commit_wakes_the_worker(database: Database) -> None:
    """A state is claimed at once, not at the next poll."""
    deeds = Deeds()
    async with going(worker(database, deeds)):
        await asyncio.sleep(2)  # it is as patient now as it gets
        await wanted(database, desired(new_id()))
        await eventually(lambda: _all_done(database), within=0.8)


async def test_a_worker_without_work_is_quiet(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own looking around does not wake it."""
    looks = 0
    fetch = database.fetch

    async def count(sql: str, *args: object) -> Any:
        nonlocal looks
        looks += 1
        return await fetch(sql, *args)

    monkeypatch.setattr(database, "fetch", count)
    await wanted(database, desired(new_id()))
    async with going(worker(database, Deeds(Later("x", wait=timedelta(hours=1))))):
        await asyncio.sleep(1.5)
    assert looks <= 3


async def test_what_fails_before_the_record_is_not_recorded(database: Database) -> None:
    """`<kind>_performed` is before the transaction that records the outcome."""
    subject = new_id()
    await wanted(database, desired(subject))
    failpoints.arm("meeting_performed=raise")
    assert await worker(database, Deeds(Done(record=_record_in(subject)))).once()
    assert await database.fetchval("SELECT count(*) FROM heard") == 0
    assert (await row(database, subject))["status"] == "waiting"
