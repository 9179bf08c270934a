"""Connections: whom their events block, and what happens when they end."""

import asyncio

import pytest
from aiohttp import ClientSession

from hoop_events.accounts import UserDeleted
from hoop_events.base import Gone
from hoop_events.calendars import CalendarDeleted
from hoop_platform.errors import Invalid
from hoop_platform.providers.provider_accounts import lock_provider_account
from sync_google.handlers.connections import on_calendar_deleted, on_user_deleted


async def blocked(world) -> set[tuple[str | None, str]]:
    """The users and calendars that the newest announcement of any week blocks."""
    weeks = {week["id"]: week for week in await world.announced("ExternalBusyChanged")}
    return {(w["userId"], w["calendarId"]) for w in weeks.values() if w["intervals"]}


async def test_the_only_member_is_blocked(world) -> None:
    """When another user replaces the member, the same time blocks that user instead."""
    calendar = await world.calendar()
    await world.connect(calendar)
    await world.foreign(0)
    await world.pull()
    assert await blocked(world) == {(world.users[0], calendar)}
    await world.change_calendar(calendar, members=world.users[1:])
    assert await blocked(world) == {(world.users[1], calendar)}
    await world.change_calendar(calendar, members=world.users)
    assert await blocked(world) == {(None, calendar)}


@pytest.mark.parametrize("members", [0, 2])
async def test_without_one_user_the_calendar_is_blocked(world, members) -> None:
    """The calendar has no member, or several members of whom none is named."""
    calendar = await world.calendar(members=world.users[:members])
    await world.connect(calendar)
    await world.foreign(0)
    await world.pull()
    assert await blocked(world) == {(None, calendar)}


async def test_the_named_user_is_blocked(world) -> None:
    """A named user is blocked, also when the calendar has other members."""
    calendar = await world.calendar(members=world.users)
    await world.connect(calendar, userId=world.users[1])
    await world.foreign(0)
    await world.pull()
    assert await blocked(world) == {(world.users[1], calendar)}


async def test_another_user_can_be_named_later(world) -> None:
    """A member is accepted; anybody else is refused."""
    calendar = await world.calendar(members=world.users)
    connection_id = await world.connect(calendar)
    await world.foreign(0)
    await world.pull()
    await world.name_user(connection_id, world.users[0])
    await world.pull()
    assert await blocked(world) == {(world.users[0], calendar)}
    with pytest.raises(Invalid):
        await world.name_user(connection_id, connection_id)


async def test_disconnecting_frees_the_time(world) -> None:
    """Each week that was busy is announced as free, once."""
    calendar = await world.calendar()
    connection_id = await world.connect(calendar)
    await world.foreign(0)
    await world.foreign(24 * 30)
    await world.pull()
    await world.disconnect(connection_id)
    assert await world.busy() == []
    count = len(await world.announced("ExternalBusyChanged"))
    assert count == 4
    await world.pull()
    assert len(await world.announced("ExternalBusyChanged")) == count


async def test_a_listing_that_ends_after_disconnecting_is_dropped(world, monkeypatch) -> None:
    """The owner disconnects while Google's response is on its way: nothing of it is stored."""
    connection_id = await world.connect(await world.calendar())
    await world.foreign(0)
    real, ended = ClientSession._request, []

    async def disconnect_after(self, method, url, **more):
        response = await real(self, method, url, **more)
        if "/events" in str(url) and not ended:
            ended.append(url)
            await world.disconnect(connection_id)
        return response

    monkeypatch.setattr(ClientSession, "_request", disconnect_after)
    await world.pull()
    assert ended
    assert await world.announced("ExternalBusyChanged") == []


