"""Duplicates, reordering, replays: the read model is the fold of its topics, however they come."""

from datetime import UTC, datetime, timedelta

from aiokafka import ConsumerRecord
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from availability.__main__ import SUBSCRIPTIONS
from availability.jobs import shadow
from availability.jobs.fold import Fold
from availability.store.snapshot import snapshot
from hoop_events.base import Gone
from hoop_events.booking import (
    AppointmentCreated,
    AppointmentDeleted,
    AppointmentUpdated,
    Hold,
    HoldChanged,
    HoldDeleted,
)
from hoop_events.codec import body
from hoop_platform.clock import Clock
from hoop_platform.ids import new_id
from hoop_platform.kafka.batch import BatchHandler, Subscriptions
from local.testing.events import headers

MONDAY = datetime(2027, 3, 1, 14, 0, tzinfo=UTC)
ACCOUNT, CALENDAR, HOST, ROOM, SESSION, PLACE = (new_id() for _ in range(6))
SUBJECTS = [new_id() for _ in range(3)]
TOLD = st.tuples(
    st.sampled_from(["booked", "gone", "moved", "held", "released"]),
    st.integers(0, 2),  # whose
    st.integers(1, 4),  # sequence: what it says depends on nothing else, as in life
)


def event(appointment, deed, whose, sequence):
    """The one event of that sequence of that subject."""
    subject, start = SUBJECTS[whose], MONDAY + timedelta(minutes=30 * sequence)
    versions = {HOST: sequence, CALENDAR: sequence}
    if deed == "released":
        state = Gone(id=subject, sequence=sequence, versions=versions)
        return HoldDeleted(account_id=ACCOUNT, state=state)
    if deed == "held":
        state = Hold(
            id=subject,
            sequence=sequence,
            calendar_id=CALENDAR,
            location_id=PLACE,
            start_time=start,
            end_time=start + timedelta(minutes=30),
            time_zone="UTC",
            session=SESSION,
            hosts=(HOST,),
            resources=(ROOM,),
            expires_at=start,
            versions=versions,
        )
        return HoldChanged(account_id=ACCOUNT, state=state)
    kind = {"booked": AppointmentCreated, "gone": AppointmentDeleted, "moved": AppointmentUpdated}
    state = appointment(
        subject,
        CALENDAR,
        HOST,
        session=SESSION,
        start=start,
        sequence=sequence,
        occupies=deed != "gone",
        resources=(ROOM,),
        versions=versions,
    )
    return kind[deed](account_id=ACCOUNT, state=state)


def record(told, offset):
    key, value = told.subject.encode(), body(told)
    return ConsumerRecord(
        told.topic,
        0,
        offset,
        0,
        0,
        key,
        value,
        None,
        len(key),
        len(value),
        tuple(headers(told, time=MONDAY)),
    )


def by_topic(appointment, history):
    """Each said once is one fact: of one subject and sequence the first that was drawn counts."""
    facts, found = {}, {"appointments": [], "holds": []}
    for deed, whose, sequence in history:
        topic = "holds" if deed in ("held", "released") else "appointments"
        first = facts.setdefault((topic, whose, sequence), deed)
        found[topic].append((first, whose, sequence))
    return {
        topic: [record(event(appointment, *fact), offset) for offset, fact in enumerate(told)]
        for topic, told in found.items()
        if told
    }


async def emptied(database):
    await database.execute(
        "TRUNCATE occupied, applied_event, consumer_offset, version, dead_letter"
    )


async def rows(database):
    applied = await database.fetch("SELECT * FROM applied_event ORDER BY topic, subject")
    versions = await database.fetch("SELECT * FROM version ORDER BY id")
    return [tuple(row) for row in (*applied, *versions)], await snapshot(database, at=0)


@given(history=st.lists(TOLD, min_size=1, max_size=12), again=st.booleans())
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_however_it_comes_it_is_the_fold(read_model, appointment, history, again):
    """Any order with any repetition, delivered once or replayed: the highest sequence of each counts.

    And what a rebuild makes of the same records is the same, sequences and versions included.
    """
    await emptied(read_model)
    topics = by_topic(appointment, history)
    batches = BatchHandler(read_model, Subscriptions(SUBSCRIPTIONS), Clock())
    for _ in range(1 + again):
        await read_model.execute("DELETE FROM consumer_offset")
        for records in topics.values():
            await batches.handle(records)
    _, told = await rows(read_model)

    newest = {}
    for topic, records in topics.items():
        for one in records:
            place, sequence = (topic, one.key), int(dict(one.headers)["ce_sequence"])
            if sequence > newest.get(place, (0, None))[0]:
                newest[place] = (sequence, one)
    await emptied(read_model)
    for _, one in newest.values():
        await read_model.execute("DELETE FROM consumer_offset")
        await batches.handle([one])
    assert (await rows(read_model))[1] == told


@given(history=st.lists(TOLD, min_size=1, max_size=12))
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_a_rebuild_comes_to_the_same(read_model, appointment, history):
    """Rows, sequences and versions of the shadow are those of the live model, for any history."""
    await emptied(read_model)
    topics = by_topic(appointment, history)
    batches, fold = (
        BatchHandler(read_model, Subscriptions(SUBSCRIPTIONS), Clock()),
        Fold(SUBSCRIPTIONS),
    )
    for topic, records in topics.items():
        await batches.handle(records)
        fold.take(topic, records)
    live = await rows(read_model)
    await emptied(read_model)
    await shadow.lay(read_model)
    await shadow.fill_occupied(read_model, fold)
    await shadow.fill_applied(read_model, fold)
    async with read_model.transaction() as db:
        await shadow.swap(db, {})

    assert fold.refused == []
    assert await rows(read_model) == live
