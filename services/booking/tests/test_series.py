"""Series: each occurrence is an appointment of its own, and the response has the outcome of each."""

import asyncio
from collections import Counter
from typing import Any

from booking.handlers.calendars import update_calendar
from hoop_platform.ids import new_id

DAY = 24 * 60
WEEK = "FREQ=DAILY;COUNT=5"  # Monday to Friday


def times(report: Any, name: str = "startTime") -> list[str]:
    return [one[name][5:16] for one in report]


def outcomes(response: Any) -> list[str]:
    return [one["outcome"] for one in response.body["occurrences"]]


async def recurring(office: Any, option: str, **settings: Any) -> str:
    """A calendar that does this with an occurrence whose time is taken."""
    calendar = await office.calendar(**settings)
    fields = {"recurring": {"freq": "DAILY", "count": 5, "bookingOption": option}}
    await office.run(update_calendar, calendar, fields)
    return str(calendar)


async def read(office: Any, which: str) -> Any:
    return await office.request("GET", f"/calendars/events/appointments/{which}")


async def test_each_occurrence_is_an_appointment(office: Any) -> None:
    """Its own id, which tells series and time, its own events, its own session."""
    calendar = await office.calendar()
    booked = await office.book(calendar, rrule=f"RRULE:{WEEK}", title="Physio")
    assert booked.status == 200, booked.body
    assert times(booked.body["occurrences"]) == [f"03-0{n}T09:00" for n in range(1, 6)]
    assert outcomes(booked) == ["booked"] * 5
    master, ids = booked.body["masterEventId"], [one["id"] for one in booked.body["occurrences"]]
    assert (booked.body["id"], booked.body["isRecurring"]) == (ids[0], True)
    assert (ids[0], booked.body["rrule"]) == (f"{master}_1803909600000_1800", WEEK)

    rows = await office.runtime.db.fetch("SELECT id, session_id FROM appointment")
    assert len({row["session_id"] for row in rows}) == 5
    for row in rows:
        [(kind, event)] = await office.announced(row["id"])
        series = event["state"]["series"]
        assert (kind, series["master"]) == ("AppointmentCreated", master)
        assert series["occurrenceId"] in ids
    third = (await read(office, ids[2])).body["event"]
    assert (third["id"], third["title"], third["startTime"][8:10]) == (ids[2], "Physio", "03")
    assert await office.violations() == []


async def test_a_rule_as_calendar_programs_write_it(office: Any) -> None:
    """The first Monday of each month, with the parts that such programs always send."""
    calendar = await office.calendar()
    rule = "RRULE:FREQ=MONTHLY;WKST=SU;INTERVAL=1;BYDAY=1MO;COUNT=3"
    booked = await office.book(calendar, rrule=rule)
    assert booked.status == 200, booked.body
    days = ["03-01T09:00", "04-05T09:00", "05-03T09:00"]
    assert times(booked.body["occurrences"]) == days
    assert outcomes(booked) == ["booked"] * 3
    other = await office.book(calendar, 30, rrule="FREQ=MONTHLY;BYDAY=2MO;COUNT=3")
    assert (other.status, other.body["details"][0]["code"]) == (422, "start")


async def test_an_occurrence_is_changed_alone(office: Any) -> None:
    """Moved, it keeps its id; deleted twice, the responses are the same; the others stay."""
    calendar = await office.calendar()
    booked = (await office.book(calendar, rrule=WEEK)).body
    first, second, *_ = [one["id"] for one in booked["occurrences"]]
    moved = await office.change(first, startTime="2027-03-01T20:00:00Z")
    assert (moved.status, moved.body["id"]) == (200, first)
    for _ in range(2):
        assert (await office.request("DELETE", f"/calendars/events/{second}")).status == 201
    assert (await read(office, second)).status == 404
    assert (await office.book(calendar, DAY)).status == 200
    assert (await read(office, booked["occurrences"][2]["id"])).body["event"]["version"] == 1
    assert await office.violations() == []


async def test_taken_times_are_skipped(office: Any) -> None:
    """Nothing is booked there, and the outcome says why; the response is the first that is booked."""
    calendar = await office.calendar()
    await office.book(calendar)
    await office.block(2 * DAY, 2 * DAY + 30, calendar_id=calendar)
    booked = await office.book(calendar, rrule="FREQ=DAILY;COUNT=7")
    expected = ["skipped", "booked", "skipped", "booked", "booked", "skipped", "skipped"]
    assert outcomes(booked) == expected
    reasons = [one.get("reason") for one in booked.body["occurrences"]]
    assert reasons == ["full", None, "busy", None, None, "closed", "closed"]
    assert booked.body["startTime"] == "2027-03-02T09:00:00-05:00"
    assert "id" not in booked.body["occurrences"][0]


