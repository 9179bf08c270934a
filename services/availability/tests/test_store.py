"""What the read model keeps of each event, and for whom."""

from datetime import UTC, datetime, timedelta

import orjson

from availability import handlers
from availability.domain import BLOCK
from availability.store import Memory
from availability.store.snapshot import differences, snapshot
from hoop_events.booking import AppointmentCreated, AppointmentUpdated, Hold, HoldChanged
from hoop_events.calendars import BlockSlot, BlockSlotChanged, CalendarChanged
from hoop_events.effects import BusyInterval, BusyWeek, ExternalBusyChanged
from hoop_platform.ids import new_id
from hoop_scheduling.zones import epoch_ms

MONDAY = datetime(2027, 3, 1, 14, 0, tzinfo=UTC)  # 09:00 in New York
WINDOW = (epoch_ms(MONDAY), epoch_ms(MONDAY + timedelta(hours=3)))
NOW = epoch_ms(datetime(2027, 2, 25, tzinfo=UTC))
HOUR = 3_600_000


async def tell(database, handler, *events):
    for event in events:
        async with database.transaction() as db:
            await handler(db, event)


async def known(database, account_id, state):
    await tell(
        database, handlers.calendar_changed, CalendarChanged(account_id=account_id, state=state)
    )


async def seen(database, account_id, calendar_id, *, now=NOW, window=WINDOW):
    """What is known of the calendar, from the rows alone."""
    memory = Memory(database, intervals=0)
    return await memory.view(account_id, calendar_id, *window, now=now)


async def test_an_account_knows_only_its_own(read_model, calendar, appointment):
    """Same calendar id, same host, another account: nothing of it is seen."""
    mine, other, host = new_id(), new_id(), new_id()
    state = calendar(new_id(), [host])
    await known(read_model, mine, state)
    seat = appointment(new_id(), state.id, host, session=new_id(), start=MONDAY)
    await tell(
        read_model, handlers.appointment_told, AppointmentCreated(account_id=other, state=seat)
    )

    assert await seen(read_model, other, state.id) is None
    assert (await seen(read_model, mine, state.id)).busy == {}


async def test_a_session_is_one_with_so_many_seats(read_model, calendar, appointment):
    """Two in a class are one interval, as long as the longer of them, with two seats taken."""
    account_id, host, session = new_id(), new_id(), new_id()
    state = calendar(new_id(), [host], appoinmentPerSlot=3)
    await known(read_model, account_id, state)
    seats = [
        appointment(new_id(), state.id, host, session=session, start=MONDAY, minutes=minutes)
        for minutes in (30, 60)
    ]
    events = [AppointmentCreated(account_id=account_id, state=seat) for seat in seats]
    await tell(read_model, handlers.appointment_told, *events)

    view = await seen(read_model, account_id, state.id)
    start = epoch_ms(MONDAY)
    assert list(view.busy[host].rows()) == [(start, start + HOUR, 0, 0)]
    assert view.seats == {(host, start): (start + HOUR, 2)}


async def test_the_same_told_twice_is_there_once(read_model, calendar, appointment):
    """Each event replaces what was known, so a repetition changes nothing."""
    account_id, host = new_id(), new_id()
    offer = calendar(new_id(), [host])
    await known(read_model, account_id, offer)
    seat = appointment(new_id(), offer.id, host, session=new_id(), start=MONDAY)
    event = AppointmentUpdated(account_id=account_id, state=seat)
    await tell(read_model, handlers.appointment_told, event, event)

    assert await read_model.fetchval("SELECT count(*) FROM occupied") == 1


async def test_without_members_the_calendar_hosts_itself(read_model, calendar, appointment):
    """An event calendar has no team: its own id is what is occupied."""
    account_id = new_id()
    offer = calendar(new_id(), [])
    await known(read_model, account_id, offer)
    seat = appointment(new_id(), offer.id, offer.id, session=new_id(), start=MONDAY)
    await tell(
        read_model, handlers.appointment_told, AppointmentCreated(account_id=account_id, state=seat)
    )

    view = await seen(read_model, account_id, offer.id)
    assert view.rules.host_ids == (offer.id,)
    assert list(view.busy) == [offer.id]


async def test_a_week_replaces_itself_and_no_other(read_model, calendar):
    """What a connection says of a week is all of that week; other weeks stay."""
    account_id, user, connection = new_id(), new_id(), new_id()
    offer = calendar(new_id(), [user])
    await known(read_model, account_id, offer)

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

    view = await seen(read_model, account_id, offer.id)
    starts = [start for start, *_ in view.busy[user].rows()]
    assert starts == [epoch_ms(MONDAY + timedelta(hours=hour)) for hour in (1, 2)]


async def test_a_long_block_slot_is_found_in_each_month_and_told_whole(read_model, calendar):
    """Cut at the borders of blocks inside, it is one fact outside."""
    account_id, host = new_id(), new_id()
    offer = calendar(new_id(), [host])
    await known(read_model, account_id, offer)
    end = MONDAY + timedelta(days=200)
    state = BlockSlot(
        id=new_id(),
        sequence=1,
        version=1,
        location_id=new_id(),
        calendar_id=None,
        user_id=host,
        start_time=MONDAY,
        end_time=end,
        date_added=MONDAY,
        date_updated=MONDAY,
    )
    event = BlockSlotChanged(account_id=account_id, state=state)
    await tell(read_model, handlers.block_slot_changed, event)

    for month in range(6):
        window = (WINDOW[0] + month * BLOCK, WINDOW[0] + month * BLOCK + HOUR)
        view = await seen(read_model, account_id, offer.id, window=window)
        assert view.busy[host].meets(*window)
    lines = [orjson.loads(line) for line in (await snapshot(read_model, at=0)).splitlines()]
    (told,) = [line for line in lines if line["kind"] == "block"]
    assert (told["start"], told["end"]) == (epoch_ms(MONDAY), epoch_ms(end))


async def test_a_hold_counts_until_it_expires(read_model, calendar):
    """Whoever asks later takes it for gone, without any event; its place in the day, too."""
    account_id, host = new_id(), new_id()
    offer = calendar(new_id(), [host], appoinmentPerDay=2, appoinmentPerSlot=2)
    await known(read_model, account_id, offer)
    hold = Hold(
        id=new_id(),
        sequence=1,
        calendar_id=offer.id,
        location_id=new_id(),
        start_time=MONDAY,
        end_time=MONDAY + timedelta(minutes=30),
        time_zone="UTC",
        session=new_id(),
        hosts=(host,),
        expires_at=MONDAY - timedelta(days=1),
    )
    await tell(read_model, handlers.hold_changed, HoldChanged(account_id=account_id, state=hold))

    until = epoch_ms(hold.expires_at)
    memory = Memory(read_model, intervals=100)
    memory.begin()
    for now, there in ((until - 1, True), (until, False), (until - 1, True)):
        view = await memory.view(account_id, offer.id, *WINDOW, now=now)
        assert (host in view.busy, bool(view.seats), bool(view.day_counts)) == (there,) * 3
    assert memory.statements == 1


def test_differences_are_told_by_side():
    """Lines of both texts count as often as they stand there."""
    assert differences(b"a\nb\nb\n", b"b\na\nc\n") == ["- only here:  b", "+ only there: c"]
