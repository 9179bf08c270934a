"""A hold keeps a seat for a while: then it is an appointment, or as if it had never been."""

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from booking import jobs
from booking.handlers import holds
from booking.handlers.holds import release_expired, release_hold
from hoop_platform.errors import NotFound, Refused, SlotUnavailable
from hoop_platform.ids import new_id
from local.testing.polling import eventually

DAY = 24 * 60


async def test_a_held_time_becomes_an_appointment(office: Any) -> None:
    """The time is refused to others; the appointment has the id and the session of the hold."""
    calendar = await office.calendar()
    hold = await office.hold(calendar)
    assert (await office.book(calendar)).status == 400
    assert (await office.request("GET", f"/calendars/events/appointments/{hold.id}")).status == 404

    booked = await office.book_held(hold.id)
    assert (booked.id, booked.session, booked.hosts) == (hold.id, hold.session, hold.hosts)
    assert (await office.request("GET", f"/calendars/events/appointments/{hold.id}")).status == 200
    kinds = [kind for kind, _ in await office.announced(hold.id)]
    assert Counter(kinds) == Counter(["HoldChanged", "AppointmentCreated", "HoldDeleted"])
    assert kinds[-1] == "HoldDeleted"
    with pytest.raises(SlotUnavailable):
        await office.book_held(hold.id)
    assert await office.violations() == []


async def test_what_ran_out_is_gone_for_everybody(office: Any) -> None:
    """The hold can no longer be booked, and its time can."""
    calendar = await office.calendar()
    hold = await office.hold(calendar, lasts=10)
    with pytest.raises(SlotUnavailable) as refused:
        await office.book_held(hold.id, after=10)
    assert refused.value.extra == {"reason": "hold_gone"}

    database, account = office.runtime.db, office.tenant.account_id
    assert await release_expired(database, now=hold.expires_at - timedelta(seconds=1)) == 0
    assert await release_expired(database, now=hold.expires_at) == 1
    assert (await office.book(calendar)).status == 200
    event = (await office.announced(hold.id))[-1]
    assert (event[0], event[1]["change"]["reason"]) == ("HoldDeleted", "expired")
    with pytest.raises(NotFound):
        await release_hold(database, account, hold.id, now=hold.expires_at)


async def test_a_booking_clears_what_ran_out_in_its_way(office: Any) -> None:
    """The seat of an expired hold is free at once, before the job releases it."""
    calendar = await office.calendar()
    first = await office.hold(calendar, lasts=5)
    second = await office.hold_at(calendar, after=5)
    assert second.session != first.session
    assert [kind for kind, _ in await office.announced(first.id)] == ["HoldChanged", "HoldDeleted"]
    assert await office.violations() == []


async def test_a_hold_that_cannot_be_read_keeps_no_other(office: Any, monkeypatch: Any) -> None:
    """Its row is damaged: those behind it are released in the same round, whatever the batch holds."""
    monkeypatch.setattr(holds, "BATCH", 1)
    calendar, database = await office.calendar(), office.runtime.db
    damaged = await office.hold(calendar, lasts=10)
    await database.execute("UPDATE appointment SET state = '{}' WHERE id = $1", damaged.id)
    others = [await office.hold(calendar, 60 * n, lasts=10 + n) for n in (1, 2)]

    now = others[-1].expires_at
    assert [await release_expired(database, now=now) for _ in range(2)] == [2, 0]
    for hold in others:
        assert (await office.announced(hold.id))[-1][0] == "HoldDeleted"


async def test_the_release_of_holds_outlives_its_failures(office: Any, monkeypatch: Any) -> None:
    """For a while a column has another name, as if a release were half installed."""
    monkeypatch.setattr(jobs, "SHORTEST_PAUSE", 0.05)
    calendar, database = await office.calendar(), office.runtime.db
    hold = await office.hold(calendar, lasts=10)
    await database.execute("UPDATE appointment SET held_until = clock_timestamp()")
    rename = "ALTER TABLE appointment RENAME COLUMN {} TO {}"
    await database.execute(rename.format("held_until", "held_until_of_old"))
    release, stop = jobs.jobs(office.runtime)[0], asyncio.Event()

    async def released() -> bool:
        return (await office.announced(hold.id))[-1][0] == "HoldDeleted"

    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(release(stop))
        await asyncio.sleep(0.3)
        assert not running.done()
        await database.execute(rename.format("held_until_of_old", "held_until"))
        await eventually(released)
        stop.set()


async def test_holds_take_the_seats_of_a_class(office: Any) -> None:
    """Three seats: two holds and one booking; the fourth is refused until a hold is released."""
    calendar = await office.calendar(calendarType="class_booking", appoinmentPerSlot=3)
    first, second = await office.hold(calendar), await office.hold(calendar)
    assert first.session == second.session
    one, other = office.tenant.contact_ids
    assert (await office.book(calendar, contactId=one)).status == 200
    refused = await office.book(calendar, contactId=other)
    assert (refused.status, refused.body["reason"]) == (400, "full")
    await office.run_outside(release_hold, first.id)
    assert (await office.book(calendar, contactId=other)).status == 200
    assert await office.violations() == []


async def test_a_held_time_counts_for_the_day(office: Any) -> None:
    """One appointment a day: a hold is that one, so that it can become it."""
    calendar = await office.calendar(appoinmentPerDay=1)
    hold = await office.hold(calendar)
    refused = await office.book(calendar, 60)
    assert (refused.status, refused.body["reason"]) == (400, "day_full")
    assert (await office.book(calendar, DAY)).status == 200
    assert (await office.book_held(hold.id)).id == hold.id


async def test_fifty_hold_or_book_one_time(office: Any) -> None:
    """The first request has the time, held or booked; one hold becomes one appointment, not two."""
    calendar = await office.calendar()

    async def hold() -> int:
        try:
            await office.hold(calendar)
        except Refused as refused:
            return refused.status
        return 200

    tries = [hold() if n % 2 else _status(office.book(calendar)) for n in range(50)]
    assert Counter(await asyncio.gather(*tries)) == {200: 1, 400: 49}

    held = await office.hold(calendar, 60)
    results = await asyncio.gather(
        *(office.book_held(held.id) for _ in range(10)), return_exceptions=True
    )
    assert Counter(type(result).__name__ for result in results) == {
        "Appointment": 1,
        "SlotUnavailable": 9,
    }
    assert await office.violations() == []


async def _status(response: Any) -> int:
    return int((await response).status)


async def test_a_calendar_that_goes_lets_its_holds_go(office: Any) -> None:
    """Its host's time is free again; the hold is as unknown as the calendar."""
    calendar = await office.calendar()
    hold = await office.hold(calendar)
    assert (await office.request("DELETE", f"/calendars/{calendar}")).status == 200
    assert (await office.book(await office.calendar())).status == 200
    with pytest.raises(SlotUnavailable):
        await office.book_held(hold.id)
    with pytest.raises(NotFound):
        await office.run_outside(release_hold, new_id())
