"""Whom a connection blocks, and what its end leaves behind."""

import asyncio

import pytest
from aiohttp import ClientSession

from hoop_events.base import Gone
from hoop_events.calendars import CalendarDeleted
from hoop_platform.errors import Invalid
from hoop_platform.providers.provider_accounts import lock_provider_account
from sync_google import handlers


async def blocked(world) -> set[tuple[str | None, str]]:
    """Users and calendars of the weeks as announced last, as far as they are busy."""
    weeks = {week["id"]: week for week in await world.announced("ExternalBusyChanged")}
    return {(w["userId"], w["calendarId"]) for w in weeks.values() if w["intervals"]}


async def test_the_only_member_is_blocked(world) -> None:
    """When he is replaced, the same time blocks the new one, and no more the old one."""
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
    """Nobody is a member, or several are and none is named."""
    calendar = await world.calendar(members=world.users[:members])
    await world.connect(calendar)
    await world.foreign(0)
    await world.pull()
    assert await blocked(world) == {(None, calendar)}


async def test_the_named_user_is_blocked(world) -> None:
    """Whoever else is a member."""
    calendar = await world.calendar(members=world.users)
    await world.connect(calendar, userId=world.users[1])
    await world.foreign(0)
    await world.pull()
    assert await blocked(world) == {(world.users[1], calendar)}


async def test_another_user_is_named_later(world) -> None:
    """A member is; somebody else is refused."""
    calendar = await world.calendar(members=world.users)
    connection_id = await world.connect(calendar)
    await world.foreign(0)
    await world.pull()
    await world.rename(connection_id, world.users[0])
    await world.pull()
    assert await blocked(world) == {(world.users[0], calendar)}
    with pytest.raises(Invalid):
        await world.rename(connection_id, connection_id)


async def test_disconnecting_frees_the_time(world) -> None:
    """Each week that was busy is announced as free, once."""
    calendar = await world.calendar()
    connection_id = await world.connect(calendar)
    await world.foreign(0)
    await world.foreign(24 * 30)
    await world.pull()
    await world.disconnect(connection_id)
    assert await world.busy() == []
    said = len(await world.announced("ExternalBusyChanged"))
    assert said == 4
    await world.pull()
    assert len(await world.announced("ExternalBusyChanged")) == said


async def test_a_look_that_was_overtaken_by_the_end_changes_nothing(world, monkeypatch) -> None:
    """The list was on its way when its owner disconnected: it is thrown away."""
    connection_id = await world.connect(await world.calendar())
    await world.foreign(0)
    real, ended = ClientSession._request, []

    async def then_end(self, method, url, **more):
        answer = await real(self, method, url, **more)
        if "/events" in str(url) and not ended:
            ended.append(url)
            await world.disconnect(connection_id)
        return answer

    monkeypatch.setattr(ClientSession, "_request", then_end)
    await world.pull()
    assert ended
    assert await world.announced("ExternalBusyChanged") == []


async def test_a_deleted_calendar_ends_its_connection(world) -> None:
    """After its appointments are gone from Google, not before: else they would stay there."""
    calendar = await world.calendar()
    connection_id = await world.connect(calendar)
    appointment = await world.book(calendar)
    await world.push()
    async with world.runtime.db.transaction() as db:
        gone = Gone(id=calendar, sequence=world.next(calendar))
        await handlers.forget_calendar(db, CalendarDeleted(account_id=world.account_id, state=gone))
    await world.follow()
    assert (await world.connection(connection_id)).status == "active"
    await world.runtime.db.execute("UPDATE work SET due_start = due_start - '61 s'::interval")
    await world.cancel(appointment)
    await world.wait()
    await world.follow()
    assert (await world.connection(connection_id)).status == "active"
    await world.push()
    await world.wait()
    await world.follow()
    after = await world.connection(connection_id)
    assert (after.status, after.reason) == ("disconnected", "calendar_deleted")
    assert await world.events() == []


async def test_booked_while_the_calendar_is_being_connected(world) -> None:
    """Each on its way while the other commits: they hear of each other all the same."""
    calendar, appointment = await world.calendar(), None
    async with asyncio.TaskGroup() as tasks, world.runtime.db.transaction() as db:
        appointment = await world.book(calendar, db=db)
        connecting = tasks.create_task(world.connect(calendar))
        await asyncio.wait([connecting], timeout=0.5)
        assert not connecting.done()
    await world.push()
    assert [event["id"] for event in await world.events()] == [f"{appointment}1"]


async def test_one_connection_for_a_calendar(world) -> None:
    """Connecting again goes on with the same one, and does not begin anew."""
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
