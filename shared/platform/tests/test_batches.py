"""One batch, one transaction: what cannot be handled is set aside as it came, and nothing else suffers."""

import asyncio
from datetime import datetime
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from noted import Listener, Noted, headers, heard, note, noted_on, record, subscriptions

from hoop_platform import failpoints, telemetry
from hoop_platform.clock import Clock
from hoop_platform.db.database import Database, Row, Tx
from hoop_platform.ids import new_id
from hoop_platform.kafka import batch, dead_letters, inbox
from hoop_platform.kafka.batch import BatchHandler, Subscriptions
from hoop_platform.kafka.replay import replay
from local.testing.polling import eventually

NOTED = noted_on("notes")


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture
def batches(database: Database, listener: Listener) -> BatchHandler:
    return BatchHandler(database, subscriptions(NOTED, listener), Clock())


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No waiting between tries."""
    monkeypatch.setattr(batch, "LONGEST_PAUSE", 0.0)


async def stored_dead_letters(database: Database) -> list[Row]:
    return list(await database.fetch("SELECT * FROM dead_letter ORDER BY record_offset"))


async def next_offset(database: Database) -> int:
    return int(
        await database.fetchval("SELECT next_offset FROM consumer_offset WHERE topic = 'notes'")
    )


async def test_a_batch_is_handled_in_order_and_its_offset_is_stored(
    database: Database, batches: BatchHandler
) -> None:
    one, other = new_id(), new_id()
    events = [note(NOTED, s, n) for n in (1, 2, 3) for s in (one, other)]
    await batches.handle([record(e, offset) for offset, e in enumerate(events, 10)])
    assert await heard(database, one) == await heard(database, other) == [1, 2, 3]
    assert await next_offset(database) == 16


async def test_a_batch_that_comes_again_changes_nothing(
    database: Database, batches: BatchHandler, listener: Listener
) -> None:
    subject = new_id()
    records = [record(note(NOTED, subject, n), n) for n in (1, 2, 3)]
    await batches.handle(records[:2])
    await batches.handle(records)
    assert await heard(database, subject) == [1, 2, 3]
    assert listener.tries == 3


async def test_who_waited_for_the_partition_sees_what_its_last_owner_applied(
    database: Database,
) -> None:
    """Also what was applied after it had begun to wait, or it would apply that again."""
    entered: asyncio.Task[Any]

    async def enter() -> tuple[int, dict[str, int]]:
        async with database.transaction() as db:
            return await inbox.enter_batch(db, "notes", 0, ["one", "other"])

    async with database.transaction() as db:
        await inbox.enter_batch(db, "notes", 0, ["one"])
        entered = asyncio.get_running_loop().create_task(enter())
        await eventually(lambda: _somebody_waits(database))
        await inbox.leave_batch(db, "notes", 0, next_offset=7, newest={"one": 3})
    assert await entered == (7, {"one": 3})


async def _somebody_waits(database: Database) -> bool:
    return bool(await database.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"))


async def test_an_offset_never_goes_back_and_has_one_row(database: Database) -> None:
    """Whoever inserts one beside it, as the rebuild of a read model does, changes nothing."""
    async with database.transaction() as db:
        for offset in (3, 9, 5):
            await inbox.leave_batch(db, "notes", 0, next_offset=offset, newest={})
        await db.execute(
            "INSERT INTO consumer_offset VALUES ('notes', 0, 0) ON CONFLICT DO NOTHING"
        )
    assert await inbox.list_offsets(database, ["notes"]) == {("notes", 0): 9}
    assert await inbox.get_offsets(database, [("notes", 0), ("notes", 1)]) == {("notes", 0): 9}


async def test_an_old_event_at_a_new_offset_is_dropped(
    database: Database, batches: BatchHandler, listener: Listener
) -> None:
    """A relay that was late sends again what was sent before: other offsets, the same sequence."""
    subject = new_id()
    for offset, sequence in enumerate((2, 1, 2, 3)):
        await batches.handle([record(note(NOTED, subject, sequence), offset)])
    assert await heard(database, subject) == [2, 3]
    assert await next_offset(database) == 4


async def test_one_bad_record_among_many_is_set_aside_alone(
    database: Database, batches: BatchHandler, listener: Listener, impatient: None
) -> None:
    """It is found by halving; it fails five times, its neighbours are each handled once."""
    listener.failing = {"bad"}
    subjects = [new_id() for _ in range(40)]
    events = [note(NOTED, s, 1, "bad" if n == 17 else "good") for n, s in enumerate(subjects)]
    await batches.handle([record(e, offset) for offset, e in enumerate(events)])
    for n, subject in enumerate(subjects):
        assert await heard(database, subject) == ([] if n == 17 else [1])
    [kept] = await stored_dead_letters(database)
    assert (kept["record_offset"], kept["key"]) == (17, subjects[17].encode())
    assert kept["value"] == record(events[17], 0).value
    assert "cannot handle this" in kept["error"]
    assert await next_offset(database) == 40


async def test_what_follows_a_bad_record_heals_its_aggregate(
    database: Database, batches: BatchHandler, listener: Listener, impatient: None
) -> None:
    listener.failing = {"bad"}
    subject = new_id()
    events = [note(NOTED, subject, 1, "bad"), note(NOTED, subject, 2, "better")]
    await batches.handle([record(e, offset) for offset, e in enumerate(events)])
    assert await heard(database, subject) == [2]


async def test_a_handler_that_failed_for_a_moment_is_asked_again(
    database: Database, listener: Listener, impatient: None
) -> None:
    """An error that passes costs nothing but time."""
    left = 3

    async def hear(db: Tx, event: Noted, now: datetime) -> None:
        nonlocal left
        left -= 1
        if left >= 0:
            raise RuntimeError("not now")
        await listener.hear(db, event, now)

    subject = new_id()
    batches = BatchHandler(database, Subscriptions({NOTED: hear}), Clock())
    await batches.handle([record(note(NOTED, subject, 1), 0)])
    assert await heard(database, subject) == [1]
    assert await stored_dead_letters(database) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"value": b"\xff"},
        {"value": b"{}"},
        {"value": b"[" * 100_000},
        {"headers": ()},
        {"headers": (("ce_id", b"\xff\x00"), ("ce_type", None))},
        {"key": None},
        {"key": b"somebody else"},
        {"key": b"\xff\x00"},
    ],
    ids=[
        "no text",
        "no fields",
        "deep",
        "no headers",
        "foreign headers",
        "no key",
        "another's key",
        "foreign key",
    ],
)
async def test_what_is_no_event_of_ours_is_kept_as_it_came(
    database: Database, batches: BatchHandler, listener: Listener, wrong: dict[str, Any]
) -> None:
    """At once and without a try: it will not change. Its neighbours are handled."""
    subject = new_id()
    good = [record(note(NOTED, subject, n), n) for n in (1, 3)]
    bad = record(note(NOTED, subject, 2), 2, **wrong)
    await batches.handle([good[0], bad, good[1]])
    assert await heard(database, subject) == [1, 3]
    [kept] = await stored_dead_letters(database)
    assert (kept["key"], kept["value"]) == (bad.key, bad.value)
    assert listener.tries == 2


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(st.tuples(st.text(max_size=9), st.none() | st.binary(max_size=9)), max_size=4),
    st.none() | st.binary(max_size=9),
)
@example([("a", rb"\u0000"), ("b", b"\x00"), ("c", b"\xff"), ("d", None)], b"\x00\xff")
async def test_any_record_can_be_set_aside_and_looked_at(
    database: Database,
    batches: BatchHandler,
    foreign: list[tuple[str, bytes | None]],
    key: bytes | None,
) -> None:
    """Whatever its headers hold: keeping it must not fail, or its partition would stand still."""
    await database.execute("TRUNCATE consumer_offset, dead_letter")
    bad = record(note(NOTED, new_id(), 1), 1, headers=tuple(foreign), key=key)
    await batches.handle([bad])
    [kept] = await stored_dead_letters(database)
    came = [(name.replace("\0", "\ufffd"), value) for name, value in foreign]
    assert dead_letters.original_headers(kept["headers"]) == came
    assert (kept["key"], kept["value"]) == (key, bad.value)


async def test_what_was_set_aside_is_handled_once_more(
    database: Database, batches: BatchHandler, listener: Listener, impatient: None
) -> None:
    """After the mending: what still fails stays, what is old news by now goes, the rest is handled."""
    listener.failing = {"bad", "worse"}
    late, old, lost = new_id(), new_id(), new_id()
    bad = [note(NOTED, late, 1, "bad"), note(NOTED, old, 1, "bad"), note(NOTED, lost, 1, "worse")]
    await batches.handle([record(e, n) for n, e in enumerate([*bad, note(NOTED, old, 2)])])
    listener.failing = {"worse"}
    replayed = await replay(database, subscriptions(NOTED, listener), Clock())
    assert replayed.done == 2
    assert replayed.failures == ["notes/0/2: RuntimeError('cannot handle this')"]
    assert [await heard(database, s) for s in (late, old, lost)] == [[1], [2], []]
    assert [kept["record_offset"] for kept in await stored_dead_letters(database)] == [2]
    await batches.handle([record(note(NOTED, late, 1), 9)])
    assert await heard(database, late) == [1]


async def test_types_that_nobody_here_handles_are_passed_over(
    database: Database, batches: BatchHandler
) -> None:
    """A newer version's events, too: they are not wrong, they are not for us."""
    subject = new_id()
    event = note(NOTED, subject, 1)
    future = [*headers(event), ("ce_type", b"Noted.v9")]
    later = record(note(NOTED, subject, 2), 1)
    await batches.handle([record(event, 0, headers=tuple(future)), later])
    assert await heard(database, subject) == [2]
    assert await stored_dead_letters(database) == []


