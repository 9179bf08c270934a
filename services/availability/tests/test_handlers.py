"""The rows that each event leaves, as the view of a calendar shows them."""

from datetime import UTC, datetime, timedelta

import orjson

from availability import handlers
from availability.domain import BLOCK, diff_lines
from availability.store.cache import ViewCache
from availability.store.dump import get_dump
from hoop_events.booking import AppointmentCreated, AppointmentUpdated, Hold, HoldChanged
from hoop_events.calendars import BlockSlot, BlockSlotChanged, CalendarChanged
from hoop_events.effects import BusyInterval, BusyWeek, ExternalBusyChanged
from hoop_platform.ids import new_id
from hoop_scheduling.listing import free_slots
from hoop_scheduling.zones import epoch_ms

MONDAY = datetime(2027, 3, 1, 14, 0, tzinfo=UTC)  # 09:00 in New York
WINDOW = (epoch_ms(MONDAY), epoch_ms(MONDAY + timedelta(hours=3)))
NOW = epoch_ms(datetime(2027, 2, 25, tzinfo=UTC))
HOUR = 3_600_000


async def apply(database, handler, *events):
    for event in events:
        async with database.transaction() as db:
            await handler(db, event, MONDAY)


async def apply_calendar(database, account_id, state):
    await apply(
        database, handlers.on_calendar_changed, CalendarChanged(account_id=account_id, state=state)
    )


async def view_of(database, account_id, calendar_id, *, now=NOW, window=WINDOW):
    """The view of the calendar, without caching."""
    cache = ViewCache(database, intervals=0)
    return await cache.view(account_id, calendar_id, *window, now=now)


async def test_an_account_sees_only_its_own_rows(read_model, calendar, appointment):
    """Same calendar id, same host, another account: nothing of it is seen."""
    mine, other, host = new_id(), new_id(), new_id()
    state = calendar(new_id(), [host])
    await apply_calendar(read_model, mine, state)
    seat = appointment(new_id(), state.id, host, session=new_id(), start=MONDAY)
    await apply(
        read_model,
        handlers.on_appointment_changed,
        AppointmentCreated(account_id=other, state=seat),
    )

    assert await view_of(read_model, other, state.id) is None
    assert (await view_of(read_model, mine, state.id)).busy == {}


async def test_a_session_is_one_with_so_many_seats(read_model, calendar, appointment):
    """Two in a class are one interval, as long as the longer of them, with two seats taken."""
    account_id, host, session = new_id(), new_id(), new_id()
    state = calendar(new_id(), [host], appoinmentPerSlot=3)
    await apply_calendar(read_model, account_id, state)
    seats = [
        appointment(new_id(), state.id, host, session=session, start=MONDAY, minutes=minutes)
        for minutes in (30, 60)
    ]
    events = [AppointmentCreated(account_id=account_id, state=seat) for seat in seats]
    await apply(read_model, handlers.on_appointment_changed, *events)

    view = await view_of(read_model, account_id, state.id)
    start = epoch_ms(MONDAY)
    assert list(view.busy[host].rows()) == [(start, start + HOUR, 0, 0)]
    assert view.seats == {(host, start): (start + HOUR, 2)}


async def test_an_event_applied_twice_leaves_its_rows_once(read_model, calendar, appointment):
    """Each event replaces the rows of its subject, so a repetition changes nothing."""
    account_id, host = new_id(), new_id()
    state = calendar(new_id(), [host])
    await apply_calendar(read_model, account_id, state)
    seat = appointment(new_id(), state.id, host, session=new_id(), start=MONDAY)
    event = AppointmentUpdated(account_id=account_id, state=seat)
    await apply(read_model, handlers.on_appointment_changed, event, event)

    assert await read_model.fetchval("SELECT count(*) FROM occupied") == 1


async def test_without_members_the_calendar_hosts_itself(read_model, calendar, appointment):
    """An event calendar has no team: its own id is what is occupied."""
    account_id = new_id()
    state = calendar(new_id(), [])
    await apply_calendar(read_model, account_id, state)
    seat = appointment(new_id(), state.id, state.id, session=new_id(), start=MONDAY)
    await apply(
        read_model,
        handlers.on_appointment_changed,
        AppointmentCreated(account_id=account_id, state=seat),
    )

    view = await view_of(read_model, account_id, state.id)
    assert view.rules.host_ids == (state.id,)
    assert list(view.busy) == [state.id]


