"""Free slots as clients see them: a running service that hears what booking announces."""

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from availability.__main__ import service
from availability.api import FreeSlots
from hoop_events import (
    AppointmentCreated,
    AppointmentDeleted,
    CalendarChanged,
    CalendarDeleted,
    Gone,
)
from local.testing import Client, Tenant, eventually, publish, running
from shared.ids import new_id
from shared.slots import epoch_ms

MONDAY = datetime(2027, 3, 1, 14, 0, tzinfo=UTC)  # 09:00 in New York
START, END = epoch_ms(MONDAY), epoch_ms(MONDAY + timedelta(hours=8))
A_DAY = 86_400_000
NINE, HALF_PAST = "2027-03-01T09:00:00-05:00", "2027-03-01T09:30:00-05:00"


async def test_a_slot_goes_and_comes_back(new_database, kafka_bootstrap, calendar, appointment):
    """Open → booked → deleted, as events say; a strange account sees no calendar; a deleted one is gone."""
    tenant, stranger = Tenant(), Tenant()
    host = tenant.user_ids[0]
    offer = calendar(new_id(), [host])
    mine = appointment(new_id(), offer.id, host, session=new_id(), start=MONDAY)
    gone = mine.model_copy(update={"sequence": 2, "occupies": False, "deleted": True})
    who = {"account_id": tenant.account_id}
    path = f"/calendars/{offer.id}/free-slots"
    query = {"startDate": str(START), "endDate": str(END)}
    database = await new_database("availability")
    async with (
        running(service, database=database, kafka_bootstrap=kafka_bootstrap) as (base_url, _),
        Client(base_url, tenant.api_key) as ask,
        Client(base_url, stranger.api_key) as other,
    ):

        async def slots():
            answer = await ask("GET", path, query=query)
            return answer.told.get("2027-03-01", {}).get("slots") if answer.status == 200 else None

        async def first(expected):
            return (await slots() or [None])[0] == expected

        await publish(
            kafka_bootstrap,
            *tenant.events,
            *stranger.events,
            CalendarChanged(**who, state=offer),
        )
        await eventually(lambda: first(NINE), within=20)
        await publish(kafka_bootstrap, AppointmentCreated(**who, state=mine))
        await eventually(lambda: first(HALF_PAST))
        await publish(kafka_bootstrap, AppointmentDeleted(**who, state=gone))
        await eventually(lambda: first(NINE))
        foreign, unknown = [
            await other("GET", f"/calendars/{one}/free-slots", query=query)
            for one in (offer.id, new_id())
        ]
        assert (foreign.status, foreign.told) == (unknown.status, unknown.told)
        assert foreign.status == 404
        off = offer.model_copy(
            update={"sequence": 2, "settings": {**offer.settings, "isActive": False}}
        )
        await publish(kafka_bootstrap, CalendarChanged(**who, state=off))

        async def told(status, code):
            answer = await ask("GET", path, query=query)
            return (answer.status, answer.body.get("code")) == (status, code)

        await eventually(lambda: told(400, "calendar_inactive"))
        end = Gone(id=offer.id, sequence=3)
        await publish(kafka_bootstrap, CalendarDeleted(**who, state=end))
        await eventually(lambda: told(404, "not_found"))


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (START, START),
        (START, START - 1),
        (-1, START),
        (START, START + 31 * A_DAY + 1),
        (10**20, 10**20 + 1),
        ("x", START),
        ("1.5", START),
    ],
)
def test_ranges_that_are_refused(start, end):
    """Empty, backwards, before 1970, longer than 31 days, after 2199, or no whole numbers."""
    with pytest.raises(ValidationError):
        FreeSlots.model_validate({"startDate": start, "endDate": end})


def test_31_days_are_allowed():
    asked = FreeSlots.model_validate({"startDate": str(START), "endDate": str(START + 31 * A_DAY)})
    assert asked.end_date - asked.start_date == 31 * A_DAY


@pytest.mark.parametrize("zone", ["US/Eastern", "Asia/Calcutta", "UTC", "Europe/Kiev"])
def test_old_names_of_zones_are_allowed(zone):
    """A link in the IANA database is as good as what it points to."""
    FreeSlots.model_validate({"startDate": START, "endDate": END, "timezone": zone})


@pytest.mark.parametrize("zone", ["localtime", "posixrules", "right/UTC", "../UTC", "", "UTC+3"])
def test_other_zones_are_refused(zone):
    with pytest.raises(ValidationError):
        FreeSlots.model_validate({"startDate": START, "endDate": END, "timezone": zone})


@pytest.mark.parametrize(
    ("said", "users"),
    [
        ({}, None),
        ({"userId": "a"}, ("a",)),
        ({"userIds": ["a", "b"]}, ("a", "b")),
        ({"userIds": ["a"], "userId": "b"}, ("a", "b")),
    ],
)
def test_whose_slots_are_asked_for(said, users):
    """Nobody named: the team. Both parameters together name all of them."""
    asked = FreeSlots.model_validate({"startDate": START, "endDate": END, **said})
    assert asked.question("UTC").users == users