async def test_a_tombstone_forgets(database: Database, listener: Listener) -> None:
    subject = new_id()

    async def forget(db: Tx, key: str) -> None:
        await db.execute("DELETE FROM heard WHERE subject = $1", key)

    batches = BatchHandler(
        database, subscriptions(NOTED, listener, tombstones={"notes": forget}), Clock()
    )
    event = note(NOTED, subject, 1)
    await batches.handle([record(event, 0), record(note(NOTED, new_id(), 1), 1)])
    await batches.handle([record(event, 2, value=None), record(event, 3, value=None, key=None)])
    assert await heard(database, subject) == []
    assert await database.fetchval("SELECT count(*) FROM heard") == 1
    assert await next_offset(database) == 4


async def test_two_that_wait_for_each_other_are_both_handled(
    database: Database, listener: Listener, impatient: None
) -> None:
    """A deadlock, however often, is nobody's fault: it is tried until it works, never set aside."""
    left = 30

    async def hear(db: Tx, event: Noted, now: datetime) -> None:
        nonlocal left
        left -= 1
        if left >= 0:
            raise asyncpg.DeadlockDetectedError("deadlock detected")
        await listener.hear(db, event, now)

    subject = new_id()
    batches = BatchHandler(database, Subscriptions({NOTED: hear}), Clock())
    await batches.handle([record(note(NOTED, subject, n), n) for n in (1, 2)])
    assert await heard(database, subject) == [1, 2]
    assert await stored_dead_letters(database) == []


