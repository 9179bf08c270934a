"""Without faults: an appointment is created, moved and deleted in Google; a foreign event blocks time."""


async def test_an_appointment_is_created_moved_and_deleted(world) -> None:
    """One event, always at the appointment's time; none after the cancellation."""
    calendar = await world.calendar()
    await world.connect(calendar)

    appointment = await world.book(calendar)
    await world.push()
    [event] = await world.events()
    assert event["summary"] == "Ada and Bob"
    assert event["id"] == await world.event_id(appointment)
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
    """Another person's event makes the calendar's only member busy, until it is deleted."""
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