async def test_taken_times_are_moved_on(office: Any) -> None:
    """To the next that is free, and never to where another occurrence belongs."""
    calendar = await recurring(office, "book_next", openHours=_open(9, 10))
    await office.book(calendar)
    await office.book(calendar, DAY)
    await office.book(calendar, DAY + 30)
    booked = await office.book(calendar, rrule="FREQ=DAILY;COUNT=3")
    assert outcomes(booked) == ["moved", "moved", "booked"]
    shown = [(await read(office, one["id"])).body["event"] for one in booked.body["occurrences"]]
    assert times(shown) == ["03-01T09:30", "03-03T09:30", "03-03T09:00"]
    assert times(booked.body["occurrences"]) == [f"03-0{n}T09:00" for n in (1, 2, 3)]
    assert await office.violations() == []


async def test_taken_times_are_waited_for(office: Any) -> None:
    """Written down as `new` without taking time; confirming needs the time, moving finds another."""
    calendar = await recurring(office, "continue")
    taken = (await office.book(calendar, DAY)).body["id"]
    booked = await office.book(calendar, rrule="FREQ=DAILY;COUNT=3")
    assert outcomes(booked) == ["booked", "waiting", "booked"]
    mine = booked.body["occurrences"][1]["id"]
    assert (await read(office, mine)).body["event"]["appointmentStatus"] == "new"
    assert (await office.change(mine, title="Other")).body["appointmentStatus"] == "new"
    assert await office.violations() == []

    lost = await office.change(mine, appointmentStatus="confirmed")
    assert (lost.status, lost.body["code"]) == (400, "slot_unavailable")
    await office.request("DELETE", f"/calendars/events/{taken}")
    assert (await office.change(mine, appointmentStatus="confirmed")).status == 200
    assert (await office.book(calendar, DAY)).status == 400
    [row] = await office.runtime.db.fetch("SELECT id FROM appointment WHERE version = 3")
    kinds = [kind for kind, _ in await office.announced(row["id"])]
    assert kinds == ["AppointmentCreated", "AppointmentUpdated", "AppointmentCreated"]


async def test_what_waits_may_be_moved(office: Any) -> None:
    calendar = await recurring(office, "continue")
    await office.book(calendar, DAY)
    booked = await office.book(calendar, rrule="FREQ=DAILY;COUNT=2")
    mine = booked.body["occurrences"][1]["id"]
    moved = await office.change(mine, startTime="2027-03-02T15:00:00Z")
    assert (moved.status, moved.body["startTime"]) == (200, "2027-03-02T10:00:00-05:00")
    assert (await office.book(calendar, DAY + 60)).status == 400
    assert await office.violations() == []


async def test_what_waits_goes_with_its_calendar(office: Any) -> None:
    """Deleting the calendar deletes what occupies its time and what waits for it."""
    calendar = await recurring(office, "continue")
    await office.book(calendar, DAY)
    booked = await office.book(calendar, rrule="FREQ=DAILY;COUNT=2")
    assert outcomes(booked) == ["booked", "waiting"]
    assert (await office.request("DELETE", f"/calendars/{calendar}")).status == 200
    for one in booked.body["occurrences"]:
        assert (await read(office, one["id"])).status == 404


async def test_none_booked_is_nothing_written(office: Any) -> None:
    """Whatever the calendar does with single ones: 400 with other times, and no trace."""
    for option in ("skip", "continue"):
        calendar = await recurring(office, option)
        await office.block(0, 4 * DAY + 30, calendar_id=calendar)
        response = await office.book(calendar, rrule=WEEK)
        assert (response.status, response.body["code"]) == (400, "slot_unavailable")
        assert response.body["alternatives"]
        count = "SELECT count(*) FROM appointment WHERE calendar_id = $1"
        assert await office.runtime.db.fetchval(count, calendar) == 0


async def test_a_calendar_may_make_series_of_all_that_is_booked(office: Any) -> None:
    """`enableRecurring`: as its settings say, unless the client names a rule."""
    calendar = await recurring(office, "skip")
    assert "occurrences" not in (await office.book(calendar)).body
    await office.run(update_calendar, calendar, {"enableRecurring": True})
    booked = await office.book(calendar, 30)
    assert (len(booked.body["occurrences"]), booked.body["rrule"]) == (5, WEEK)
    single = await office.book(calendar, 60, rrule="FREQ=DAILY;COUNT=1")
    assert len(single.body["occurrences"]) == 1