async def test_a_lost_connection_is_waited_for(
    database: Database, listener: Listener, impatient: None
) -> None:
    """Postgres cut us off seven times in the middle of it: nothing is set aside, nothing is halved."""
    left = 7

    async def hear(db: Tx, event: Noted, now: datetime) -> None:
        nonlocal left
        await listener.hear(db, event, now)
        left -= 1
        if left >= 0:
            await database.execute("SELECT pg_terminate_backend($1)", db.get_server_pid())
            await db.execute("SELECT 1")

    subject = new_id()
    batches = BatchHandler(database, Subscriptions({NOTED: hear}), Clock())
    await batches.handle([record(note(NOTED, subject, n), n) for n in (1, 2)])
    assert await heard(database, subject) == [1, 2]
    assert await stored_dead_letters(database) == []


async def test_who_blames_postgres_without_cause_is_set_aside_in_the_end(
    database: Database, listener: Listener, impatient: None
) -> None:
    """A handler that opens a missing file fails like a lost connection, but Postgres answers."""

    async def hear(db: Tx, event: Noted, now: datetime) -> None:
        if event.state.text == "bad":
            raise FileNotFoundError(2, "no template")
        await listener.hear(db, event, now)

    subject = new_id()
    batches = BatchHandler(database, Subscriptions({NOTED: hear}), Clock())
    events = [note(NOTED, subject, 1, "bad"), note(NOTED, subject, 2)]
    await batches.handle([record(e, offset) for offset, e in enumerate(events)])
    assert await heard(database, subject) == [2]
    assert "no template" in (await stored_dead_letters(database))[0]["error"]


async def test_when_one_key_after_the_other_fails_the_partition_stops(
    database: Database,
    batches: BatchHandler,
    listener: Listener,
    impatient: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ten are set aside; then it must be our fault, and all others wait until it is mended."""
    monkeypatch.setattr(batch, "STOPPED_SECONDS", 0.05)
    listener.failing = {"bad"}
    subjects = [new_id() for _ in range(25)]
    records = [record(note(NOTED, s, 1, "bad"), offset) for offset, s in enumerate(subjects)]
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(batches.handle(records))
        async with asyncio.timeout(20):
            while len(await stored_dead_letters(database)) < batch.STOP_AFTER:
                await asyncio.sleep(0.01)
        tries = listener.tries
        async with asyncio.timeout(20):
            while listener.tries < tries + 20:
                await asyncio.sleep(0.01)
        assert len(await stored_dead_letters(database)) == batch.STOP_AFTER
        listener.failing = set()
    assert len(await stored_dead_letters(database)) == batch.STOP_AFTER
    assert await database.fetchval("SELECT count(*) FROM heard") == 15


@pytest.mark.parametrize("point", ["batch_handled", "batch_committed"])
async def test_a_crash_around_the_commit_applies_it_once(
    database: Database, batches: BatchHandler, point: str, impatient: None
) -> None:
    subject = new_id()
    failpoints.arm(f"{point}=raise")
    await batches.handle([record(note(NOTED, subject, n), n) for n in (1, 2, 3)])
    assert await heard(database, subject) == [1, 2, 3]


async def test_what_is_counted_was_committed(
    database: Database, batches: BatchHandler, listener: Listener, impatient: None
) -> None:
    """However often a batch is tried and halved, each record is counted once, by its fate."""
    listener.failing = {"bad"}
    topic = f"notes-{new_id()}"
    noted = noted_on(topic)
    batches = BatchHandler(database, subscriptions(noted, listener), Clock())
    events = [note(noted, new_id(), 1, "bad" if n == 5 else "") for n in range(8)]
    await batches.handle([record(e, offset) for offset, e in enumerate(events)])

    def count(fate: str) -> float:
        return telemetry.consumed.labels(telemetry.name(), topic, fate)._value.get()

    assert (count("handled"), count("dead letter")) == (7, 1)
