"""Several connections in one Google calendar, at a time or one after the other: each id is used once."""

import pytest

from hoop_events.calendar_uid import calendar_uid, first_event_id
from hoop_platform import failpoints
from sync_google.__main__ import service
from sync_google.domain.identifiers import event_id, event_subject

BOB = "bob@example.com"


async def shown(world) -> list[tuple[str, str]]:
    """The ids and starts of the events in Google."""
    return [(event["id"], event["start"]["dateTime"]) for event in await world.events()]


@pytest.fixture
async def calendar(world):
    return await world.calendar()


@pytest.mark.parametrize("fault", ["drop-after-commit", "drop", "status:429", "status:500"])
async def test_moved_to_the_other_calendar_while_a_create_is_lost(world, calendar, fault) -> None:
    """Both of our calendars are connected to one Google calendar, which has one event in the end."""
    other = await world.calendar()
    await world.connect(calendar)
    second = await world.connect(other)
    await world.fault(fault, method="POST", path="/events$", times=1)
    appointment = await world.book(calendar)
    await world.push()
    await world.change(appointment, calendar_id=other)
    await world.settle_calls()
    await world.end_waits()
    await world.push()
    expected = event_id(event_subject(appointment, second), 1)
    assert await shown(world) == [(expected, "2027-03-01T09:00:00Z")]


async def test_moved_there_and_back_uses_each_id_once(world, calendar) -> None:
    """The event of each calendar is deleted and made anew; no id that was deleted is tried again."""
    other = await world.calendar()
    first, second = await world.connect(calendar), await world.connect(other)
    appointment = await world.book(calendar)
    ids = []
    for calendar_id in (calendar, other, calendar, other):
        await world.change(appointment, calendar_id=calendar_id)
        await world.push()
        ids += [event["id"] for event in await world.events()]
    subjects = event_subject(appointment, first), event_subject(appointment, second)
    later = [event_id(subject, number) for number in (1, 2) for subject in subjects]
    assert ids == [first_event_id(appointment), *later[1:]]
    assert not any("409" in write for write in await world.writes())


async def test_what_an_ended_connection_has_left_is_verified(world, calendar) -> None:
    """Of three events, one was deleted meanwhile and one changed: two keep their ids, all are right."""
    ended = await world.connect(calendar)
    kept, deleted, edited = [await world.book(calendar, hour) for hour in (0, 2, 4)]
    await world.push()
    await world.disconnect(ended)
    old = {a: first_event_id(a) for a in (kept, deleted, edited)}
    await world.google(f"DELETE events/{old[deleted]}")
    await world.google(f"PATCH events/{old[edited]}", {"summary": "Mine now"})
    present = await world.connect(calendar)
    await world.settle()
    new = event_id(event_subject(deleted, present), 2)
    assert [name for name, _ in await shown(world)] == [old[kept], new, old[edited]]
    assert {event["summary"] for event in await world.events()} == {"Ada and Bob"}


async def test_an_event_that_arrives_before_the_new_connection_is_filled(world, calendar) -> None:
    """It takes over the event that is there already, and changes it; the fill finds nothing to do."""
    ended = await world.connect(calendar)
    appointment, cancelled = await world.book(calendar), await world.book(calendar, 2)
    await world.push()
    await world.disconnect(ended)
    await world.connect(calendar, fill=False)
    await world.move(appointment, 5)
    await world.cancel(cancelled)
    await world.push()
    await world.reconcile_connections()
    assert await world.push() == 0
    expected = first_event_id(appointment)
    assert await shown(world) == [(expected, "2027-03-01T14:00:00Z")]


async def test_moved_to_a_calendar_in_the_same_google_calendar_after_the_end(
    world, calendar
) -> None:
    """The connection of the appointment's new calendar takes over what that of the old one has left."""
    other = await world.calendar()
    ended = await world.connect(calendar)
    await world.connect(other)
    appointment = await world.book(calendar)
    await world.push()
    await world.disconnect(ended)
    await world.change(appointment, calendar_id=other)
    await world.push()
    expected = first_event_id(appointment)
    assert await shown(world) == [(expected, "2027-03-01T09:00:00Z")]


@pytest.mark.parametrize("fault", ["drop-after-commit", "drop"])
async def test_connected_again_after_a_lost_create(world, calendar, fault) -> None:
    """The connection was ended before anybody knew whether the event exists: there is one in the end."""
    await world.fault(fault, method="POST", path="/events$", times=1)
    appointment = await world.book(calendar)
    ended = await world.connect(calendar)
    await world.push()
    await world.disconnect(ended)
    present = await world.connect(calendar)
    await world.settle()
    adopted = first_event_id(appointment)
    created = event_id(event_subject(appointment, present), 2)
    expected = adopted if fault == "drop-after-commit" else created
    assert await shown(world) == [(expected, "2027-03-01T09:00:00Z")]


@pytest.mark.parametrize("fault", ["commit-then-500", "status:500"])
async def test_connected_again_after_a_lost_deletion(world, calendar, fault) -> None:
    """Wanted again, the appointment has one event, be it the old one or a new one."""
    ended = await world.connect(calendar)
    appointment = await world.book(calendar)
    await world.push()
    await world.fault(fault, method="DELETE", path="/events/", times=1)
    await world.cancel(appointment)
    await world.push()
    await world.disconnect(ended)
    present = await world.connect(calendar)
    await world.change(appointment, occupies=True, appointment_status="confirmed")
    await world.settle()
    left = first_event_id(appointment)
    created = event_id(event_subject(appointment, present), 2)
    expected = left if fault == "status:500" else created
    assert await shown(world) == [(expected, "2027-03-01T09:00:00Z")]