async def test_the_whole_series(office: Any) -> None:
    """Its id reads as what comes next; changing it moves all that lie ahead, deleting deletes them."""
    calendar = await office.calendar()
    booked = (await office.book(calendar, rrule=WEEK)).body
    master = booked["masterEventId"]
    ids = [one["id"] for one in booked["occurrences"]]
    assert (await read(office, master)).body["event"]["id"] == ids[0]

    moved = await office.change(master, startTime="2027-03-02T15:00:00Z")  # a day and an hour on
    assert moved.status == 400, moved.body  # Saturday is closed
    assert (await read(office, ids[0])).body["event"]["version"] == 1
    moved = await office.change(master, startTime="2027-03-01T14:30:00Z", title="Later")
    assert (moved.status, moved.body["occurrenceIds"]) == (200, ids)
    shown = [(await read(office, one)).body["event"] for one in ids]
    assert times(shown) == [f"03-0{n}T09:30" for n in range(1, 6)]
    assert {one["title"] for one in shown} == {"Later"}

    for _ in range(2):
        gone = await office.request("DELETE", f"/calendars/events/{master}")
        assert (gone.status, gone.content) == (201, {"succeeded": True})
    assert (await read(office, master)).status == 404
    assert (await office.change(master, title="x")).status == 409
    assert (await office.change(new_id(), title="x")).status == 404
    assert await office.violations() == []


async def test_a_series_moves_over_itself(office: Any) -> None:
    """A day later each comes where the next one was, and it works."""
    calendar = await office.calendar()
    booked = (await office.book(calendar, rrule="FREQ=DAILY;COUNT=4")).body
    for back_and_forth in ("2027-03-02T14:00:00Z", "2027-03-01T14:00:00Z"):
        moved = await office.change(booked["masterEventId"], startTime=back_and_forth)
        assert moved.status == 200, moved.body
    assert await office.violations() == []


async def test_what_no_series_is(office: Any) -> None:
    """A rule of ours, on a calendar of one, and never changed."""
    two = [{"userId": user} for user in office.tenant.user_ids]
    team = await office.calendar(calendarType="round_robin", teamMembers=two)
    calendar = await office.calendar()
    assert (await office.book(team, rrule=WEEK)).body["details"][0]["code"] == "one_member"
    single = (await office.book(calendar)).body["id"]
    assert (await office.change(single, rrule=WEEK)).body["details"][0]["code"] == "immutable"
    series = (await office.book(calendar, 30, rrule=WEEK)).body["id"]
    assert (await office.change(series, rrule=WEEK)).body["version"] == 1
    assert (await office.change(series, rrule="FREQ=DAILY;COUNT=6")).status == 422
    for violations in ("FREQ=SECONDLY;COUNT=2", "x" * 10_000):
        assert (await office.book(calendar, 60, rrule=violations)).status == 422
    late = await office.book(calendar, 60, rrule="FREQ=WEEKLY;UNTIL=20270401T000000Z")
    assert len(late.body["occurrences"]) == 5


async def test_series_and_single_bookings_at_once(office: Any) -> None:
    """No host is booked twice, whichever request is first; the outcomes match the tables."""
    calendar = await recurring(office, "book_next", slotInterval=15)
    tries = [office.book(calendar, 15 * n, rrule="FREQ=DAILY;COUNT=4") for n in range(8)]
    tries += [office.book(calendar, DAY * (n % 4) + 30 * n) for n in range(16)]
    responses = await asyncio.gather(*tries)
    assert {response.status for response in responses} <= {200, 400}
    assert await office.violations() == []
    outcomes = Counter(
        one["outcome"] for response in responses[:8] for one in response.body.get("occurrences", ())
    )
    single = sum(response.status == 200 for response in responses[8:])
    seats = await office.runtime.db.fetchval("SELECT count(*) FROM appointment WHERE occupies")
    assert seats == outcomes["booked"] + outcomes["moved"] + single


async def test_the_same_request_again_is_the_same_series(office: Any) -> None:
    """With an `Idempotency-Key`: one series, one response."""
    calendar = await office.calendar()
    body = {
        "calendarId": calendar,
        "locationId": office.tenant.location_id,
        "contactId": office.tenant.contact_ids[0],
        "startTime": "2027-03-01T14:00:00Z",
        "rrule": WEEK,
    }
    path, headers = "/calendars/events/appointments", {"Idempotency-Key": "once"}
    first, second = [await office.request("POST", path, body, headers=headers) for _ in range(2)]
    assert (first.status, first.content) == (second.status, second.content) == (200, first.content)
    assert await office.runtime.db.fetchval("SELECT count(*) FROM appointment") == 5


def _open(start: int, end: int) -> list[dict[str, Any]]:
    hours = {"openHour": start, "openMinute": 0, "closeHour": end, "closeMinute": 0}
    return [{"daysOfTheWeek": [0, 1, 2, 3, 4, 5, 6], "hours": [hours]}]
