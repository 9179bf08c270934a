"""Free slots as clients see them: a running service that consumes the events of booking."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from availability.__main__ import service
from availability.api import FreeSlotsQuery
from hoop_events.base import Gone
from hoop_events.booking import AppointmentCreated, AppointmentDeleted, Hold, HoldChanged
from hoop_events.calendars import (
    BlockSlot,
    BlockSlotChanged,
    BlockSlotDeleted,
    CalendarChanged,
    CalendarDeleted,
    Interval,
    Resource,
    ResourceChanged,
    ResourceDeleted,
    Schedule,
    ScheduleChanged,
    ScheduleDeleted,
    ScheduleRule,
)
from hoop_platform import consistency_token
from hoop_platform.ids import new_id
from hoop_scheduling.zones import epoch_ms
from local.testing.client import Client
from local.testing.events import publish
from local.testing.polling import eventually
from local.testing.service import running
from local.testing.tenant import Tenant

MONDAY = datetime(2027, 3, 1, 14, 0, tzinfo=UTC)  # 09:00 in New York
START, END = epoch_ms(MONDAY), epoch_ms(MONDAY + timedelta(hours=8))
A_DAY = 86_400_000
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
OPEN_MONDAY = [
    {
        "daysOfTheWeek": [1],
        "hours": [{"openHour": 9, "openMinute": 0, "closeHour": 12, "closeMinute": 0}],
    }
]
NINE, HALF_PAST = "2027-03-01T09:00:00-05:00", "2027-03-01T09:30:00-05:00"


async def test_a_booked_slot_is_taken_until_its_deletion(
    new_database, kafka_bootstrap, calendar, appointment
):
    """Open → booked → deleted, by events; another account sees no calendar; a deleted one is gone."""
    tenant, stranger = Tenant(), Tenant()
    host = tenant.user_ids[0]
    state = calendar(new_id(), [host])
    mine = appointment(new_id(), state.id, host, session=new_id(), start=MONDAY)
    gone = mine.model_copy(update={"sequence": 2, "occupies": False, "deleted": True})
    who = {"account_id": tenant.account_id}
    path = f"/calendars/{state.id}/free-slots"
    query = {"startDate": str(START), "endDate": str(END)}
    database = await new_database("availability")
    async with (
        running(service, database=database, kafka_bootstrap=kafka_bootstrap) as (base_url, _),
        Client(base_url, tenant.api_key) as ask,
        Client(base_url, stranger.api_key) as other,
    ):

        async def slots():
            response = await ask("GET", path, query=query)
            return (
                response.body.get("2027-03-01", {}).get("slots") if response.status == 200 else None
            )

        async def first(expected):
            return (await slots() or [None])[0] == expected

        await publish(
            kafka_bootstrap,
            *tenant.events,
            *stranger.events,
            CalendarChanged(**who, state=state),
        )
        await eventually(lambda: first(NINE), within=20)
        await publish(kafka_bootstrap, AppointmentCreated(**who, state=mine))
        await eventually(lambda: first(HALF_PAST))
        await publish(kafka_bootstrap, AppointmentDeleted(**who, state=gone))
        await eventually(lambda: first(NINE))
        foreign, unknown = [
            await other("GET", f"/calendars/{one}/free-slots", query=query)
            for one in (state.id, new_id())
        ]
        same = {"traceId": None}
        assert (foreign.status, foreign.body | same) == (unknown.status, unknown.body | same)
        assert foreign.status == 404
        off = state.model_copy(
            update={"sequence": 2, "settings": {**state.settings, "isActive": False}}
        )
        await publish(kafka_bootstrap, CalendarChanged(**who, state=off))

        async def refused(status, code):
            response = await ask("GET", path, query=query)
            return (response.status, response.body.get("code")) == (status, code)

        await eventually(lambda: refused(400, "calendar_inactive"))
        end = Gone(id=state.id, sequence=3)
        await publish(kafka_bootstrap, CalendarDeleted(**who, state=end))
        await eventually(lambda: refused(404, "not_found"))


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (START, START),
        (START, START - 1),
        (-1, START),
        (START, START + 33 * A_DAY + 1),
        (10**20, 10**20 + 1),
        ("x", START),
        ("1.5", START),
    ],
)
def test_ranges_that_are_refused(start, end):
    """Empty, backwards, before 1970, much longer than 31 days, after 2199, or no whole numbers."""
    with pytest.raises(ValidationError):
        FreeSlotsQuery.model_validate({"startDate": start, "endDate": end})


def test_31_days_are_allowed():
    query = FreeSlotsQuery.model_validate(
        {"startDate": str(START), "endDate": str(START + 31 * A_DAY)}
    )
    assert query.end_date - query.start_date == 31 * A_DAY


@pytest.mark.parametrize("zone", ["US/Eastern", "Asia/Calcutta", "UTC", "Europe/Kiev"])
def test_old_names_of_zones_are_allowed(zone):
    """A link in the IANA database is as good as what it points to."""
    FreeSlotsQuery.model_validate({"startDate": START, "endDate": END, "timezone": zone})


@pytest.mark.parametrize("zone", ["localtime", "posixrules", "right/UTC", "../UTC", "", "UTC+3"])
def test_other_zones_are_refused(zone):
    with pytest.raises(ValidationError):
        FreeSlotsQuery.model_validate({"startDate": START, "endDate": END, "timezone": zone})


@pytest.mark.parametrize(
    ("fields", "users"),
    [
        ({}, None),
        ({"userId": "a"}, ("a",)),
        ({"userIds": ["a", "b"]}, ("a", "b")),
        ({"userIds": ["a"], "userId": "b"}, ("a", "b")),
    ],
)
def test_the_users_of_a_query(fields, users):
    """None named: the team. Both parameters together name all of them."""
    query = FreeSlotsQuery.model_validate({"startDate": START, "endDate": END, **fields})
    assert query.users == users


async def ready(bootstrap, tenant, *events):
    await publish(bootstrap, *tenant.events, *events)


async def test_the_optional_parameters(new_database, kafka_bootstrap, calendar, appointment):
    """`format=range`, `explain` and `excludeEventId`."""
    tenant = Tenant()
    host = tenant.user_ids[0]
    state = calendar(new_id(), [host], appoinmentPerSlot=3, openHours=OPEN_MONDAY)
    mine = appointment(new_id(), state.id, host, session=new_id(), start=MONDAY)
    who, path = {"account_id": tenant.account_id}, f"/calendars/{state.id}/free-slots"
    query = {"startDate": str(START), "endDate": str(START + 2 * A_DAY)}
    database = await new_database("availability")
    async with (
        running(service, database=database, kafka_bootstrap=kafka_bootstrap) as (base_url, _),
        Client(base_url, tenant.api_key) as ask,
    ):
        await ready(
            kafka_bootstrap,
            tenant,
            CalendarChanged(**who, state=state),
            AppointmentCreated(**who, state=mine),
        )

        async def ranges(**more):
            response = await ask("GET", path, query={**query, "format": "range", **more})
            return response.body.get("2027-03-01", {}).get("slots", [])

        async def first(seats, **more):
            found = await ranges(**more)
            return found and found[0]["start"] == NINE and found[0]["seatsLeft"] == seats

        await eventually(lambda: first(2), within=20)
        assert (await ranges())[0] == {
            "start": NINE,
            "end": HALF_PAST,
            "seatsLeft": 2,
            "userIds": [host],
        }
        assert await first(3, excludeEventId=mine.id)
        response = await ask("GET", path, query={**query, "explain": "true"})
        assert response.body["explain"]["2027-03-02"] == "closed"
        assert "2027-03-01" not in response.body["explain"]
        for unknown in (new_id(), "x"):
            response = await ask("GET", path, query={**query, "excludeEventId": unknown})
            assert (response.status, response.body["code"]) == (404, "not_found")
        response = await ask("GET", path, query={**query, "format": "ranges"})
        assert response.status == 422


async def test_a_range_has_31_days_by_the_clocks_of_its_zone(
    new_database, kafka_bootstrap, calendar
):
    """October where the clocks go back in it; 31 times 24 hours where they go forward; no day more."""
    tenant = Tenant()
    state = calendar(new_id(), [tenant.user_ids[0]])
    path = f"/calendars/{state.id}/free-slots"
    event = CalendarChanged(account_id=tenant.account_id, state=state)
    database = await new_database("availability")
    async with (
        running(service, database=database, kafka_bootstrap=kafka_bootstrap) as (base_url, _),
        Client(base_url, tenant.api_key) as ask,
    ):
        await ready(kafka_bootstrap, tenant, event)

        async def status(month, days, zone, *, of="timezone", hours=0):
            first = datetime(2027, month, 1, tzinfo=ZoneInfo(zone))
            last = epoch_ms(first + timedelta(days=days)) + hours * 3_600_000
            query = {"startDate": str(epoch_ms(first)), "endDate": str(last)}
            query |= {"timezone": zone} if of == "timezone" else {}
            return (await ask("GET", path, query=query)).status

        async def known():
            return await status(6, 1, "UTC") == 200

        await eventually(known, within=20)
        berlin, new_york = "Europe/Berlin", "America/New_York"
        assert await status(10, 31, berlin) == 200
        assert await status(10, 32, berlin) == 422
        assert await status(10, 31, berlin, hours=1) == 422
        assert await status(3, 31, berlin, hours=1) == 200
        assert await status(11, 31, new_york, of="calendar") == 200
        assert await status(11, 31, new_york, of="calendar", hours=1) == 422
        assert await status(10, 31, berlin, of="calendar") == 422
        query = {"startDate": str(START), "endDate": str(START + 32 * A_DAY)}
        refused = await ask("GET", path, query=query)
        assert [one["path"] for one in refused.body["details"]] == ["endDate"]


async def test_no_response_is_older_than_its_token(
    new_database, kafka_bootstrap, calendar, appointment
):
    """Versions that the token names are waited for; after the timeout the response is marked stale."""
    tenant = Tenant()
    host = tenant.user_ids[0]
    state = calendar(new_id(), [host])
    who, path = {"account_id": tenant.account_id}, f"/calendars/{state.id}/free-slots"
    query = {"startDate": str(START), "endDate": str(END)}
    database = await new_database("availability")
    async with (
        running(service, database=database, kafka_bootstrap=kafka_bootstrap) as (base_url, _),
        Client(base_url, tenant.api_key) as ask,
    ):
        await ready(kafka_bootstrap, tenant, CalendarChanged(**who, state=state))

        async def known():
            return (await ask("GET", path, query=query)).status == 200

        await eventually(known, within=20)
        for version in range(1, 6):
            booked = appointment(
                new_id(),
                state.id,
                host,
                session=new_id(),
                start=MONDAY + timedelta(minutes=30 * version),
                versions={host: version, state.id: version},
            )
            await publish(kafka_bootstrap, AppointmentCreated(**who, state=booked))
            token = consistency_token.encode(booked.versions)

            async def fresh(token=token):
                response = await ask("GET", path, query=query, headers={"X-Read-Token": token})
                return None if "X-Stale" in response.headers else response

            response = await eventually(fresh, within=20)
            shown = booked.start_time.astimezone(ZoneInfo("America/New_York")).isoformat()
            assert shown not in response.body["2027-03-01"]["slots"]
            assert consistency_token.decode(response.headers["X-Read-Token"]) == booked.versions
        future = consistency_token.encode({host: 1000})
        response = await ask("GET", path, query=query, headers={"X-Read-Token": future})
        assert (response.status, response.headers["X-Stale"]) == (200, "true")
        response = await ask("GET", path, query=query, headers={"X-Read-Token": "rubbish!"})
        assert response.status == 400


async def test_holds_blocks_schedules_and_rooms_count(new_database, kafka_bootstrap, calendar):
    """A hold counts until it expires; so do block slots, schedules and blocked rooms."""
    tenant = Tenant()
    host = tenant.user_ids[0]
    state = calendar(new_id(), [host])
    who, path = {"account_id": tenant.account_id}, f"/calendars/{state.id}/free-slots"
    query = {"startDate": str(START), "endDate": str(END)}
    when = {"date_added": MONDAY, "date_updated": MONDAY}
    common = {"sequence": 1, "version": 1, "location_id": state.location_id}
    half = timedelta(minutes=30)

    def hold(start, expires_at):
        held = Hold(
            id=new_id(),
            sequence=1,
            calendar_id=state.id,
            location_id=state.location_id,
            start_time=start,
            end_time=start + half,
            time_zone="UTC",
            session=new_id(),
            hosts=(host,),
            expires_at=expires_at,
        )
        return HoldChanged(**who, state=held)

    block = BlockSlot(
        id=new_id(),
        calendar_id=state.id,
        user_id=None,
        start_time=MONDAY + 2 * half,
        end_time=MONDAY + 3 * half,
        **common,
        **when,
    )
    room = Resource(
        id=new_id(), resource_type="rooms", name="R", calendar_ids=(state.id,), **common, **when
    )
    closed = BlockSlot(
        id=new_id(),
        calendar_id=None,
        user_id=None,
        resource_id=room.id,
        start_time=MONDAY + 3 * half,
        end_time=MONDAY + 4 * half,
        **common,
        **when,
    )
    hours = ScheduleRule(
        type="wday", day="monday", intervals=(Interval(from_="08:30", to="12:00"),)
    )
    schedule = Schedule(
        id=new_id(),
        user_id=host,
        name="S",
        timezone="America/New_York",
        rules=(hours,),
        calendar_ids=(state.id,),
        **common,
        **when,
    )
    database = await new_database("availability")
    async with (
        running(service, database=database, kafka_bootstrap=kafka_bootstrap) as (base_url, _),
        Client(base_url, tenant.api_key) as ask,
    ):
        await ready(kafka_bootstrap, tenant, CalendarChanged(**who, state=state))

        async def times():
            response = await ask("GET", path, query={**query, "startDate": str(START - 3_600_000)})
            slots = response.body["2027-03-01"]["slots"] if response.status == 200 else []
            return [slot[11:16] for slot in slots]

        async def shown(*expected):
            return tuple(await times()) == expected

        await eventually(
            lambda: shown("09:00", "09:30", "10:00", "10:30", "11:00", "11:30"), within=20
        )
        soon = datetime.now(UTC) + timedelta(seconds=2)  # noqa: TID251 -- as the service's clock has it
        await publish(kafka_bootstrap, hold(MONDAY, soon), hold(MONDAY + half, LONG_AGO))
        await eventually(lambda: shown("09:30", "10:00", "10:30", "11:00", "11:30"))
        await eventually(lambda: shown("09:00", "09:30", "10:00", "10:30", "11:00", "11:30"))
        await publish(kafka_bootstrap, BlockSlotChanged(**who, state=block))
        await eventually(lambda: shown("09:00", "09:30", "10:30", "11:00", "11:30"))
        await publish(
            kafka_bootstrap,
            ResourceChanged(**who, state=room),
            BlockSlotChanged(**who, state=closed),
        )
        await eventually(lambda: shown("09:00", "09:30", "11:00", "11:30"))
        await publish(kafka_bootstrap, ScheduleChanged(**who, state=schedule))
        await eventually(lambda: shown("08:30", "09:00", "09:30", "11:00", "11:30"))
        ends = [Gone(id=block.id, sequence=2), Gone(id=room.id, sequence=2)]
        await publish(
            kafka_bootstrap,
            BlockSlotDeleted(**who, state=ends[0]),
            ResourceDeleted(**who, state=ends[1]),
            ScheduleDeleted(**who, state=Gone(id=schedule.id, sequence=2)),
        )
        await eventually(lambda: shown("09:00", "09:30", "10:00", "10:30", "11:00", "11:30"))
