"""Whatever the order in which partitions are consumed, and however often: the wishes equal the fold."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hoop_events.base import Personal
from hoop_events.booking import Appointment, AppointmentUpdated
from hoop_platform.ids import new_id
from meetings import handlers

NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)
APPOINTMENTS = 4
PARTITIONS = 3

STATES = st.fixed_dictionaries(
    {
        "session": st.sampled_from(range(3)),
        "occupies": st.booleans(),
        "confirmed": st.booleans(),
        "meeting_location_type": st.sampled_from(["zoom", "phone"]),
        "minutes": st.sampled_from([30, 60, 90]),
    }
)
HISTORIES = st.lists(st.tuples(st.integers(0, APPOINTMENTS - 1), STATES), min_size=1, max_size=14)


def events_of(account_id, ids, sessions, history):
    """The events of each appointment, in order; its number decides its partition."""
    sequences = [0] * APPOINTMENTS
    partitions = [[] for _ in range(PARTITIONS)]
    for number, said in history:
        sequences[number] += 1
        state = appointment(ids[number], sequences[number], sessions, said)
        event = AppointmentUpdated(account_id=account_id, state=state)
        partitions[number % PARTITIONS].append(event)
    return partitions


def appointment(appointment_id, sequence, sessions, said):
    return Appointment(
        id=appointment_id,
        sequence=sequence,
        version=1,
        calendar_id=sessions[0],
        location_id=sessions[0],
        contact_id=sessions[0],
        start_time=NOON,
        end_time=NOON + timedelta(minutes=said["minutes"]),
        time_zone="UTC",
        appointment_status="confirmed",
        occupies=said["occupies"],
        confirmed=said["confirmed"],
        session=sessions[said["session"]],
        shared=True,
        hosts=(sessions[0],),
        meeting_location_type=said["meeting_location_type"],
        personal=Personal(title="x"),
        date_added=NOON,
        date_updated=NOON,
    )


def expected(partitions):
    """Each session's phase and end, from the last state of each appointment alone."""
    last = {event.subject: event.state for events in partitions for event in events}
    found = {}
    for session in {state.session for state in last.values()}:
        here = [
            state
            for state in last.values()
            if state.session == session and state.occupies and state.meeting_location_type == "zoom"
        ]
        counting = [state for state in here if state.confirmed]
        if here:
            end = max(state.end_time for state in counting or here)
            found[session] = ("wanted" if counting else "awaiting", end)
    return found


async def wished(db, account_id):
    rows = await db.fetch("SELECT * FROM work WHERE account_id = $1", account_id)
    said = {row["subject"].partition(".")[0]: row["desired"] for row in rows}
    return {
        session: (desired["phase"], datetime.fromisoformat(desired["end"]))
        for session, desired in said.items()
        if desired["phase"] != "over"
    }


async def consume(db, events):
    for event in events:
        async with db.transaction() as transaction:
            await handlers.take_seat(transaction, event)


@given(history=HISTORIES, repeats=st.integers(1, 2), data=st.data())
@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_any_interleaving_with_duplicates_ends_in_the_fold(fold_db, history, repeats, data):
    """One event after the other, from whatever partition, each partition consumed once or twice."""
    account_id = new_id()
    names = [new_id() for _ in range(APPOINTMENTS)], [new_id() for _ in range(3)]
    partitions = events_of(account_id, *names, history)
    queues = [events * repeats for events in partitions]
    while any(queues):
        queue = data.draw(st.sampled_from([queue for queue in queues if queue]))
        await consume(fold_db, [queue.pop(0)])

    assert await wished(fold_db, account_id) == expected(partitions)


@given(history=HISTORIES)
@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_partitions_consumed_at_once_end_in_the_fold(fold_db, history):
    """Each partition by a consumer of its own, all at the same time."""
    account_id = new_id()
    names = [new_id() for _ in range(APPOINTMENTS)], [new_id() for _ in range(3)]
    partitions = events_of(account_id, *names, history)

    await asyncio.gather(*(consume(fold_db, events) for events in partitions))

    assert await wished(fold_db, account_id) == expected(partitions)


@pytest.mark.parametrize("shared", [True, False])
async def test_the_last_two_leave_at_the_same_time(fold_db, shared):
    """Neither sees that the other goes, unless one waits for the other; the meeting must go, too."""
    account_id, session = new_id(), new_id()
    here = {"session": 0, "confirmed": True, "meeting_location_type": "zoom", "minutes": 30}
    ids = new_id(), new_id()

    def event(number, sequence, *, occupies):
        said = {**here, "occupies": occupies}
        state = appointment(ids[number], sequence, [session] * 3, said)
        state = state.model_copy(update={"shared": shared})
        return AppointmentUpdated(account_id=account_id, state=state)

    await consume(fold_db, [event(0, 1, occupies=True), event(1, 1, occupies=True)])
    async with asyncio.TaskGroup() as tasks, asyncio.timeout(10), fold_db.transaction() as db:
        await handlers.take_seat(db, event(0, 2, occupies=False))
        other = tasks.create_task(consume(fold_db, [event(1, 2, occupies=False)]))
        await done_or_waiting(fold_db, other)

    assert await wished(fold_db, account_id) == {}


async def done_or_waiting(db, task):
    """Until the task has ended or stands before a lock of Postgres."""
    waiting = 0
    while not (task.done() or waiting):
        await asyncio.wait([task], timeout=0.01)
        waiting = await db.fetchval(
            "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = database"
            " WHERE datname = current_database() AND NOT granted"
        )


async def test_whole_batches_of_classes_do_not_deadlock(fold_db):
    """Batches of two partitions meet the same classes in opposite orders, each in one transaction."""
    account_id = new_id()
    sessions = [new_id() for _ in range(8)]

    async def batch(order):
        async with fold_db.transaction() as db:
            for session in order:
                said = {
                    "session": 0,
                    "occupies": True,
                    "confirmed": True,
                    "meeting_location_type": "zoom",
                    "minutes": 30,
                }
                state = appointment(new_id(), 1, [session] * 3, said)
                await handlers.take_seat(db, AppointmentUpdated(account_id=account_id, state=state))
                await asyncio.sleep(0.005)

    async with asyncio.timeout(5):
        await asyncio.gather(batch(sessions), batch(sessions[::-1]))

    assert len(await wished(fold_db, account_id)) == 8
