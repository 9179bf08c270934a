"""The story as it goes when nothing goes wrong: connect, book, move, cancel; and what Google says back."""


async def test_an_appointment_is_shown_moved_and_taken_away(world) -> None:
    """One event, always where the appointment is; none after it was cancelled."""
    calendar = await world.calendar()
    await world.connect(calendar)

    appointment = await world.book(calendar)
    await world.push()
    [event] = await world.events()
    assert event["summary"] == "Ada and Bob"
    assert event["id"] == f"{appointment}1"
    assert event["start"] == {"dateTime": "2027-03-01T09:00:00Z", "timeZone": "Europe/Berlin"}
    assert event["extendedProperties"]["private"]["hoopAppointment"] == appointment

    await world.move(appointment, 3)
    await world.push()
    [event] = await world.events()
    assert event["start"]["dateTime"] == "2027-03-01T12:00:00Z"

    await world.cancel(appointment)
    await world.push()
    assert await world.events() == []
    assert await world.writes() == ["POST 200", "PATCH 200", "DELETE 204"]


async def test_a_foreign_event_blocks_and_frees(world) -> None:
    """Somebody else's event is announced as busy for the calendar's only member, and freed again."""
    calendar = await world.calendar()
    await world.connect(calendar)
    await world.pull()
    assert await world.busy() == []

    event = await world.foreign(2)
    await world.pull()
    assert await world.busy() == [(world.at(2), world.at(3))]
    [week] = await world.announced("ExternalBusyChanged")
    assert (week["week"], week["userId"], week["calendarId"]) == (
        "2027-W09",
        world.users[0],
        calendar,
    )

    await world.google(f"DELETE events/{event}")
    await world.pull()
    assert await world.busy() == []
