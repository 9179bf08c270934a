"""What the read model keeps of each event, and for whom."""

from datetime import UTC, datetime, timedelta

from availability import handlers, store
from hoop_events import (
    AppointmentCreated,
    AppointmentUpdated,
    BusyInterval,
    BusyWeek,
    CalendarChanged,
    ExternalBusyChanged,
)
from shared.ids import new_id
from shared.slots import epoch_ms

MONDAY = datetime(2027, 3, 1, 14, 0, tzinfo=UTC)  # 09:00 in New York
WINDOW = (MONDAY, MONDAY + timedelta(hours=3))


async def tell(database, handler, *events):
    for event in events:
        async with database.transaction() as db:
            await handler(db, event)


async def known(database, account_id, state):
    await tell(
        database, handlers.calendar_changed, CalendarChanged(account_id=account_id, state=state)
    )
    return await store.calendar(database, account_id, state.id)


async def test_an_account_knows_only_its_own(read_model, calendar, appointment):
    """Same calendar id, same host, another account: nothing of it is seen."""
    mine, other, host = new_id(), new_id(), new_id()
    state = calendar(new_id(), [host])
    offer = await known(read_model, mine, state)
    seat = appointment(new_id(), state.id, host, session=new_id(), start=MONDAY)
    await tell(
        read_model, handlers.appointment_told, AppointmentCreated(account_id=other, state=seat)
    )

    assert await store.calendar(read_model, other, state.id) is None
    assert await store.occupied(read_model, offer, *WINDOW) == []


async def test_a_session_is_one_with_so_many_seats(read_model, calendar, appointment):
    """Two in a class are one interval, as long as the longer of them, with two seats taken."""
    account_id, host, session = new_id(), new_id(), new_id()
    state = calendar(new_id(), [host], appoinmentPerSlot=3)
    offer = await known(read_model, account_id, state)
    seats = [
        appointment(new_id(), state.id, host, session=session, start=MONDAY, minutes=minutes)
        for minutes in (30, 60)
    ]
    events = [AppointmentCreated(account_id=account_id, state=seat) for seat in seats]
    await tell(read_model, handlers.appointment_told, *events)

    (found,) = await store.occupied(read_model, offer, *WINDOW)
    assert (found.resource, found.seats, found.end - found.start) == (host, 2, 3_600_000)


async def test_the_same_told_twice_is_there_once(read_model, calendar, appointment):
    """Each event replaces what was known, so a repetition changes nothing."""
    account_id, host = new_id(), new_id()
    offer = await known(read_model, account_id, calendar(new_id(), [host]))
    seat = appointment(new_id(), offer.id, host, session=new_id(), start=MONDAY)
    event = AppointmentUpdated(account_id=account_id, state=seat)
    await tell(read_model, handlers.appointment_told, event, event)

    assert len(await store.occupied(read_model, offer, *WINDOW)) == 1


async def test_without_members_the_calendar_hosts_itself(read_model, calendar, appointment):
    """An event calendar has no team: its own id is what is occupied."""
    account_id = new_id()
    offer = await known(read_model, account_id, calendar(new_id(), []))
    seat = appointment(new_id(), offer.id, offer.id, session=new_id(), start=MONDAY)
    await tell(
        read_model, handlers.appointment_told, AppointmentCreated(account_id=account_id, state=seat)
    )

    assert offer.hosts == (offer.id,)
    assert [one.resource for one in await store.occupied(read_model, offer, *WINDOW)] == [offer.id]


async def test_a_week_replaces_itself_and_no_other(read_model, calendar):
    """What a connection says of a week is all of that week; other weeks stay."""
    account_id, user, connection = new_id(), new_id(), new_id()
    offer = await known(read_model, account_id, calendar(new_id(), [user]))

    def week(name, *hours):
        starts = [MONDAY + timedelta(hours=hour) for hour in hours]
        state = BusyWeek(
            id=f"{connection}:{name}",
            sequence=1,
            connection_id=connection,
            week=name,
            calendar_id=offer.id,
            user_id=user,
            intervals=[BusyInterval(start=s, end=s + timedelta(minutes=30)) for s in starts],
        )
        return ExternalBusyChanged(account_id=account_id, state=state)

    events = week("2027-W09", 0, 1), week("2027-W10", 2), week("2027-W09", 1)
    await tell(read_model, handlers.busy_changed, *events)

    found = await store.occupied(read_model, offer, *WINDOW)
    assert {one.resource for one in found} == {user}
    assert sorted(one.start for one in found) == [
        epoch_ms(MONDAY + timedelta(hours=hour)) for hour in (1, 2)
    ]
