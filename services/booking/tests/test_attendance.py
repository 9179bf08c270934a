"""One contact takes one seat of a session, unless the calendar allows more."""

import asyncio
from collections import Counter
from typing import Any

import asyncpg
import pytest

from booking.domain.commands import AppointmentPatch, NewAppointment
from booking.handlers.appointments import book
from hoop_platform.db.database import Database
from hoop_platform.errors import Refused
from hoop_platform.ids import new_id

START = "2027-03-01T14:00:00Z"


async def a_class(office: Any, **settings: Any) -> str:
    fields = {"calendarType": "class_booking", "appoinmentPerSlot": 3, **settings}
    return str(await office.calendar(**fields))


def refused_for(response: Any, appointment: str) -> bool:
    """Whether the response is the refusal that names this appointment."""
    seen = (response.status, response.body["code"], response.body.get("appointmentId"))
    return seen == (409, "already_attending", appointment)


async def test_a_contact_takes_one_seat(office: Any) -> None:
    """A second is refused and named, also when the class is full; the seats are for others."""
    calendar = await a_class(office)
    mine = (await office.book(calendar)).body["id"]
    assert refused_for(await office.book(calendar), mine)
    for contact in await office.contacts(2):
        assert (await office.book(calendar, contactId=contact)).status == 200
    assert refused_for(await office.book(calendar), mine)
    other = await office.book(calendar, contactId=office.tenant.contact_ids[1])
    assert (other.status, other.body["reason"]) == (400, "full")
    assert (await office.book(calendar, 30)).status == 200
    assert await office.violations() == []


async def test_a_cancelled_seat_does_not_count(office: Any) -> None:
    """The contact books again; then the cancelled one cannot come back beside it."""
    calendar = await a_class(office)
    first = (await office.book(calendar)).body["id"]
    await office.change(first, appointmentStatus="cancelled")
    second = await office.book(calendar)
    assert second.status == 200
    back = await office.change(first, appointmentStatus="confirmed")
    assert refused_for(back, second.body["id"])


async def test_moving_to_where_the_contact_sits(office: Any) -> None:
    """Refused; to another time it moves; an edit of what sits there is no second seat."""
    calendar = await a_class(office)
    there, mine = [(await office.book(calendar, minutes)).body["id"] for minutes in (0, 30)]
    assert refused_for(await office.change(mine, startTime=START), there)
    assert (await office.change(mine, startTime="2027-03-01T15:00:00Z")).status == 200
    assert (await office.change(there, title="Front row")).status == 200
    longer = {"endTime": "2027-03-01T15:00:00Z", "ignoreFreeSlotValidation": True}
    assert (await office.change(there, **longer)).status == 200
    assert await office.violations() == []


async def test_a_hold_is_no_second_seat(office: Any) -> None:
    """It is nobody's until it is booked: not by the contact who sits there, but by another."""
    calendar = await a_class(office)
    mine = (await office.book(calendar)).body["id"]
    held = await office.request("POST", f"/calendars/{calendar}/holds", {"startTime": START})
    hold = held.body["hold"]["id"]
    assert refused_for(await office.book(calendar, holdId=hold), mine)
    other = office.tenant.contact_ids[1]
    assert (await office.book(calendar, holdId=hold, contactId=other)).status == 200
    assert await office.violations() == []


async def test_a_calendar_may_allow_it(office: Any) -> None:
    """A father books for three; once it is forbidden, his seats stay, can be edited, and are enough."""
    calendar = await a_class(office, allowSameContact=True)
    seats = [(await office.book(calendar)).body["id"] for _ in range(2)]
    await office.request("PUT", f"/calendars/{calendar}", {"allowSameContact": False})
    assert (await office.book(calendar)).body["appointmentId"] in seats
    for seat in seats:
        assert (await office.change(seat, title="Family")).status == 200
    await office.change(seats[0], appointmentStatus="cancelled")
    assert refused_for(await office.change(seats[0], appointmentStatus="confirmed"), seats[1])
    await office.request("PUT", f"/calendars/{calendar}", {"allowSameContact": True})
    assert (await office.change(seats[0], appointmentStatus="confirmed")).status == 200
    assert (await office.book(calendar)).status == 200
    assert await office.violations() == []