async def test_a_calendar_that_lost_its_members_offers_nothing(read_model, calendar):
    """The event of its last member's deletion empties it; with a new member it offers as before."""
    account_id, host, calendar_id = new_id(), new_id(), new_id()

    async def offered(members, sequence, **settings):
        state = calendar(calendar_id, members, sequence=sequence, **settings)
        await apply_calendar(read_model, account_id, state)
        view = await view_of(read_model, account_id, calendar_id)
        return free_slots(view.rules, busy=view.busy, window=WINDOW, now=NOW)

    assert {slot.hosts for slot in await offered([host], 1)} == {(host,)}
    assert await offered([], 2, needsHost=True) == []
    hosts = "SELECT hosts FROM calendar WHERE account_id = $1"
    assert await read_model.fetchval(hosts, account_id) == []
    assert {slot.hosts for slot in await offered([host], 3)} == {(host,)}


async def test_a_busy_week_replaces_only_itself(read_model, calendar):
    """An event carries all busy times of a connection in a week; other weeks stay."""
    account_id, user, connection = new_id(), new_id(), new_id()
    state = calendar(new_id(), [user])
    await apply_calendar(read_model, account_id, state)

    def week(name, *hours):
        starts = [MONDAY + timedelta(hours=hour) for hour in hours]
        busy_week = BusyWeek(
            id=f"{connection}:{name}",
            sequence=1,
            connection_id=connection,
            week=name,
            calendar_id=state.id,
            user_id=user,
            intervals=[BusyInterval(start=s, end=s + timedelta(minutes=30)) for s in starts],
        )
        return ExternalBusyChanged(account_id=account_id, state=busy_week)

    events = week("2027-W09", 0, 1), week("2027-W10", 2), week("2027-W09", 1)
    await apply(read_model, handlers.on_external_busy_changed, *events)

    view = await view_of(read_model, account_id, state.id)
    starts = [start for start, *_ in view.busy[user].rows()]
    assert starts == [epoch_ms(MONDAY + timedelta(hours=hour)) for hour in (1, 2)]


async def test_a_long_block_slot_is_found_in_each_block_and_dumped_as_one(read_model, calendar):
    """It is stored in pieces, split at the borders of blocks, and dumped as one line."""
    account_id, host = new_id(), new_id()
    state = calendar(new_id(), [host])
    await apply_calendar(read_model, account_id, state)
    end = MONDAY + timedelta(days=200)
    block_slot = BlockSlot(
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
    event = BlockSlotChanged(account_id=account_id, state=block_slot)
    await apply(read_model, handlers.on_block_slot_changed, event)

    for month in range(6):
        window = (WINDOW[0] + month * BLOCK, WINDOW[0] + month * BLOCK + HOUR)
        view = await view_of(read_model, account_id, state.id, window=window)
        assert view.busy[host].overlaps(*window)
    lines = [orjson.loads(line) for line in (await get_dump(read_model, at=0)).splitlines()]
    (line,) = [line for line in lines if line["kind"] == "block"]
    assert (line["start"], line["end"]) == (epoch_ms(MONDAY), epoch_ms(end))


async def test_a_hold_counts_until_it_expires(read_model, calendar):
    """From then on its time, seat and day count are free, without any event."""
    account_id, host = new_id(), new_id()
    state = calendar(new_id(), [host], appoinmentPerDay=2, appoinmentPerSlot=2)
    await apply_calendar(read_model, account_id, state)
    hold = Hold(
        id=new_id(),
        sequence=1,
        calendar_id=state.id,
        location_id=new_id(),
        start_time=MONDAY,
        end_time=MONDAY + timedelta(minutes=30),
        time_zone="UTC",
        session=new_id(),
        hosts=(host,),
        expires_at=MONDAY - timedelta(days=1),
    )
    await apply(
        read_model, handlers.on_hold_changed, HoldChanged(account_id=account_id, state=hold)
    )

    until = epoch_ms(hold.expires_at)
    cache = ViewCache(read_model, intervals=100)
    cache.start_listening()
    for now, there in ((until - 1, True), (until, False), (until - 1, True)):
        view = await cache.view(account_id, state.id, *WINDOW, now=now)
        assert (host in view.busy, bool(view.seats), bool(view.day_counts)) == (there,) * 3
    assert cache.statements == 1


def test_differing_lines_name_their_side():
    """A line that both texts have counts as often as it occurs in each."""
    assert diff_lines(b"a\nb\nb\n", b"b\na\nc\n") == ["- only here:  b", "+ only there: c"]