async def test_another_google_calendar_takes_nothing_over(world, calendar) -> None:
    """The event stays where it is, and the appointment is written into the other calendar."""
    ended = await world.connect(calendar)
    appointment = await world.book(calendar)
    await world.push()
    await world.disconnect(ended)
    await world.connect(calendar, user=BOB)
    await world.push()
    calls = await world.google("GET state")
    assert sorted(event["calendarId"] for event in calls["events"]) == ["ada@example.com", BOB]
    await world.cancel(appointment)
    await world.push()
    assert [event["calendarId"] for event in await world.events()] == ["ada@example.com"]


async def test_an_event_of_somebody_else_under_our_id_is_left_alone(world, calendar) -> None:
    """Whatever has our id without being ours is not adopted: the next generation is created."""
    await world.connect(calendar)
    appointment = await world.book(calendar)
    taken = await world.event_id(appointment)
    await world.foreign(7, id=taken)
    await world.push()
    assert await shown(world) == [
        (await world.event_id(appointment, 2), "2027-03-01T09:00:00Z"),
        (taken, (await world.events())[1]["start"]["dateTime"]),
    ]


async def test_an_attempt_that_ends_after_the_connection_leaves_its_event(world, calendar) -> None:
    """A call on its way when the owner disconnects: its event stays, and is taken over later."""
    connection_id = await world.connect(calendar)
    appointment = await world.book(calendar)
    failpoints.arm("google-event_created=raise")
    await world.push()
    await world.disconnect(connection_id)
    await world.end_waits()
    assert await world.push() == 1
    assert len(await world.events()) == 1
    await world.connect(calendar)
    await world.push()
    expected = first_event_id(appointment)
    assert await shown(world) == [(expected, "2027-03-01T09:00:00Z")]


async def test_the_old_connection_ends_before_a_move_is_written(world, calendar) -> None:
    """The appointment was moved to the other calendar, whose connection takes the event over."""
    other = await world.calendar()
    ended = await world.connect(calendar)
    await world.connect(other)
    appointment, staying = await world.book(calendar), await world.book(calendar, 2)
    await world.push()
    await world.move(appointment, 4)
    await world.change(appointment, calendar_id=other)
    await world.disconnect(ended)
    await world.push()
    ids = [first_event_id(each) for each in (staying, appointment)]
    starts = ["2027-03-01T11:00:00Z", "2027-03-01T13:00:00Z"]
    assert await shown(world) == list(zip(ids, starts, strict=True))
    await world.cancel(appointment)
    await world.push()
    assert [name for name, _ in await shown(world)] == ids[:1]


async def uids(world) -> list[tuple[str, str]]:
    """The Google calendars and the UIDs of the events in them."""
    state = await world.google("GET state")
    return sorted((event["calendarId"], event["iCalUID"]) for event in state["events"])


async def test_one_uid_in_every_google_calendar(world, calendar) -> None:
    """Connected with another Google account, moved to a calendar of a third one: the UID stays."""
    ended = await world.connect(calendar)
    appointment = await world.book(calendar)
    await world.push()
    await world.disconnect(ended)
    await world.connect(calendar, user=BOB)
    await world.push()
    uid = calendar_uid(appointment)
    assert await uids(world) == [("ada@example.com", uid), (BOB, uid)]
    other = await world.calendar()
    await world.connect(other, user="eve@example.com")
    await world.change(appointment, calendar_id=other)
    await world.push()
    assert await uids(world) == [("ada@example.com", uid), ("eve@example.com", uid)]


async def test_a_connection_that_ended_before_it_wrote_anything(world, calendar) -> None:
    """The next one gives the event the appointment's UID: the id was not used."""
    ended = await world.connect(calendar)
    appointment = await world.book(calendar)
    await world.disconnect(ended)
    await world.connect(calendar)
    await world.push()
    assert await uids(world) == [("ada@example.com", calendar_uid(appointment))]


async def test_the_connection_that_has_the_first_id_is_never_another(world, calendar) -> None:
    """Written through one connection, moved, the other one ended: each id was used once."""
    other = await world.calendar()
    await world.connect(calendar)
    second = await world.connect(other)
    appointment = await world.book(other)
    await world.push()
    await world.change(appointment, calendar_id=calendar)
    await world.push()
    await world.change(appointment, calendar_id=other)
    await world.push()
    assert [name for name, _ in await shown(world)] == [
        event_id(event_subject(appointment, second), 2)
    ]
    assert not any("409" in write for write in await world.writes())


async def test_the_tombstone_of_an_appointment_frees_its_first_id(world, calendar) -> None:
    """Nothing about the appointment stays."""
    await world.connect(calendar)
    appointment = await world.book(calendar)
    assert await world.runtime.db.fetchval("SELECT count(*) FROM first_event") == 1
    async with world.runtime.db.transaction() as db:
        await service.tombstones["appointments"](db, appointment)
    assert await world.runtime.db.fetchval("SELECT count(*) FROM first_event") == 0
