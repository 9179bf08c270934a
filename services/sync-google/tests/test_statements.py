"""How many SQL statements the service needs: for an event, and for an attempt to write it into Google."""

import pytest


@pytest.fixture
async def calendar(world):
    """A connected calendar into which one appointment was written, so that all tokens are fresh."""
    calendar_id = await world.calendar()
    await world.connect(calendar_id)
    await world.book(calendar_id, 100)
    await world.push()
    return calendar_id


async def test_an_appointment_event_takes_two(world, calendar) -> None:
    """One stores it and names the calendars that show it, one stores all desired states."""
    for connected in (await world.calendar(), await world.calendar()):
        await world.connect(connected)
    async with world.statements() as executed:
        appointment = await world.book(calendar)
    assert len(executed) == 2, executed
    await world.push()

    async with world.statements() as executed:
        await world.change(appointment, calendar_id=connected)
    assert len(executed) == 2, executed
    assert len(await world.desired_states(status="due")) == 2


async def test_an_appointment_of_an_unconnected_calendar_takes_one(world) -> None:
    calendar = await world.calendar()
    async with world.statements() as executed:
        await world.book(calendar)
    assert len(executed) == 1, executed


async def test_an_attempt_to_create_takes_two(world, calendar) -> None:
    """The intent before the call, and the outcome after it."""
    await world.book(calendar)
    async with world.statements() as executed:
        assert await world.push() == 1
    assert len(executed) == 2, executed


async def test_an_attempt_to_update_takes_one(world, calendar) -> None:
    """The outcome: the version of the event protects it from a worker that has lost its lease."""
    appointment = await world.book(calendar)
    await world.push()
    await world.move(appointment, 3)
    async with world.statements() as executed:
        assert await world.push() == 1
    assert len(executed) == 1, executed


async def test_an_attempt_to_delete_takes_two(world, calendar) -> None:
    """What is about to be deleted, and the outcome."""
    appointment = await world.book(calendar)
    await world.push()
    await world.cancel(appointment)
    async with world.statements() as executed:
        assert await world.push() == 1
    assert len(executed) == 2, executed


async def test_a_new_connection_is_filled_in_few(world) -> None:
    """All appointments of a page are desired at once, however many there are."""
    calendar = await world.calendar()
    for hour in range(30):
        await world.book(calendar, hour)
    await world.connect(calendar, fill=False)
    async with world.statements() as executed:
        await world.reconcile_connections()
    assert len(await world.desired_states(status="due")) == 30
    assert len(executed) < 12, executed


async def test_a_poll_that_finds_nothing_takes_five(world, calendar) -> None:
    """Where it has to begin, and in one transaction the outcome under the locks of the connection."""
    await world.pull()
    await world.pull()
    async with world.statements() as executed:
        await world.pull()
    about_work = "UPDATE work SET next_attempt_at"  # by which the test makes the poll due
    assert len([sql for sql in executed if about_work not in sql]) == 5, executed
