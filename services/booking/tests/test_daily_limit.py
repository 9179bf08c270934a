"""A calendar's limit of appointments a day counts days as its location lives them."""

from typing import Any

DAY_AND_NIGHT = [
    {
        "daysOfTheWeek": [0, 1, 2, 3, 4, 5, 6],
        "hours": [{"openHour": 0, "openMinute": 0, "closeHour": 23, "closeMinute": 60}],
    }
]
HOUR = 60


async def test_a_full_day_ends_at_midnight_there(office: Any) -> None:
    """Two a day, one late in the evening, when it is the next day in UTC: Monday is full, Tuesday is not."""
    calendar = await office.calendar(openHours=DAY_AND_NIGHT, appoinmentPerDay=2)
    morning, evening = await office.book(calendar, 0), await office.book(calendar, 14 * HOUR)
    assert (morning.status, evening.status) == (200, 200)
    assert evening.body["startTime"] == "2027-03-01T23:00:00-05:00"

    third = await office.book(calendar, 3 * HOUR)
    assert (third.status, third.body["code"]) == (400, "slot_unavailable")
    tuesday = await office.book(calendar, 15 * HOUR)
    assert (tuesday.status, tuesday.body["startTime"]) == (200, "2027-03-02T00:00:00-05:00")


async def test_moving_within_a_full_day_is_no_third(office: Any) -> None:
    """Who already counts that day may move within it; who comes from another day may not."""
    calendar = await office.calendar(openHours=DAY_AND_NIGHT, appoinmentPerDay=1)
    monday, tuesday = await office.book(calendar, 0), await office.book(calendar, 24 * HOUR)
    assert (monday.status, tuesday.status) == (200, 200)

    within = await office.change(monday.body["id"], startTime="2027-03-02T02:00:00Z")
    assert (within.status, within.body["startTime"]) == (200, "2027-03-01T21:00:00-05:00")
    onto = await office.change(tuesday.body["id"], startTime="2027-03-01T20:00:00Z")
    assert (onto.status, onto.body["code"]) == (400, "slot_unavailable")
