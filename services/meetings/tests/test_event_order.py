"""The desired meetings do not depend on the order of the partitions, nor on events delivered twice."""

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
    for number, fields in history:
        sequences[number] += 1
        state = appointment(ids[number], sequences[number], sessions, fields)
        event = AppointmentUpdated(account_id=account_id, state=state)
        partitions[number % PARTITIONS].append(event)
    return partitions


def appointment(appointment_id, sequence, sessions, fields):
    return Appointment(
        id=appointment_id,
        sequence=sequence,
        version=1,
        calendar_id=sessions[0],
        location_id=sessions[0],
        contact_id=sessions[0],
        start_time=NOON,
        end_time=NOON + timedelta(minutes=fields["minutes"]),
        time_zone="UTC",
        appointment_status="confirmed",
        occupies=fields["occupies"],
        confirmed=fields["confirmed"],
        session=sessions[fields["session"]],
        shared=True,
        hosts=(sessions[0],),
        meeting_location_type=fields["meeting_location_type"],
        personal=Personal(title="x"),
        date_added=NOON,
        date_updated=NOON,
    )


def expected(partitions):
    """Each session's phase and end, from the last state of each appointment alone."""
    last = {event.subject: event.state for events in partitions for event in events}
    found = {}
    for session in {state.session for state in last.values()}:
        present = [
            state
            for state in last.values()
            if state.session == session and state.occupies and state.meeting_location_type == "zoom"
        ]
        confirmed = [state for state in present if state.confirmed]
        if present:
            end = max(state.end_time for state in confirmed or present)
            found[session] = ("needed" if confirmed else "unconfirmed", end)
    return found


async def desired_meetings(db, account_id):
    """Each session's phase and end, from its desired state; those that need no meeting left out."""
    rows = await db.fetch("SELECT * FROM work WHERE account_id = $1", account_id)
    by_session = {row["subject"].partition(".")[0]: row["desired"] for row in rows}
    return {
        session: (desired["phase"], datetime.fromisoformat(desired["end"]))
        for session, desired in by_session.items()
        if desired["phase"] != "unneeded"
    }


async def consume(db, events):
    for event in events:
        async with db.transaction() as transaction:
            await handlers.on_appointment_changed(transaction, event, NOON)


@given(history=HISTORIES, repeats=st.integers(1, 2), data=st.data())
@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_any_interleaving_with_duplicates_gives_the_same_meetings(
    database, history, repeats, data
):
    """One event after the other, from any partition, each partition consumed once or twice."""
    account_id = new_id()
    names = [new_id() for _ in range(APPOINTMENTS)], [new_id() for _ in range(3)]
    partitions = events_of(account_id, *names, history)
    queues = [events * repeats for events in partitions]
    while any(queues):
        queue = data.draw(st.sampled_from([queue for queue in queues if queue]))
        await consume(database, [queue.pop(0)])

    assert await desired_meetings(database, account_id) == expected(partitions)


@given(history=HISTORIES)
@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_partitions_consumed_at_once_give_the_same_meetings(database, history):
    """Each partition has a consumer of its own, all at the same time."""
    account_id = new_id()
    names = [new_id() for _ in range(APPOINTMENTS)], [new_id() for _ in range(3)]
    partitions = events_of(account_id, *names, history)

    await asyncio.gather(*(consume(database, events) for events in partitions))

    assert await desired_meetings(database, account_id) == expected(partitions)


@pytest.mark.parametrize("shared", [True, False])
async def test_the_last_two_members_cancel_at_the_same_time(database, shared):
    """Neither transaction sees the other's cancellation unless one waits; no meeting may remain."""
    account_id, session = new_id(), new_id()
    fixed = {"session": 0, "confirmed": True, "meeting_location_type": "zoom", "minutes": 30}
    ids = new_id(), new_id()

    def event(number, sequence, *, occupies):
        fields = {**fixed, "occupies": occupies}
        state = appointment(ids[number], sequence, [session] * 3, fields)
        state = state.model_copy(update={"shared": shared})
        return AppointmentUpdated(account_id=account_id, state=state)

    await consume(database, [event(0, 1, occupies=True), event(1, 1, occupies=True)])
    async with asyncio.TaskGroup() as tasks, asyncio.timeout(10), database.transaction() as db:
        await handlers.on_appointment_changed(db, event(0, 2, occupies=False), NOON)
        other = tasks.create_task(consume(database, [event(1, 2, occupies=False)]))
        await done_or_waiting(database, other)

    assert await desired_meetings(database, account_id) == {}


async def done_or_waiting(db, task):
    """Wait until the task has ended or waits for a lock of Postgres."""
    waiting = 0
    while not (task.done() or waiting):
        await asyncio.wait([task], timeout=0.01)
        waiting = await db.fetchval(
            "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = database"
            " WHERE datname = current_database() AND NOT granted"
        )


async def test_batches_with_the_same_classes_do_not_deadlock(database):
    """Two batches change the same classes in opposite orders, each in one transaction."""
    account_id = new_id()
    sessions = [new_id() for _ in range(8)]

    async def batch(order):
        async with database.transaction() as db:
            for session in order:
                fields = {
                    "session": 0,
                    "occupies": True,
                    "confirmed": True,
                    "meeting_location_type": "zoom",
                    "minutes": 30,
                }
                state = appointment(new_id(), 1, [session] * 3, fields)
                event = AppointmentUpdated(account_id=account_id, state=state)
                await handlers.on_appointment_changed(db, event, NOON)
                await asyncio.sleep(0.005)

    async with asyncio.timeout(5):
        await asyncio.gather(batch(sessions), batch(sessions[::-1]))

    assert len(await desired_meetings(database, account_id)) == 8