async def test_a_deleted_calendar_ends_its_connection(world) -> None:
    """The connection ends after the calendar's appointments are deleted in Google, not before."""
    calendar = await world.calendar()
    connection_id = await world.connect(calendar)
    appointment = await world.book(calendar)
    await world.push()
    async with world.runtime.db.transaction() as db:
        gone = Gone(id=calendar, sequence=world.next(calendar))
        deleted = CalendarDeleted(account_id=world.account_id, state=gone)
        await on_calendar_deleted(db, deleted, world.now())
    await world.reconcile_connections()
    assert (await world.connection(connection_id)).status == "active"
    await world.runtime.db.execute("UPDATE work SET due_start = due_start - '61 s'::interval")
    await world.cancel(appointment)
    await world.end_waits()
    await world.reconcile_connections()
    assert (await world.connection(connection_id)).status == "active"
    await world.push()
    await world.end_waits()
    await world.reconcile_connections()
    after = await world.connection(connection_id)
    assert (after.status, after.reason) == ("disconnected", "calendar_deleted")
    assert await world.events() == []


async def delete_user(world, user: str) -> None:
    event = UserDeleted(account_id=world.account_id, state=Gone(id=user, sequence=2))
    async with world.runtime.db.transaction() as db:
        await on_user_deleted(db, event, world.now())


async def lose_member(world, calendar: str) -> None:
    """Booking announces that the calendar has lost its only member."""
    await world.change_calendar(calendar, members=[], needsHost=True)


@pytest.mark.parametrize("first", ["user", "calendar"])
async def test_nothing_is_written_to_a_deleted_user(world, first) -> None:
    """The connection of the only member ends, whichever event comes first; what stands there stays."""
    user = world.users[0]
    calendar, other = await world.calendar(), await world.calendar(members=world.users[1:])
    connection, stays = await world.connect(calendar), await world.connect(other, user="bob@x.com")
    appointment = await world.book(calendar)
    await world.foreign(3)
    await world.pull()
    await world.push()
    steps = {"user": delete_user(world, user), "calendar": lose_member(world, calendar)}
    await steps.pop(first)
    await next(iter(steps.values()))
    after = await world.connection(connection)
    assert (after.status, after.reason) == ("disconnected", "user_deleted")
    assert (await world.connection(stays)).status == "active"
    assert await world.busy() == []
    calls = await world.calls()
    await world.change(appointment, needs_host=True)
    await world.move(appointment, 1)
    await world.push()
    assert await world.calls() == calls
    assert len(await world.events()) == 2


async def test_the_connection_that_names_a_deleted_user_ends(world) -> None:
    """Those of the calendar itself, and those that name a colleague, go on."""
    calendars = [await world.calendar(members=world.users) for _ in range(3)]
    named = await world.connect(calendars[0], userId=world.users[1])
    colleague = await world.connect(calendars[1], userId=world.users[0])
    unnamed = await world.connect(calendars[2])
    await delete_user(world, world.users[1])
    statuses = [(await world.connection(one)).status for one in (named, colleague, unnamed)]
    assert statuses == ["disconnected", "active", "active"]


async def test_a_calendar_without_a_host_may_be_connected_again(world) -> None:
    """Renamed afterwards, it keeps its new connection: that is of nobody who was deleted."""
    calendar = await world.calendar()
    await lose_member(world, calendar)
    connection = await world.connect(calendar)
    await lose_member(world, calendar)
    assert (await world.connection(connection)).status == "active"


async def test_booked_while_the_calendar_is_being_connected(world) -> None:
    """The connection waits for the open transaction of the appointment, and then includes it."""
    calendar, appointment = await world.calendar(), None
    async with asyncio.TaskGroup() as tasks, world.runtime.db.transaction() as db:
        appointment = await world.book(calendar, db=db)
        connecting = tasks.create_task(world.connect(calendar))
        await asyncio.wait([connecting], timeout=0.5)
        assert not connecting.done()
    await world.push()
    assert [event["id"] for event in await world.events()] == [await world.event_id(appointment)]


async def test_one_connection_for_a_calendar(world) -> None:
    """Connecting again keeps the same connection and the events written through it."""
    calendar = await world.calendar()
    first = await world.connect(calendar)
    await world.book(calendar)
    await world.push()
    assert await world.connect(calendar) == first
    await world.push()
    assert len(await world.events()) == 1
    async with world.runtime.db.transaction() as db:
        assert (
            await lock_provider_account(db, world.users[0], first) is None
        )  # another account's id
