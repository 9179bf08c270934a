"""Duplicates, reordering, replays: the read model is the fold of its topics for any delivery."""

from datetime import UTC, datetime, timedelta

from aiokafka import ConsumerRecord
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from availability.__main__ import SUBSCRIPTIONS
from availability.jobs import shadow
from availability.jobs.log_fold import LogFold
from availability.store.dump import get_dump
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
ACCOUNT, CALENDAR, HOST, ROOM, SESSION, LOCATION = (new_id() for _ in range(6))
SUBJECTS = [new_id() for _ in range(3)]
FACT = st.tuples(
    st.sampled_from(["booked", "gone", "moved", "held", "released"]),
    st.integers(0, 2),  # the index of the subject
    st.integers(1, 4),  # sequence: the rest of the state is a function of subject and sequence
)


def event(appointment, kind, index, sequence):
    """The one event with that sequence of that subject."""
    subject, start = SUBJECTS[index], MONDAY + timedelta(minutes=30 * sequence)
    versions = {HOST: sequence, CALENDAR: sequence}
    if kind == "released":
        state = Gone(id=subject, sequence=sequence, versions=versions)
        return HoldDeleted(account_id=ACCOUNT, state=state)
    if kind == "held":
        state = Hold(
            id=subject,
            sequence=sequence,
            calendar_id=CALENDAR,
            location_id=LOCATION,
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
    types = {"booked": AppointmentCreated, "gone": AppointmentDeleted, "moved": AppointmentUpdated}
    state = appointment(
        subject,
        CALENDAR,
        HOST,
        session=SESSION,
        start=start,
        sequence=sequence,
        occupies=kind != "gone",
        resources=(ROOM,),
        versions=versions,
    )
    return types[kind](account_id=ACCOUNT, state=state)


def record(announced, offset):
    key, value = announced.subject.encode(), body(announced)
    return ConsumerRecord(
        announced.topic,
        0,
        offset,
        0,
        0,
        key,
        value,
        None,
        len(key),
        len(value),
        tuple(headers(announced, time=MONDAY)),
    )


def by_topic(appointment, history):
    """The records of each topic; of one subject and sequence the kind that was drawn first counts."""
    kinds, found = {}, {"appointments": [], "holds": []}
    for kind, index, sequence in history:
        topic = "holds" if kind in ("held", "released") else "appointments"
        first = kinds.setdefault((topic, index, sequence), kind)
        found[topic].append((first, index, sequence))
    return {
        topic: [record(event(appointment, *fact), offset) for offset, fact in enumerate(facts)]
        for topic, facts in found.items()
        if facts
    }


async def emptied(database):
    await database.execute(
        "TRUNCATE occupied, applied_event, consumer_offset, version, dead_letter"
    )


async def rows(database):
    applied = await database.fetch("SELECT * FROM applied_event ORDER BY topic, subject")
    versions = await database.fetch("SELECT * FROM version ORDER BY id")
    return [tuple(row) for row in (*applied, *versions)], await get_dump(database, at=0)


@given(history=st.lists(FACT, min_size=1, max_size=12), again=st.booleans())
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_any_delivery_leads_to_the_fold(read_model, appointment, history, again):
    """Any order with any repetition, delivered once or replayed: the highest sequence of each counts.

    A rebuild from the same records leads to the same, sequences and versions included.
    """
    await emptied(read_model)
    topics = by_topic(appointment, history)
    batches = BatchHandler(read_model, Subscriptions(SUBSCRIPTIONS), Clock())
    for _ in range(1 + again):
        await read_model.execute("DELETE FROM consumer_offset")
        for records in topics.values():
            await batches.handle(records)
    _, dumped = await rows(read_model)

    newest = {}
    for topic, records in topics.items():
        for one in records:
            subject, sequence = (topic, one.key), int(dict(one.headers)["ce_sequence"])
            if sequence > newest.get(subject, (0, None))[0]:
                newest[subject] = (sequence, one)
    await emptied(read_model)
    for _, one in newest.values():
        await read_model.execute("DELETE FROM consumer_offset")
        await batches.handle([one])
    assert (await rows(read_model))[1] == dumped


@given(history=st.lists(FACT, min_size=1, max_size=12))
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_a_rebuild_leads_to_the_same(read_model, appointment, history):
    """Rows, sequences and versions of the shadow tables are those of the live model, for any history."""
    await emptied(read_model)
    topics = by_topic(appointment, history)
    batches, fold = (
        BatchHandler(read_model, Subscriptions(SUBSCRIPTIONS), Clock()),
        LogFold(SUBSCRIPTIONS),
    )
    for topic, records in topics.items():
        await batches.handle(records)
        fold.add(topic, records)
    live = await rows(read_model)
    await emptied(read_model)
    await shadow.create_tables(read_model)
    await shadow.copy_rows(read_model, fold)
    await shadow.copy_sequences(read_model, fold)
    async with read_model.transaction() as db:
        await shadow.swap(db, {})

    assert fold.undecodable == []
    assert await rows(read_model) == live


async def test_a_record_with_an_unusable_time_ends_no_rebuild(read_model, appointment):
    """Its zone does not exist: the consumer sets it aside, a rebuild does, too; both keep the rest."""
    good, later = (event(appointment, "booked", index, 1) for index in (0, 1))
    bad = event(appointment, "moved", 0, 2)
    bad = bad.model_copy(update={"state": bad.state.model_copy(update={"time_zone": "Nowhere"})})
    records = [record(announced, offset) for offset, announced in enumerate((good, bad, later))]
    await emptied(read_model)
    fold = LogFold(SUBSCRIPTIONS)
    await BatchHandler(read_model, Subscriptions(SUBSCRIPTIONS), Clock()).handle(records)
    fold.add("appointments", records)

    assert await read_model.fetchval("SELECT count(*) FROM dead_letter") == 1
    [set_aside] = fold.undecodable
    assert set_aside.startswith("appointments/0/1: ")
    assert fold.newest["appointments"] == {good.subject: 1, later.subject: 1}
    live = await read_model.fetch("SELECT subject, sequence FROM applied_event")
    assert {row["subject"]: row["sequence"] for row in live} == fold.newest["appointments"]