async def test_a_seat_given_back_before_it_was_allowed(office: Any) -> None:
    """Booked twice, one after the other, while it was forbidden: both may sit there once it is allowed."""
    calendar = await a_class(office)
    first = (await office.book(calendar)).body["id"]
    await office.change(first, appointmentStatus="cancelled")
    assert (await office.book(calendar)).status == 200
    await office.request("PUT", f"/calendars/{calendar}", {"allowSameContact": True})
    assert (await office.change(first, appointmentStatus="confirmed")).status == 200


async def test_a_time_of_one_seat_is_taken_as_ever(office: Any) -> None:
    """Of a personal calendar: 400 with other times, whoever asks again."""
    calendar = await office.calendar()
    await office.book(calendar)
    again = await office.book(calendar)
    assert (again.status, again.body["code"]) == (400, "slot_unavailable")


async def test_a_series_passes_over_what_the_contact_attends(office: Any) -> None:
    """Skipped with its reason, whatever the calendar does with taken times; all attended: 409."""
    for option in ("skip", "continue", "book_next"):
        recurring = {"freq": "DAILY", "count": 2, "bookingOption": option}
        calendar = await a_class(office, recurring=recurring, allowSameContact=False)
        mine = (await office.book(calendar)).body["id"]
        series = await office.book(calendar, rrule="FREQ=DAILY;COUNT=2")
        found = [(one["outcome"], one.get("reason")) for one in series.body["occurrences"]]
        assert found == [("skipped", "already_attending"), ("booked", None)]
        again = await office.book(calendar, rrule="FREQ=DAILY;COUNT=2")
        assert refused_for(again, mine)
        named = await office.book(calendar, 24 * 60)
        assert refused_for(named, series.body["occurrences"][1]["id"])
        await office.request("DELETE", f"/calendars/{calendar}")


async def test_many_clicks_at_once_are_one_seat(office: Any) -> None:
    """Of one process, whose requests share round trips."""
    calendar = await a_class(office, appoinmentPerSlot=50)
    responses = await asyncio.gather(*(office.book(calendar) for _ in range(20)))
    assert Counter(response.status for response in responses) == {200: 1, 409: 19}
    assert await office.violations() == []


async def test_two_processes_at_once_are_one_seat(office: Any) -> None:
    """Each opens the session or joins it as it was: the database lets one of the two in."""
    dsn, tenant = office.runtime.db.dsn, office.tenant
    processes = [await Database.open(dsn, name=f"process {n}", pool_size=2) for n in range(2)]
    calendar = await a_class(office)

    async def click(database: Database, minutes: int) -> str:
        patch = AppointmentPatch(calendar_id=calendar, start=office.moment(minutes))
        new = NewAppointment(new_id(), tenant.contact_ids[0])
        try:
            await book(
                database,
                tenant.account_id,
                new,
                patch,
                location_id=tenant.location_id,
                now=office.now,
            )
        except Refused as refused:
            return refused.code
        return "booked"

    for n in range(24):
        minutes = 30 * (n % 12) + 24 * 60 * (n // 12)
        if n % 2:
            [other] = await office.contacts(1)
            await office.book(calendar, minutes, contactId=other)
        outcomes = await asyncio.gather(*(click(one, minutes) for one in processes))
        assert sorted(outcomes) == ["already_attending", "booked"]
    for one in processes:
        await one.close()


async def test_the_table_lets_a_contact_in_once(office: Any) -> None:
    """Whatever a decision believes: the index refuses a second seat, and the request is decided again."""
    calendar = await a_class(office)
    mine = (await office.book(calendar)).body["id"]
    with pytest.raises(asyncpg.UniqueViolationError, match="appointment_unique_contact"):
        await office.runtime.db.execute(
            """
            INSERT INTO appointment (account_id, id, calendar_id, location_id, contact_id, session_id,
                                     seat, starts, ends, local_day, occupies, version, sequence, state,
                                     unique_contact)
            SELECT account_id, gen_random_uuid(), calendar_id, location_id, contact_id, session_id,
                   2, starts, ends, local_day, true, 1, 1, state, unique_contact
              FROM appointment WHERE id = $1
            """,
            mine,
        )
